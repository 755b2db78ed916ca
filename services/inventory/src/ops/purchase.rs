//! Purchase orders: drafted, sent, received, closed. What is still to come of one is kept in `supply` in the same
//! transaction as the change.

use super::Inventory;
use super::document::{self, Change, Document, keys};
use super::move_stock::{Books, Cost, Entry};
use crate::convert::purchase as shown;
use crate::document::DocumentKind;
use crate::error::Error;
use crate::item::ItemId;
use crate::purchase::{Arrival, Line, PurchaseOrder, Receipt, Stage};
use crate::stock::{Buckets, MovementKind, StockKey};
use crate::store;
use crate::store::purchase::Filter;
use crate::store::supply::Coming;
use crate::supplier::{KnownOffer, LeadTime};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::idempotency::Claim;
use pesan_money::Money;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

const KIND: DocumentKind = DocumentKind::PurchaseOrder;

/// What a draft is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub supplier_code: String,
    pub location_id: Uuid,
    pub reference: String,
    pub over_percent: i32,
    pub lines: Vec<DraftLine>,
}

/// A line of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DraftLine {
    pub line_no: i32,
    pub sku: String,
    pub quantity: i64,
    /// None: the supplier's offer.
    pub unit_price: Option<Money>,
    pub expected_at: Option<OffsetDateTime>,
}

/// Makes a draft.
pub async fn create(inventory: &Inventory, claim: Claim, draft: Draft) -> Result<pb::PurchaseOrder, Error> {
    learn(inventory, &draft).await?;
    document::create(inventory, &claim, async |mut tx| {
        let of = resolve(inventory, &mut tx, &draft).await?;
        Ok(Change { tx, of, events: Vec::new() })
    })
    .await
}

/// Replaces what a draft says.
pub async fn update(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    version: i64,
    draft: Draft,
) -> Result<pb::PurchaseOrder, Error> {
    learn(inventory, &draft).await?;
    document::change(inventory, &claim, name, async |mut change: Change<PurchaseOrder>| {
        let before = &change.of;
        before.edit(version)?;
        let (id, number, created_at) = (before.id, before.number, before.created_at);
        let wanted = resolve(inventory, &mut change.tx, &draft).await?;
        change.of = PurchaseOrder { id, number, created_at, version: version + 1, ..wanted };
        Ok(change)
    })
    .await
}

async fn learn(inventory: &Inventory, draft: &Draft) -> Result<(), Error> {
    inventory.learn_skus(draft.lines.iter().map(|line| line.sku.as_str()).collect()).await?;
    inventory.learn_locations(vec![draft.location_id]).await
}

/// The purchase order that a draft asks for: a new one, until it gets another one's id.
async fn resolve(inventory: &Inventory, conn: &mut PgConnection, wanted: &Draft) -> Result<PurchaseOrder, Error> {
    let location = inventory.known().location(wanted.location_id).ok_or(Error::UnknownLocation)?;
    let supplier = store::supplier::find(conn, &[wanted.supplier_code.as_str()]).await?.pop();
    let (supplier, of) = supplier.ok_or(Error::UnknownSupplier("purchase_order.supplier_code"))?;
    let path = |place: usize, field: &str| format!("purchase_order.lines[{place}].{field}");
    let mut items = Vec::with_capacity(wanted.lines.len());
    for (place, line) in wanted.lines.iter().enumerate() {
        items.push(inventory.stocked_item(&line.sku, &path(place, "sku"))?);
    }
    let offers = store::supplier::offers_of(conn, &items).await?;
    let prices: HashMap<ItemId, &KnownOffer> =
        offers.iter().filter(|offer| offer.supplier == supplier).map(|offer| (offer.item, offer)).collect();
    let mut violations = Violations::new();
    let mut lines = Vec::with_capacity(items.len());
    for (place, (line, item)) in wanted.lines.iter().zip(&items).enumerate() {
        let unit_price = match line.unit_price {
            Some(price) => {
                if price.currency != of.currency {
                    let must = format!("must be {} like the supplier's prices", of.currency);
                    violations.add(path(place, "unit_price.currency_code"), must);
                }
                price.amount
            }
            None => prices.get(item).ok_or_else(|| Error::NoPrice(path(place, "unit_price")))?.price,
        };
        let expected_at = line.expected_at;
        lines.push(Line { expected_at, ..Line::new(line.line_no, *item, line.quantity, unit_price) });
    }
    lines.sort_by_key(|line| line.line_no);
    violations.into_result(())?;
    let draft = PurchaseOrder::draft(supplier, of.code, location, of.currency, lines, inventory.clock.now());
    Ok(PurchaseOrder { reference: wanted.reference.clone(), over_percent: wanted.over_percent, ..draft })
}

