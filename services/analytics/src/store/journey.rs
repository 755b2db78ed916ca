//! Journeys.

use crate::journey::{Entry, Standing};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// Most entries of one journey that are read.
const MAX_ENTRIES: i64 = 10_000;

/// Writes entries.
pub async fn write(conn: &mut PgConnection, entries: &[Entry]) -> sqlx::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into journey_entry (order_id, event_id, service, type, effective_at, recorded_at, trace_id, summary)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                              $7::text[], $8::text[])",
    )
    .bind(entries.iter().map(|e| e.order_id).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.event_id).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.service.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.effective_at).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.recorded_at).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.trace_id.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|e| e.summary.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The order with this number.
pub async fn find_by_number(conn: &mut PgConnection, number: &str) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar("select order_id from order_name where number = $1 limit 1")
        .bind(number)
        .fetch_optional(conn)
        .await
}

/// The order with this external id on a channel.
pub async fn find_by_external_id(
    conn: &mut PgConnection,
    channel: &str,
    external_id: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "select order_id from order_name where channel = $1 and external_id = $2 and external_id <> '' limit 1",
    )
    .bind(channel)
    .bind(external_id)
    .fetch_optional(conn)
    .await
}

/// The order's number; empty while its acceptance is not read.
pub async fn number(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<String> {
    let number: Option<String> = sqlx::query_scalar("select number from order_name where order_id = $1")
        .bind(order_id)
        .fetch_optional(conn)
        .await?;
    Ok(number.unwrap_or_default())
}

/// How this service counts an order; none while its acceptance is not read.
pub async fn standing(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<Option<Standing>> {
    let row = sqlx::query(
        "select f.placed_at, f.rejected, d.channel, d.country, f.units,
                round(f.gross / 10::numeric ^ d.decimals, d.decimals)::text || ' ' || d.currency
           from order_fact f join dims d using (dims_id)
          where f.order_id = $1",
    )
    .bind(order_id)
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Standing {
            placed_at: row.try_get(0)?,
            rejected: row.try_get(1)?,
            channel: row.try_get(2)?,
            country: row.try_get(3)?,
            units: row.try_get(4)?,
            gross: row.try_get(5)?,
        })
    })
    .transpose()
}

/// The entries of an order, in no order.
pub async fn entries(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query(
        "select order_id, event_id, service, type, effective_at, recorded_at, trace_id, summary
           from journey_entry
          where order_id = $1
          limit $2",
    )
    .bind(order_id)
    .bind(MAX_ENTRIES)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                order_id: row.try_get(0)?,
                event_id: row.try_get(1)?,
                service: row.try_get(2)?,
                kind: row.try_get(3)?,
                effective_at: row.try_get(4)?,
                recorded_at: row.try_get(5)?,
                trace_id: row.try_get(6)?,
                summary: row.try_get(7)?,
            })
        })
        .collect()
}
