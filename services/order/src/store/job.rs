//! The jobs of the saga: one for each order that is not settled.

use crate::draft::PaymentToken;
use crate::error::Error;
use crate::settlement::{Destination, Work, WorkLine};
use crate::store::{address, currency, stored_enum};
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A job that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// The order.
    pub order_id: Uuid,
    /// Tries that failed.
    pub attempts: i32,
    /// How many lines the order has.
    pub lines: i32,
}

/// Takes up to `limit` jobs that are due, longest first, until `lease_until`. Those that another worker takes right now
/// are passed over.
pub async fn take(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Taken>, Error> {
    let rows = sqlx::query(
        "update saga_job j set due_at = $2
           from (select order_id from saga_job where due_at <= $1 order by due_at limit $3 for update skip locked) due
           join orders o using (order_id)
          where j.order_id = due.order_id
         returning j.order_id, j.attempts, o.line_count",
    )
    .bind(now)
    .bind(lease_until)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok(Taken { order_id: row.try_get(0)?, attempts: row.try_get(1)?, lines: row.try_get(2)? }))
        .collect()
}

/// When the next job falls due, if there is any.
pub async fn next_due(conn: &mut PgConnection) -> Result<Option<OffsetDateTime>, Error> {
    Ok(sqlx::query_scalar("select min(due_at) from saga_job").fetch_one(conn).await?)
}

/// Puts jobs there again, due at `due_at`.
pub async fn queue(conn: &mut PgConnection, ids: &[Uuid], due_at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "insert into saga_job (order_id, due_at) select id, $2 from unnest($1::uuid[]) id
         on conflict (order_id) do update set due_at = excluded.due_at, attempts = 0",
    )
    .bind(ids)
    .bind(due_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Lets jobs go that were taken and not worked on.
pub async fn put_back(conn: &mut PgConnection, ids: &[Uuid], due_at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("update saga_job set due_at = $2 where order_id = any($1)")
        .bind(ids)
        .bind(due_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Sets when jobs whose try failed are due again.
pub async fn reschedule(conn: &mut PgConnection, jobs: &[(Uuid, i32, OffsetDateTime)]) -> Result<(), Error> {
    if jobs.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update saga_job j set due_at = n.due_at, attempts = n.attempts
           from unnest($1::uuid[], $2::int4[], $3::timestamptz[]) as n (order_id, attempts, due_at)
          where j.order_id = n.order_id",
    )
    .bind(jobs.iter().map(|job| job.0).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.1).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.2).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends jobs.
pub async fn delete(conn: &mut PgConnection, ids: &[Uuid]) -> Result<(), Error> {
    if !ids.is_empty() {
        sqlx::query("delete from saga_job where order_id = any($1)").bind(ids).execute(conn).await?;
    }
    Ok(())
}

/// All that the peers need to know about orders whose jobs were taken.
pub async fn load(conn: &mut PgConnection, taken: &[Taken]) -> Result<Vec<Work>, Error> {
    let ids: Vec<Uuid> = taken.iter().map(|job| job.order_id).collect();
    let mut lines: HashMap<Uuid, Vec<WorkLine>> = HashMap::with_capacity(ids.len());
    let rows = sqlx::query(
        "select order_id, line_no, sku, ordered, line_total, discount, tax
           from order_line where order_id = any($1) order by order_id, line_no",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(WorkLine {
            line_no: row.try_get(1)?,
            sku: row.try_get(2)?,
            quantity: row.try_get::<i32, _>(3)?.into(),
            line_total: row.try_get(4)?,
            discount: row.try_get(5)?,
            tax: row.try_get(6)?,
        });
    }
    let rows = sqlx::query(
        "select order_id, number, customer_id, currency, payment_method, payment_token, reservation_policy,
                fulfilment_policy, priority, placed_at, traceparent, ship_to, amendments, not_before,
                channel, preferred_location_id, ship_complete,
                coalesce(promised_ship_at, promised_delivery_at) as promised_at
           from orders where order_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let attempts: HashMap<Uuid, i32> = taken.iter().map(|job| (job.order_id, job.attempts)).collect();
    rows.iter()
        .map(|row| {
            let order_id: Uuid = row.try_get(0)?;
            let ship_to: Vec<u8> = row.try_get(11)?;
            Ok(Work {
                destination: Destination::of(&address(&ship_to)?),
                ship_complete: row.try_get("ship_complete")?,
                order_id,
                number: row.try_get(1)?,
                customer_id: row.try_get(2)?,
                currency: currency(row.try_get(3)?)?,
                payment_method: stored_enum(row.try_get(4)?)?,
                payment_token: row.try_get::<Option<String>, _>(5)?.map(PaymentToken),
                reservation_policy: stored_enum(row.try_get(6)?)?,
                fulfilment_policy: stored_enum(row.try_get(7)?)?,
                priority: row.try_get::<i16, _>(8)?.into(),
                placed_at: row.try_get(9)?,
                traceparent: row.try_get(10)?,
                ship_to,
                amendments: row.try_get("amendments")?,
                not_before: row.try_get("not_before")?,
                promised_at: row.try_get("promised_at")?,
                channel: row.try_get("channel")?,
                preferred_location_id: row.try_get("preferred_location_id")?,
                lines: lines.remove(&order_id).unwrap_or_default(),
                attempts: attempts.get(&order_id).copied().unwrap_or(0),
            })
        })
        .collect()
}
