//! Sets how much of items at locations is never promised.

use super::move_stock::Outcome;
use super::{Inventory, insist};
use crate::convert::stock as shown;
use crate::error::Error;
use crate::stock::{Level, SafetyStock, StockKey};
use crate::store;

/// Sets each entry by itself; one outcome for each, in order. What is kept back less comes free: the filler serves
/// waiting orders from it.
pub async fn set_safety(inventory: &Inventory, wanted: Vec<Result<SafetyStock, Error>>) -> Result<Vec<Outcome>, Error> {
    let readable = || wanted.iter().flatten();
    inventory.learn_skus(readable().map(|entry| entry.sku.as_str()).collect()).await?;
    inventory.learn_locations(readable().map(|entry| entry.location_id).collect()).await?;
    let entries: Vec<Result<(StockKey, SafetyStock), Error>> = wanted
        .into_iter()
        .map(|entry| {
            let entry = entry?;
            Ok((inventory.stock_key(&entry.sku, entry.location_id)?, entry))
        })
        .collect();
    let (outcomes, lowered) = insist(|| write(inventory, &entries)).await?;
    if lowered {
        inventory.filler.notify_one();
    }
    Ok(outcomes)
}

async fn write(
    inventory: &Inventory,
    entries: &[Result<(StockKey, SafetyStock), Error>],
) -> Result<(Vec<Outcome>, bool), Error> {
    let mut keys: Vec<StockKey> = entries.iter().flatten().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut tx = store::begin(&inventory.pool).await?;
    store::stock::ensure(&mut tx, &keys).await?;
    let mut book = store::stock::lock(&mut tx, &keys).await?;
    let mut lowered = false;
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        outcomes.push(match entry {
            Ok((key, entry)) => {
                let by = entry.quantity - book.level(*key).safety;
                lowered |= by < 0;
                book.change(*key, Level { safety: by, ..Level::default() });
                Ok(shown::level(&entry.sku, entry.location_id, book.level(*key)))
            }
            Err(error) => Err(error.clone()),
        });
    }
    store::stock::write(&mut tx, &book).await?;
    tx.commit().await?;
    Ok((outcomes, lowered))
}
