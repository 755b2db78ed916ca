//! Promises stock to orders: many callers' lists in one transaction.
//!
//! Nine statements for any number of orders: begin and lock the orders, read what they hold, lock the stock, read the queue,
//! write reservations, parts and stock, append the facts, commit. Further ones, as constant a number, only where they are
//! needed: kits are read, days of locations with a capacity are locked and counted, and choices are explained.

use super::{Inventory, insist, source};
use crate::convert::{facts, sourcing as told};
use crate::error::Error;
use crate::known::Known;
use crate::network::Network;
use crate::reservation::{
    Decision, Demand, Granted, Part, Reservation, Short, Sourcing, State, Wanted, WantedLine, decide,
};
use crate::sourcing::Load;
use crate::stock::Book;
use crate::store;
use crate::store::capacity::Use;
use crate::store::sourcing::Kept;
use pesan_api::r#type::v1::FieldViolation;
use pesan_batch::{Coalescer, Limits};
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// What one order got.
pub type Outcome = Result<Arc<Reservation>, Error>;

/// Gathers the demands of concurrent calls; an item of the queue is one call's list, which stays together and in order.
pub type Reserver = Coalescer<Vec<Demand>, Vec<Outcome>>;

/// Weight is orders and lines. Two workers: one reads its batch in while the other's commits.
const LIMITS: Limits = Limits { items: 512, weight: 51_000, queue: 8_192, workers: 2 };

/// Starts the workers.
pub fn start(inventory: Inventory) -> Reserver {
    Coalescer::spawn(LIMITS, move |lists: Vec<Vec<Demand>>| {
        let inventory = inventory.clone();
        async move { reserve_lists(&inventory, lists).await }
    })
}

/// The weight of a call's list.
pub fn weight(demands: &[Demand]) -> usize {
    demands.iter().map(|demand| 1 + demand.lines.len()).sum()
}

async fn reserve_lists(inventory: &Inventory, lists: Vec<Vec<Demand>>) -> Vec<Vec<Outcome>> {
    let lengths: Vec<usize> = lists.iter().map(Vec::len).collect();
    let demands: Vec<Demand> = lists.into_iter().flatten().collect();
    let mut outcomes = match insist(|| reserve(inventory, &demands)).await {
        Ok(outcomes) => outcomes.into_iter(),
        Err(error) if lengths.len() == 1 => vec![Err(error); demands.len()].into_iter(),
        Err(_) => {
            // Whatever it was, it is not to fail those it does not concern.
            let mut outcomes = Vec::with_capacity(demands.len());
            let mut from = 0;
            for length in &lengths {
                let list = &demands[from..from + length];
                let alone = insist(|| reserve(inventory, list)).await;
                outcomes.extend(alone.unwrap_or_else(|error| vec![Err(error); *length]));
                from += length;
            }
            outcomes.into_iter()
        }
    };
    lengths.into_iter().map(|length| outcomes.by_ref().take(length).collect()).collect()
}

/// Reserves for each demand by itself, in the order given, in one transaction. Idempotent by order.
pub async fn reserve(inventory: &Inventory, demands: &[Demand]) -> Result<Vec<Outcome>, Error> {
    let lines = demands.iter().flat_map(|demand| &demand.lines);
    inventory.learn_skus(lines.map(|line| line.sku.as_str()).collect()).await?;
    inventory.learn_locations(demands.iter().filter_map(|demand| demand.wishes.preferred).collect()).await?;
    // An order that comes twice in a batch is answered twice with what it gets once.
    let mut outcomes: HashMap<Uuid, Outcome> = HashMap::with_capacity(demands.len());
    let mut wants: Vec<(&Demand, Wanted)> = Vec::with_capacity(demands.len());
    {
        let known = inventory.known();
        let mut seen = HashSet::with_capacity(demands.len());
        for demand in demands.iter().filter(|demand| seen.insert(demand.order_id)) {
            match wanted(&known, demand) {
                Ok(wanted) => wants.push((demand, wanted)),
                Err(error) => drop(outcomes.insert(demand.order_id, Err(error))),
            }
        }
    }
    if !wants.is_empty() {
        write(inventory, wants, &mut outcomes).await?;
    }
    let answer = |demand: &Demand| outcomes.get(&demand.order_id).cloned().unwrap_or(Err(Error::Stopping));
    Ok(demands.iter().map(answer).collect())
}

