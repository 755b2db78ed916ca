//! Cycle counts: begun, entered, and, approved, booked.
//!
//! What is missing of reserved stock makes orders fall short, and orders must be locked before anything is written. So
//! who would fall short is looked up first without locks; their orders and the stock are locked, and where that turns
//! out not to be enough any more, it is looked up again.
//!
//! It is off the books at once, and not taken from the order: it may be in a picker's hands, and only the warehouse knows
//! (the order, of what it keeps back). They are told, and the shortage is booked when they say that it is not there.

use super::document::{self, Change, Document, keys};
use super::move_stock::{Books, Cost, Entry as Booking};
use super::{Inventory, insist};
use crate::convert::count as shown;
use crate::convert::facts;
use crate::counting::{Count, CountedLot, Entry, Line, Stage, THRESHOLD, Threshold};
use crate::document::DocumentKind;
use crate::error::Error;
use crate::item::{ItemId, Tracking};
use crate::location::LocationId;
use crate::lot::{self, LotQuantity, Lots};
use crate::reservation::Reservation;
use crate::stock::{Book, Level, MovementKind, StockKey};
use crate::store;
use crate::store::count::Holding;
use pesan_api::inventory::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::Violations;
use pesan_grpc::idempotency::Claim;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

const KIND: DocumentKind = DocumentKind::Count;
/// Most items of one count.
pub const MOST_ITEMS: usize = 5_000;
/// Most lots that the books may know of the items of one entry.
const MOST_LOTS: usize = 50_000;

/// What is to be counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub location_id: Uuid,
    /// Empty: everything the location has.
    pub skus: Vec<String>,
    pub threshold: Threshold,
    pub note: String,
}

/// What was counted of an item; without a time: now.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub sku: String,
    pub quantity: i64,
    pub at: Option<OffsetDateTime>,
    /// Of a tracked item.
    pub lots: Vec<LotQuantity>,
}

/// Begins a count.
pub async fn create(inventory: &Inventory, claim: Claim, wanted: Wanted) -> Result<pb::Count, Error> {
    inventory.learn_skus(wanted.skus.iter().map(String::as_str).collect()).await?;
    inventory.learn_locations(vec![wanted.location_id]).await?;
    document::create(inventory, &claim, async |mut tx| {
        let location = inventory.known().location(wanted.location_id).ok_or(Error::UnknownLocation)?;
        let items = items(inventory, &mut tx, location, &wanted.skus).await?;
        // Whatever moves this stock later does so after the locks are gone, further down the ledger.
        lock(&mut tx, location, &items).await?;
        let of = Count {
            id: Uuid::now_v7(),
            number: 0,
            location,
            stage: Stage::Counting,
            threshold: wanted.threshold,
            note: wanted.note.clone(),
            since: store::count::end_of_ledger(&mut tx).await?,
            created_at: inventory.clock.now(),
            counted_at: None,
            decided_at: None,
            decided_by: String::new(),
            version: 1,
            facts: 0,
            lines: items.into_iter().map(Line::new).collect(),
        };
        Ok(Change { tx, of, events: Vec::new() })
    })
    .await
}

/// In key order, each once.
async fn items(
    inventory: &Inventory,
    conn: &mut PgConnection,
    location: LocationId,
    skus: &[String],
) -> Result<Vec<ItemId>, Error> {
    if skus.is_empty() {
        let most = i64::try_from(MOST_ITEMS).unwrap_or(i64::MAX);
        let items = store::count::items_at(conn, location, most + 1).await?;
        return match items.len() {
            0 => Err(Error::NothingToCount),
            n if n > MOST_ITEMS => Err(Error::CountTooLarge(MOST_ITEMS)),
            _ => Ok(items),
        };
    }
    let resolved = skus.iter().enumerate().map(|(i, sku)| inventory.stocked_item(sku, &format!("skus[{i}]")));
    let mut items = resolved.collect::<Result<Vec<ItemId>, Error>>()?;
    items.sort_unstable();
    items.dedup();
    Ok(items)
}

/// `items` in key order.
async fn lock(conn: &mut PgConnection, location: LocationId, items: &[ItemId]) -> Result<Book, Error> {
    let keys = keys(items.iter().copied(), location);
    store::stock::ensure(conn, &keys).await?;
    Ok(store::stock::lock(conn, &keys).await?)
}

