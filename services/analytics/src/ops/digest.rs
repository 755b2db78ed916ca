//! What this service holds about each order, for the comparison between services.

use crate::error::AnalyticsError;
use crate::store;
use crate::store::invariant::OrderDigest;
use sqlx::PgPool;
use uuid::Uuid;

/// Digests of one page.
const PAGE: i64 = 500;

/// The next page after `after`, ascending; of `only` these subjects, if given.
pub async fn page(pool: &PgPool, after: Uuid, only: Option<&[Uuid]>) -> Result<Vec<OrderDigest>, AnalyticsError> {
    let mut conn = pool.acquire().await?;
    Ok(store::invariant::digests(&mut conn, after, only, PAGE).await?)
}
