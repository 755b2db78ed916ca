//! What the inventory is worth, at any time.

use super::Inventory;
use crate::error::Error;
use crate::store;
pub use crate::store::value::{ShownLayer, Value};
use pesan_money::Money;
use time::OffsetDateTime;
use uuid::Uuid;

/// The value by currency and the quantity that is valued, of one item or all, at one location or all.
pub async fn total(
    inventory: &Inventory,
    as_of: OffsetDateTime,
    sku: Option<&str>,
    location_id: Option<Uuid>,
) -> Result<(Vec<Money>, i64), Error> {
    let mut tx = store::begin_proof(&inventory.pool).await?;
    let total = store::value::total(&mut tx, as_of, sku, location_id).await?;
    tx.commit().await?;
    Ok(total)
}

/// The values by item and location of `size` items after a sku, ascending, and the last sku where there are more.
pub async fn by_item(
    inventory: &Inventory,
    as_of: OffsetDateTime,
    location_id: Option<Uuid>,
    after: Option<&str>,
    size: i64,
) -> Result<(Vec<Value>, Option<String>), Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let page = store::value::page(&mut tx, as_of, location_id, after, size).await?;
    tx.commit().await?;
    Ok(page)
}

/// The open layers of an item after one, oldest first; one more than `size` where there are more.
pub async fn layers(inventory: &Inventory, sku: &str, after: i64, size: i64) -> Result<Vec<ShownLayer>, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let item = store::item::id(&mut tx, sku).await?.ok_or_else(|| Error::ItemNotFound(sku.to_owned()))?;
    let layers = store::value::layers(&mut tx, item, after, size + 1).await?;
    tx.commit().await?;
    Ok(layers)
}