/// Sends a draft: from now on its goods are expected.
pub async fn send(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    at: OffsetDateTime,
) -> Result<pb::PurchaseOrder, Error> {
    document::change(inventory, &claim, name, async |mut change: Change<PurchaseOrder>| {
        let (tx, order) = (&mut change.tx, &mut change.of);
        let items: Vec<ItemId> = order.lines.iter().map(|line| line.item).collect();
        let lead_times = lead_times(tx, order, &items).await?;
        order.send(at, |item| lead_times.get(&item).copied().unwrap_or_default())?;
        // So that what is incoming is shown where nothing ever stood.
        store::stock::ensure(tx, &keys(items.iter().copied(), order.location)).await?;
        inventory.learn(tx, items, vec![order.location]).await?;
        let fact = shown::sent(&inventory.known(), order);
        change.tell(&fact, at);
        Ok(change)
    })
    .await
}

/// The supplier's lead time for each item: of its offer, or its own.
async fn lead_times(
    conn: &mut PgConnection,
    order: &PurchaseOrder,
    items: &[ItemId],
) -> Result<HashMap<ItemId, LeadTime>, Error> {
    let of = store::supplier::find(conn, &[order.supplier_code.as_str()]).await?.pop();
    let own = of.map(|(_, supplier)| supplier.lead_time).unwrap_or_default();
    let offers = store::supplier::offers_of(conn, items).await?;
    let mut times: HashMap<ItemId, LeadTime> = items.iter().map(|item| (*item, own)).collect();
    times.extend(offers.iter().filter(|o| o.supplier == order.supplier).map(|o| (o.item, o.lead_time)));
    Ok(times)
}

/// Books goods that came.
pub async fn receive(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    arrivals: Vec<Arrival>,
    delivery_note: String,
    at: OffsetDateTime,
) -> Result<pb::PurchaseOrder, Error> {
    let answer = document::change(inventory, &claim, name, async |mut change: Change<PurchaseOrder>| {
        let (tx, order) = (&mut change.tx, &mut change.of);
        let lines = order.receive(&arrivals, at)?;
        let receipt = Receipt { number: order.receipts, delivery_note: delivery_note.clone(), received_at: at, lines };

        let items = || receipt.lines.iter().map(|line| line.item);
        let wanted = receipt.lines.iter().flat_map(|line| {
            let key = StockKey { item: line.item, location: order.location };
            [&line.lots, &line.damaged_lots].map(|lots| (key, Buckets::default(), lots.as_slice()))
        });
        let mut books = Books::lock(tx, at.date(), &wanted.collect::<Vec<_>>()).await?;
        inventory.learn(tx, items().collect(), vec![order.location]).await?;
        let reference = KIND.number(order.number);
        let mut movements = Vec::with_capacity(receipt.lines.len());
        for (place, line) in receipt.lines.iter().enumerate().filter(|(_, line)| line.received + line.damaged > 0) {
            let entry = Entry {
                key: StockKey { item: line.item, location: order.location },
                kind: MovementKind::Receipt,
                quantity: line.received,
                damaged: line.damaged,
                reason: &line.reason,
                reference: &reference,
                cost: Cost::Paid(Some(line.unit_cost)),
                effective_at: at,
            };
            let path = || format!("lines[{place}]");
            let ids = books.enter_arrival(entry, &line.lots, &line.damaged_lots);
            let ids = ids.map_err(|error| Error::At { path: path(), error: Box::new(error) })?;
            movements.extend(ids.into_iter().map(|id| (id, i64::from(line.line_no))));
        }
        let moved = books.write(tx, inventory).await?;
        store::purchase::add_receipt(tx, order.id, &receipt).await?;
        store::supply::note_movements(tx, KIND, order.id, &movements).await?;
        let fact = shown::received(&inventory.known(), order, &receipt);
        change.events.extend(moved);
        change.tell(&fact, at);
        Ok(change)
    })
    .await?;
    inventory.filler.notify_one();
    Ok(answer)
}