/// Enters quantities; a complete count within its threshold is approved at once.
pub async fn enter(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    counted: Vec<Counted>,
    complete: bool,
) -> Result<pb::Count, Error> {
    inventory.learn_skus(counted.iter().map(|entry| entry.sku.as_str()).collect()).await?;
    document::change(inventory, &claim, name, async |mut change: Change<Count>| {
        let (tx, count) = (&mut change.tx, &mut change.of);
        let entries = entries(inventory, tx, count, &counted).await?;
        count.enter(entries)?;
        if count.lines.len() > MOST_ITEMS {
            return Err(Error::CountTooLarge(MOST_ITEMS));
        }
        if complete && count.complete(inventory.clock.now())? {
            let lines: Vec<ItemId> = differing(count).map(|line| line.item).collect();
            let book = lock(tx, count.location, &lines).await?;
            let lots = lots_now(tx, count).await?;
            let key = |item| StockKey { item, location: count.location };
            let outcome = |line: &Line| line.settle(count.location, book.level(key(line.item)), &lots);
            let short = differing(count).any(|line| outcome(line).short > 0);
            if !short {
                approved(inventory, &mut change, THRESHOLD, &[], &mut BTreeMap::new()).await?;
            }
        }
        Ok(change)
    })
    .await
}

/// What was counted, and what the books said at that moment.
async fn entries(
    inventory: &Inventory,
    conn: &mut PgConnection,
    count: &Count,
    counted: &[Counted],
) -> Result<Vec<(ItemId, Entry, Vec<CountedLot>)>, Error> {
    let now = inventory.clock.now();
    let mut violations = Violations::new();
    let mut by_item: BTreeMap<ItemId, &Counted> = BTreeMap::new();
    for (place, entry) in counted.iter().enumerate() {
        let item = inventory.stocked_item(&entry.sku, &format!("entries[{place}].sku"))?;
        expect_lots(inventory, entry)
            .map_err(|error| Error::At { path: format!("entries[{place}].lots"), error: Box::new(error) })?;
        if by_item.insert(item, entry).is_some() {
            violations.add(format!("entries[{place}].sku"), "must be unique in the request");
        }
        if entry.at.is_some_and(|at| at < count.created_at) {
            violations.add(format!("entries[{place}].counted_at"), "must not be before the count began");
        }
    }
    violations.into_result(())?;
    let items: Vec<ItemId> = by_item.keys().copied().collect();
    let book = lock(conn, count.location, &items).await?;
    let earlier: Vec<(ItemId, OffsetDateTime)> =
        by_item.iter().filter_map(|(item, entry)| Some((*item, entry.at?))).collect();
    let mut moved: HashMap<ItemId, i64> = HashMap::new();
    if !earlier.is_empty() {
        moved.extend(store::count::moved_since(conn, count.location, count.since, &earlier).await?);
    }
    let mut lots = counted_lots(inventory, conn, count, &by_item).await?;
    let entry = |(item, entry): (&ItemId, &&Counted)| {
        let on_hand = book.level(StockKey { item: *item, location: count.location }).on_hand;
        let book = on_hand - moved.get(item).copied().unwrap_or(0);
        let counted = Entry { counted: entry.quantity, at: entry.at.unwrap_or(now), book };
        (*item, counted, lots.remove(item).unwrap_or_default())
    };
    Ok(by_item.iter().map(entry).collect())
}

/// What is found of a tracked item is named lot by lot.
fn expect_lots(inventory: &Inventory, entry: &Counted) -> Result<(), Error> {
    let tracking = inventory.known().item(&entry.sku).map(|item| item.tracking).unwrap_or_default();
    match tracking {
        Tracking::None if entry.lots.is_empty() => Ok(()),
        Tracking::None => Err(Error::NotTracked),
        Tracking::Lot if entry.lots.is_empty() && entry.quantity > 0 => Err(Error::LotRequired),
        Tracking::Serial if entry.lots.is_empty() && entry.quantity > 0 => Err(Error::SerialRequired),
        Tracking::Lot | Tracking::Serial => lot::expect_sum(tracking, entry.quantity, &entry.lots),
    }
}

