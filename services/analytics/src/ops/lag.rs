//! Where this service stands in the feeds it follows.

use crate::error::AnalyticsError;
use sqlx::PgPool;
use std::collections::HashMap;

/// The cursor of each feed; a feed that was never read is missing.
pub async fn cursors(pool: &PgPool) -> Result<HashMap<String, String>, AnalyticsError> {
    let mut conn = pool.acquire().await?;
    let positions = pesan_feed::cursors(&mut conn).await?;
    Ok(positions.into_iter().map(|position| (position.source, position.cursor)).collect())
}
