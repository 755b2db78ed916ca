//! Everything can be thrown away and read again.

use crate::story::{JANUARY, MARCH, story};
use crate::world::{World, ask, start};
use pesan_api::analytics::v1 as pb;
use pesan_api::feed::v1::{PullRequest, TailRequest};
use prost::Message as _;
use sqlx::PgPool;

/// The next rebuild that is told of.
async fn rebuilt(world: &World, cursor: &str) -> (pb::Rebuilt, String) {
    let request = PullRequest { cursor: cursor.into(), max_wait_ms: 30_000, ..Default::default() };
    let page = world.feed.clone().pull(request).await.unwrap().into_inner();
    let event = page.events.first().expect("a rebuild");
    assert_eq!(event.r#type, "pesan.analytics.v1.Rebuilt");
    (pb::Rebuilt::decode(event.payload.clone()).unwrap(), page.cursor)
}

#[sqlx::test(migrations = false)]
async fn a_rebuild_gives_the_same_rows(pool: PgPool) {
    let world = start(&pool).await;
    let events = story().events;
    world.play(&events).await;
    let before = world.rows().await;
    // What does not come from the feeds does not survive.
    sqlx::raw_sql("update sales_slot set gross = 1; delete from journey_entry").execute(&world.pool).await.unwrap();
    assert_ne!(world.rows().await, before);

    world.analytics.clone().rebuild(pb::RebuildRequest {}).await.unwrap();
    let (first, cursor) = rebuilt(&world, "").await;
    assert_eq!(first.events, events.len() as i64);
    // Only how many events a rebuild had to wait for is new.
    sqlx::query("update feed_progress set target = 0").execute(&world.pool).await.unwrap();
    assert_eq!(world.rows().await, before);
    assert_eq!(world.broken().await, []);

    // Once more, and the followers still go on with what is new.
    world.analytics.clone().rebuild(pb::RebuildRequest {}).await.unwrap();
    rebuilt(&world, &cursor).await;
    let mut story = story();
    story.reject(4, JANUARY);
    world.play(&story.events[events.len()..]).await;
    assert_eq!(world.told(ask(&["orders"], JANUARY, MARCH)).await, ["2011-01-01 5"]);
    assert_eq!(world.broken().await, []);
}

#[sqlx::test(migrations = false)]
async fn with_nothing_read_a_rebuild_is_done_at_once(pool: PgPool) {
    let world = start(&pool).await;
    let mut tail = world.feed.clone().tail(TailRequest { cursor: "start".into() }).await.unwrap().into_inner();
    world.analytics.clone().rebuild(pb::RebuildRequest {}).await.unwrap();
    let event = tail.message().await.unwrap().unwrap().event.unwrap();
    assert_eq!(event.r#type, "pesan.analytics.v1.Rebuilt");
    assert_eq!(pb::Rebuilt::decode(event.payload).unwrap().events, 0);
}

#[sqlx::test(migrations = false)]
async fn the_lag_tells_of_every_feed(pool: PgPool) {
    let world = start(&pool).await;
    let events = story().events;
    world.play(&events).await;
    for feed in &world.feeds {
        feed.idle().await;
    }
    let lag = world.analytics.clone().get_lag(pb::GetLagRequest {}).await.unwrap().into_inner();
    let feeds: Vec<_> = lag.feeds.iter().map(|feed| (feed.source.as_str(), feed.cursor.clone())).collect();
    let count = |source: usize| events.iter().filter(|(of, _)| *of == source).count().to_string();
    let expected = [("order", count(0)), ("inventory", count(1)), ("fulfilment", count(2)), ("billing", count(3))];
    assert_eq!(feeds, expected);
    assert!(lag.feeds.iter().all(|feed| feed.caught_up));
    // And again after a rebuild.
    world.analytics.clone().rebuild(pb::RebuildRequest {}).await.unwrap();
    rebuilt(&world, "").await;
    world.feeds[0].idle().await;
    let lag = world.analytics.clone().get_lag(pb::GetLagRequest {}).await.unwrap().into_inner();
    assert!(lag.feeds[0].caught_up && lag.feeds[0].cursor == count(0));
}
