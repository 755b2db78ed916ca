//! The changing part of orders.

use crate::delivery::Delivery;
use crate::error::Error;
use crate::name::OrderName;
use crate::order::{Head, Standing};
use crate::quantities::Quantities;
use crate::store::stored_enum;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// A head from the first 18 columns of a row: those of [`heads`].
pub(super) fn head(row: &PgRow) -> Result<Head, Error> {
    Ok(Head {
        order_id: row.try_get(0)?,
        placed_at: row.try_get(1)?,
        traceparent: row.try_get(2)?,
        fulfilment_policy: stored_enum(row.try_get(3)?)?,
        version: row.try_get(4)?,
        inventory_version: row.try_get(5)?,
        amendments: row.try_get("amendments")?,
        shipped_at: row.try_get("shipped_at")?,
        delivered_at: row.try_get("delivered_at")?,
        delivery: Delivery {
            is_complete: row.try_get("ship_complete")?,
            not_before: row.try_get("not_before")?,
            is_blocked: row.try_get::<Option<&str>, _>("delivery_block")?.is_some(),
            withheld: row.try_get("withheld")?,
        },
        standing: Standing {
            confirmed_at: row.try_get(6)?,
            rejected: row.try_get(7)?,
            holds: row.try_get(8)?,
            quantities: Quantities {
                ordered: row.try_get(9)?,
                reserved: row.try_get(10)?,
                backordered: row.try_get(11)?,
                cancelled: row.try_get(12)?,
                shipped: row.try_get(13)?,
                delivered: row.try_get(14)?,
                returned: row.try_get(15)?,
                invoiced: row.try_get(16)?,
                refunded: row.try_get(17)?,
            },
        },
    })
}

/// The heads of orders, by id; those that are not there are left out.
pub async fn heads(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Head>, Error> {
    let rows = sqlx::query(
        "select order_id, placed_at, traceparent, fulfilment_policy, version, inventory_version, confirmed_at, rejected,
                holds, ordered, reserved, backordered, cancelled, shipped, delivered, returned, invoiced, refunded,
                amendments, shipped_at, delivered_at, ship_complete, not_before, delivery_block, withheld
           from orders
          where order_id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| head(row).map(|head| (head.order_id, head))).collect()
}

/// The head of one order.
pub async fn head_of(conn: &mut PgConnection, id: Uuid) -> Result<Option<Head>, Error> {
    Ok(heads(conn, &[id]).await?.remove(&id))
}

/// Writes heads back. The payment token is forgotten as soon as nobody will ask for it again.
pub async fn write(conn: &mut PgConnection, heads: &[&Head]) -> Result<(), Error> {
    if heads.is_empty() {
        return Ok(());
    }
    let quantities = |f: fn(&Quantities) -> i64| heads.iter().map(|h| f(&h.standing.quantities)).collect::<Vec<_>>();
    let done = sqlx::query(
        "update orders o
            set version = h.version, inventory_version = h.inventory_version, confirmed_at = h.confirmed_at,
                rejected = h.rejected, holds = h.holds, reserved = h.reserved, backordered = h.backordered,
                cancelled = h.cancelled, shipped = h.shipped, delivered = h.delivered, returned = h.returned,
                invoiced = h.invoiced, refunded = h.refunded, shipped_at = h.shipped_at, delivered_at = h.delivered_at,
                payment_token = case when h.confirmed_at is null and not h.rejected and h.cancelled < o.ordered
                                     then o.payment_token end
           from unnest($1::uuid[], $2::int8[], $3::int8[], $4::timestamptz[], $5::bool[], $6::int4[], $7::int8[],
                       $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[],
                       $15::timestamptz[], $16::timestamptz[])
                as h (order_id, version, inventory_version, confirmed_at, rejected, holds, reserved, backordered,
                      cancelled, shipped, delivered, returned, invoiced, refunded, shipped_at, delivered_at)
          where o.order_id = h.order_id",
    )
    .bind(heads.iter().map(|h| h.order_id).collect::<Vec<_>>())
    .bind(heads.iter().map(|h| h.version).collect::<Vec<_>>())
    .bind(heads.iter().map(|h| h.inventory_version).collect::<Vec<_>>())
    .bind(heads.iter().map(|h| h.standing.confirmed_at).collect::<Vec<_>>())
    .bind(heads.iter().map(|h| h.standing.rejected).collect::<Vec<_>>())
    .bind(heads.iter().map(|h| h.standing.holds).collect::<Vec<_>>())
    .bind(quantities(|q| q.reserved))
    .bind(quantities(|q| q.backordered))
    .bind(quantities(|q| q.cancelled))
    .bind(quantities(|q| q.shipped))
    .bind(quantities(|q| q.delivered))
    .bind(quantities(|q| q.returned))
    .bind(quantities(|q| q.invoiced))
    .bind(quantities(|q| q.refunded))
    .bind(heads.iter().map(|h| h.shipped_at).collect::<Vec<_>>())
    .bind(heads.iter().map(|h| h.delivered_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    if done.rows_affected() == heads.len() as u64 {
        Ok(())
    } else {
        Err(Error::Broken("orders that were to be written"))
    }
}

/// The ids of orders by their names, each at most once; names that nobody has are left out.
pub async fn find(conn: &mut PgConnection, names: &[OrderName]) -> Result<HashMap<OrderName, Uuid>, Error> {
    let (mut ids, mut numbers, mut channels, mut externals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match name {
            OrderName::Id(id) => ids.push(*id),
            OrderName::Number(number) => numbers.push(*number),
            OrderName::External(channel, external_id) => {
                channels.push(channel.as_str());
                externals.push(external_id.as_str());
            }
        }
    }
    let rows = sqlx::query(
        "select 1::int2, order_id, number, channel, external_id from orders where order_id = any($1)
         union all
         select 2::int2, order_id, number, channel, external_id from orders where number = any($2)
         union all
         select 3::int2, order_id, number, channel, external_id
           from orders
          where (channel, external_id) in (select * from unnest($3::text[], $4::text[]))",
    )
    .bind(ids)
    .bind(numbers)
    .bind(channels)
    .bind(externals)
    .fetch_all(conn)
    .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get(1)?;
        let name = match row.try_get::<i16, _>(0)? {
            1 => OrderName::Id(id),
            2 => OrderName::Number(row.try_get(2)?),
            _ => OrderName::External(row.try_get(3)?, row.try_get::<Option<String>, _>(4)?.unwrap_or_default()),
        };
        found.insert(name, id);
    }
    Ok(found)
}

/// Which of these orders are settled or gone: PlaceOrder need not wait for them.
pub async fn settled(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    // 1: pesan.order.v1.ORDER_STATE_ACCEPTED
    Ok(sqlx::query_scalar("select order_id from orders where order_id = any($1) and state <> 1")
        .bind(ids)
        .fetch_all(conn)
        .await?)
}

/// The version of an order; none where it is not there.
pub async fn version(conn: &mut PgConnection, id: Uuid) -> Result<Option<i64>, Error> {
    Ok(sqlx::query_scalar("select version from orders where order_id = $1").bind(id).fetch_optional(conn).await?)
}
