//! Serves the backorder queue: whoever waits gets what comes free, by priority, then promise, then age.
//!
//! The orders must be locked before anything is written, and who waits is only certain once the stock is locked. So the
//! heads of the queues are read first without locks, their orders and the stock are locked, and the queues are read
//! again: an item is served up to the first order that was not locked, which the next round sees. Whoever waits for a kit
//! stands in one line with those who wait for its parts. Who is passed over in a round is left out of the next ones, so
//! that any number of them blocks nobody.

use super::{Inventory, in_order, insist};
use crate::backorder::{self, Place, Terms};
use crate::convert::facts::{self, Filled};
use crate::error::Error;
use crate::item::ItemId;
use crate::network::Network;
use crate::reservation::{Fill, Reservation};
use crate::stock::Book;
use crate::store;
use crate::store::backorder::Waiting;
use crate::store::capacity::Use;
use crate::store::kit::KitVersion;
use pesan_feed::NewEvent;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A look at the queue now and then, in case another replica's wake-up was lost with it.
const NOW_AND_THEN: Duration = Duration::from_secs(15);
/// Most that are remembered as passed over before the filler takes a break.
const MOST_PASSED: usize = 20_000;

/// Tells the filler that somebody who waits may be served now. Clones ring the same bell.
#[derive(Clone, Debug, Default)]
pub struct Bell(watch::Sender<()>);

impl Bell {
    /// Wakes the filler, now or as soon as it is done with what it does.
    pub fn notify_one(&self) {
        self.0.send_replace(());
    }

    /// Hears it ring from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Lines that got stock.
    pub filled: usize,
    /// Who got nothing of an item though somebody behind may.
    pub passed: Vec<(ItemId, Uuid)>,
}

/// Serves the queue until `stop`.
pub async fn run(inventory: Inventory, stop: CancellationToken) {
    let mut rings = inventory.filler.listen();
    loop {
        if let Err(error) = run_to_the_end(&inventory).await {
            tracing::warn!(%error, "backorders were not filled; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = rings.changed() => {}
            () = tokio::time::sleep(NOW_AND_THEN) => {}
        }
    }
}

/// Serves the queue until nobody who waits can get anything. Gives the number of lines that got stock.
pub async fn run_to_the_end(inventory: &Inventory) -> Result<usize, Error> {
    let mut filled = 0;
    let mut passed = HashSet::new();
    loop {
        let round = insist(|| run_once(inventory, &passed)).await?;
        filled += round.filled;
        let before = passed.len();
        passed.extend(round.passed);
        if (round.filled == 0 && passed.len() == before) || passed.len() > MOST_PASSED {
            return Ok(filled);
        }
    }
}

/// One round, a bounded piece of the queue without those in `passed`.
pub async fn run_once(inventory: &Inventory, passed: &HashSet<(ItemId, Uuid)>) -> Result<Round, Error> {
    let mut tx = store::begin(&inventory.pool).await?;
    let now = inventory.clock.now();
    let candidates = store::backorder::fillable(&mut tx, now, passed).await?;
    let of_kits = store::backorder::fillable_kits(&mut tx, now, passed).await?;
    tx.commit().await?;
    if candidates.is_empty() && of_kits.is_empty() {
        return Ok(Round::default());
    }
    let locked: HashSet<Uuid> =
        candidates.iter().map(|(_, order)| *order).chain(of_kits.iter().map(|(_, order)| *order)).collect();
    let orders: Vec<Uuid> = locked.iter().copied().collect();
    let mut versions: BTreeSet<KitVersion> = of_kits.iter().map(|(kit, _)| *kit).collect();
    let mut plain: BTreeSet<ItemId> = candidates.iter().map(|(item, _)| *item).collect();

    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, orders.iter().copied()).await?;
    let mut reservations = store::reservation::headers(&mut tx, &orders).await?;
    // Whatever those wait for that are only served as a whole is locked too.
    let together: Vec<Uuid> = reservations.values().filter(|r| r.wishes.ship_complete).map(|r| r.order_id).collect();
    let waited_for =
        if together.is_empty() { Vec::new() } else { store::backorder::lines_of(&mut tx, &together).await? };
    let mut lines: HashMap<Uuid, usize> = HashMap::new();
    for (order_id, item, kit_version) in waited_for {
        *lines.entry(order_id).or_default() += 1;
        match kit_version {
            Some(version) => drop(versions.insert((item, version))),
            None => drop(plain.insert(item)),
        }
    }
    let versions: Vec<KitVersion> = versions.into_iter().collect();
    let kits = if versions.is_empty() { HashMap::new() } else { store::kit::versions(&mut tx, &versions).await? };
    let components = kits.values().flat_map(|kit| kit.components.iter().map(|component| component.item));
    let stocked: BTreeSet<ItemId> = plain.iter().copied().chain(components).collect();
    let items: BTreeSet<ItemId> = plain.into_iter().chain(versions.iter().map(|(kit, _)| *kit)).collect();
    let items: Vec<ItemId> = items.into_iter().collect();

    let (shelves, version) = store::stock::lock_free(&mut tx, &stocked.into_iter().collect::<Vec<_>>()).await?;
    let network = inventory.network(&mut tx, version.unwrap_or_default()).await?;
    let mut stock = in_order(&network, shelves);
    store::reservation::read_parts(&mut tx, &mut reservations, &orders, Some(&items)).await?;
    let queue = store::backorder::queue_heads(&mut tx, &items, now, passed).await?;

    let place = |waiting: &Waiting| place(waiting, reservations.get(&waiting.order_id), &lines, now);
    let places: Vec<Place> = queue.iter().map(place).collect();
    let turn = backorder::serve(&mut stock, &places, |location, channel| network.serves(location, channel));

    let mut book = Book::default();
    let mut served: BTreeMap<Uuid, Vec<Filled>> = BTreeMap::new();
    for (at, taken) in turn.filled {
        let place = &queue[at];
        let Some(reservation) = reservations.get_mut(&place.order_id) else { continue };
        let lines = served.entry(place.order_id).or_default();
        for (location, quantity) in taken {
            reservation.fill(place.line_no, place.item, location, quantity, &mut book);
            lines.push(filled(place, location, quantity));
        }
    }
    let locations = served.values().flatten().map(|line| line.location);
    inventory.learn(&mut tx, items, locations.collect()).await?;
    let uses = days(&network, &reservations, &served, now);
    let (events, fills) = publish(inventory, &mut reservations, &served);

    store::stock::write(&mut tx, &book).await?;
    store::reservation::save(&mut tx, &reservations.values().collect::<Vec<_>>()).await?;
    store::reservation::save_fills(&mut tx, &fills).await?;
    store::capacity::take(&mut tx, &uses).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    if !events.is_empty() {
        inventory.feed.wake();
    }
    Ok(Round { filled: fills.len(), passed: turn.passed })
}

