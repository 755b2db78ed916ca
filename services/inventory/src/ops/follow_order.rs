//! What the order service's facts do to reservations: a confirmed one does not lapse, a cancelled or rejected one is let
//! go. A batch of any size is a few statements.

use super::Inventory;
use super::expire::held_keys;
use crate::convert::facts;
use crate::error::Error;
use crate::location::LocationId;
use crate::reservation::{Fill, Part, Released, Reservation, State};
use crate::stock::Book;
use crate::store;
use crate::store::change::Known;
use pesan_feed::{Event, NewEvent};
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// A fact about an order, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub enum OrderFact {
    /// The promise is settled.
    Confirmed {
        /// Line, location, quantity.
        allocations: Vec<(i32, Uuid, i64)>,
        /// Line, quantity.
        backordered: Vec<(i32, i64)>,
    },
    /// Quantities were cancelled.
    Cancelled { lines: Vec<CancelledLine>, whole: bool },
    /// The order was refused.
    Rejected,
    /// Before its promise it was changed: what is held under an earlier revision is off.
    Amended { revision: i64 },
    /// The order gave up what a count did not find of what it kept back: line, location, quantity.
    StockMissing { withheld: Vec<(i32, Uuid, i64)> },
    /// A change was given up after these lines had been reserved for it.
    ChangeDropped { revision: i64, line_nos: Vec<i32> },
}

/// What was cancelled of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct CancelledLine {
    pub line_no: i32,
    /// Of what was reserved, by location.
    pub reserved: Vec<(Uuid, i64)>,
    /// Of what waited, as the order believed.
    pub backordered: i64,
}

/// Applies facts in order, in the caller's transaction, which holds the orders' locks. True when somebody who waits
/// may be served now.
pub async fn apply(
    inventory: &Inventory,
    conn: &mut PgConnection,
    facts: &[(&Event, Uuid, OrderFact)],
) -> Result<bool, Error> {
    let mut orders: Vec<Uuid> = facts.iter().map(|(_, order_id, _)| *order_id).collect();
    orders.sort_unstable();
    orders.dedup();
    let mut reservations = store::reservation::headers(conn, &orders).await?;
    // A confirmation alone needs no parts, unless the reservation has lapsed.
    let needs_parts = |order_id: &Uuid, fact: &OrderFact| match fact {
        OrderFact::Confirmed { .. } => reservations.get(order_id).is_some_and(|r| r.state == State::Expired),
        OrderFact::Cancelled { .. }
        | OrderFact::Rejected
        | OrderFact::Amended { .. }
        | OrderFact::StockMissing { .. }
        | OrderFact::ChangeDropped { .. } => true,
    };
    let mut with_parts: Vec<Uuid> =
        facts.iter().filter(|(_, order_id, fact)| needs_parts(order_id, fact)).map(|(_, id, _)| *id).collect();
    with_parts.sort_unstable();
    with_parts.dedup();
    store::reservation::read_parts(conn, &mut reservations, &with_parts, None).await?;
    let fills = store::reservation::fills(conn, &backorder_cancellations(facts)).await?;
    let locations = facts.iter().flat_map(|(_, _, fact)| locations_of(fact));
    inventory.learn_locations_on(conn, locations.collect()).await?;
    let items = reservations.values().flat_map(|r| &r.parts).map(|part| part.item);
    inventory.learn(conn, items.collect(), Vec::new()).await?;
    let book = lock_stock(conn, facts, &reservations).await?;

    let changed: Vec<Uuid> =
        facts.iter().filter(|(_, _, fact)| revision(fact).is_some()).map(|(_, id, _)| *id).collect();
    let changes = if changed.is_empty() { HashMap::new() } else { store::change::known(conn, &changed).await? };

    let mut promises = Promises { reservations, fills, changes, book };
    let mut events: Vec<NewEvent> = Vec::new();
    let mut let_go: Vec<Uuid> = Vec::new();
    let mut freed = false;
    for (event, order_id, fact) in facts {
        if let OrderFact::StockMissing { withheld } = fact {
            let Promises { reservations, book, .. } = &mut promises;
            let Some(reservation) = reservations.get_mut(order_id) else { continue };
            freed = true;
            let_go.push(*order_id);
            events.extend(give_up(inventory, event, reservation, withheld, book));
            continue;
        }
        let lapsed = promises.reservations.get(order_id).is_some_and(|r| r.state == State::Expired);
        let released = promises.apply(inventory, *order_id, event, fact);
        // One that had lapsed and is confirmed after all waits again.
        freed |= lapsed && matches!(fact, OrderFact::Confirmed { .. });
        if let Some(now) = revision(fact) {
            promises.changes.insert(*order_id, now);
        }
        if released.is_empty() {
            continue;
        }
        let_go.push(*order_id);
        // Also where only what waited was let go: what is left of the order may be complete now, or kept nothing any more.
        freed = true;
        if let Some(reservation) = promises.reservations.get_mut(order_id) {
            let fact = facts::released(&inventory.known(), *order_id, &released);
            events.push(event.follow_up(*order_id, reservation.next_version(), &fact));
        }
    }
    let Promises { reservations, fills, changes, book } = promises;
    let fills: Vec<Fill> = fills.into_values().flatten().filter(|fill| fill.changed).collect();
    store::stock::write(conn, &book).await?;
    store::reservation::save(conn, &reservations.values().collect::<Vec<_>>()).await?;
    store::capacity::give_back(conn, &let_go).await?;
    store::reservation::save_fills(conn, &fills).await?;
    store::change::note(conn, &changes.into_iter().collect::<Vec<_>>()).await?;
    pesan_feed::append(conn, &events).await?;
    Ok(freed)
}