/// Resolves what a demand names; kits are composed later.
pub(super) fn wanted(known: &Known, demand: &Demand) -> Result<Wanted, Error> {
    let mut lines = Vec::with_capacity(demand.lines.len());
    let mut unknown = Vec::new();
    for (i, line) in demand.lines.iter().enumerate() {
        match known.item(&line.sku) {
            Some(item) => lines.push(WantedLine {
                line_no: line.line_no,
                item: item.id,
                stocked: item.takes_stock(),
                kit: None,
                quantity: line.quantity,
            }),
            None => unknown.push(format!("lines[{i}].sku")),
        }
    }
    if !unknown.is_empty() {
        return Err(Error::UnknownSku(unknown));
    }
    let locate = |id| known.location(id).ok_or(Error::UnknownPreferredLocation);
    let preferred = demand.wishes.preferred.map(locate).transpose()?;
    Ok(Wanted { policy: demand.policy, wishes: demand.wishes.clone(), preferred, lines })
}

async fn write(
    inventory: &Inventory,
    wants: Vec<(&Demand, Wanted)>,
    outcomes: &mut HashMap<Uuid, Outcome>,
) -> Result<(), Error> {
    let expires_at = inventory.clock.now() + inventory.reservation_lives;
    let orders: Vec<Uuid> = wants.iter().map(|(demand, _)| demand.order_id).collect();

    let mut tx = pesan_feed::begin(&inventory.pool, orders.iter().copied()).await?;
    let mut reservations = store::reservation::headers(&mut tx, &orders).await?;
    let stored: HashSet<Uuid> = reservations.keys().copied().collect();
    let held = of_state(&reservations, State::Held);
    store::reservation::read_parts(&mut tx, &mut reservations, &held, None).await?;
    // What is held already may be answered with by a process that was not there when it was reserved.
    let held_at = reservations.values().flat_map(|reservation| &reservation.parts).filter_map(|part| part.location);
    inventory.learn(&mut tx, Vec::new(), held_at.collect()).await?;

    let mut fresh: Vec<&Demand> = Vec::with_capacity(wants.len());
    let mut fresh_wants: Vec<Wanted> = Vec::with_capacity(wants.len());
    for (demand, wanted) in wants {
        match reservations.get_mut(&demand.order_id) {
            Some(reservation) if reservation.state == State::Closed => {
                outcomes.insert(demand.order_id, Err(Error::OrderClosed));
            }
            Some(reservation) if reservation.state == State::Held => reservation.extend(expires_at),
            Some(_) | None => {
                fresh.push(demand);
                fresh_wants.push(wanted);
            }
        }
    }
    let lapsed = of_state(&reservations, State::Expired);
    if !lapsed.is_empty() {
        store::reservation::forget_parts(&mut tx, &lapsed).await?;
    }

    source::compose(inventory, &mut tx, &mut fresh_wants).await?;
    let (mut stock, network) = source::free_stock(inventory, &mut tx, &fresh_wants).await?;
    if network.home().is_none() {
        // Without any location there is nowhere to ship a service from.
        let mut ships = fresh_wants.iter().map(|wanted| wanted.lines.iter().all(|line| line.stocked));
        fresh.retain(|demand| {
            let ships = ships.next().unwrap_or(false);
            if !ships {
                outcomes.insert(demand.order_id, Err(Error::NoLocation));
            }
            ships
        });
        fresh_wants.retain(|wanted| wanted.lines.iter().all(|line| line.stocked));
    }
    let load = load(inventory, &mut tx, &network, &fresh_wants).await?;
    let mut sourcing = Sourcing { network: &network, load, now: inventory.clock.now() };
    let decisions = decide(&mut stock, &mut sourcing, &fresh_wants);

    let mut book = Book::default();
    let mut events = Vec::with_capacity(fresh.len());
    let mut refused: HashMap<Uuid, Vec<Short>> = HashMap::new();
    let mut kept: Vec<Kept> = Vec::new();
    let mut uses: Vec<Use> = Vec::new();
    let mut waits = false;
    {
        let locations = decisions.iter().flat_map(parts_of).filter_map(|part| part.location);
        inventory.learn(&mut tx, Vec::new(), locations.collect()).await?;
        let known = inventory.known();
        for ((demand, wanted), decision) in fresh.iter().zip(&fresh_wants).zip(decisions) {
            let order_id = demand.order_id;
            let unknown = || Reservation::unknown(order_id, State::Held, demand.placed_at);
            let reservation = reservations.entry(order_id).or_insert_with(unknown);
            reservation.policy = demand.policy;
            reservation.priority = demand.priority;
            reservation.placed_at = demand.placed_at;
            reservation.wishes = demand.wishes.clone();
            reservation.confirmed = false;
            let version = reservation.next_version();
            let event = match decision {
                Decision::Reserved(Granted { parts, explanation, days }) => {
                    if let Some(explanation) = explanation {
                        let now = sourcing.now;
                        kept.push((order_id, now, told::kept(&network, demand, wanted, &explanation, now)));
                    }
                    uses.extend(days.into_iter().map(|(location, day)| (order_id, location, day)));
                    reservation.state = State::Held;
                    reservation.expires_at = Some(expires_at);
                    reservation.units = parts.iter().map(|part| part.quantity).sum();
                    reservation.parts = parts;
                    waits |= reservation.parts.iter().any(|part| part.backordered > 0);
                    for part in &reservation.parts {
                        part.book_reserved(part.reserved, &mut book);
                    }
                    NewEvent::new(order_id, version, &facts::reserved(&known, reservation), demand.placed_at)
                }
                Decision::Refused(shorts) => {
                    reservation.state = State::Refused;
                    reservation.expires_at = None;
                    reservation.units = 0;
                    let fact = facts::refused(&known, order_id, &shorts);
                    refused.insert(order_id, shorts);
                    NewEvent::new(order_id, version, &fact, demand.placed_at)
                }
            };
            events.push(event.of_journey(order_id).in_trace(demand.traceparent.as_deref()));
        }
    }
    store::stock::write(&mut tx, &book).await?;
    let (old, new): (Vec<&Reservation>, Vec<&Reservation>) =
        reservations.values().partition(|reservation| stored.contains(&reservation.order_id));
    store::reservation::insert(&mut tx, &new).await?;
    store::reservation::save(&mut tx, &old).await?;
    store::capacity::take(&mut tx, &uses).await?;
    store::sourcing::write(&mut tx, &kept).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;

    if !events.is_empty() {
        inventory.feed.wake();
    }
    if waits {
        // Stock may have come in between the look at it and the place in the queue.
        inventory.filler.notify_one();
    }
    {
        let known = inventory.known();
        let lines: HashMap<Uuid, &Demand> = fresh.iter().map(|demand| (demand.order_id, *demand)).collect();
        for (order_id, shorts) in refused {
            let violations =
                lines.get(&order_id).map(|demand| short_lines(&known, demand, &shorts)).unwrap_or_default();
            outcomes.insert(order_id, Err(Error::OutOfStock(violations)));
        }
    }
    for (order_id, reservation) in reservations {
        outcomes.entry(order_id).or_insert_with(|| Ok(Arc::new(reservation)));
    }
    Ok(())
}

