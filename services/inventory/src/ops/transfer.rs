//! Transfers: planned, shipped, received. What is on its way is kept in `supply` in the same transaction as the change.

use super::Inventory;
use super::document::{self, Change, Document, keys};
use super::move_stock::{Books, Cost, Entry};
use crate::convert::transfer as shown;
use crate::document::DocumentKind;
use crate::error::Error;
use crate::item::ItemId;
use crate::stock::{Buckets, MovementKind, StockKey};
use crate::store;
use crate::store::supply::Coming;
use crate::transfer::{Arrival, Line, LotOnItsWay, Shipment, Stage, Transfer};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::idempotency::Claim;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

const KIND: DocumentKind = DocumentKind::Transfer;

/// What a transfer is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub source: Uuid,
    pub destination: Uuid,
    /// Line number, sku, quantity.
    pub lines: Vec<(i32, String, i64)>,
    pub reference: String,
    pub ship_at: OffsetDateTime,
    pub expected_at: OffsetDateTime,
}

/// Plans a transfer: nothing moves yet.
pub async fn create(inventory: &Inventory, claim: Claim, plan: Plan) -> Result<pb::Transfer, Error> {
    inventory.learn_skus(plan.lines.iter().map(|(_, sku, _)| sku.as_str()).collect()).await?;
    inventory.learn_locations(vec![plan.source, plan.destination]).await?;
    document::create(inventory, &claim, async |tx| {
        Ok(Change { tx, of: resolve(inventory, &plan)?, events: Vec::new() })
    })
    .await
}

fn resolve(inventory: &Inventory, plan: &Plan) -> Result<Transfer, Error> {
    let location = |id: Uuid, path: &str| {
        let unknown = || Error::At { path: path.to_owned(), error: Box::new(Error::UnknownLocation) };
        inventory.known().location(id).ok_or_else(unknown)
    };
    let mut lines = Vec::with_capacity(plan.lines.len());
    for (place, (line_no, sku, quantity)) in plan.lines.iter().enumerate() {
        let item = inventory.stocked_item(sku, &format!("lines[{place}].sku"))?;
        lines.push(Line::new(*line_no, item, *quantity));
    }
    lines.sort_by_key(|line| line.line_no);
    Ok(Transfer {
        id: Uuid::now_v7(),
        number: 0,
        source: location(plan.source, "source_location_id")?,
        destination: location(plan.destination, "destination_location_id")?,
        stage: Stage::Planned,
        reference: plan.reference.clone(),
        ship_at: plan.ship_at,
        expected_at: plan.expected_at,
        created_at: inventory.clock.now(),
        shipped_at: None,
        closed_at: None,
        version: 1,
        facts: 0,
        lines,
    })
}

/// The goods leave their source.
pub async fn ship(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    shipments: Vec<Shipment>,
    at: OffsetDateTime,
) -> Result<pb::Transfer, Error> {
    document::change(inventory, &claim, name, async |mut change: Change<Transfer>| {
        let (tx, transfer) = (&mut change.tx, &mut change.of);
        transfer.ship(&shipments, at)?;
        // So that what is on its way is shown where nothing ever stood.
        store::stock::ensure(tx, &keys(items(transfer), transfer.destination)).await?;
        let named = |line_no| {
            let said = shipments.iter().find(|shipment| shipment.line_no == line_no);
            said.map(|shipment| shipment.lots.as_slice()).unwrap_or_default()
        };
        let wanted = transfer.lines.iter().map(|line| {
            let leaves = Buckets { on_hand: -line.shipped, ..Buckets::default() };
            (StockKey { item: line.item, location: transfer.source }, leaves, named(line.line_no))
        });
        let mut books = Books::lock(tx, inventory.clock.now().date(), &wanted.collect::<Vec<_>>()).await?;
        let reference = KIND.number(transfer.number);
        let mut movements = Vec::with_capacity(transfer.lines.len());
        for line in transfer.lines.iter_mut().filter(|line| line.shipped > 0) {
            line.unit_cost = books.costs.unit_cost(line.item);
            let entry = Entry {
                key: StockKey { item: line.item, location: transfer.source },
                kind: MovementKind::TransferOut,
                quantity: -line.shipped,
                damaged: 0,
                reason: "",
                reference: &reference,
                cost: Cost::Average,
                effective_at: at,
            };
            let id = books.enter_lots(entry, 0, named(line.line_no)).map_err(|error| at_line(line.line_no, error))?;
            movements.push((id, i64::from(line.line_no)));
            let taken = books.movements.last().into_iter().flat_map(|movement| &movement.lots);
            line.lots = taken.map(|lot| LotOnItsWay::new(lot.code.clone(), lot.moved())).collect();
        }
        learn(inventory, tx, transfer).await?;
        let moved = books.write(tx, inventory).await?;
        store::supply::note_movements(tx, KIND, transfer.id, &movements).await?;
        let fact = shown::shipped(&inventory.known(), transfer);
        change.events.extend(moved);
        change.tell(&fact, at);
        Ok(change)
    })
    .await
}

