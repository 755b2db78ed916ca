//! The feed of a service over gRPC.

use crate::Cursor;
use pesan_api::feed::v1 as pb;
use pesan_api::feed::v1::feed_service_server::FeedService;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, refuse};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

/// An answer ends at about this many bytes of payload.
const PAGE_BYTES: usize = 2 * 1024 * 1024;
/// The longest pause between two looks for events that another replica wrote.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a reader who was told nothing yet does not learn that others' events were passed over.
const PASSED_OVER: Duration = Duration::from_millis(250);
/// Types that one reader may ask for.
const MOST_TYPES: usize = 100;

/// What was read at once.
struct Page {
    events: Vec<pb::Event>,
    /// How far was looked.
    after: Cursor,
    /// There was nothing more.
    caught_up: bool,
}

/// Serves the outbox of one service, and is what its own code wakes after a commit. Clones share the wake-up.
#[derive(Clone)]
pub struct Feed {
    pool: PgPool,
    epoch: Uuid,
    wake: Arc<Notify>,
    closed: CancellationToken,
}

impl Feed {
    /// Of the outbox that `pool` reaches.
    pub async fn new(pool: PgPool) -> sqlx::Result<Self> {
        let epoch = sqlx::query_scalar("select epoch from feed_epoch").fetch_one(&pool).await?;
        Ok(Self { pool, epoch, wake: Arc::new(Notify::new()), closed: CancellationToken::new() })
    }

    /// Tells waiting readers to look now. Call it after the commit of every transaction that appended.
    pub fn wake(&self) {
        self.wake.notify_waiters();
    }

    /// Lets go of waiting readers, so that a server can stop: they are answered with what there is.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Waits until somebody calls [`Feed::wake`].
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Events of these types after `cursor`, waiting up to `wait` for the first one.
    async fn page(&self, mut cursor: Cursor, max: i64, types: &[String], wait: Duration) -> sqlx::Result<Page> {
        let mut deadline = Instant::now() + wait;
        let mut pause = Duration::from_millis(1);
        loop {
            // Listen before looking: a wake-up between the two must not be missed.
            let notified = self.wake.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let page = self.read(cursor, max, types).await?;
            let now = Instant::now();
            if !page.events.is_empty() || now >= deadline || self.closed.is_cancelled() {
                return Ok(page);
            }
            if page.after != cursor {
                cursor = page.after;
                deadline = deadline.min(now + PASSED_OVER);
            }
            if !page.caught_up {
                continue; // whatever was passed over need not be looked at again
            }
            // A wake-up may come before older transactions have ended, which hide the new events: look again soon.
            tokio::select! {
                () = self.closed.cancelled() => {}
                () = notified => pause = Duration::from_millis(1),
                () = tokio::time::sleep_until(deadline.min(now + pause)) => pause = LONGEST_PAUSE.min(pause * 2),
            }
        }
    }

    async fn read(&self, cursor: Cursor, max: i64, types: &[String]) -> sqlx::Result<Page> {
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
        .fetch_all(&self.pool)
        .await?;
        let mut page = Page { events: Vec::with_capacity(rows.len()), after: cursor, caught_up: true };
        let Some(first) = rows.first() else { return Ok(page) };
        page.caught_up = first.try_get::<i64, _>(0)? < max;
        let last = self.position(first, 1)?;
        let mut bytes = 0;
        for row in rows {
            let Some(event_id) = row.try_get::<Option<Uuid>, _>(5)? else { break };
            if bytes > PAGE_BYTES {
                page.caught_up = false;
                return Ok(page);
            }
            page.after = self.position(&row, 3)?;
            let payload: Vec<u8> = row.try_get(9)?;
            bytes += payload.len() + 200;
            page.events.push(pb::Event {
                event_id: event_id.to_string(),
                aggregate_id: row.try_get::<Uuid, _>(6)?.to_string(),
                version: row.try_get(7)?,
                r#type: row.try_get(8)?,
                payload: payload.into(),
                correlation_id: row.try_get::<Option<Uuid>, _>(10)?.map(|id| id.to_string()).unwrap_or_default(),
                traceparent: row.try_get::<Option<String>, _>(11)?.unwrap_or_default(),
                effective_at: Some(to_timestamp(row.try_get(12)?)),
                recorded_at: Some(to_timestamp(row.try_get(13)?)),
            });
        }
        page.after = last;
        Ok(page)
    }

