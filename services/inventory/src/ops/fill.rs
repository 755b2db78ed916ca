//! Serves the backorder queue: whoever waits gets what comes free, by priority, then age.
//!
//! The orders must be locked before anything is written, and who waits is only certain once the stock is locked. So the
//! heads of the queues are read first without locks, their orders and the stock are locked, and the queues are read
//! again: an item is served up to the first order that was not locked, which the next round sees. Whoever waits for a kit
//! stands in one line with those who wait for its parts.

use super::{Inventory, in_order, insist};
use crate::convert::facts::{self, Filled};
use crate::error::Error;
use crate::item::ItemId;
use crate::reservation::{Fill, Reservation};
use crate::stock::Book;
use crate::store;
use crate::store::kit::KitVersion;
use crate::store::reservation::Waiting;
use pesan_feed::NewEvent;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A look at the queue now and then, in case another replica's wake-up was lost with it.
const NOW_AND_THEN: Duration = Duration::from_secs(15);

/// Serves the queue until `stop`.
pub async fn run(inventory: Inventory, stop: CancellationToken) {
    loop {
        if let Err(error) = run_to_the_end(&inventory).await {
            tracing::warn!(%error, "backorders were not filled; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = inventory.filler.notified() => {}
            () = tokio::time::sleep(NOW_AND_THEN) => {}
        }
    }
}

/// Serves the queue until nobody who waits can get anything. Gives the number of lines that got stock.
pub async fn run_to_the_end(inventory: &Inventory) -> Result<usize, Error> {
    let mut filled = 0;
    loop {
        match insist(|| run_once(inventory)).await? {
            0 => return Ok(filled),
            some => filled += some,
        }
    }
}

/// One round, a bounded piece of the queue. Gives the number of lines that got stock.
pub async fn run_once(inventory: &Inventory) -> Result<usize, Error> {
    let mut tx = store::begin(&inventory.pool).await?;
    let candidates = store::reservation::fillable(&mut tx).await?;
    let of_kits = store::reservation::fillable_kits(&mut tx).await?;
    let versions: Vec<KitVersion> = of_kits.iter().map(|(kit, _)| *kit).collect::<BTreeSet<_>>().into_iter().collect();
    let kits = if versions.is_empty() { HashMap::new() } else { store::kit::versions(&mut tx, &versions).await? };
    tx.commit().await?;
    if candidates.is_empty() && of_kits.is_empty() {
        return Ok(0);
    }
    let waited_for = candidates.iter().map(|(item, _)| *item).chain(versions.iter().map(|(kit, _)| *kit));
    let items: Vec<ItemId> = waited_for.collect::<BTreeSet<_>>().into_iter().collect();
    let components = kits.values().flat_map(|kit| kit.components.iter().map(|component| component.item));
    let stocked: BTreeSet<ItemId> = candidates.iter().map(|(item, _)| *item).chain(components).collect();
    let locked: HashSet<Uuid> =
        candidates.iter().map(|(_, order)| *order).chain(of_kits.iter().map(|(_, order)| *order)).collect();
    let orders: Vec<Uuid> = locked.iter().copied().collect();

    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, orders.iter().copied()).await?;
    let (shelves, version) = store::stock::lock_free(&mut tx, &stocked.into_iter().collect::<Vec<_>>()).await?;
    let network = inventory.network(&mut tx, version.unwrap_or_default()).await?;
    let mut stock = in_order(&network, shelves);
    let mut reservations = store::reservation::headers(&mut tx, &orders).await?;
    store::reservation::read_parts(&mut tx, &mut reservations, &orders, Some(&items)).await?;
    let queue = store::reservation::queue_heads(&mut tx, &items).await?;

    let mut book = Book::default();
    let mut served: BTreeMap<Uuid, Vec<Filled>> = BTreeMap::new();
    // Items of which nobody gets any more: there is none, or the next was not locked.
    let mut done: HashSet<ItemId> = HashSet::new();
    for place in &queue {
        if done.contains(&place.item) {
            continue;
        }
        let reservation = reservations.get_mut(&place.order_id).filter(|r| locked.contains(&r.order_id));
        let Some(reservation) = reservation else {
            done.insert(place.item);
            continue;
        };
        let kit = reservation.kit_of(place.line_no).cloned();
        let channel = reservation.wishes.channel.clone();
        let serves = |location| network.serves(location, channel.as_deref());
        let taken = stock.take_where(place.item, kit.as_deref(), place.quantity, serves);
        if taken.is_empty() {
            // What does not serve its channel may serve the next one's; another composition may be complete.
            if kit.is_none() && stock.free(place.item) == 0 {
                done.insert(place.item);
            }
            continue;
        }
        let lines = served.entry(place.order_id).or_default();
        for (location, quantity) in taken {
            reservation.fill(place.line_no, place.item, location, quantity, &mut book);
            lines.push(filled(place, location, quantity));
        }
    }
    let locations = served.values().flatten().map(|line| line.location);
    inventory.learn(&mut tx, items, locations.collect()).await?;
    let (events, fills) = publish(inventory, &mut reservations, &served);

    store::stock::write(&mut tx, &book).await?;
    store::reservation::save(&mut tx, &reservations.values().collect::<Vec<_>>()).await?;
    store::reservation::save_fills(&mut tx, &fills).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    if !events.is_empty() {
        inventory.feed.wake();
    }
    Ok(fills.len())
}

fn filled(place: &Waiting, location: crate::location::LocationId, quantity: i64) -> Filled {
    Filled { line_no: place.line_no, item: place.item, location, quantity }
}

/// One fact for each order served, and what is remembered of it for the case that it is taken back.
fn publish(
    inventory: &Inventory,
    reservations: &mut BTreeMap<Uuid, Reservation>,
    served: &BTreeMap<Uuid, Vec<Filled>>,
) -> (Vec<NewEvent>, Vec<Fill>) {
    let now = inventory.clock.now();
    let known = inventory.known();
    let mut events = Vec::with_capacity(served.len());
    let mut fills = Vec::new();
    for (order_id, lines) in served {
        let Some(reservation) = reservations.get_mut(order_id) else { continue };
        let version = reservation.next_version();
        let fact = facts::filled(&known, *order_id, lines);
        events.push(NewEvent::new(*order_id, version, &fact, now).of_journey(*order_id));
        fills.extend(lines.iter().map(|line| Fill {
            order_id: *order_id,
            version,
            line_no: line.line_no,
            location: line.location,
            quantity: line.quantity,
            changed: true,
        }));
    }
    (events, fills)
}
