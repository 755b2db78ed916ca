//! Reads of lots: what there is, where it came from, who got it.

use super::Inventory;
use crate::error::Error;
use crate::item::ItemId;
use crate::store;
use crate::store::lot::{Filter, LotOrder, NamedLot, NamedLotMovement};
use sqlx::PgConnection;
use uuid::Uuid;

/// Most locations that a lot is shown at.
const MOST_LOCATIONS: i64 = 1_000;

/// Lots after one, ascending; one more than `size` where there are more.
pub async fn lots(
    inventory: &Inventory,
    after: Option<&(String, String, Uuid)>,
    filter: &Filter,
    size: i64,
) -> Result<Vec<NamedLot>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::lot::page(&mut conn, after, filter, size + 1).await?)
}

async fn item_of(conn: &mut PgConnection, sku: &str) -> Result<ItemId, Error> {
    store::item::id(conn, sku).await?.ok_or_else(|| Error::ItemNotFound(sku.to_owned()))
}

/// What there is of a lot by location, and its movements after one, oldest first; one more than `size` where there are
/// more.
pub async fn lot(
    inventory: &Inventory,
    sku: &str,
    code: &str,
    after: i64,
    size: i64,
) -> Result<(Vec<NamedLot>, Vec<NamedLotMovement>), Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let item = item_of(&mut tx, sku).await?;
    let filter = Filter { sku: Some(sku.to_owned()), code: Some(code.to_owned()), ..Filter::default() };
    let there = store::lot::page(&mut tx, None, &filter, MOST_LOCATIONS).await?;
    let movements = store::lot::movements(&mut tx, item, code, after, size + 1).await?;
    tx.commit().await?;
    if after == 0 && movements.is_empty() {
        return Err(Error::LotNotFound(code.to_owned()));
    }
    Ok((there, movements))
}

/// The orders after one that a lot was shipped to, ascending; one more than `size` where there are more.
pub async fn lot_orders(
    inventory: &Inventory,
    sku: &str,
    code: &str,
    after: Uuid,
    size: i64,
) -> Result<Vec<LotOrder>, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let item = item_of(&mut tx, sku).await?;
    if store::lot::movements(&mut tx, item, code, 0, 1).await?.is_empty() {
        return Err(Error::LotNotFound(code.to_owned()));
    }
    let orders = store::lot::orders(&mut tx, item, code, after, size + 1).await?;
    tx.commit().await?;
    Ok(orders)
}
