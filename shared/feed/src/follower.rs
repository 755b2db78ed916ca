//! The follower of another service's feed.

use crate::Event;
use pesan_api::feed::v1 as pb;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::proof::v1::FollowerPosition;
use pesan_grpc::channel::{MAX_MESSAGE_BYTES, PeerChannel};
use sqlx::{PgConnection, PgPool};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

/// How long a replica has a feed to itself after it last said so.
const LEASE: Duration = Duration::from_secs(15);
/// Aggregates whose last version is remembered, to see gaps.
const REMEMBERED: usize = 200_000;

/// What a service does with the facts of another.
pub trait Handle: Send + Sync + 'static {
    /// Applies a batch in the caller's transaction, which is one of [`crate::begin`], in order. The journeys (correlation
    /// ids) of all events are locked already. Unknown types are to be passed over: they are facts this service does not care about. An error rolls the
    /// batch back, and it is tried again: only for what may go away by itself, or must stop the feed loudly.
    fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// The full names of the facts it wants, so that others are not even read; empty: all facts. Gaps in the versions
    /// of an aggregate are seen only by those who read all.
    fn types(&self) -> Vec<String> {
        Vec::new()
    }

    /// Called after the commit of a batch: to wake this service's own feed and workers.
    fn applied(&self) {}

    /// Called when the source had no further event: all it knew at this moment is applied here.
    fn caught_up(&self) {}
}

/// What bounds a follower.
#[derive(Clone, Copy, Debug)]
pub struct FollowerOptions {
    /// Most events of one transaction.
    pub max_events: i32,
    /// How long the source may keep a call open while it has no events.
    pub max_wait: Duration,
    /// False: the commit does not wait for the disk. Only for a service whose own facts nobody follows: a crash then
    /// takes back effect and cursor together, and they are done again.
    pub durable: bool,
}

impl Default for FollowerOptions {
    fn default() -> Self {
        Self { max_events: 500, max_wait: Duration::from_secs(10), durable: true }
    }
}

/// What one round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Applied so many events.
    Applied(usize),
    /// There were none.
    CaughtUp,
    /// Another replica reads this feed.
    NotMine,
}

/// Reads the feed of `source` and applies it. Any number of replicas may run one; a lease lets one of them read, and the
/// cursor's row decides if two believe they have it.
pub struct Follower<H> {
    source: &'static str,
    service: &'static str,
    client: FeedServiceClient<PeerChannel>,
    pool: PgPool,
    handler: H,
    types: Vec<String>,
    options: FollowerOptions,
    replica: Uuid,
    leased_until: Option<tokio::time::Instant>,
    /// The last version of aggregates, as of the cursor `seen_until`.
    seen: HashMap<Uuid, i64>,
    seen_until: String,
}

impl<H: Handle> Follower<H> {
    /// A follower of `source` for `service`, which reaches its own tables by `pool`.
    pub fn new(
        service: &'static str,
        source: &'static str,
        channel: PeerChannel,
        pool: PgPool,
        handler: H,
        options: FollowerOptions,
    ) -> Self {
        let client = FeedServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Self {
            source,
            service,
            client,
            pool,
            types: handler.types(),
            handler,
            options,
            replica: Uuid::now_v7(),
            leased_until: None,
            seen: HashMap::new(),
            seen_until: String::new(),
        }
    }

