//! Ten thousand random histories through the whole suite, and a model that says what must come of each.

use e2e::Suite;
use e2e::histories::Course;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::{Duration, Instant};

/// `PESAN_SEED` and `PESAN_HISTORIES` try others.
const SEED: u64 = 1_000_000;
const HISTORIES: u64 = 10_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Goes as fast as the machine's, and can be turned forward besides: workers that wait for a time must go on.
fn running_clock() -> Clock {
    let clock = Clock::manual(Clock::System.now());
    let turned = clock.clone();
    tokio::spawn(async move {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let now = Instant::now();
            turned.advance(now - last);
            last = now;
        }
    });
    clock
}

#[sqlx::test(migrations = false)]
async fn any_history_ends_as_the_model_says(pool: PgPool) {
    let (seed, count) = (setting("PESAN_SEED", SEED), setting("PESAN_HISTORIES", HISTORIES));
    let started = Instant::now();
    let clock = running_clock();
    let suite = Suite::start_with_clock(&pool, clock.clone()).await.unwrap();
    let course = Course::prepare(&suite, clock, seed, usize::try_from(count).unwrap()).await.unwrap();
    println!("prepared in {:?}", started.elapsed());
    let steps = course.run().await.unwrap_or_else(|error| panic!("{error}"));
    println!("{count} histories, {steps} steps, {:?}", started.elapsed());
    suite.end().await.unwrap();
}
