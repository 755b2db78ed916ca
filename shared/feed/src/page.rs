//! Pages of events, and the columns that they come in.

use crate::Cursor;
use pesan_api::feed::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use uuid::Uuid;

/// What was read at once.
pub(crate) struct Page {
    pub(crate) events: Vec<pb::Event>,
    /// How far was looked.
    pub(crate) after: Cursor,
    /// There was nothing more.
    pub(crate) caught_up: bool,
}

impl Page {
    /// A page ends at about this many bytes of payload.
    pub(crate) const BYTES: usize = 2 * 1024 * 1024;

    /// Reads events of these types after `cursor`; `max` events are looked at.
    pub(crate) async fn read(pool: &PgPool, cursor: Cursor, max: i64, types: &[String]) -> sqlx::Result<Self> {
        // Where nothing matches, one row still says how far was looked: to an event that is there, because the number of a
        // transaction that left nothing may be given again after a crash.
        // A bare `order by xid` would mean the text that is selected, which sorts 1000 before 999.
        let rows = sqlx::query(
            "with looked_at as materialized (
                 select xid, seq
                   from outbox
                  where (xid, seq) > ($1::text::xid8, $2)
                    and xid < pg_snapshot_xmin(pg_current_snapshot())
                  order by xid, seq
                  limit $3),
             last as (
                 select xid, seq, (select count(*) from looked_at) as count
                   from looked_at
                  order by xid desc, seq desc
                  limit 1)
             select last.count, last.xid::text, last.seq,
                    e.xid::text, e.seq, event_id, aggregate_id, version, type, payload, correlation_id, traceparent,
                    effective_at, recorded_at
               from last
               left join lateral (
                    select *
                      from outbox
                     where (xid, seq) > ($1::text::xid8, $2)
                       and (xid, seq) <= (last.xid, last.seq)
                       and ($4::text[] = '{}' or type = any($4))) e on true
              order by e.xid, e.seq",
        )
        .bind(cursor.xid.to_string())
        .bind(cursor.seq)
        .bind(max)
        .bind(types)
        .fetch_all(pool)
        .await?;
        let mut page = Self { events: Vec::with_capacity(rows.len()), after: cursor, caught_up: true };
        let Some(first) = rows.first() else { return Ok(page) };
        page.caught_up = first.try_get::<i64, _>(0)? < max;
        let last = position(first, 1, cursor.epoch)?;
        let mut bytes = 0;
        for row in rows {
            if row.try_get::<Option<Uuid>, _>(5)?.is_none() {
                break;
            }
            if bytes > Self::BYTES {
                page.caught_up = false;
                return Ok(page);
            }
            page.after = position(&row, 3, cursor.epoch)?;
            let event = event(&row, 5)?;
            bytes += event.payload.len() + 200;
            page.events.push(event);
        }
        page.after = last;
        Ok(page)
    }
}

/// The position in two columns of a row, from `column` on.
pub(crate) fn position(row: &PgRow, column: usize, epoch: Uuid) -> sqlx::Result<Cursor> {
    let xid: String = row.try_get(column)?;
    let xid = xid.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Cursor { epoch, xid, seq: row.try_get(column + 1)? })
}

/// The event in the columns of a row, from `event_id` in `column` on.
pub(crate) fn event(row: &PgRow, column: usize) -> sqlx::Result<pb::Event> {
    let payload: Vec<u8> = row.try_get(column + 4)?;
    Ok(pb::Event {
        event_id: row.try_get::<Uuid, _>(column)?.to_string(),
        aggregate_id: row.try_get::<Uuid, _>(column + 1)?.to_string(),
        version: row.try_get(column + 2)?,
        r#type: row.try_get(column + 3)?,
        payload: payload.into(),
        correlation_id: row.try_get::<Option<Uuid>, _>(column + 5)?.map(|id| id.to_string()).unwrap_or_default(),
        traceparent: row.try_get::<Option<String>, _>(column + 6)?.unwrap_or_default(),
        effective_at: Some(to_timestamp(row.try_get(column + 7)?)),
        recorded_at: Some(to_timestamp(row.try_get(column + 8)?)),
    })
}
