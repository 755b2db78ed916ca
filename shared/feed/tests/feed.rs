//! The outbox, the feed and the follower on a real Postgres and real gRPC.
#![allow(clippy::unwrap_used)]

use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::feed::v1::feed_service_server::FeedServiceServer;
use pesan_api::feed::v1::{GetPositionRequest, PullRequest, PullResponse, TailRequest};
use pesan_api::order::v1::{OrderCancelled, OrderRejected};
use pesan_feed::{Event, Feed, Follower, FollowerOptions, Handle, NewEvent, Progress};
use prost::Name as _;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use uuid::Uuid;

fn event(aggregate: Uuid, version: i64) -> NewEvent {
    let fact = OrderCancelled { reason: format!("{version}"), ..Default::default() };
    NewEvent::new(aggregate, version, &fact, OffsetDateTime::UNIX_EPOCH).of_journey(aggregate)
}

/// Serves the feed of `pool` on a free port.
async fn serve(pool: &PgPool) -> (Feed, String) {
    pesan_feed::migrator().run(pool).await.unwrap();
    let feed = Feed::new(pool.clone()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = FeedServiceServer::new(feed.clone());
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
    );
    (feed, endpoint)
}

async fn pull(endpoint: &str, cursor: &str, max_events: i32) -> PullResponse {
    let mut client = FeedServiceClient::connect(endpoint.to_owned()).await.unwrap();
    let request = PullRequest { follower: "test".into(), cursor: cursor.into(), max_events, ..Default::default() };
    client.pull(request).await.unwrap().into_inner()
}

/// Everything up to `count` events: a transaction of another test on the same server may hide the newest for a moment.
async fn pull_all(
    endpoint: &str,
    mut cursor: String,
    page: i32,
    count: usize,
) -> (Vec<pesan_api::feed::v1::Event>, String) {
    let mut client = FeedServiceClient::connect(endpoint.to_owned()).await.unwrap();
    let mut events = Vec::new();
    while events.len() < count {
        let request =
            PullRequest { follower: "test".into(), cursor, max_events: page, max_wait_ms: 10_000, types: vec![] };
        let answer = client.pull(request).await.unwrap().into_inner();
        assert!(!answer.events.is_empty(), "{} of {count} events came", events.len());
        cursor = answer.cursor;
        events.extend(answer.events);
    }
    (events, cursor)
}

#[sqlx::test(migrations = false)]
async fn what_commits_late_is_not_lost(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    let (early, late) = (Uuid::now_v7(), Uuid::now_v7());
    let mut slow = pool.begin().await.unwrap();
    pesan_feed::append(&mut slow, &[event(late, 1)]).await.unwrap();
    let mut quick = pool.begin().await.unwrap();
    pesan_feed::append(&mut quick, &[event(early, 1)]).await.unwrap();
    quick.commit().await.unwrap();

    let before = pull(&endpoint, "", 0).await;
    slow.commit().await.unwrap();
    let (after, _) = pull_all(&endpoint, before.cursor, 0, 2 - before.events.len()).await;

    let seen: Vec<_> = before.events.iter().chain(&after).map(|e| e.aggregate_id.clone()).collect();
    assert_eq!(seen, [late.to_string(), early.to_string()], "in the order of transactions, each once");
}

/// Transaction ids are numbers: 1000 comes after 999, whatever their texts say.
#[sqlx::test(migrations = false)]
async fn transactions_come_in_the_order_of_their_numbers(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    let id = Uuid::now_v7();
    let mut conn = pool.acquire().await.unwrap();
    for (version, xid) in [(1, "9"), (2, "10"), (3, "99"), (4, "100")] {
        pesan_feed::append(&mut conn, &[event(id, version)]).await.unwrap();
        sqlx::query("update outbox set xid = $1::text::xid8 where aggregate_id = $2 and version = $3")
            .bind(xid)
            .bind(id)
            .bind(version)
            .execute(&mut *conn)
            .await
            .unwrap();
    }
    let (events, cursor) = pull_all(&endpoint, String::new(), 3, 4).await;
    assert!(events.iter().map(|event| event.version).eq([1, 2, 3, 4]));
    let mut client = FeedServiceClient::connect(endpoint).await.unwrap();
    let position = client.get_position(GetPositionRequest { cursor: cursor.clone() }).await.unwrap().into_inner();
    assert_eq!((position.head, position.behind), (cursor, 0));
}

