//! The same facts in several orders give the same rows.

use crate::script::SOURCES;
use crate::story::story;
use crate::world::{World, start_in};
use pesan_api::feed::v1::Event;
use sqlx::PgPool;

/// The events of one feed after the other, the feeds in the order given. Within a feed nothing changes places.
fn feed_by_feed(events: &[(usize, Event)], order: [usize; 4]) -> Vec<(usize, Event)> {
    order.iter().flat_map(|source| events.iter().filter(move |(of, _)| of == source).cloned()).collect()
}

/// The feeds take turns by a rule that looks random and is not: a linear congruential generator.
fn shuffled(events: &[(usize, Event)], mut seed: u64) -> Vec<(usize, Event)> {
    let mut feeds: Vec<std::collections::VecDeque<_>> =
        (0..SOURCES.len()).map(|source| events.iter().filter(|(of, _)| *of == source).cloned().collect()).collect();
    let mut mixed = Vec::new();
    while mixed.len() < events.len() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mixed.extend(feeds[(seed >> 33) as usize % SOURCES.len()].pop_front());
    }
    mixed
}

async fn world_of(pool: &PgPool, schema: &str, events: &[(usize, Event)]) -> World {
    let world = start_in(pool, schema).await;
    world.play_one_by_one(events).await;
    world
}

#[sqlx::test(migrations = false)]
async fn every_interleaving_gives_the_same_rows(pool: PgPool) {
    let events = story().events;
    let as_it_happened = world_of(&pool, "as_it_happened", &events).await;
    let expected = as_it_happened.rows().await;
    for (table, rows) in &expected {
        assert!(!rows.is_empty(), "{table} is not looked at");
    }
    for (schema, events) in [
        ("order_last", feed_by_feed(&events, [3, 2, 1, 0])),
        ("order_first", feed_by_feed(&events, [0, 1, 2, 3])),
        ("billing_between", feed_by_feed(&events, [2, 0, 3, 1])),
        ("shuffled_1", shuffled(&events, 1)),
        ("shuffled_2", shuffled(&events, 2)),
        ("shuffled_3", shuffled(&events, 3)),
    ] {
        let world = world_of(&pool, schema, &events).await;
        assert_eq!(world.rows().await, expected, "{schema}");
        assert_eq!(world.broken().await, [], "{schema}");
    }
    // And all feeds at once, in batches as large as they come.
    let at_once = start_in(&pool, "at_once").await;
    at_once.play(&events).await;
    assert_eq!(at_once.rows().await, expected);
}
