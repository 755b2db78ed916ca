//! The outbox: every SQL statement about it but the reading, which is the server's.

use crate::NewEvent;
use pesan_api::proof::v1::{InvariantResult, Violation};
use sqlx::{PgConnection, PgPool, Postgres, Row as _, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// Events of one partition of the outbox.
const PARTITION: i64 = 10_000_000;

/// What every transaction that writes plans by.
///
/// Tables start small and grow fast, and a plan made while they were small would read them whole, for as long as it is
/// kept: here every statement finds its rows by index. Its plan then does not depend on what is asked for, and is made
/// once for a connection.
const PLAN_BY_INDEX: &str = "set local enable_seqscan = off; set local enable_hashjoin = off;
    set local enable_mergejoin = off; set local jit = off; set local plan_cache_mode = force_generic_plan";

/// Begins a transaction that writes, with these aggregates (or the journeys they belong to) locked as by [`lock`]: all in
/// one round trip.
pub async fn begin(pool: &PgPool, ids: impl IntoIterator<Item = Uuid>) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_with(pool, PLAN_BY_INDEX, places(ids)).await
}

/// The same, but the commit does not wait for the disk.
pub(crate) async fn begin_lazily(
    pool: &PgPool,
    ids: impl IntoIterator<Item = Uuid>,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    begin_with(pool, &format!("{PLAN_BY_INDEX}; set local synchronous_commit = off"), places(ids)).await
}

async fn begin_with(pool: &PgPool, settings: &str, places: Vec<i32>) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut statement = format!("begin; {settings}");
    if !places.is_empty() {
        let places: Vec<String> = places.iter().map(i32::to_string).collect();
        // Numbers only: nothing of a caller's gets into the statement.
        statement += &format!("; {}", LOCK.replace("$1", &format!("'{{{}}}'", places.join(","))));
    }
    pool.begin_with(sqlx::AssertSqlSafe(statement)).await
}

/// The first key keeps services apart that share a database.
const LOCK: &str = "select pg_advisory_xact_lock(hashtext(current_schema()), place)
                      from (select place from unnest($1::int4[]) place order by place) places";

/// Locks aggregates (or the journeys they belong to) until the transaction ends. Must be the transaction's first
/// statement when it writes events of aggregates that others may write to as well; fresh ones need no lock.
///
/// An advisory lock, because a row lock would give the transaction its id before it waits, and events of one aggregate
/// could then appear in the wrong order. Hashed to 1,024 places, so that a batch of any size fits the lock table.
pub async fn lock(conn: &mut PgConnection, ids: impl IntoIterator<Item = Uuid>) -> sqlx::Result<()> {
    let places = places(ids);
    if !places.is_empty() {
        sqlx::query(LOCK).bind(places).execute(conn).await?;
    }
    Ok(())
}

fn places(ids: impl IntoIterator<Item = Uuid>) -> Vec<i32> {
    let mut places: Vec<i32> = ids.into_iter().map(place).collect();
    places.sort_unstable();
    places.dedup();
    places
}

fn place(id: Uuid) -> i32 {
    // The low bits of a UUIDv7 (and v4) are random. 1,023 is far below i32::MAX.
    (id.as_u128() & 1023) as i32
}

/// Writes events in the caller's transaction, in the order given. Call [`crate::Feed::wake`] after the commit.
pub async fn append(conn: &mut PgConnection, events: &[NewEvent]) -> sqlx::Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let current = pesan_telemetry::current_traceparent();
    let n = events.len();
    let mut event_ids = Vec::with_capacity(n);
    let mut aggregate_ids = Vec::with_capacity(n);
    let mut versions = Vec::with_capacity(n);
    let mut kinds: Vec<&str> = Vec::with_capacity(n);
    let mut payloads: Vec<&[u8]> = Vec::with_capacity(n);
    let mut correlation_ids: Vec<Option<Uuid>> = Vec::with_capacity(n);
    let mut traceparents: Vec<Option<&str>> = Vec::with_capacity(n);
    let mut effective_ats: Vec<OffsetDateTime> = Vec::with_capacity(n);
    for event in events {
        event_ids.push(Uuid::now_v7());
        aggregate_ids.push(event.aggregate_id);
        versions.push(event.version);
        kinds.push(&event.kind);
        payloads.push(&event.payload);
        correlation_ids.push(event.correlation_id);
        traceparents.push(event.traceparent.as_deref().or(current.as_deref()));
        effective_ats.push(event.effective_at);
    }
    sqlx::query(
        "insert into outbox (event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at)
         select event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at
           from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::text[], $5::bytea[], $6::uuid[], $7::text[], $8::timestamptz[])
                with ordinality
                as e (event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at, place)
          order by place",
    )
    .bind(&event_ids)
    .bind(&aggregate_ids)
    .bind(&versions)
    .bind(&kinds)
    .bind(&payloads)
    .bind(&correlation_ids)
    .bind(&traceparents)
    .bind(&effective_ats)
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes sure that there is room for the next ten million events and more. Called at start and now and then.
pub async fn ensure_partitions(conn: &mut PgConnection) -> sqlx::Result<()> {
    let (last, made): (i64, Vec<i64>) = sqlx::query_as(
        "select (select last_value from outbox_seq),
                array(select substring(inhrelid::regclass::text from 'outbox_([0-9]+)$')::bigint
                        from pg_inherits where inhparent = 'outbox'::regclass)",
    )
    .fetch_one(&mut *conn)
    .await?;
    for number in (last / PARTITION..=last / PARTITION + 2).filter(|number| !made.contains(number)) {
        // Numbers only: nothing of a caller's gets into the statement. Another replica may have made it just now.
        let statement = format!(
            "create table if not exists outbox_{number} partition of outbox for values from ({}) to ({})",
            number * PARTITION,
            (number + 1) * PARTITION
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Proves that the versions of every aggregate's events are 1, 2, 3, … in the order of the feed.
pub async fn check_contiguous(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows_checked: i64 = sqlx::query_scalar("select count(*) from outbox").fetch_one(&mut *conn).await?;
    let rows = sqlx::query(
        "select aggregate_id::text, count(*) as events, min(version) as lowest, max(version) as highest,
                bool_and(version = place) as in_order
           from (select aggregate_id, version,
                        row_number() over (partition by aggregate_id order by xid, seq) as place
                   from outbox) e
          group by aggregate_id
         having not bool_and(version = place)
          limit 100",
    )
    .fetch_all(conn)
    .await?;
    let violations = rows
        .into_iter()
        .map(|row| {
            let (events, lowest, highest): (i64, i64, i64) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            let what =
                format!("{events} events with versions {lowest} to {highest} that are not 1 to {events} in order");
            Ok(Violation { id: row.try_get(0)?, what })
        })
        .collect::<sqlx::Result<_>>()?;
    Ok(InvariantResult { name: "events_contiguous".into(), rows_checked, violations })
}
