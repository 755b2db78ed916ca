//! Takes lots out of sale that have expired: from what is on hand into quality hold, as far as they are not promised.
//! What is promised stays until its picker finds it expired (a short pick) or its order lets go of it; ListLots by
//! expiry shows it until then.

use super::move_stock::{Books, Cost, Entry};
use super::{Inventory, insist};
use crate::error::Error;
use crate::lot::{Bucket, LotQuantity};
use crate::stock::{MovementKind, StockKey};
use crate::store;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the worker looks.
const PAUSE: Duration = Duration::from_secs(60);

/// Sweeps until `stop`.
pub async fn run(inventory: Inventory, stop: CancellationToken) {
    loop {
        if let Err(error) = run_once(&inventory).await {
            tracing::warn!(%error, "expired lots were not swept; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Sweeps all that has expired by now (UTC). Gives the number of lots taken out of sale.
pub async fn run_once(inventory: &Inventory) -> Result<usize, Error> {
    let mut swept = 0;
    loop {
        match insist(|| sweep(inventory)).await? {
            0 => return Ok(swept),
            some => swept += some,
        }
    }
}

async fn sweep(inventory: &Inventory) -> Result<usize, Error> {
    let now = inventory.clock.now();
    let today = now.date();
    let mut tx = store::begin(&inventory.pool).await?;
    let expired = store::lot::expired(&mut tx, today).await?;
    if expired.is_empty() {
        return Ok(0);
    }
    let mut keys: Vec<StockKey> = expired.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    inventory.learn(&mut tx, keys.iter().map(|k| k.item).collect(), keys.iter().map(|k| k.location).collect()).await?;
    let named: Vec<_> = expired.iter().map(|(key, code)| (key.item, code.as_str())).collect();
    let mut books = Books::lock_rows(&mut tx, &keys).await?;
    books.lots = store::lot::read(&mut tx, today, &named, &[]).await?;
    for (key, code) in &expired {
        let there = books.lots.there(*key, code, Bucket::OnHand);
        let quantity = there.min(books.book.level(*key).unreserved());
        if quantity <= 0 {
            continue;
        }
        let entry = Entry {
            key: *key,
            kind: MovementKind::Expired,
            quantity: -quantity,
            damaged: 0,
            reason: "EXPIRED",
            reference: "",
            cost: Cost::Average,
            effective_at: now,
        };
        let lot = LotQuantity { code: code.clone(), quantity, expires_on: None };
        books.enter_lots(entry, quantity, &[lot])?;
    }
    let swept = books.movements.len();
    let events = books.write(&mut tx, inventory).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    if swept > 0 {
        inventory.feed.wake();
    }
    Ok(swept)
}
