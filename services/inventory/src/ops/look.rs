//! Reads: nothing is locked, nothing is written.

use super::Inventory;
use crate::error::Error;
use crate::item::Item;
use crate::location::Location;
use crate::reservation::Reservation;
use crate::stock::{ItemStock, NamedLevel, NamedMovement};
use crate::store;
use std::collections::HashMap;
use uuid::Uuid;

/// The item with this sku.
pub async fn item(inventory: &Inventory, sku: &str) -> Result<Item, Error> {
    let mut conn = inventory.pool.acquire().await?;
    store::item::find(&mut conn, sku).await?.ok_or_else(|| Error::ItemNotFound(sku.to_owned()))
}

/// Items after a sku, ascending; one more than `size` where there are more.
pub async fn items(inventory: &Inventory, after: Option<&str>, size: i64) -> Result<Vec<Item>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::item::page(&mut conn, after, size + 1).await?)
}

/// All locations, ascending by code.
pub async fn locations(inventory: &Inventory) -> Result<Vec<Location>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::location::all(&mut conn).await?)
}

/// What there is of some items, by sku; those that do not exist are missing.
pub async fn stock_of(inventory: &Inventory, skus: &[String]) -> Result<HashMap<String, ItemStock>, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let stock = store::stock::of_items(&mut tx, skus).await?;
    tx.commit().await?;
    Ok(stock)
}

/// Stock after a sku and location, ascending; one more than `size` where there is more.
pub async fn stock(
    inventory: &Inventory,
    after: Option<(&str, Uuid)>,
    location_id: Option<Uuid>,
    size: i64,
) -> Result<Vec<NamedLevel>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::stock::page(&mut conn, after, location_id, size + 1).await?)
}

/// Movements before a place in the ledger, newest first; one more than `size` where there are more.
pub async fn movements(
    inventory: &Inventory,
    before: Option<i64>,
    sku: Option<&str>,
    reference: Option<&str>,
    size: i64,
) -> Result<Vec<NamedMovement>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::movement::page(&mut conn, before, sku, reference, size + 1).await?)
}

/// The reservation of an order, its items and locations known.
pub async fn reservation(inventory: &Inventory, order_id: Uuid) -> Result<Reservation, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let mut found = store::reservation::headers(&mut tx, &[order_id]).await?;
    store::reservation::read_parts(&mut tx, &mut found, &[order_id], None).await?;
    let reservation = found.remove(&order_id).filter(|reservation| !reservation.parts.is_empty());
    let reservation = reservation.ok_or(Error::ReservationNotFound(order_id))?;
    let items = reservation.parts.iter().map(|part| part.item);
    let locations = reservation.parts.iter().filter_map(|part| part.location);
    inventory.learn(&mut tx, items.collect(), locations.collect()).await?;
    tx.commit().await?;
    Ok(reservation)
}
