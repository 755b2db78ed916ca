//! The proof that this service's house is in order, and what it tells for the comparison with the others.

use super::Inventory;
use crate::error::Error;
use crate::store;
use pesan_api::proof::v1::{CheckInvariantsResponse, Digest};
use uuid::Uuid;

/// Orders of one page of digests.
pub const PAGE: i64 = 500;

/// Checks every invariant in one snapshot.
pub async fn check(inventory: &Inventory) -> Result<CheckInvariantsResponse, Error> {
    let mut tx = store::begin_proof(&inventory.pool).await?;
    let mut results = store::proof::check(&mut tx).await?;
    results.extend(store::proof_supply::check(&mut tx).await?);
    results.push(pesan_feed::check_contiguous(&mut tx).await?);
    let followers = pesan_feed::cursors(&mut tx).await?;
    tx.commit().await?;
    Ok(CheckInvariantsResponse { results, followers })
}

/// The digests of the orders after one, ascending, at most [`PAGE`]; only of some orders, or of all.
pub async fn digests(inventory: &Inventory, after: Uuid, only: Option<&[Uuid]>) -> Result<Vec<Digest>, Error> {
    let mut tx = store::begin(&inventory.pool).await?;
    let digests = store::digest::page(&mut tx, after, only, PAGE).await?;
    tx.commit().await?;
    Ok(digests)
}