    /// Follows until `stop` is cancelled. Failures are logged once each and tried again, after a pause that grows to two
    /// seconds.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = Duration::from_millis(20);
        let mut failing = false;
        loop {
            let round = tokio::select! {
                () = stop.cancelled() => break,
                pulled = self.pull() => pulled,
            };
            // What was pulled is applied to the end, stop or not: the next start would only do it again.
            let round = match round {
                Ok(Some(page)) => self.apply(page).await,
                Ok(None) => Ok(Progress::NotMine),
                Err(error) => Err(error),
            };
            let wait = match round {
                Ok(Progress::Applied(_) | Progress::CaughtUp) => {
                    if failing {
                        tracing::info!(source = self.source, "following again");
                    }
                    failing = false;
                    pause = Duration::from_millis(20);
                    continue;
                }
                Ok(Progress::NotMine) => Duration::from_secs(1),
                Err(error) => {
                    if !failing {
                        tracing::warn!(
                            source = self.source,
                            error = format!("{error:#}"),
                            "following failed; trying again"
                        );
                    }
                    failing = true;
                    pause = (pause * 2).min(Duration::from_secs(2));
                    pause
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        // Let another replica go on at once.
        let release = sqlx::query("update feed_cursor set lease_until = null where source = $1 and lease_owner = $2")
            .bind(self.source)
            .bind(self.replica)
            .execute(&self.pool)
            .await;
        if let Err(error) = release {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }

    /// One round, for tests: pulls, waiting a little (a transaction elsewhere on the server may hide events for a moment),
    /// and applies.
    pub async fn run_once(&mut self) -> anyhow::Result<Progress> {
        let wait = std::mem::replace(&mut self.options.max_wait, Duration::from_secs(2));
        let pulled = self.pull().await;
        self.options.max_wait = wait;
        match pulled? {
            Some(page) => self.apply(page).await,
            None => Ok(Progress::NotMine),
        }
    }

    /// A page after the cursor; none while another replica has the lease.
    async fn pull(&mut self) -> anyhow::Result<Option<(String, pb::PullResponse)>> {
        let renew = self.leased_until.is_none_or(|until| until < tokio::time::Instant::now() + LEASE / 2);
        let cursor: Option<String> = if renew {
            let cursor = sqlx::query_scalar(
                "insert into feed_cursor (source, lease_owner, lease_until) values ($1, $2, now() + $3 * interval '1 second')
                 on conflict (source) do update set lease_owner = $2, lease_until = excluded.lease_until
                  where feed_cursor.lease_owner = $2 or feed_cursor.lease_until is null or feed_cursor.lease_until < now()
                 returning cursor",
            )
            .bind(self.source)
            .bind(self.replica)
            .bind(LEASE.as_secs_f64())
            .fetch_optional(&self.pool)
            .await?;
            self.leased_until = cursor.as_ref().map(|_| tokio::time::Instant::now() + LEASE);
            cursor
        } else {
            sqlx::query_scalar("select cursor from feed_cursor where source = $1")
                .bind(self.source)
                .fetch_optional(&self.pool)
                .await?
        };
        let Some(cursor) = cursor else { return Ok(None) };
        if cursor != self.seen_until {
            // Somebody else moved it: another replica, or a reset. What was seen here is not what comes before it.
            self.seen.clear();
            self.seen_until.clone_from(&cursor);
        }
        let request = pb::PullRequest {
            follower: self.service.to_owned(),
            cursor: cursor.clone(),
            max_events: self.options.max_events,
            max_wait_ms: i32::try_from(self.options.max_wait.min(LEASE / 3).as_millis())?,
            types: self.types.clone(),
        };
        let response = self.client.pull(request).await?.into_inner();
        Ok(Some((cursor, response)))
    }

    async fn apply(&mut self, (cursor, page): (String, pb::PullResponse)) -> anyhow::Result<Progress> {
        // A source of an older release sends facts of all types.
        let wanted = |event: &pb::Event| self.types.is_empty() || self.types.contains(&event.r#type);
        let mut events = Vec::with_capacity(page.events.len());
        for event in page.events.into_iter().filter(wanted) {
            events.push(Event::from_proto(event).ok_or_else(|| anyhow::anyhow!("an event cannot be read"))?);
        }
        if events.is_empty() {
            return self.pass_over(&cursor, page.cursor, page.caught_up).await;
        }
        self.check_versions(&events)?;

        let span = tracing::info_span!(
            "follow",
            otel.kind = "consumer",
            pesan.service = self.service,
            pesan.source = self.source,
            events = events.len()
        );
        // Each journey goes on in its own trace; the batch is linked to all it serves.
        let mut journeys: HashMap<String, (tracing::Span, String)> = HashMap::new();
        for event in &mut events {
            if event.traceparent.is_empty() {
                continue;
            }
            if !journeys.contains_key(&event.traceparent) {
                let (journey, own) = pesan_telemetry::step(&event.traceparent, || {
                    tracing::info_span!(
                        "apply",
                        otel.name = format!("{} follows {}", self.service, self.source),
                        otel.kind = "consumer",
                        pesan.service = self.service,
                        pesan.source = self.source
                    )
                });
                if !journey.is_none() && journeys.len() < 128 {
                    pesan_telemetry::link(&span, &event.traceparent);
                }
                journeys.insert(event.traceparent.clone(), (journey, own));
            }
            if let Some((_, own)) = journeys.get(&event.traceparent) {
                event.traceparent.clone_from(own);
            }
        }

        let applied = self.write(&cursor, &page.cursor, &events).instrument(span).await?;
        if !applied {
            self.leased_until = None;
            self.seen.clear();
            return Ok(Progress::NotMine);
        }
        if self.seen.len() > REMEMBERED {
            self.seen.clear();
        }
        self.seen.extend(events.iter().map(|event| (event.aggregate_id, event.version)));
        self.seen_until = page.cursor;
        self.handler.applied();
        Ok(Progress::Applied(events.len()))
    }

    /// Moves the cursor over events that this service does not want. The commit does not wait for the disk: at worst they
    /// are passed over again.
    async fn pass_over(&mut self, before: &str, after: String, caught_up: bool) -> anyhow::Result<Progress> {
        if after != before {
            let mut tx = crate::outbox::begin_lazily(&self.pool, []).await?;
            let is_mine = self.move_cursor(&mut tx, before, &after).await?;
            tx.commit().await?;
            if !is_mine {
                self.leased_until = None;
                self.seen.clear();
                return Ok(Progress::NotMine);
            }
            self.seen_until = after;
        }
        if caught_up {
            self.handler.caught_up();
        }
        Ok(Progress::CaughtUp)
    }

    /// False: another replica, or a reset, moved it meanwhile.
    async fn move_cursor(&self, conn: &mut PgConnection, before: &str, after: &str) -> sqlx::Result<bool> {
        let moved =
            sqlx::query("update feed_cursor set cursor = $3, moved_at = now() where source = $1 and cursor = $2")
                .bind(self.source)
                .bind(before)
                .bind(after)
                .execute(conn)
                .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Effect and cursor in one transaction. False: another replica moved the cursor meanwhile, and nothing was done.
    async fn write(&self, before: &str, after: &str, events: &[Event]) -> anyhow::Result<bool> {
        let journeys = events.iter().filter_map(|event| event.correlation_id);
        let mut tx = match self.options.durable {
            true => crate::begin(&self.pool, journeys).await?,
            false => crate::outbox::begin_lazily(&self.pool, journeys).await?,
        };
        if !self.move_cursor(&mut tx, before, after).await? {
            return Ok(false);
        }
        self.handler.apply(&mut tx, events).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Versions must go on where they stopped: a gap means that the feed lost an event, and is never passed over. Who
    /// does not read all facts sees at least that none comes twice or out of order.
    fn check_versions(&self, events: &[Event]) -> anyhow::Result<()> {
        let mut batch: HashMap<Uuid, i64> = HashMap::new();
        for event in events {
            let last = batch.get(&event.aggregate_id).or_else(|| self.seen.get(&event.aggregate_id));
            if let Some(last) = last {
                let goes_on = if self.types.is_empty() { event.version == last + 1 } else { event.version > *last };
                anyhow::ensure!(
                    goes_on,
                    "the feed of {} jumps from version {last} to {} of {}",
                    self.source,
                    event.version,
                    event.aggregate_id
                );
            }
            batch.insert(event.aggregate_id, event.version);
        }
        Ok(())
    }
}

/// The cursors this service keeps, for its proof.
pub async fn cursors(conn: &mut PgConnection) -> sqlx::Result<Vec<FollowerPosition>> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("select source, cursor from feed_cursor order by source").fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(source, cursor)| FollowerPosition { source, cursor }).collect())
}

/// Sends all followers of this service back to the first event, in the transaction that empties what they built.
pub async fn reset(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("update feed_cursor set cursor = ''").execute(conn).await?;
    Ok(())
}
