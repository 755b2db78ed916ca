//! The provider's jobs: a queue in the transaction that causes them.

use crate::job::{Job, JobKind};
use crate::store::{currency, unknown};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashSet;
use time::OffsetDateTime;
use uuid::Uuid;

fn kind_word(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Capture => "capture",
        JobKind::Refund => "refund",
        JobKind::Void => "void",
    }
}

fn read(row: &PgRow) -> sqlx::Result<Job> {
    Ok(Job {
        id: row.try_get("id")?,
        order_id: row.try_get("order_id")?,
        kind: match row.try_get("kind")? {
            "capture" => JobKind::Capture,
            "refund" => JobKind::Refund,
            "void" => JobKind::Void,
            word => return Err(unknown(word)),
        },
        reference: row.try_get("reference")?,
        document_id: row.try_get("document_id")?,
        currency: currency(row, "currency")?,
        amount: row.try_get("amount")?,
        effective_at: row.try_get("effective_at")?,
        traceparent: row.try_get::<Option<String>, _>("traceparent")?.unwrap_or_default(),
        attempts: row.try_get("attempts")?,
    })
}

/// Queues jobs, due at once.
pub async fn add(conn: &mut PgConnection, jobs: &[Job], now: OffsetDateTime) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = jobs.iter().map(|j| j.id).collect();
    let orders: Vec<Uuid> = jobs.iter().map(|j| j.order_id).collect();
    let kinds: Vec<&str> = jobs.iter().map(|j| kind_word(j.kind)).collect();
    let references: Vec<&str> = jobs.iter().map(|j| j.reference.as_str()).collect();
    let documents: Vec<Option<Uuid>> = jobs.iter().map(|j| j.document_id).collect();
    let currencies: Vec<&str> = jobs.iter().map(|j| j.currency.code()).collect();
    let amounts: Vec<Decimal> = jobs.iter().map(|j| j.amount).collect();
    let effective: Vec<OffsetDateTime> = jobs.iter().map(|j| j.effective_at).collect();
    let traces: Vec<Option<&str>> =
        jobs.iter().map(|j| Some(j.traceparent.as_str()).filter(|trace| !trace.is_empty())).collect();
    sqlx::query(
        "insert into provider_job (id, order_id, kind, reference, document_id, currency, amount, effective_at, traceparent, next_at,
                                   created_at)
         select n.*, $10, $10
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::numeric[],
                       $8::timestamptz[], $9::text[]) n",
    )
    .bind(&ids)
    .bind(&orders)
    .bind(&kinds)
    .bind(&references)
    .bind(&documents)
    .bind(&currencies)
    .bind(&amounts)
    .bind(&effective)
    .bind(&traces)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes up to `limit` jobs that are due, and of each order only the first: nobody else gets them until `until`.
pub async fn lease(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    until: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<Vec<Job>> {
    let rows = sqlx::query(
        "update provider_job j set next_at = $2, attempts = attempts + 1
          where id in (
             select id from provider_job d
              where state = 'open' and next_at <= $1
                and not exists (select 1 from provider_job e
                                 where e.order_id = d.order_id and e.state = 'open' and e.id < d.id)
              order by next_at
              limit $3
                for update skip locked)
         returning *",
    )
    .bind(now)
    .bind(until)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read).collect()
}

/// Locks those of these jobs that are still open: a job that two workers did is taken note of once.
pub async fn still_open(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
    let open: Vec<Uuid> =
        sqlx::query_scalar("select id from provider_job where id = any($1) and state = 'open' order by id for update")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    Ok(open.into_iter().collect())
}

/// Ends jobs: done, or failed with what the provider said.
pub async fn end(conn: &mut PgConnection, ended: &[(Uuid, Option<&str>)]) -> sqlx::Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let (ids, errors): (Vec<Uuid>, Vec<Option<&str>>) = ended.iter().copied().unzip();
    sqlx::query(
        "update provider_job j
            set state = case when n.error is null then 'done' else 'failed' end, last_error = n.error
           from unnest($1::uuid[], $2::text[]) n (id, error) where j.id = n.id",
    )
    .bind(&ids)
    .bind(&errors)
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts jobs off: (job, until when, why).
pub async fn put_off(conn: &mut PgConnection, jobs: &[(Uuid, OffsetDateTime, &str)]) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = jobs.iter().map(|j| j.0).collect();
    let times: Vec<OffsetDateTime> = jobs.iter().map(|j| j.1).collect();
    let errors: Vec<&str> = jobs.iter().map(|j| j.2).collect();
    sqlx::query(
        "update provider_job j set next_at = n.next_at, last_error = n.error
           from unnest($1::uuid[], $2::timestamptz[], $3::text[]) n (id, next_at, error)
          where j.id = n.id and j.state = 'open'",
    )
    .bind(&ids)
    .bind(&times)
    .bind(&errors)
    .execute(conn)
    .await?;
    Ok(())
}