/// A place in the queue with what its order, if that is locked, says about it. `lines`: how many wait of orders that are
/// served as a whole.
fn place(
    waiting: &Waiting,
    reservation: Option<&Reservation>,
    lines: &HashMap<Uuid, usize>,
    now: OffsetDateTime,
) -> Place {
    let terms = reservation.map(|reservation| match reservation.wishes.ship_complete {
        false => Terms::AsItComes,
        true => Terms::Together {
            lines: lines.get(&waiting.order_id).copied().unwrap_or(0),
            keeps: reservation.wishes.promised_at.is_some_and(|at| at <= now),
        },
    });
    Place {
        item: waiting.item,
        order_id: waiting.order_id,
        line_no: waiting.line_no,
        quantity: waiting.quantity,
        kit: reservation.and_then(|reservation| reservation.kit_of(waiting.line_no).cloned()),
        channel: reservation.and_then(|reservation| reservation.wishes.channel.clone()),
        terms,
    }
}

fn filled(place: &Waiting, location: crate::location::LocationId, quantity: i64) -> Filled {
    Filled { line_no: place.line_no, item: place.item, location, quantity }
}

/// The places that served orders take in the days of locations with a capacity: the first open day, full or not. Who waited
/// for goods does not wait for a place too.
fn days(
    network: &Network,
    reservations: &BTreeMap<Uuid, Reservation>,
    served: &BTreeMap<Uuid, Vec<Filled>>,
    now: OffsetDateTime,
) -> Vec<Use> {
    let mut uses: BTreeSet<Use> = BTreeSet::new();
    for (order_id, lines) in served {
        let not_before = reservations.get(order_id).and_then(|reservation| reservation.wishes.not_before);
        let from = not_before.map_or(now, |at| at.max(now));
        for line in lines {
            let place = network.place(line.location).filter(|place| place.location.daily_capacity > 0);
            uses.extend(
                place.and_then(|place| place.open_day(from)).map(|ships| (*order_id, line.location, ships.day)),
            );
        }
    }
    uses.into_iter().collect()
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
