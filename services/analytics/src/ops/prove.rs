//! Proves that the tables agree with each other.

use crate::error::AnalyticsError;
use crate::store;
use pesan_api::proof::v1::CheckInvariantsResponse;
use sqlx::PgPool;

/// Checks every invariant as of one moment.
pub async fn check(pool: &PgPool) -> Result<CheckInvariantsResponse, AnalyticsError> {
    let mut tx = store::snapshot::begin(pool).await?;
    let mut results = store::invariant::check_all(&mut tx).await?;
    results.push(pesan_feed::check_contiguous(&mut tx).await?);
    let followers = pesan_feed::cursors(&mut tx).await?;
    tx.commit().await?;
    Ok(CheckInvariantsResponse { results, followers })
}