#[sqlx::test(migrations = false)]
async fn events_of_one_aggregate_come_in_order_however_many_write(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    sqlx::raw_sql("create table counter (id uuid primary key, version bigint not null)").execute(&pool).await.unwrap();
    let ids: Vec<Uuid> = (0..5).map(|_| Uuid::now_v7()).collect();
    sqlx::query("insert into counter select id, 0 from unnest($1::uuid[]) id").bind(&ids).execute(&pool).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|i| {
            let (pool, ids) = (pool.clone(), ids.clone());
            tokio::spawn(async move {
                for round in 0..20 {
                    // Different pairs in different orders: locks are taken in one order all the same.
                    let pair = [ids[(i + round) % 5], ids[(i * 2 + round + 1) % 5]];
                    let mut tx = pool.begin().await.unwrap();
                    pesan_feed::lock(&mut tx, pair).await.unwrap();
                    let mut events = Vec::new();
                    for id in pair {
                        let version: i64 = sqlx::query_scalar(
                            "update counter set version = version + 1 where id = $1 returning version",
                        )
                        .bind(id)
                        .fetch_one(&mut *tx)
                        .await
                        .unwrap();
                        events.push(event(id, version));
                    }
                    pesan_feed::append(&mut tx, &events).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut conn = pool.acquire().await.unwrap();
    let proof = pesan_feed::check_contiguous(&mut conn).await.unwrap();
    assert_eq!((proof.rows_checked, proof.violations), (320, vec![]));

    // Pages of any size give the same events in the same order.
    let (whole, _) = pull_all(&endpoint, String::new(), 5000, 320).await;
    let (paged, _) = pull_all(&endpoint, String::new(), 7, 320).await;
    assert_eq!(paged, whole);
}

#[sqlx::test(migrations = false)]
async fn a_gap_or_a_swap_in_the_outbox_is_found(pool: PgPool) {
    pesan_feed::migrator().run(&pool).await.unwrap();
    let (gap, swap, good) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let mut conn = pool.acquire().await.unwrap();
    let events = [event(gap, 1), event(gap, 3), event(swap, 2), event(swap, 1), event(good, 1), event(good, 2)];
    pesan_feed::append(&mut conn, &events).await.unwrap();
    let proof = pesan_feed::check_contiguous(&mut conn).await.unwrap();
    let mut found: Vec<_> = proof.violations.into_iter().map(|v| v.id).collect();
    found.sort();
    let mut expected = [gap.to_string(), swap.to_string()];
    expected.sort();
    assert_eq!(found, expected);
}

/// Counts events into a table, and fails once when told to.
struct Count {
    types: Vec<String>,
    fail: std::sync::atomic::AtomicBool,
}

impl Handle for Count {
    fn types(&self) -> Vec<String> {
        self.types.clone()
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        for event in events {
            assert!(event.decode::<OrderCancelled>()?.is_some());
            sqlx::query("insert into seen values ($1, $2)")
                .bind(event.aggregate_id)
                .bind(event.version)
                .execute(&mut *conn)
                .await?;
        }
        anyhow::ensure!(!self.fail.swap(false, std::sync::atomic::Ordering::SeqCst), "told to fail");
        Ok(())
    }
}

async fn follower(pool: &PgPool, endpoint: &str, fail: bool) -> Follower<Count> {
    let channel = pesan_grpc::channel::lazy(endpoint, Duration::from_secs(5)).unwrap();
    let options = FollowerOptions { max_events: 3, ..FollowerOptions::default() };
    Follower::new("billing", "order", channel, pool.clone(), Count { types: Vec::new(), fail: fail.into() }, options)
}

async fn seen(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("select version from seen order by version").fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn a_batch_is_applied_once_whatever_fails(pool: PgPool) {
    let (feed, endpoint) = serve(&pool).await;
    sqlx::raw_sql("create table seen (id uuid, version bigint, primary key (id, version))")
        .execute(&pool)
        .await
        .unwrap();
    let id = Uuid::now_v7();
    let mut conn = pool.acquire().await.unwrap();
    pesan_feed::append(&mut conn, &(1..=7).map(|v| event(id, v)).collect::<Vec<_>>()).await.unwrap();
    feed.wake();

    let mut first = follower(&pool, &endpoint, true).await;
    assert!(first.run_once().await.is_err());
    assert_eq!(seen(&pool).await, [] as [i64; 0], "rolled back with the cursor");
    assert_eq!(first.run_once().await.unwrap(), Progress::Applied(3));
    assert_eq!(first.run_once().await.unwrap(), Progress::Applied(3));

    // Another replica has no business here until the lease is over; it goes on from the same cursor.
    let mut second = follower(&pool, &endpoint, false).await;
    assert_eq!(second.run_once().await.unwrap(), Progress::NotMine);
    sqlx::raw_sql("update feed_cursor set lease_until = now() - interval '1 second'").execute(&pool).await.unwrap();
    assert_eq!(second.run_once().await.unwrap(), Progress::Applied(1));
    assert_eq!(second.run_once().await.unwrap(), Progress::CaughtUp);
    assert_eq!(seen(&pool).await, [1, 2, 3, 4, 5, 6, 7]);
}

#[sqlx::test(migrations = false)]
async fn a_follower_goes_on_where_another_or_a_reset_left_the_cursor(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    sqlx::raw_sql("create table seen (id uuid, version bigint)").execute(&pool).await.unwrap();
    let id = Uuid::now_v7();
    let mut conn = pool.acquire().await.unwrap();
    pesan_feed::append(&mut conn, &(1..=9).map(|v| event(id, v)).collect::<Vec<_>>()).await.unwrap();

    let mut first = follower(&pool, &endpoint, false).await;
    let mut second = follower(&pool, &endpoint, false).await;
    assert_eq!(first.run_once().await.unwrap(), Progress::Applied(3));
    sqlx::raw_sql("update feed_cursor set lease_until = now() - interval '1 second'").execute(&pool).await.unwrap();
    assert_eq!(second.run_once().await.unwrap(), Progress::Applied(3));
    sqlx::raw_sql("update feed_cursor set lease_until = null").execute(&pool).await.unwrap();
    assert_eq!(first.run_once().await.unwrap(), Progress::Applied(3), "4 to 6 were another's");
    assert_eq!(seen(&pool).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);

    pesan_feed::reset(&mut conn).await.unwrap();
    assert_eq!(first.run_once().await.unwrap(), Progress::Applied(3), "1 comes after 9");
}

/// Every third event is of another kind.
fn mixed(id: Uuid, versions: std::ops::RangeInclusive<i64>) -> Vec<NewEvent> {
    let other = |v| NewEvent::new(id, v, &OrderRejected::default(), OffsetDateTime::UNIX_EPOCH).of_journey(id);
    versions.map(|v| if v % 3 == 0 { event(id, v) } else { other(v) }).collect()
}

#[sqlx::test(migrations = false)]
async fn a_reader_of_some_types_gets_those_alone_and_misses_none(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    let (id, late) = (Uuid::now_v7(), Uuid::now_v7());
    let mut conn = pool.acquire().await.unwrap();
    pesan_feed::append(&mut conn, &mixed(id, 1..=20)).await.unwrap();
    let mut slow = pool.begin().await.unwrap();
    pesan_feed::append(&mut slow, &[event(late, 1)]).await.unwrap();
    pesan_feed::append(&mut conn, &mixed(id, 21..=40)).await.unwrap();

    let mut client = FeedServiceClient::connect(endpoint).await.unwrap();
    let types = vec![OrderCancelled::full_name()];
    let mut request =
        PullRequest { follower: "test".into(), max_events: 4, max_wait_ms: 10_000, types, ..Default::default() };
    let mut versions = Vec::new();
    while versions.len() < 6 {
        let page = client.pull(request.clone()).await.unwrap().into_inner();
        versions.extend(page.events.iter().map(|event| event.version));
        request.cursor = page.cursor;
    }
    assert_eq!(versions, [3, 6, 9, 12, 15, 18], "what comes after a transaction that is open stays hidden");

    request.max_wait_ms = 0;
    let nothing = client.pull(request.clone()).await.unwrap().into_inner();
    assert!(nothing.events.is_empty());
    request.cursor = nothing.cursor;
    slow.commit().await.unwrap();
    request.max_wait_ms = 10_000;
    let mut seen = Vec::new();
    while seen.len() < 8 {
        let page = client.pull(request.clone()).await.unwrap().into_inner();
        seen.extend(page.events.iter().map(|event| event.version));
        request.cursor = page.cursor;
    }
    assert_eq!(seen, [1, 21, 24, 27, 30, 33, 36, 39]);
    request.max_wait_ms = 0;
    let end = client.pull(request).await.unwrap().into_inner();
    let position = client.get_position(GetPositionRequest { cursor: end.cursor.clone() }).await.unwrap().into_inner();
    assert_eq!((position.head, position.behind), (end.cursor, 0), "version 40 was passed over");
}

#[sqlx::test(migrations = false)]
async fn a_follower_of_some_types_keeps_its_place_where_nothing_concerns_it(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    sqlx::raw_sql("create table seen (id uuid, version bigint, primary key (id, version))")
        .execute(&pool)
        .await
        .unwrap();
    let id = Uuid::now_v7();
    let mut conn = pool.acquire().await.unwrap();
    pesan_feed::append(&mut conn, &mixed(id, 1..=8)).await.unwrap();
    let types = vec![OrderCancelled::full_name()];
    let channel = pesan_grpc::channel::lazy(&endpoint, Duration::from_secs(5)).unwrap();
    let handler = Count { types, fail: false.into() };
    let options = FollowerOptions { max_events: 100, ..FollowerOptions::default() };
    let mut follower = Follower::new("billing", "order", channel, pool.clone(), handler, options);
    assert_eq!(follower.run_once().await.unwrap(), Progress::Applied(2));
    pesan_feed::append(&mut conn, &mixed(id, 10..=11)).await.unwrap();
    assert_eq!(follower.run_once().await.unwrap(), Progress::CaughtUp);
    let cursors = pesan_feed::cursors(&mut conn).await.unwrap();
    let mut client = FeedServiceClient::connect(endpoint).await.unwrap();
    let cursor = cursors[0].cursor.clone();
    let position = client.get_position(GetPositionRequest { cursor }).await.unwrap().into_inner();
    assert_eq!((position.reachable, position.behind), (true, 0));
    pesan_feed::append(&mut conn, &mixed(id, 12..=12)).await.unwrap();
    assert_eq!(follower.run_once().await.unwrap(), Progress::Applied(1));
    assert_eq!(seen(&pool).await, [3, 6, 12]);
}

#[sqlx::test(migrations = false)]
async fn a_lost_event_stops_the_follower(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    sqlx::raw_sql("create table seen (id uuid, version bigint, primary key (id, version))")
        .execute(&pool)
        .await
        .unwrap();
    let id = Uuid::now_v7();
    let mut conn = pool.acquire().await.unwrap();
    pesan_feed::append(&mut conn, &[event(id, 1), event(id, 3)]).await.unwrap();
    let error = follower(&pool, &endpoint, false).await.run_once().await.unwrap_err();
    assert!(error.to_string().contains("jumps from version 1 to 3"), "{error}");
    assert_eq!(seen(&pool).await, [] as [i64; 0]);
}

#[sqlx::test(migrations = false)]
async fn positions_tell_what_is_reachable_and_how_far_behind(pool: PgPool) {
    let (_, endpoint) = serve(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let id = Uuid::now_v7();
    pesan_feed::append(&mut conn, &[event(id, 1), event(id, 2), event(id, 3)]).await.unwrap();
    pull_all(&endpoint, String::new(), 0, 3).await;
    let (_, one) = pull_all(&endpoint, String::new(), 1, 1).await;
    let mut client = FeedServiceClient::connect(endpoint.clone()).await.unwrap();
    let position = client.get_position(GetPositionRequest { cursor: one.clone() }).await.unwrap().into_inner();
    assert!(position.reachable);
    assert_eq!(position.behind, 2);

    sqlx::raw_sql("update feed_epoch set epoch = gen_random_uuid()").execute(&pool).await.unwrap();
    let (_, restored) = {
        let feed = Feed::new(pool.clone()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = FeedServiceServer::new(feed.clone());
        tokio::spawn(
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
        );
        (feed, endpoint)
    };
    let mut client = FeedServiceClient::connect(restored).await.unwrap();
    let position = client.get_position(GetPositionRequest { cursor: one.clone() }).await.unwrap().into_inner();
    assert!(!position.reachable);
    let refused = client.pull(PullRequest { cursor: one, ..Default::default() }).await.unwrap_err();
    assert_eq!(pesan_grpc::refuse::reason(&refused), "CURSOR_UNREACHABLE");
    let nonsense = PullRequest { cursor: "nonsense".into(), max_events: -1, ..Default::default() };
    assert_eq!(client.pull(nonsense).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn tail_gives_what_happens_from_now_on(pool: PgPool) {
    let (feed, endpoint) = serve(&pool).await;
    let mut conn = pool.acquire().await.unwrap();
    let id = Uuid::now_v7();
    pesan_feed::append(&mut conn, &[event(id, 1)]).await.unwrap();
    pull_all(&endpoint, String::new(), 0, 1).await;
    let mut client = FeedServiceClient::connect(endpoint).await.unwrap();
    let mut tail = client.tail(TailRequest::default()).await.unwrap().into_inner();
    let mut all = client.tail(TailRequest { cursor: "start".into() }).await.unwrap().into_inner();
    pesan_feed::append(&mut conn, &[event(id, 2)]).await.unwrap();
    feed.wake();
    assert_eq!(tail.message().await.unwrap().unwrap().event.unwrap().version, 2);
    assert_eq!(all.message().await.unwrap().unwrap().event.unwrap().version, 1);
    assert_eq!(all.message().await.unwrap().unwrap().event.unwrap().version, 2);
}

#[sqlx::test(migrations = false)]
async fn the_outbox_never_runs_out_of_room(pool: PgPool) {
    pesan_feed::migrator().run(&pool).await.unwrap();
    let mut conn = pool.acquire().await.unwrap();
    sqlx::raw_sql("select setval('outbox_seq', 29999998)").execute(&mut *conn).await.unwrap();
    let id = Uuid::now_v7();
    assert!(pesan_feed::append(&mut conn, &[event(id, 1)]).await.is_err(), "no partition yet");
    pesan_feed::ensure_partitions(&mut conn).await.unwrap();
    pesan_feed::append(&mut conn, &(1..5).map(|v| event(id, v)).collect::<Vec<_>>()).await.unwrap();
    pesan_feed::ensure_partitions(&mut conn).await.unwrap();
}
