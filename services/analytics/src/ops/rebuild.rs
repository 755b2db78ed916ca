//! Reads all feeds again, into empty tables.

use crate::error::AnalyticsError;
use crate::ops::apply::finish_rebuild;
use crate::store;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// Empties the tables and sends the followers back to the first events, at once. They go on by themselves; `Rebuilt`
/// tells when they have applied as many events as before.
pub async fn rebuild(pool: &PgPool, now: OffsetDateTime) -> Result<Uuid, AnalyticsError> {
    let rebuild_id = Uuid::now_v7();
    let mut tx = pool.begin().await?;
    store::rebuild::begin(&mut tx, rebuild_id).await?;
    // Where nothing was ever read there is nothing to wait for.
    finish_rebuild(&mut tx, now).await?;
    tx.commit().await?;
    Ok(rebuild_id)
}