    /// The position in two columns of a row, from `column` on.
    fn position(&self, row: &PgRow, column: usize) -> sqlx::Result<Cursor> {
        let xid: String = row.try_get(column)?;
        let xid = xid.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Cursor { epoch: self.epoch, xid, seq: row.try_get(column + 1)? })
    }

    async fn head(&self) -> sqlx::Result<Cursor> {
        let row = sqlx::query(
            "select xid::text, seq from outbox
              where xid < pg_snapshot_xmin(pg_current_snapshot())
              order by outbox.xid desc, outbox.seq desc limit 1",
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map_or(Ok(Cursor::start(self.epoch)), |row| self.position(&row, 0))
    }

    fn cursor(&self, text: &str) -> Result<Cursor, Status> {
        if text.is_empty() {
            return Ok(Cursor::start(self.epoch));
        }
        let cursor = Cursor::decode(text)
            .ok_or_else(|| refuse::invalid_field("cursor", "must come from an answer of this feed"))?;
        if cursor.epoch != self.epoch {
            return Err(refuse::refused(
                Code::FailedPrecondition,
                "CURSOR_UNREACHABLE",
                "feed.pesan",
                "the cursor is of another epoch of this feed (its database was restored): read it again from the start",
            ));
        }
        Ok(cursor)
    }
}

fn internal(error: sqlx::Error) -> Status {
    tracing::error!(%error, "reading the outbox failed");
    Status::unavailable("the feed cannot be read now; try again")
}

#[tonic::async_trait]
impl FeedService for Feed {
    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<pb::PullResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::new();
        violations.within("max_events", request.max_events, 0, 5000);
        violations.within("max_wait_ms", request.max_wait_ms, 0, 30_000);
        if request.types.len() > MOST_TYPES {
            violations.add("types", format!("at most {MOST_TYPES}"));
        }
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let cursor = self.cursor(&request.cursor)?;
        let max = if request.max_events == 0 { 500 } else { i64::from(request.max_events) };
        let wait = Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let page = self.page(cursor, max, &request.types, wait).await.map_err(internal)?;
        let Page { events, after, caught_up } = page;
        Ok(Response::new(pb::PullResponse { events, cursor: after.encode(), caught_up }))
    }

    type TailStream = ReceiverStream<Result<pb::TailResponse, Status>>;

    async fn tail(&self, request: Request<pb::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        let mut cursor = match request.into_inner().cursor.as_str() {
            "" => self.head().await.map_err(internal)?,
            "start" => Cursor::start(self.epoch),
            text => self.cursor(text)?,
        };
        let (sender, receiver) = tokio::sync::mpsc::channel(256);
        let feed = self.clone();
        tokio::spawn(async move {
            while !sender.is_closed() && !feed.closed.is_cancelled() {
                match feed.page(cursor, 500, &[], Duration::from_secs(5)).await {
                    Ok(page) => {
                        cursor = page.after;
                        for event in page.events {
                            let response = pb::TailResponse { event: Some(event), cursor: cursor.encode() };
                            if sender.send(Ok(response)).await.is_err() {
                                return;
                            }
                        }
                    }
                    Err(error) => {
                        let _ = sender.send(Err(internal(error))).await; // the reader resumes from its last cursor
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_position(
        &self,
        request: Request<pb::GetPositionRequest>,
    ) -> Result<Response<pb::GetPositionResponse>, Status> {
        let text = request.into_inner().cursor;
        let head = self.head().await.map_err(internal)?;
        let (reachable, behind) = match self.cursor(&text) {
            Err(_) => (false, 0),
            Ok(cursor) => {
                let behind: i64 = sqlx::query_scalar(
                    "select count(*) from (select 1 from outbox
                      where (xid, seq) > ($1::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
                      limit 100000) e",
                )
                .bind(cursor.xid.to_string())
                .bind(cursor.seq)
                .fetch_one(&self.pool)
                .await
                .map_err(internal)?;
                (cursor <= head || behind == 0, behind)
            }
        };
        Ok(Response::new(pb::GetPositionResponse { head: head.encode(), reachable, behind }))
    }
}
