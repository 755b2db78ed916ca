//! Cancellations for which fulfilment is being asked.

use crate::error::Error;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// A cancellation under way. Its messages are encoded: what is asked again must be what was asked before.
#[derive(Clone, Debug)]
pub struct Intent {
    /// The order.
    pub order_id: Uuid,
    /// The client's id of the request.
    pub request_id: Uuid,
    /// Encoded pesan.order.v1.CancelOrderRequest.
    pub request: Vec<u8>,
    /// Encoded pesan.fulfilment.v1.WithdrawLinesRequest: what is asked for now.
    pub ask: Vec<u8>,
    /// The same message: what was granted already.
    pub granted: Vec<u8>,
    /// When a worker may take it.
    pub due_at: OffsetDateTime,
    /// Tries that failed.
    pub attempts: i32,
}

fn intent(row: &PgRow) -> Result<Intent, Error> {
    Ok(Intent {
        order_id: row.try_get(0)?,
        request_id: row.try_get(1)?,
        request: row.try_get(2)?,
        ask: row.try_get(3)?,
        granted: row.try_get(4)?,
        due_at: row.try_get(5)?,
        attempts: row.try_get(6)?,
    })
}

/// The one of an order, if there is one.
pub async fn of_order(conn: &mut PgConnection, order_id: Uuid) -> Result<Option<Intent>, Error> {
    let row = sqlx::query(
        "select order_id, request_id, request, ask, granted, due_at, attempts from cancellation where order_id = $1",
    )
    .bind(order_id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(intent).transpose()
}

/// Whose request this id is, among those under way.
pub async fn order_of_request(conn: &mut PgConnection, request_id: Uuid) -> Result<Option<Uuid>, Error> {
    Ok(sqlx::query_scalar("select order_id from cancellation where request_id = $1")
        .bind(request_id)
        .fetch_optional(conn)
        .await?)
}

/// Writes one, new or with another ask.
pub async fn write(conn: &mut PgConnection, intent: &Intent) -> Result<(), Error> {
    sqlx::query(
        "insert into cancellation (order_id, request_id, request, ask, granted, due_at, attempts)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (order_id) do update
            set ask = excluded.ask, granted = excluded.granted, due_at = excluded.due_at, attempts = excluded.attempts",
    )
    .bind(intent.order_id)
    .bind(intent.request_id)
    .bind(&intent.request)
    .bind(&intent.ask)
    .bind(&intent.granted)
    .bind(intent.due_at)
    .bind(intent.attempts)
    .execute(conn)
    .await?;
    Ok(())
}

/// Sets when a worker may take it, after a try that failed.
pub async fn reschedule(conn: &mut PgConnection, order_id: Uuid, due_at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("update cancellation set due_at = $2, attempts = attempts + 1 where order_id = $1")
        .bind(order_id)
        .bind(due_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends it.
pub async fn delete(conn: &mut PgConnection, order_id: Uuid) -> Result<(), Error> {
    sqlx::query("delete from cancellation where order_id = $1").bind(order_id).execute(conn).await?;
    Ok(())
}

/// Takes up to `limit` that are due, until `lease_until`; those another worker takes right now are passed over.
pub async fn take(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Intent>, Error> {
    // No index: there are as many rows as cancellations under way.
    let rows = sqlx::query(
        "update cancellation c set due_at = $2
           from (select order_id from cancellation where due_at <= $1 and course is null
                  order by due_at limit $3 for update skip locked) due
          where c.order_id = due.order_id
         returning c.order_id, c.request_id, c.request, c.ask, c.granted, c.due_at, c.attempts",
    )
    .bind(now)
    .bind(lease_until)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(intent).collect()
}