/// What the orders of a batch hold, as it is read and changed by one fact after another.
struct Promises {
    reservations: BTreeMap<Uuid, Reservation>,
    fills: HashMap<Uuid, Vec<Fill>>,
    changes: HashMap<Uuid, Known>,
    book: Book,
}

impl Promises {
    /// What a fact lets go.
    fn apply(&mut self, inventory: &Inventory, order_id: Uuid, event: &Event, fact: &OrderFact) -> Vec<Released> {
        let known = inventory.known();
        let known_revision = self.changes.get(&order_id).map_or(0, |known| known.revision);
        let book = &mut self.book;
        match fact {
            OrderFact::Confirmed { allocations, backordered } => {
                let Some(reservation) = self.reservations.get_mut(&order_id) else {
                    tracing::warn!(%order_id, "an order was confirmed for which nothing was ever reserved");
                    return Vec::new();
                };
                if reservation.state == State::Expired {
                    tracing::warn!(%order_id, "an order was confirmed after its reservation lapsed; holding what is free");
                }
                let allocations: Vec<(i32, LocationId, i64)> = allocations
                    .iter()
                    .filter_map(|(line_no, id, quantity)| Some((*line_no, known.location(*id)?, *quantity)))
                    .collect();
                reservation.confirm(&allocations, backordered, book);
                Vec::new()
            }
            OrderFact::Rejected | OrderFact::Cancelled { whole: true, .. } => {
                // Also for orders never heard of: a demand that comes late must meet it.
                let unknown = || Reservation::unknown(order_id, State::Closed, event.effective_at);
                self.reservations.entry(order_id).or_insert_with(unknown).close(book)
            }
            OrderFact::Amended { revision } => match self.reservations.get_mut(&order_id) {
                // One that was reserved under this revision, or a later one, already is what is wanted.
                Some(held) if held.state == State::Held && !held.confirmed && known_revision < *revision => {
                    held.expire(book)
                }
                Some(_) | None => Vec::new(),
            },
            OrderFact::ChangeDropped { line_nos, .. } => match self.reservations.get_mut(&order_id) {
                Some(reservation) => reservation.release_lines(line_nos, book),
                None => Vec::new(),
            },
            // Nothing is let go: shortages are booked.
            OrderFact::StockMissing { .. } => Vec::new(),
            OrderFact::Cancelled { lines, whole: false } => {
                let Some(reservation) = self.reservations.get_mut(&order_id) else { return Vec::new() };
                let fills = self.fills.entry(order_id).or_default();
                let release = |line: &CancelledLine| {
                    let reserved: Vec<(LocationId, i64)> = line
                        .reserved
                        .iter()
                        .filter_map(|(id, quantity)| Some((known.location(*id)?, *quantity)))
                        .collect();
                    reservation.release_line(line.line_no, &reserved, line.backordered, fills, book)
                };
                lines.iter().filter_map(release).collect()
            }
        }
    }
}

