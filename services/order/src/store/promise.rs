//! What was promised to orders that are not placed yet.

use crate::error::Error;
use crate::line::LinePromise;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// A promise.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The order that it becomes.
    pub order_id: Uuid,
    /// Of whoever redeems it.
    pub token: Uuid,
    /// Encoded pesan.order.v1.PromiseOrderRequest.
    pub request: Vec<u8>,
    /// Encoded pesan.order.v1.NewOrder.
    pub wanted: Vec<u8>,
    /// Stock is to be held.
    pub hold_stock: bool,
    /// Until when it can be redeemed.
    pub expires_at: OffsetDateTime,
    /// Encoded pesan.order.v1.OrderPromise; none: inventory is being asked.
    pub answer: Option<Vec<u8>>,
    /// What inventory holds, by line; none: nothing.
    pub held: Option<Vec<LinePromise>>,
    /// Of inventory's newest fact that `held` includes.
    pub inventory_version: i64,
    /// When an order was placed with it.
    pub redeemed_at: Option<OffsetDateTime>,
}

fn kept(row: &PgRow) -> Result<Kept, Error> {
    Ok(Kept {
        order_id: row.try_get("order_id")?,
        token: row.try_get("token")?,
        request: row.try_get("request")?,
        wanted: row.try_get("wanted")?,
        hold_stock: row.try_get("hold_stock")?,
        expires_at: row.try_get("expires_at")?,
        answer: row.try_get("answer")?,
        held: row.try_get::<Option<Json<Vec<LinePromise>>>, _>("held")?.map(|json| json.0),
        inventory_version: row.try_get("inventory_version")?,
        redeemed_at: row.try_get("redeemed_at")?,
    })
}

/// Writes a promise that is about to be asked for; false where another one has its request id.
pub async fn insert(
    conn: &mut PgConnection,
    new: &Kept,
    request_id: Uuid,
    lines: i32,
    asked_at: OffsetDateTime,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "insert into promise (order_id, token, request_id, request, wanted, line_count, hold_stock, asked_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (request_id) do nothing",
    )
    .bind(new.order_id)
    .bind(new.token)
    .bind(request_id)
    .bind(&new.request)
    .bind(&new.wanted)
    .bind(lines)
    .bind(new.hold_stock)
    .bind(asked_at)
    .bind(new.expires_at)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The one of a request.
pub async fn of_request(conn: &mut PgConnection, request_id: Uuid) -> Result<Option<Kept>, Error> {
    let row = sqlx::query("select * from promise where request_id = $1").bind(request_id).fetch_optional(conn).await?;
    row.as_ref().map(kept).transpose()
}

/// Those of orders.
pub async fn of_orders(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<Vec<Kept>, Error> {
    let rows = sqlx::query("select * from promise where order_id = any($1) order by order_id")
        .bind(order_ids)
        .fetch_all(conn)
        .await?;
    rows.iter().map(kept).collect()
}

/// The orders that tokens are for.
pub async fn orders_of(conn: &mut PgConnection, tokens: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    Ok(sqlx::query_scalar("select order_id from promise where token = any($1)").bind(tokens).fetch_all(conn).await?)
}

/// Writes what inventory said, and until when it can be redeemed.
pub async fn write(conn: &mut PgConnection, kept: &Kept) -> Result<(), Error> {
    sqlx::query(
        "update promise set expires_at = $2, answer = $3, held = $4, inventory_version = $5 where order_id = $1",
    )
    .bind(kept.order_id)
    .bind(kept.expires_at)
    .bind(&kept.answer)
    .bind(kept.held.as_ref().map(Json))
    .bind(kept.inventory_version)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that orders were placed with their promises.
pub async fn redeem(conn: &mut PgConnection, order_ids: &[Uuid], now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("update promise set redeemed_at = $2 where order_id = any($1)")
        .bind(order_ids)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// Promises for which inventory was asked to hold stock before `before`, and whose answer nobody wrote down.
pub async fn unanswered(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    before: OffsetDateTime,
) -> Result<Vec<Uuid>, Error> {
    Ok(sqlx::query_scalar(
        "select order_id from promise
          where expires_at > $1 and answer is null and hold_stock and asked_at < $2
          order by expires_at limit 50",
    )
    .bind(now)
    .bind(before)
    .fetch_all(conn)
    .await?)
}

/// Most that are forgotten at once.
pub const MOST: u64 = 1_000;

/// Forgets promises that expired before `before` and hold nothing, the oldest; how many.
pub async fn forget(conn: &mut PgConnection, before: OffsetDateTime) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from promise
          where order_id in (select order_id from promise
                              where expires_at < $1 and (held is null or redeemed_at is not null)
                              order by expires_at limit $2)",
    )
    .bind(before)
    .bind(MOST as i64)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
