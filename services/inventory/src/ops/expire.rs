//! Lets reservations lapse that were never confirmed.
//!
//! A confirmation must not be overlooked because the order service was away: a reservation lapses only when its feed was
//! read to the end at a time after the expiry.

use super::{Inventory, insist};
use crate::convert::facts;
use crate::error::Error;
use crate::reservation::{Reservation, State};
use crate::stock::StockKey;
use crate::store;
use pesan_feed::NewEvent;
use pesan_host::Clock;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the worker looks.
const PAUSE: Duration = Duration::from_secs(1);

/// When all that the order service knew was last known here too; this replica's own observation.
#[derive(Debug, Default)]
pub struct CaughtUp(Mutex<Option<OffsetDateTime>>);

impl CaughtUp {
    /// It is so now.
    pub fn note(&self, clock: &Clock) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock.now());
    }

    /// When it was so last; none: never yet.
    pub fn at(&self) -> Option<OffsetDateTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets reservations lapse until `stop`.
pub async fn run(inventory: Inventory, caught_up: std::sync::Arc<CaughtUp>, stop: CancellationToken) {
    loop {
        match run_once(&inventory, caught_up.at()).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "reservations did not lapse; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Lets all reservations lapse that are due, given when the order feed was last read to its end. Gives their number.
pub async fn run_once(inventory: &Inventory, caught_up: Option<OffsetDateTime>) -> Result<usize, Error> {
    let Some(caught_up) = caught_up else { return Ok(0) };
    let due = caught_up.min(inventory.clock.now());
    let mut expired = 0;
    loop {
        match insist(|| expire(inventory, due)).await? {
            0 => return Ok(expired),
            some => expired += some,
        }
    }
}

async fn expire(inventory: &Inventory, due: OffsetDateTime) -> Result<usize, Error> {
    let mut tx = store::begin(&inventory.pool).await?;
    let orders: Vec<Uuid> = store::reservation::lapsing(&mut tx, due).await?;
    tx.commit().await?;
    if orders.is_empty() {
        return Ok(0);
    }

    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, orders.iter().copied()).await?;
    let mut reservations = store::reservation::headers(&mut tx, &orders).await?;
    // Between the look and the lock one may have been confirmed, closed or extended.
    reservations.retain(|_, r| r.state == State::Held && r.expires_at.is_some_and(|at| at <= due));
    let orders: Vec<Uuid> = reservations.keys().copied().collect();
    store::reservation::read_parts(&mut tx, &mut reservations, &orders, None).await?;
    let mut book = store::stock::lock(&mut tx, &held_keys(reservations.values())).await?;

    let mut events = Vec::with_capacity(reservations.len());
    for reservation in reservations.values_mut() {
        let lapsed_at = reservation.expires_at.unwrap_or(due);
        reservation.expire(&mut book);
        let order_id = reservation.order_id;
        let version = reservation.next_version();
        events.push(NewEvent::new(order_id, version, &facts::expired(order_id), lapsed_at).of_journey(order_id));
    }
    store::stock::write(&mut tx, &book).await?;
    store::reservation::save(&mut tx, &reservations.values().collect::<Vec<_>>()).await?;
    store::capacity::give_back(&mut tx, &orders).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    inventory.feed.wake();
    inventory.filler.notify_one();
    Ok(orders.len().max(1))
}

/// The stock that reservations hold, in key order, each once.
pub fn held_keys<'a>(reservations: impl IntoIterator<Item = &'a Reservation>) -> Vec<StockKey> {
    let mut keys: Vec<StockKey> = reservations.into_iter().flat_map(Reservation::held_keys).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
