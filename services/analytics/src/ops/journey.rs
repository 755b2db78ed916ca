//! Finds an order and its way.

use crate::error::AnalyticsError;
use crate::journey::{self, Entry};
use crate::store;
use sqlx::PgPool;
use uuid::Uuid;

/// An order's way through all services, in business order.
#[derive(Clone, Debug, PartialEq)]
pub struct Journey {
    pub order_id: Uuid,
    /// Empty while the order's acceptance is not read.
    pub number: String,
    pub entries: Vec<Entry>,
}

/// Of the order with this id, number or "channel/external_id".
pub async fn find(pool: &PgPool, name: &str) -> Result<Journey, AnalyticsError> {
    let mut tx = store::snapshot::begin(pool).await?;
    let order_id = match (Uuid::try_parse(name), name.split_once('/')) {
        (Ok(order_id), _) => Some(order_id),
        (Err(_), Some((channel, external_id))) => {
            store::journey::find_by_external_id(&mut tx, channel, external_id).await?
        }
        (Err(_), None) => store::journey::find_by_number(&mut tx, name).await?,
    };
    let not_found = || AnalyticsError::OrderNotFound(name.to_owned());
    let order_id = order_id.ok_or_else(not_found)?;
    let number = store::journey::number(&mut tx, order_id).await?;
    let mut entries = store::journey::entries(&mut tx, order_id).await?;
    let standing = store::journey::standing(&mut tx, order_id).await?;
    tx.commit().await?;
    if entries.is_empty() {
        return Err(not_found());
    }
    entries.extend(standing.and_then(|standing| journey::counted(&standing, &entries)));
    journey::sort(&mut entries);
    Ok(Journey { order_id, number, entries })
}