/// The lots of tracked items that were counted: those found and those that the books knew at that moment.
async fn counted_lots(
    inventory: &Inventory,
    conn: &mut PgConnection,
    count: &Count,
    by_item: &BTreeMap<ItemId, &Counted>,
) -> Result<HashMap<ItemId, Vec<CountedLot>>, Error> {
    let mut tracked: Vec<(ItemId, OffsetDateTime)> = Vec::new();
    {
        let known = inventory.known();
        for (item, entry) in by_item {
            if known.item(&entry.sku).is_some_and(|item| item.tracking != Tracking::None) {
                tracked.push((*item, entry.at.unwrap_or(inventory.clock.now())));
            }
        }
    }
    if tracked.is_empty() {
        return Ok(HashMap::new());
    }
    let most = i64::try_from(MOST_LOTS).unwrap_or(i64::MAX);
    let books = store::count::lots_at(conn, count.location, count.since, &tracked, most + 1).await?;
    if books.len() > MOST_LOTS {
        return Err(Error::CountTooLarge(MOST_LOTS));
    }
    let mut lots: BTreeMap<(ItemId, String), CountedLot> = BTreeMap::new();
    for (item, code, book) in books {
        lots.insert((item, code.clone()), CountedLot { code, expires_on: None, counted: 0, book });
    }
    for (item, entry) in by_item {
        for found in &entry.lots {
            let new = || CountedLot { code: found.code.clone(), expires_on: None, counted: 0, book: 0 };
            let lot = lots.entry((*item, found.code.clone())).or_insert_with(new);
            (lot.counted, lot.expires_on) = (found.quantity, found.expires_on);
        }
    }
    let mut by_item: HashMap<ItemId, Vec<CountedLot>> = HashMap::new();
    for ((item, _), lot) in lots {
        by_item.entry(item).or_default().push(lot);
    }
    Ok(by_item)
}

/// What there is now of the lots of a count that are not as the books said. Read it after the stock is locked.
async fn lots_now(conn: &mut PgConnection, count: &Count) -> Result<Lots, Error> {
    let lots = differing(count).flat_map(|line| line.lots.iter().map(|lot| (line.item, lot)));
    let named: Vec<_> =
        lots.filter(|(_, lot)| lot.counted != lot.book).map(|(item, lot)| (item, lot.code.as_str())).collect();
    Ok(store::lot::read(conn, count.created_at.date(), &named, &[]).await?)
}

/// Books the differences of a count.
pub async fn approve(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    version: i64,
    by: String,
) -> Result<pb::Count, Error> {
    let id = document::id(inventory, KIND, name).await?;
    let answer = insist(async || {
        let losers = losers(inventory, id).await?;
        let mut orders: Vec<Uuid> = losers.iter().map(|holding| holding.order_id).collect();
        orders.sort_unstable();
        orders.dedup();
        document::change_locked(inventory, &claim, id, &orders, async |mut change: Change<Count>| {
            change.of.expect_decidable(version)?;
            let mut reservations = store::reservation::headers(&mut change.tx, &orders).await?;
            store::reservation::read_parts(&mut change.tx, &mut reservations, &orders, None).await?;
            approved(inventory, &mut change, &by, &losers, &mut reservations).await?;
            store::reservation::save(&mut change.tx, &reservations.values().collect::<Vec<_>>()).await?;
            Ok(change)
        })
        .await
    })
    .await?;
    inventory.filler.notify_one();
    Ok(answer)
}

/// Who would fall short if the count were approved now: those who would be served last. No locks.
async fn losers(inventory: &Inventory, id: Uuid) -> Result<Vec<Holding>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let count: Count = document::read(&mut conn, id).await?;
    let items: Vec<ItemId> = differing(&count).map(|line| line.item).collect();
    let levels: HashMap<ItemId, Level> =
        store::stock::at(&mut conn, count.location, &items).await?.into_iter().collect();
    let lots = lots_now(&mut conn, &count).await?;
    let mut short: HashMap<StockKey, i64> = HashMap::new();
    for line in differing(&count) {
        let level = levels.get(&line.item).copied().unwrap_or_default();
        let outcome = line.settle(count.location, level, &lots);
        if outcome.short > 0 {
            short.insert(StockKey { item: line.item, location: count.location }, outcome.short);
        }
    }
    if short.is_empty() {
        return Ok(Vec::new());
    }
    let holdings = store::count::holdings(&mut conn, &short.keys().copied().collect::<Vec<_>>()).await?;
    let mut losers = Vec::new();
    for holding in holdings {
        if let Some(left) = short.get_mut(&holding.key).filter(|left| **left > 0) {
            *left -= holding.reserved;
            losers.push(holding);
        }
    }
    if short.values().any(|left| *left > 0) {
        return Err(Error::Unsettled);
    }
    Ok(losers)
}

fn differing(count: &Count) -> impl Iterator<Item = &Line> {
    count.lines.iter().filter(|line| line.differs())
}

