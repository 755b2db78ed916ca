//! Changes of orders. Before the promise a demand of a later revision replaces what is held; after it, lines come in
//! addition. Rare: each order in a transaction of its own, so that the hot way in stays as it is.

use super::expire::held_keys;
use super::reserve::{Outcome, short_lines, wanted};
use super::{Inventory, insist, source};
use crate::convert::facts;
use crate::error::Error;
use crate::reservation::{Decision, Demand, Granted, Reservation, Sourcing, State, decide};
use crate::stock::Book;
use crate::store;
use crate::store::capacity::Use;
use crate::store::change::Known;
use pesan_feed::NewEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a demand changes what is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Counts the changes of what the order wants.
    pub revision: i64,
    /// Its lines come in addition.
    pub in_addition: bool,
    /// Nothing is to be written.
    pub dry_run: bool,
}

/// Lets go of what an unconfirmed reservation holds under an earlier revision, where other lines are wanted now.
pub async fn supersede(inventory: &Inventory, demand: &Demand, revision: i64) -> Result<(), Error> {
    insist(|| try_supersede(inventory, demand, revision)).await
}

async fn try_supersede(inventory: &Inventory, demand: &Demand, revision: i64) -> Result<(), Error> {
    let order_id = demand.order_id;
    inventory.learn_skus(demand.lines.iter().map(|line| line.sku.as_str()).collect()).await?;
    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, [order_id]).await?;
    let known = store::change::known(&mut tx, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    if revision < known.revision {
        return Err(Error::Outdated);
    }
    // Whatever is held from here on is for this revision: the fact that tells of it lets nothing go.
    store::change::note(&mut tx, &[(order_id, Known { revision, dropped: 0 })]).await?;
    let mut reservations = store::reservation::headers(&mut tx, &[order_id]).await?;
    store::reservation::read_parts(&mut tx, &mut reservations, &[order_id], None).await?;
    let items = reservations.values().flat_map(|reservation| &reservation.parts).map(|part| part.item).collect();
    inventory.learn(&mut tx, items, Vec::new()).await?;
    let stays = |held: &Reservation| held.state != State::Held || held.confirmed || is_same(inventory, held, demand);
    let Some(reservation) = reservations.get_mut(&order_id).filter(|held| !stays(held)) else {
        tx.commit().await?;
        return Ok(());
    };
    let mut book = store::stock::lock(&mut tx, &held_keys([&*reservation])).await?;
    let released = reservation.expire(&mut book);
    let fact = facts::released(&inventory.known(), order_id, &released);
    let event = NewEvent::new(order_id, reservation.next_version(), &fact, demand.placed_at);
    store::stock::write(&mut tx, &book).await?;
    store::reservation::save(&mut tx, &[&*reservation]).await?;
    store::capacity::give_back(&mut tx, &[order_id]).await?;
    let event = event.of_journey(order_id).in_trace(demand.traceparent.as_deref());
    pesan_feed::append(&mut tx, &[event]).await?;
    tx.commit().await?;
    inventory.feed.wake();
    // The order asks anew right away; what it wants no more may be wanted by others.
    inventory.filler.notify_one();
    Ok(())
}

/// Exactly these lines are held, or wait, or were refused.
fn is_same(inventory: &Inventory, reservation: &Reservation, demand: &Demand) -> bool {
    let known = inventory.known();
    let mut held = BTreeMap::new();
    for part in &reservation.parts {
        held.entry(part.line_no).or_insert((known.sku(part.item), 0)).1 += part.quantity;
    }
    let mut asked = BTreeMap::new();
    for line in &demand.lines {
        asked.insert(line.line_no, (line.sku.as_str(), line.quantity));
    }
    held == asked
}

/// Reserves lines in addition to what is held for a confirmed order; those that are held already are passed over.
pub async fn amend(inventory: &Inventory, demand: &Demand, change: Change) -> Outcome {
    insist(|| try_amend(inventory, demand, change)).await.map(Arc::new)
}

