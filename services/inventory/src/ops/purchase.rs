//! Purchase orders: drafted, sent, received, closed. What is still to come of one is kept in `supply` in the same
//! transaction as the change.

use super::move_stock::{Books, Cost, Entry};
use super::{Inventory, insist, once};
use crate::convert::purchase as shown;
use crate::document::{DocumentKind, DocumentName};
use crate::error::Error;
use crate::item::ItemId;
use crate::purchase::{Arrival, Line, PurchaseOrder, Receipt, Stage};
use crate::stock::{MovementKind, StockKey};
use crate::store;
use crate::store::purchase::Filter;
use crate::store::supply::Coming;
use crate::supplier::{KnownOffer, LeadTime};
use pesan_api::inventory::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::Violations;
use pesan_grpc::idempotency::Claim;
use pesan_money::Money;
use prost::{Message, Name};
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
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let mut orders = [resolve(inventory, &mut tx, &draft).await?];
        store::purchase::insert(&mut tx, &mut orders).await?;
        let answer = shown::order(&inventory.known(), &orders[0], &[]);
        once::keep(&mut tx, &claim, &answer).await?;
        tx.commit().await?;
        Ok(answer)
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
    let id = id(inventory, name).await?;
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        pesan_feed::lock(&mut tx, [id]).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let before = read(&mut tx, id, name).await?;
        before.edit(version)?;
        let wanted = resolve(inventory, &mut tx, &draft).await?;
        let (number, created_at) = (before.number, before.created_at);
        let order = PurchaseOrder { id, number, created_at, version: version + 1, ..wanted };
        store::purchase::save(&mut tx, &order).await?;
        let answer = shown::order(&inventory.known(), &order, &[]);
        once::keep(&mut tx, &claim, &answer).await?;
        tx.commit().await?;
        Ok(answer)
    })
    .await
}

async fn learn(inventory: &Inventory, draft: &Draft) -> Result<(), Error> {
    inventory.learn_skus(draft.lines.iter().map(|line| line.sku.as_str()).collect()).await?;
    inventory.learn_locations(vec![draft.location_id]).await
}

/// The purchase order that a draft asks for: a new one, until it gets another one's id.
async fn resolve(inventory: &Inventory, conn: &mut PgConnection, draft: &Draft) -> Result<PurchaseOrder, Error> {
    let location = inventory.known().location(draft.location_id).ok_or(Error::UnknownLocation)?;
    let supplier = store::supplier::find(conn, &[draft.supplier_code.as_str()]).await?.pop();
    let (supplier, of) = supplier.ok_or(Error::UnknownSupplier("purchase_order.supplier_code"))?;
    let path = |place: usize, field: &str| format!("purchase_order.lines[{place}].{field}");
    let mut items = Vec::with_capacity(draft.lines.len());
    for (place, line) in draft.lines.iter().enumerate() {
        items.push(inventory.stocked_item(&line.sku, &path(place, "sku"))?);
    }
    let offers = store::supplier::offers_of(conn, &items).await?;
    let prices: HashMap<ItemId, &KnownOffer> =
        offers.iter().filter(|offer| offer.supplier == supplier).map(|offer| (offer.item, offer)).collect();
    let mut violations = Violations::new();
    let mut lines = Vec::with_capacity(items.len());
    for (place, (line, item)) in draft.lines.iter().zip(&items).enumerate() {
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
        let (line_no, quantity, expected_at) = (line.line_no, line.quantity, line.expected_at);
        lines.push(Line {
            line_no,
            item: *item,
            quantity,
            unit_price,
            expected_at,
            received: 0,
            damaged: 0,
            dropped: 0,
        });
    }
    lines.sort_by_key(|line| line.line_no);
    violations.into_result(())?;
    Ok(PurchaseOrder {
        id: Uuid::now_v7(),
        number: 0,
        supplier,
        supplier_code: of.code,
        location,
        currency: of.currency,
        stage: Stage::Draft,
        reference: draft.reference.clone(),
        over_percent: draft.over_percent,
        created_at: inventory.clock.now(),
        sent_at: None,
        closed_at: None,
        closing_reason: String::new(),
        receipts: 0,
        version: 1,
        facts: 0,
        lines,
    })
}