/// Goods arrive at their destination, or are known to be lost.
pub async fn receive(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    arrivals: Vec<Arrival>,
    at: OffsetDateTime,
) -> Result<pb::Transfer, Error> {
    let answer = document::change(inventory, &claim, name, async |mut change: Change<Transfer>| {
        let (tx, transfer) = (&mut change.tx, &mut change.of);
        let mut arrivals = arrivals.clone();
        transfer.receive(&mut arrivals, at)?;
        let mut wanted = Vec::with_capacity(arrivals.len());
        for arrival in &arrivals {
            let line = transfer.lines.iter().find(|line| line.line_no == arrival.line_no);
            let key = line.map(|line| StockKey { item: line.item, location: transfer.destination });
            let lots = [&arrival.lots, &arrival.damaged_lots, &arrival.lost_lots];
            wanted.extend(key.into_iter().flat_map(|key| lots.map(|lots| (key, Buckets::default(), lots.as_slice()))));
        }
        let mut books = Books::lock(tx, inventory.clock.now().date(), &wanted).await?;
        let movements = arrive(&mut books, transfer, &arrivals, at)?;
        learn(inventory, tx, transfer).await?;
        let moved = books.write(tx, inventory).await?;
        store::supply::note_movements(tx, KIND, transfer.id, &movements).await?;
        let fact = shown::received(&inventory.known(), transfer, &arrivals);
        change.events.extend(moved);
        change.tell(&fact, at);
        Ok(change)
    })
    .await?;
    inventory.filler.notify_one();
    Ok(answer)
}

/// Everything that left comes in; what was lost on the way is adjusted away at once, so that the ledger tells of it.
fn arrive(
    books: &mut Books,
    transfer: &Transfer,
    arrivals: &[Arrival],
    at: OffsetDateTime,
) -> Result<Vec<(Uuid, i64)>, Error> {
    let reference = KIND.number(transfer.number);
    let mut movements = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let Some(line) = transfer.lines.iter().find(|line| line.line_no == arrival.line_no) else { continue };
        let entry = Entry {
            key: StockKey { item: line.item, location: transfer.destination },
            kind: MovementKind::TransferIn,
            quantity: arrival.received + arrival.lost,
            damaged: arrival.damaged,
            reason: &arrival.reason,
            reference: &reference,
            cost: Cost::Carried(line.unit_cost),
            effective_at: at,
        };
        if entry.quantity + entry.damaged == 0 {
            continue;
        }
        let mut coming = arrival.lots.clone();
        for lot in &arrival.lost_lots {
            match coming.iter_mut().find(|coming| coming.code == lot.code) {
                Some(coming) => coming.quantity += lot.quantity,
                None => coming.push(lot.clone()),
            }
        }
        let in_line = |error| at_line(line.line_no, error);
        let ids = books.enter_arrival(entry.clone(), &coming, &arrival.damaged_lots).map_err(in_line)?;
        movements.extend(ids.into_iter().map(|id| (id, i64::from(line.line_no))));
        if arrival.lost > 0 {
            let kind = MovementKind::Adjustment;
            let gone = Entry { kind, quantity: -arrival.lost, damaged: 0, cost: Cost::Average, ..entry };
            let id = books.enter_lots(gone, 0, &arrival.lost_lots).map_err(in_line)?;
            movements.push((id, i64::from(line.line_no)));
        }
    }
    Ok(movements)
}

fn at_line(line_no: i32, error: Error) -> Error {
    Error::At { path: format!("line {line_no}"), error: Box::new(error) }
}

/// Gives up a plan.
pub async fn cancel(inventory: &Inventory, claim: Claim, name: &str) -> Result<pb::Transfer, Error> {
    document::change(inventory, &claim, name, async |mut change: Change<Transfer>| {
        change.of.cancel(inventory.clock.now())?;
        Ok(change)
    })
    .await
}

/// A transfer.
pub async fn get(inventory: &Inventory, name: &str) -> Result<pb::Transfer, Error> {
    document::get::<Transfer>(inventory, name).await
}

/// Transfers before a number, newest first; one more than `size` where there are more.
pub async fn list(
    inventory: &Inventory,
    before: Option<i64>,
    stage: Option<Stage>,
    part_received: Option<bool>,
    location: Option<Uuid>,
    size: i64,
) -> Result<Vec<Transfer>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let transfers = store::transfer::page(&mut conn, before, stage, part_received, location, size + 1).await?;
    let items = transfers.iter().flat_map(|transfer| transfer.lines.iter().map(|line| line.item)).collect();
    let locations = transfers.iter().flat_map(|transfer| [transfer.source, transfer.destination]).collect();
    inventory.learn(&mut conn, items, locations).await?;
    Ok(transfers)
}

async fn learn(inventory: &Inventory, conn: &mut PgConnection, transfer: &Transfer) -> Result<(), Error> {
    inventory.learn(conn, items(transfer).collect(), vec![transfer.source, transfer.destination]).await
}

fn items(transfer: &Transfer) -> impl Iterator<Item = ItemId> {
    transfer.lines.iter().map(|line| line.item)
}

impl Document for Transfer {
    const KIND: DocumentKind = KIND;
    type Shown = pb::Transfer;

    fn id(&self) -> Uuid {
        self.id
    }

    fn facts(&mut self) -> &mut i64 {
        &mut self.facts
    }

    async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Self>> {
        store::transfer::find(conn, id).await
    }

    async fn save(&mut self, conn: &mut PgConnection) -> sqlx::Result<()> {
        store::transfer::save(conn, self).await?;
        let coming = self.lines.iter().map(|line| Coming {
            line_no: line.line_no,
            item: line.item,
            location: self.destination,
            expected_at: self.expected_at,
            quantity: line.in_transfer(),
        });
        store::supply::write(conn, KIND, self.id, self.number, &coming.collect::<Vec<_>>()).await
    }

    async fn show(&self, inventory: &Inventory, conn: &mut PgConnection) -> Result<pb::Transfer, Error> {
        learn(inventory, conn, self).await?;
        Ok(shown::transfer(&inventory.known(), self))
    }
}