/// Books every difference. The orders of `losers` are locked, and their reservations read.
async fn approved(
    inventory: &Inventory,
    change: &mut Change<Count>,
    by: &str,
    losers: &[Holding],
    reservations: &mut BTreeMap<Uuid, Reservation>,
) -> Result<(), Error> {
    let now = inventory.clock.now();
    let (conn, count) = (&mut change.tx, &mut change.of);
    let mut books = Books::lock_rows(conn, &keys(differing(count).map(|line| line.item), count.location)).await?;
    books.lots = lots_now(conn, count).await?;
    let items: Vec<ItemId> = count.lines.iter().map(|line| line.item).collect();
    inventory.learn(conn, items, vec![count.location]).await?;
    let reference = KIND.number(count.number);
    let mut movements: Vec<(Uuid, i64)> = Vec::new();
    let mut missing: Vec<NewEvent> = Vec::new();
    for line in &mut count.lines {
        let key = StockKey { item: line.item, location: count.location };
        line.outcome = line.settle(key.location, books.book.level(key), &books.lots);
        let mut missing_lots = line.missing(key.location, &books.lots);
        let found = line.difference().0;
        let gone = found - line.outcome.booked;
        for (quantity, lots) in [(found, line.found()), (-gone, lot::take(&mut missing_lots, gone))] {
            if quantity == 0 {
                continue;
            }
            let entry = Booking {
                key,
                kind: MovementKind::Count,
                quantity,
                damaged: 0,
                reason: "COUNT",
                reference: &reference,
                cost: Cost::Average,
                effective_at: now,
            };
            movements.push((books.enter_lots(entry, 0, &lots)?, line.item.0));
        }
        let mut left = line.outcome.short;
        for holding in losers.iter().filter(|holding| holding.key == key) {
            let Some(reservation) = reservations.get_mut(&holding.order_id).filter(|_| left > 0) else { continue };
            let short = reservation.miss(holding.line_no, key.location, left, &mut books.book);
            if short == 0 {
                continue;
            }
            left -= short;
            // Not held any more, and now taken off the books as any other movement is.
            books.book.change(key, Level { on_hand: short, ..Level::default() });
            let order_reference = holding.order_id.to_string();
            let entry = Booking {
                key,
                kind: MovementKind::ShortPick,
                quantity: -short,
                damaged: 0,
                reason: "COUNT",
                reference: &order_reference,
                cost: Cost::Average,
                effective_at: now,
            };
            let id = books.enter_lots(entry, 0, &lot::take(&mut missing_lots, short))?;
            movements.push((id, line.item.0));
            let order_id = holding.order_id;
            let version = reservation.next_version();
            let fact = facts::missing(&inventory.known(), order_id, holding.line_no, key.item, key.location, short);
            missing.push(NewEvent::new(order_id, version, &fact, now).of_journey(order_id));
        }
        if left > 0 {
            return Err(Error::Contention); // others hold it by now: look again
        }
    }
    let moved = books.write(conn, inventory).await?;
    store::supply::note_movements(conn, KIND, count.id, &movements).await?;
    count.approve(by, now);
    let fact = shown::counted(&inventory.known(), count);
    change.events.extend(moved);
    change.events.extend(missing);
    change.tell(&fact, now);
    Ok(())
}

/// Books nothing: the count is over, or done again.
pub async fn reject(
    inventory: &Inventory,
    claim: Claim,
    name: &str,
    version: i64,
    by: String,
    recount: bool,
) -> Result<pb::Count, Error> {
    document::change(inventory, &claim, name, async |mut change: Change<Count>| {
        change.of.expect_decidable(version)?;
        change.of.reject(&by, recount, inventory.clock.now());
        Ok(change)
    })
    .await
}

/// A count.
pub async fn get(inventory: &Inventory, name: &str) -> Result<pb::Count, Error> {
    document::get::<Count>(inventory, name).await
}

/// Counts before a number, newest first, without their lines; one more than `size` where there are more.
pub async fn list(
    inventory: &Inventory,
    before: Option<i64>,
    stage: Option<Stage>,
    location: Option<Uuid>,
    size: i64,
) -> Result<Vec<Count>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let counts = store::count::page(&mut conn, before, stage, location, size + 1).await?;
    inventory.learn(&mut conn, Vec::new(), counts.iter().map(|count| count.location).collect()).await?;
    Ok(counts)
}

impl Document for Count {
    const KIND: DocumentKind = KIND;
    type Shown = pb::Count;

    fn id(&self) -> Uuid {
        self.id
    }

    fn facts(&mut self) -> &mut i64 {
        &mut self.facts
    }

    async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Self>> {
        store::count::find(conn, id).await
    }

    async fn save(&mut self, conn: &mut PgConnection) -> sqlx::Result<()> {
        store::count::save(conn, self).await
    }

    async fn show(&self, inventory: &Inventory, conn: &mut PgConnection) -> Result<pb::Count, Error> {
        inventory.learn(conn, self.lines.iter().map(|line| line.item).collect(), vec![self.location]).await?;
        Ok(shown::count(&inventory.known(), self))
    }
}