async fn try_amend(inventory: &Inventory, demand: &Demand, change: Change) -> Result<Reservation, Error> {
    let order_id = demand.order_id;
    inventory.learn_skus(demand.lines.iter().map(|line| line.sku.as_str()).collect()).await?;
    inventory.learn_locations(demand.wishes.preferred.into_iter().collect()).await?;
    let mut want = wanted(&inventory.known(), demand)?;
    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, [order_id]).await?;
    let known = store::change::known(&mut tx, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    let mut reservations = store::reservation::headers(&mut tx, &[order_id]).await?;
    store::reservation::read_parts(&mut tx, &mut reservations, &[order_id], None).await?;
    // An order that was confirmed holds something, or did: what this service has not read yet it will.
    let Some(mut reservation) = reservations.remove(&order_id) else { return Err(Error::Outdated) };
    match reservation.state {
        State::Closed => return Err(Error::OrderClosed),
        State::Refused | State::Expired => return Err(Error::Outdated),
        State::Held if known.dropped >= change.revision => return Err(Error::OrderClosed),
        State::Held => {}
    }
    let items = reservation.parts.iter().map(|part| part.item).collect();
    let locations = reservation.parts.iter().filter_map(|part| part.location).collect();
    inventory.learn(&mut tx, items, locations).await?;
    want.lines.retain(|line| reservation.parts.iter().all(|part| part.line_no != line.line_no));
    if want.lines.is_empty() {
        return Ok(reservation);
    }
    let mut wants = [want];
    source::compose(inventory, &mut tx, &mut wants).await?;
    let (mut stock, network) = source::free_stock(inventory, &mut tx, &wants).await?;
    if network.home().is_none() && wants[0].lines.iter().any(|line| !line.stocked) {
        return Err(Error::NoLocation);
    }
    // Where it is shipped from already, the order has its place in the day's work; elsewhere it takes one, of a full day too.
    let mut sourcing = Sourcing { network: &network, load: Default::default(), now: inventory.clock.now() };
    let decision = decide(&mut stock, &mut sourcing, &wants).pop().ok_or(Error::Stopping)?;
    let (parts, days) = match decision {
        Decision::Reserved(Granted { parts, days, .. }) => (parts, days),
        Decision::Refused(shorts) => {
            return Err(Error::OutOfStock(short_lines(&inventory.known(), demand, &shorts)));
        }
    };
    inventory.learn(&mut tx, Vec::new(), parts.iter().filter_map(|part| part.location).collect()).await?;
    let mut book = Book::default();
    for part in &parts {
        part.book_reserved(part.reserved, &mut book);
    }
    let waits = parts.iter().any(|part| part.backordered > 0);
    reservation.units += parts.iter().map(|part| part.quantity).sum::<i64>();
    // What is told is the difference.
    let difference = Reservation { parts: parts.clone(), ..reservation.clone() };
    reservation.parts.extend(parts);
    reservation.parts.sort_by_key(|part| (part.line_no, part.location));
    let version = reservation.next_version();
    if change.dry_run {
        return Ok(reservation);
    }
    let fact = facts::reserved(&inventory.known(), &difference);
    let event = NewEvent::new(order_id, version, &fact, inventory.clock.now());
    store::stock::write(&mut tx, &book).await?;
    store::reservation::save(&mut tx, &[&reservation]).await?;
    let uses: Vec<Use> = days.into_iter().map(|(location, day)| (order_id, location, day)).collect();
    store::capacity::take(&mut tx, &uses).await?;
    store::change::note(&mut tx, &[(order_id, Known { revision: change.revision, dropped: 0 })]).await?;
    let event = event.of_journey(order_id).in_trace(demand.traceparent.as_deref());
    pesan_feed::append(&mut tx, &[event]).await?;
    tx.commit().await?;
    inventory.feed.wake();
    if waits {
        // Stock may have come in between the look at it and the place in the queue.
        inventory.filler.notify_one();
    }
    Ok(reservation)
}