/// Books shortages of what the order gave up; the facts of it.
fn give_up(
    inventory: &Inventory,
    event: &Event,
    reservation: &mut Reservation,
    withheld: &[(i32, Uuid, i64)],
    book: &mut Book,
) -> Vec<NewEvent> {
    let known = inventory.known();
    let order_id = reservation.order_id;
    let mut events = Vec::with_capacity(withheld.len());
    for (line_no, location_id, quantity) in withheld {
        let Some(location) = known.location(*location_id) else { continue };
        let item = reservation.parts.iter().find(|part| part.line_no == *line_no).map(|part| part.item);
        let shortage = reservation.give_up(*line_no, location, *quantity, book);
        let Some(item) = item.filter(|_| shortage.quantity > 0) else { continue };
        let fact = facts::shortage(&known, order_id, *line_no, item, location, shortage);
        events.push(event.follow_up(order_id, reservation.next_version(), &fact));
    }
    events
}

/// What a fact tells of an order's revisions.
fn revision(fact: &OrderFact) -> Option<Known> {
    match fact {
        OrderFact::Amended { revision } => Some(Known { revision: *revision, dropped: 0 }),
        OrderFact::ChangeDropped { revision, .. } => Some(Known { revision: *revision, dropped: *revision }),
        OrderFact::Confirmed { .. }
        | OrderFact::Cancelled { .. }
        | OrderFact::StockMissing { .. }
        | OrderFact::Rejected => None,
    }
}

/// Orders of which waiting quantities were cancelled.
fn backorder_cancellations(facts: &[(&Event, Uuid, OrderFact)]) -> Vec<Uuid> {
    let waited = |fact: &OrderFact| match fact {
        OrderFact::Cancelled { lines, whole } => !whole && lines.iter().any(|line| line.backordered > 0),
        OrderFact::Confirmed { .. }
        | OrderFact::Rejected
        | OrderFact::Amended { .. }
        | OrderFact::StockMissing { .. }
        | OrderFact::ChangeDropped { .. } => false,
    };
    facts.iter().filter(|(_, _, fact)| waited(fact)).map(|(_, order_id, _)| *order_id).collect()
}

fn locations_of(fact: &OrderFact) -> Vec<Uuid> {
    match fact {
        OrderFact::Confirmed { allocations, .. } => allocations.iter().map(|(_, location, _)| *location).collect(),
        OrderFact::Cancelled { lines, .. } => {
            lines.iter().flat_map(|line| line.reserved.iter().map(|(location, _)| *location)).collect()
        }
        OrderFact::StockMissing { withheld } => withheld.iter().map(|(_, location, _)| *location).collect(),
        OrderFact::Rejected | OrderFact::Amended { .. } | OrderFact::ChangeDropped { .. } => Vec::new(),
    }
}

/// Locks what the reservations with parts hold, and what those that lapsed may hold again.
async fn lock_stock(
    conn: &mut PgConnection,
    facts: &[(&Event, Uuid, OrderFact)],
    reservations: &BTreeMap<Uuid, Reservation>,
) -> Result<Book, Error> {
    let mut keys = held_keys(reservations.values());
    let lapsed = facts.iter().filter(|(_, _, fact)| matches!(fact, OrderFact::Confirmed { .. }));
    let lapsed = lapsed.filter_map(|(_, order_id, _)| reservations.get(order_id));
    keys.extend(lapsed.flat_map(|reservation| &reservation.parts).flat_map(Part::keys));
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(Book::default());
    }
    Ok(store::stock::lock(conn, &keys).await?)
}
