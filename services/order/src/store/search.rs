//! Finding orders by what somebody typed, and what there is about a customer.

use crate::error::Error;
use crate::search::Meaning;
use crate::store::{currency, order, stored_enum};
use pesan_api::order::v1::{OrderMatch, OrderState};
use pesan_money::Currency;
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// Orders that match by something an index knows: at most `limit` of each kind, newest first.
pub async fn by_index(
    conn: &mut PgConnection,
    meaning: &Meaning,
    limit: i64,
) -> Result<Vec<(Uuid, OrderMatch)>, Error> {
    let named = order::find(&mut *conn, &meaning.names).await?;
    let mut found: Vec<(Uuid, OrderMatch)> = named.into_values().map(|id| (id, OrderMatch::Number)).collect();
    // Channels are few, and are hopped over in the unique index of (channel, external id): no index by external id alone
    // for placing to keep up.
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "with recursive channels as (
            (select channel from orders order by channel limit 1)
            union all
            select (select o.channel from orders o where o.channel > c.channel order by o.channel limit 1)
              from channels c where c.channel is not null)
         select o.order_id
           from channels c join orders o on o.channel = c.channel and o.external_id = $1
          order by o.placed_at desc limit $2",
    )
    .bind(&meaning.text)
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    found.extend(rows.into_iter().map(|id| (id, OrderMatch::ExternalId)));
    let rows: Vec<Uuid> = sqlx::query_scalar(
        "select order_id from shipment_tracking where tracking_number = $1 order by order_id desc limit $2",
    )
    .bind(&meaning.text)
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    found.extend(rows.into_iter().map(|id| (id, OrderMatch::TrackingNumber)));
    // The newest orders of each of a few customers, then the newest of all of those.
    let rows = sqlx::query(
        "with customers as (
            (select customer_id, $5::int4 as kind from customer where external_id = $1)
            union all
            (select customer_id, $6::int4 from customer where lower(email) = $2 and email <> '' limit 100)
            union all
            (select customer_id, $7::int4 from customer
              where to_tsvector('simple', name) @@ to_tsquery('simple', $3) limit 100))
         select o.order_id, c.kind
           from customers c
          cross join lateral (select order_id, placed_at from orders where customer_id = c.customer_id
                               order by placed_at desc, order_id desc limit $4) o
          order by c.kind, o.placed_at desc, o.order_id desc
          limit 3 * $4",
    )
    .bind(&meaning.text)
    .bind(&meaning.email)
    .bind(&meaning.words)
    .bind(limit)
    .bind(i32::from(OrderMatch::Customer))
    .bind(i32::from(OrderMatch::Email))
    .bind(i32::from(OrderMatch::CustomerName))
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let kind = OrderMatch::try_from(row.try_get::<i32, _>(1)?).map_err(|_| Error::Broken("a kind of match"))?;
        found.push((row.try_get(0)?, kind));
    }
    if let Some(email) = &meaning.email {
        let rows: Vec<Uuid> =
            sqlx::query_scalar("select order_id from orders where ship_email = $1 order by placed_at desc limit $2")
                .bind(email)
                .bind(limit)
                .fetch_all(conn)
                .await?;
        found.extend(rows.into_iter().map(|id| (id, OrderMatch::Email)));
    }
    Ok(found)
}

/// Orders with a line of this SKU, newest first, back to the first id that is possible.
///
/// Lines are read backwards by their key, whose order ids are in the order of time: an SKU that sells is found at once,
/// another costs as long as the lines since then take.
pub async fn by_sku(conn: &mut PgConnection, sku: &str, since: Uuid, limit: i64) -> Result<Vec<Uuid>, Error> {
    Ok(sqlx::query_scalar(
        "select order_id
           from (select order_id from order_line where sku = $1 and order_id >= $2 order by order_id desc, line_no desc
                  limit $3) lines
          group by order_id order by order_id desc",
    )
    .bind(sku)
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Writes tracking numbers of orders; known ones stay.
pub async fn track(conn: &mut PgConnection, numbers: &[(&str, Uuid)]) -> Result<(), Error> {
    if numbers.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into shipment_tracking (tracking_number, order_id)
         select distinct * from unnest($1::text[], $2::uuid[]) on conflict do nothing",
    )
    .bind(numbers.iter().map(|(number, _)| *number).collect::<Vec<_>>())
    .bind(numbers.iter().map(|(_, order_id)| *order_id).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A customer's orders in one currency.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Of the amounts.
    pub currency: Currency,
    /// How many, without those that were rejected.
    pub orders: i64,
    /// Σ line totals.
    pub gross: Decimal,
    /// With discounts and tax.
    pub total: Decimal,
    /// The first order.
    pub first: OffsetDateTime,
    /// The latest order.
    pub last: OffsetDateTime,
}

/// How many orders of a customer are in each state.
pub async fn states_of(conn: &mut PgConnection, customer_id: Uuid) -> Result<Vec<(OrderState, i64)>, Error> {
    let rows = sqlx::query("select state, count(*) from orders where customer_id = $1 group by state order by state")
        .bind(customer_id)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| Ok((stored_enum(row.try_get(0)?)?, row.try_get(1)?))).collect()
}

/// What a customer's orders come to.
pub async fn totals_of(conn: &mut PgConnection, customer_id: Uuid) -> Result<Vec<Totals>, Error> {
    let rows = sqlx::query(
        "select currency, count(*), sum(gross), sum(gross - discount + tax), min(placed_at), max(placed_at)
           from orders
          where customer_id = $1 and not rejected
          group by currency
          order by currency",
    )
    .bind(customer_id)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Totals {
                currency: currency(row.try_get(0)?)?,
                orders: row.try_get(1)?,
                gross: row.try_get(2)?,
                total: row.try_get(3)?,
                first: row.try_get(4)?,
                last: row.try_get(5)?,
            })
        })
        .collect()
}

/// The latest returns of a customer's orders, newest first: return and order.
pub async fn returns_of(conn: &mut PgConnection, customer_id: Uuid, limit: i64) -> Result<Vec<(Uuid, Uuid)>, Error> {
    Ok(sqlx::query_as(
        "select r.return_id, r.order_id
           from orders o join rma r using (order_id)
          where o.customer_id = $1
          order by r.requested_at desc, r.return_id desc
          limit $2",
    )
    .bind(customer_id)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}
