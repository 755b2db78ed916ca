//! Reads.

use crate::convert::{ListOrders, ListReturns, Name, ReturnName};
use crate::error::Error;
use crate::expected_return::ExpectedReturn;
use crate::fulfilment_order::{FulfilmentOrder, display_number};
use crate::id::{FulfilmentOrderId, OrderId, ReturnId};
use crate::store;
use sqlx::PgPool;

/// The fulfilment order that is called so, and its order: neither ever changes.
pub(super) async fn find_order(pool: &PgPool, name: Name) -> Result<(FulfilmentOrderId, OrderId), Error> {
    let mut conn = pool.acquire().await?;
    let (found, shown) = match name {
        Name::Id(id) => (store::fulfilment_order::find_by_id(&mut conn, id).await?, id.0.to_string()),
        Name::Number(number) => {
            (store::fulfilment_order::find_by_number(&mut conn, number).await?, display_number(number))
        }
    };
    found.ok_or(Error::FulfilmentOrderNotFound(shown))
}

/// The return that is called so, and its order: neither ever changes.
pub(super) async fn find_return(pool: &PgPool, name: &ReturnName) -> Result<(ReturnId, OrderId), Error> {
    let mut conn = pool.acquire().await?;
    let (found, shown) = match name {
        ReturnName::Id(id) => (store::expected_return::find_by_id(&mut conn, *id).await?, id.0.to_string()),
        ReturnName::Number(number) => {
            (store::expected_return::find_by_number(&mut conn, number).await?, number.clone())
        }
    };
    found.ok_or(Error::ReturnNotFound(shown))
}

/// One fulfilment order.
pub async fn get_order(pool: &PgPool, name: Name) -> Result<FulfilmentOrder, Error> {
    let (id, _) = find_order(pool, name).await?;
    let mut snapshot = store::snapshot(pool).await?;
    super::change::load(&mut snapshot, id).await
}

/// One return.
pub async fn get_return(pool: &PgPool, name: &ReturnName) -> Result<ExpectedReturn, Error> {
    let (id, _) = find_return(pool, name).await?;
    let mut snapshot = store::snapshot(pool).await?;
    super::receive_return::load(&mut snapshot, id).await
}

/// A page of fulfilment orders, oldest first, and whether there are more.
pub async fn list_orders(pool: &PgPool, query: ListOrders) -> Result<(Vec<FulfilmentOrder>, bool), Error> {
    let mut snapshot = store::snapshot(pool).await?;
    let ListOrders { limit, after, order_id, location_id, states } = query;
    // One more than asked for tells whether there is another page.
    let mut ids =
        store::fulfilment_order::page(&mut snapshot, after, order_id, location_id, &states, limit + 1).await?;
    let more = ids.len() as i64 > limit;
    ids.truncate(limit as usize);
    Ok((store::fulfilment_order::load(&mut snapshot, &ids).await?, more))
}

/// A page of returns, oldest first, and whether there are more.
pub async fn list_returns(pool: &PgPool, query: ListReturns) -> Result<(Vec<ExpectedReturn>, bool), Error> {
    let mut snapshot = store::snapshot(pool).await?;
    let mut ids = store::expected_return::page(&mut snapshot, query.after, query.open_only, query.limit + 1).await?;
    let more = ids.len() as i64 > query.limit;
    ids.truncate(query.limit as usize);
    Ok((store::expected_return::load(&mut snapshot, &ids).await?, more))
}
