//! What is known of orders from their feed.

use crate::fulfilment_order::{Address, ConfirmedOrder};
use crate::id::OrderId;
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

const STANDARD: i16 = 1;
const STRAIGHT_THROUGH: i16 = 2;

/// Notes up to which version each order's facts were read.
pub async fn advance(conn: &mut PgConnection, versions: &HashMap<OrderId, i64>) -> sqlx::Result<()> {
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = versions.iter().map(|(id, version)| (id.0, *version)).unzip();
    sqlx::query(
        "insert into followed_order (order_id, version)
         select * from unnest($1::uuid[], $2::int8[])
         on conflict (order_id) do update set version = excluded.version",
    )
    .bind(&ids)
    .bind(&versions)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to which version the order's facts were read; 0 where there was none.
pub async fn version(conn: &mut PgConnection, order_id: OrderId) -> sqlx::Result<i64> {
    let version = sqlx::query_scalar("select version from followed_order where order_id = $1")
        .bind(order_id.0)
        .fetch_optional(conn)
        .await?;
    Ok(version.unwrap_or(0))
}

/// Writes what orders say when they are confirmed.
pub async fn insert_confirmed(conn: &mut PgConnection, orders: &[ConfirmedOrder]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.order_id.0).collect();
    let numbers: Vec<&str> = orders.iter().map(|order| order.order_number.as_str()).collect();
    let policies: Vec<i16> =
        orders.iter().map(|order| if order.straight_through { STRAIGHT_THROUGH } else { STANDARD }).collect();
    let addresses: Vec<Option<Json<&Address>>> = orders.iter().map(|order| order.ship_to.as_ref().map(Json)).collect();
    sqlx::query(
        "insert into confirmed_order (order_id, order_number, fulfilment_policy, ship_to)
         select * from unnest($1::uuid[], $2::text[], $3::int2[], $4::jsonb[])",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&policies)
    .bind(&addresses)
    .execute(conn)
    .await?;
    Ok(())
}

/// What these orders said when they were confirmed.
pub async fn confirmed(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<HashMap<OrderId, ConfirmedOrder>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, String, i16, Option<Json<Address>>)> = sqlx::query_as(
        "select order_id, order_number, fulfilment_policy, ship_to from confirmed_order where order_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let confirmed = |(id, order_number, policy, ship_to): (Uuid, String, i16, Option<Json<Address>>)| {
        let order_id = OrderId(id);
        let straight_through = policy == STRAIGHT_THROUGH;
        (order_id, ConfirmedOrder { order_id, order_number, straight_through, ship_to: ship_to.map(|json| json.0) })
    };
    Ok(rows.into_iter().map(confirmed).collect())
}

/// Writes where orders go from now on, in the order given.
pub async fn readdress(conn: &mut PgConnection, addresses: &[(OrderId, Address)]) -> sqlx::Result<()> {
    for (order_id, ship_to) in addresses {
        sqlx::query("update confirmed_order set ship_to = $2 where order_id = $1")
            .bind(order_id.0)
            .bind(Json(ship_to))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Writes before when orders are not to be shipped, in the order given.
pub async fn reschedule(conn: &mut PgConnection, dates: &[(OrderId, Option<OffsetDateTime>)]) -> sqlx::Result<()> {
    for (order_id, not_before) in dates {
        sqlx::query("update confirmed_order set not_before = $2 where order_id = $1")
            .bind(order_id.0)
            .bind(not_before)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Before when an order is not to be shipped; none: as soon as possible.
pub async fn not_before(conn: &mut PgConnection, order_id: OrderId) -> sqlx::Result<Option<OffsetDateTime>> {
    let date = sqlx::query_scalar("select not_before from confirmed_order where order_id = $1")
        .bind(order_id.0)
        .fetch_optional(conn)
        .await?;
    Ok(date.flatten())
}