/// The rest of it is not expected any more.
pub async fn close(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    reason: String,
) -> Result<pb::PurchaseOrder, Error> {
    document::change(inventory, &claim, name, async |mut change: Change<PurchaseOrder>| {
        let now = inventory.clock.now();
        let order = &mut change.of;
        order.close(reason.clone(), now)?;
        let (purchase_order_id, number) = (order.id.to_string(), KIND.number(order.number));
        change.tell(&pb::PurchaseOrderClosed { purchase_order_id, number, reason: reason.clone() }, now);
        Ok(change)
    })
    .await
}

/// Takes it back, before anything of it came.
pub async fn cancel(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    reason: String,
) -> Result<pb::PurchaseOrder, Error> {
    document::change(inventory, &claim, name, async |mut change: Change<PurchaseOrder>| {
        let now = inventory.clock.now();
        let order = &mut change.of;
        let was_sent = order.cancel(reason.clone(), now)?;
        let (purchase_order_id, number) = (order.id.to_string(), KIND.number(order.number));
        if was_sent {
            change.tell(&pb::PurchaseOrderCancelled { purchase_order_id, number, reason: reason.clone() }, now);
        }
        Ok(change)
    })
    .await
}

/// A purchase order, with its receipts.
pub async fn get(inventory: &Inventory, name: &str) -> Result<pb::PurchaseOrder, Error> {
    document::get::<PurchaseOrder>(inventory, name).await
}

/// Purchase orders before a number, newest first; one more than `size` where there are more.
pub async fn list(
    inventory: &Inventory,
    before: Option<i64>,
    filter: Filter<'_>,
    size: i64,
) -> Result<Vec<PurchaseOrder>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let orders = store::purchase::page(&mut conn, before, filter, size + 1).await?;
    let items = orders.iter().flat_map(|order| order.lines.iter().map(|line| line.item)).collect();
    inventory.learn(&mut conn, items, orders.iter().map(|order| order.location).collect()).await?;
    Ok(orders)
}

impl Document for PurchaseOrder {
    const KIND: DocumentKind = KIND;
    type Shown = pb::PurchaseOrder;

    fn id(&self) -> Uuid {
        self.id
    }

    fn facts(&mut self) -> &mut i64 {
        &mut self.facts
    }

    async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Self>> {
        store::purchase::find(conn, id).await
    }

    async fn save(&mut self, conn: &mut PgConnection) -> sqlx::Result<()> {
        store::purchase::save(conn, std::slice::from_mut(self)).await?;
        let is_open = self.stage == Stage::Sent;
        let coming = self.lines.iter().map(|line| Coming {
            line_no: line.line_no,
            item: line.item,
            location: self.location,
            expected_at: line.expected_at.unwrap_or(self.created_at),
            quantity: if is_open { line.expected() } else { 0 },
        });
        store::supply::write(conn, KIND, self.id, self.number, &coming.collect::<Vec<_>>()).await
    }

    async fn show(&self, inventory: &Inventory, conn: &mut PgConnection) -> Result<pb::PurchaseOrder, Error> {
        let receipts = store::purchase::receipts(conn, self.id).await?;
        inventory.learn(conn, self.lines.iter().map(|line| line.item).collect(), vec![self.location]).await?;
        Ok(shown::order(&inventory.known(), self, &receipts))
    }
}
