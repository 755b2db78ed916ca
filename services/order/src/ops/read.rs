//! Reading orders.

use crate::convert;
use crate::convert::orders::ListOrders;
use crate::error::Error;
use crate::name::OrderName;
use crate::ops::Books;
use crate::store;
use pesan_api::order::v1 as pb;
use std::collections::HashMap;
use uuid::Uuid;

/// One order.
pub async fn get(books: &Books, name: &OrderName, text: &str, full: bool) -> Result<pb::Order, Error> {
    let order_id = books.find(name, text).await?;
    let mut conn = books.pool.acquire().await?;
    let order = store::read::orders(&mut conn, &[order_id], full).await?.remove(&order_id);
    order.as_ref().map(convert::orders::order).ok_or_else(|| Error::OrderNotFound(text.to_owned()))
}

/// Orders by their ids.
pub async fn by_ids(books: &Books, ids: &[Uuid], full: bool) -> Result<HashMap<Uuid, pb::Order>, Error> {
    let mut conn = books.pool.acquire().await?;
    let orders = store::read::orders(&mut conn, ids, full).await?;
    Ok(orders.iter().map(|(id, order)| (*id, convert::orders::order(order))).collect())
}

/// A page of orders, newest first; the key of its last one where there are more.
pub async fn list(books: &Books, command: &ListOrders) -> Result<(Vec<pb::Order>, Option<Uuid>), Error> {
    let mut conn = books.pool.acquire().await?;
    let mut ids = store::read::page(&mut conn, &command.filter, command.after, command.size + 1).await?;
    let has_more = ids.len() as i64 > command.size;
    ids.truncate(usize::try_from(command.size).unwrap_or(0));
    let orders = store::read::orders(&mut conn, &ids, command.full).await?;
    let page = ids.iter().filter_map(|id| orders.get(id)).map(convert::orders::order).collect();
    Ok((page, ids.last().copied().filter(|_| has_more)))
}

/// An order if its version is newer than `after`.
pub async fn newer(books: &Books, order_id: Uuid, after: i64) -> Result<Option<pb::Order>, Error> {
    let mut conn = books.pool.acquire().await?;
    match store::order::version(&mut conn, order_id).await? {
        Some(version) if version > after => {
            let order = store::read::orders(&mut conn, &[order_id], true).await?.remove(&order_id);
            Ok(order.as_ref().map(convert::orders::order))
        }
        Some(_) => Ok(None),
        None => Err(Error::OrderNotFound(order_id.to_string())),
    }
}
