//! The feed of a service over gRPC.

use crate::Cursor;
use crate::page::Page;
use crate::tail::{self, Tail};
use pesan_api::feed::v1 as pb;
use pesan_api::feed::v1::feed_service_server::FeedService;
use pesan_grpc::{Violations, refuse};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

/// How long a reader who was told nothing yet does not learn that others' events were passed over.
const PASSED_OVER: Duration = Duration::from_millis(250);
/// Types that one reader may ask for.
const MOST_TYPES: usize = 100;

/// Serves the outbox of one service, and is what its own code wakes after a commit. Clones share the wake-up.
#[derive(Clone)]
pub struct Feed {
    pool: PgPool,
    epoch: Uuid,
    wake: Arc<Notify>,
    tail: watch::Receiver<Tail>,
    closed: CancellationToken,
}

impl Feed {
    /// Of the outbox that `pool` reaches.
    pub async fn new(pool: PgPool) -> sqlx::Result<Self> {
        let epoch = sqlx::query_scalar("select epoch from feed_epoch").fetch_one(&pool).await?;
        let (wake, closed) = (Arc::new(Notify::new()), CancellationToken::new());
        let tail = tail::keep(pool.clone(), epoch, wake.clone(), closed.clone());
        Ok(Self { pool, epoch, wake, tail, closed })
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
        let mut tail = self.tail.clone();
        loop {
            let kept = tail.borrow_and_update().page(cursor, usize::try_from(max).unwrap_or_default(), types);
            let is_late = Instant::now() >= deadline || self.closed.is_cancelled();
            let page = match kept {
                Some(page) if !page.events.is_empty() || !is_late => page,
                // What somebody else wrote since the last look is told, too, before it is said that there is nothing.
                _ => Page::read(&self.pool, cursor, max, types).await?,
            };
            if !page.events.is_empty() || is_late {
                return Ok(page);
            }
            if page.after != cursor {
                cursor = page.after;
                deadline = deadline.min(Instant::now() + PASSED_OVER);
            }
            if !page.caught_up {
                continue; // whatever was passed over need not be looked at again
            }
            tokio::select! {
                () = self.closed.cancelled() => {}
                Ok(()) = tail.changed() => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
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
            "" => tail::head(&self.pool, self.epoch).await.map_err(internal)?,
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
        let head = tail::head(&self.pool, self.epoch).await.map_err(internal)?;
        let (reachable, behind) = match self.cursor(&text) {
            Err(_) => (false, 0),
            Ok(cursor) => {
                let behind: i64 = sqlx::query_scalar(
                    "select count(*) from (select 1 from outbox
                      where (xid, seq) > ($1::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
                      limit 10000) e",
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