fn of_state(reservations: &BTreeMap<Uuid, Reservation>, state: State) -> Vec<Uuid> {
    reservations.values().filter(|r| r.state == state).map(|r| r.order_id).collect()
}

fn parts_of(decision: &Decision) -> &[Part] {
    match decision {
        Decision::Reserved(granted) => &granted.parts,
        Decision::Refused(_) => &[],
    }
}

/// The days of locations that can only ship so many orders; locked, so that what is counted stays true.
async fn load(
    inventory: &Inventory,
    conn: &mut PgConnection,
    network: &Network,
    wants: &[Wanted],
) -> Result<Load, Error> {
    let limited = network.limited();
    if limited.is_empty() || wants.is_empty() {
        return Ok(Load::default());
    }
    let yesterday = inventory.clock.now().date() - time::Duration::days(1);
    Ok(store::capacity::lock(conn, &limited, yesterday).await?)
}

pub(super) fn short_lines(known: &Known, demand: &Demand, shorts: &[Short]) -> Vec<FieldViolation> {
    let places: HashMap<i32, usize> = demand.lines.iter().enumerate().map(|(i, line)| (line.line_no, i)).collect();
    let violation = |short: &Short| {
        let i = places.get(&short.line_no)?;
        let sku = known.sku(short.item);
        let description = format!("{} of {sku:?} are wanted and {} are there", short.wanted, short.available);
        Some(FieldViolation { field: format!("lines[{i}].quantity"), description })
    };
    shorts.iter().take(100).filter_map(violation).collect()
}