/// Sends a draft: from now on its goods are expected.
pub async fn send(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    at: OffsetDateTime,
) -> Result<pb::PurchaseOrder, Error> {
    let id = id(inventory, name).await?;
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        pesan_feed::lock(&mut tx, [id]).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let mut order = read(&mut tx, id, name).await?;
        let items: Vec<ItemId> = order.lines.iter().map(|line| line.item).collect();
        let lead_times = lead_times(&mut tx, &order, &items).await?;
        order.send(at, |item| lead_times.get(&item).copied().unwrap_or_default())?;
        // So that what is incoming is shown where nothing ever stood.
        store::stock::ensure(&mut tx, &keys(&order, &items)).await?;
        inventory.learn(&mut tx, items, vec![order.location]).await?;
        let fact = shown::sent(&inventory.known(), &order);
        let event = tell(&mut order, &fact, at);
        finish(inventory, tx, &claim, &order, vec![event]).await
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
    let id = id(inventory, name).await?;
    let answer = insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        pesan_feed::lock(&mut tx, [id]).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let mut order = read(&mut tx, id, name).await?;
        let lines = order.receive(&arrivals, at)?;
        let receipt = Receipt { number: order.receipts, delivery_note: delivery_note.clone(), received_at: at, lines };

        let items: Vec<ItemId> = receipt.lines.iter().map(|line| line.item).collect();
        let mut books = Books::lock(&mut tx, &keys(&order, &items)).await?;
        inventory.learn(&mut tx, items, vec![order.location]).await?;
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
            let id = books.enter(entry).map_err(|error| Error::At { path: path(), error: Box::new(error) })?;
            movements.push((id, i64::from(line.line_no)));
        }
        let mut events = books.write(&mut tx, inventory).await?;
        store::purchase::add_receipt(&mut tx, id, &receipt).await?;
        store::supply::note_movements(&mut tx, KIND, id, &movements).await?;
        let fact = shown::received(&inventory.known(), &order, &receipt);
        events.push(tell(&mut order, &fact, at));
        finish(inventory, tx, &claim, &order, events).await
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
    let id = id(inventory, name).await?;
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        pesan_feed::lock(&mut tx, [id]).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let now = inventory.clock.now();
        let mut order = read(&mut tx, id, name).await?;
        order.close(reason.clone(), now)?;
        let fact = pb::PurchaseOrderClosed {
            purchase_order_id: id.to_string(),
            number: KIND.number(order.number),
            reason: reason.clone(),
        };
        let event = tell(&mut order, &fact, now);
        finish(inventory, tx, &claim, &order, vec![event]).await
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
    let id = id(inventory, name).await?;
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        pesan_feed::lock(&mut tx, [id]).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let now = inventory.clock.now();
        let mut order = read(&mut tx, id, name).await?;
        let was_sent = order.cancel(reason.clone(), now)?;
        let mut events = Vec::new();
        if was_sent {
            let fact = pb::PurchaseOrderCancelled {
                purchase_order_id: id.to_string(),
                number: KIND.number(order.number),
                reason: reason.clone(),
            };
            events.push(tell(&mut order, &fact, now));
        }
        finish(inventory, tx, &claim, &order, events).await
    })
    .await
}

/// A purchase order, with its receipts.
pub async fn get(inventory: &Inventory, name: &str) -> Result<pb::PurchaseOrder, Error> {
    let id = id(inventory, name).await?;
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let order = read(&mut tx, id, name).await?;
    let answer = show(inventory, &mut tx, &order).await?;
    tx.commit().await?;
    Ok(answer)
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

async fn id(inventory: &Inventory, name: &str) -> Result<Uuid, Error> {
    let parsed: Option<DocumentName> = KIND.parse(name);
    let not_found = || Error::PurchaseOrderNotFound(name.to_owned());
    let mut conn = inventory.pool.acquire().await?;
    store::purchase::id(&mut conn, parsed.ok_or_else(not_found)?).await?.ok_or_else(not_found)
}

async fn read(conn: &mut PgConnection, id: Uuid, name: &str) -> Result<PurchaseOrder, Error> {
    let found = store::purchase::find(conn, id).await?;
    found.ok_or_else(|| Error::PurchaseOrderNotFound(name.to_owned()))
}

/// In key order, each once.
fn keys(order: &PurchaseOrder, items: &[ItemId]) -> Vec<StockKey> {
    let mut keys: Vec<StockKey> = items.iter().map(|item| StockKey { item: *item, location: order.location }).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn tell<M: Message + Name>(order: &mut PurchaseOrder, fact: &M, at: OffsetDateTime) -> NewEvent {
    order.facts += 1;
    NewEvent::new(order.id, order.facts, fact, at)
}

/// What every change of one ends with: it and what is still to come of it are written, and its facts and answer.
async fn finish(
    inventory: &Inventory,
    mut tx: sqlx::Transaction<'_, sqlx::Postgres>,
    claim: &Claim,
    order: &PurchaseOrder,
    events: Vec<NewEvent>,
) -> Result<pb::PurchaseOrder, Error> {
    store::purchase::save(&mut tx, order).await?;
    let is_open = order.stage == Stage::Sent;
    let coming = order.lines.iter().map(|line| Coming {
        line_no: line.line_no,
        item: line.item,
        location: order.location,
        expected_at: line.expected_at.unwrap_or(order.created_at),
        quantity: if is_open { line.expected() } else { 0 },
    });
    store::supply::write(&mut tx, KIND, order.id, order.number, &coming.collect::<Vec<_>>()).await?;
    let answer = show(inventory, &mut tx, order).await?;
    once::keep(&mut tx, claim, &answer).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    inventory.feed.wake();
    Ok(answer)
}

async fn show(
    inventory: &Inventory,
    conn: &mut PgConnection,
    order: &PurchaseOrder,
) -> Result<pb::PurchaseOrder, Error> {
    let receipts = store::purchase::receipts(conn, order.id).await?;
    inventory.learn(conn, order.lines.iter().map(|line| line.item).collect(), vec![order.location]).await?;
    Ok(shown::order(&inventory.known(), order, &receipts))
}
