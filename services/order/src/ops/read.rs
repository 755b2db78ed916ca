//! Reading orders.

use crate::convert;
use crate::convert::listing::ListOrders;
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

/// A page of orders; the token of the next one where there is one.
pub async fn list(books: &Books, command: &ListOrders) -> Result<(Vec<pb::Order>, String), Error> {
    let mut tx = store::listing::begin_bounded(&books.pool).await?;
    let after = command.after.as_ref();
    let found = store::listing::page(&mut tx, &command.listing, after, command.size + 1).await;
    let mut places = found.map_err(Error::of_a_scan)?;
    let has_more = places.len() as i64 > command.size;
    places.truncate(usize::try_from(command.size).unwrap_or(0));
    let ids: Vec<Uuid> = places.iter().map(|place| place.order_id).collect();
    let orders = store::read::orders(&mut tx, &ids, command.full).await?;
    tx.commit().await?;
    let page = ids.iter().filter_map(|id| orders.get(id)).map(convert::orders::order).collect();
    let token = places.last().filter(|_| has_more).map(|last| command.token(last));
    Ok((page, token.unwrap_or_default()))
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
