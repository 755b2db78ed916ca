//! What this service does with the facts of the other four: everything it holds is made of them.

use crate::ops;
use pesan_feed::{Event, Feed, Handle};
use pesan_host::Clock;
use sqlx::PgConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The services followed.
pub const SOURCES: [&str; 4] = ["order", "inventory", "fulfilment", "billing"];

/// Which feeds this replica saw the end of when it last looked. A replica that is not the one to read a feed now sees
/// nothing of it.
#[derive(Debug, Default)]
pub struct Lag([AtomicBool; SOURCES.len()]);

impl Lag {
    /// True when the last look at a feed found no further event.
    pub fn caught_up(&self, source: &str) -> bool {
        self.flag(source).is_some_and(|flag| flag.load(Ordering::Acquire))
    }

    /// All feeds are read again.
    pub fn reset(&self) {
        self.0.iter().for_each(|flag| flag.store(false, Ordering::Release));
    }

    fn set(&self, source: &str, caught_up: bool) {
        if let Some(flag) = self.flag(source) {
            flag.store(caught_up, Ordering::Release);
        }
    }

    fn flag(&self, source: &str) -> Option<&AtomicBool> {
        SOURCES.iter().position(|known| *known == source).and_then(|place| self.0.get(place))
    }
}

/// Follows one feed.
pub struct Follow {
    pub source: &'static str,
    pub clock: Clock,
    /// This service's own feed, which tells of rebuilds.
    pub feed: Feed,
    pub lag: Arc<Lag>,
}

impl Handle for Follow {
    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        ops::apply::apply(conn, self.source, events, self.clock.now()).await
    }

    fn applied(&self) {
        self.lag.set(self.source, false);
        self.feed.wake();
    }

    fn caught_up(&self) {
        self.lag.set(self.source, true);
    }
}
