//! What this service does with the facts of the other four: everything it holds is made of them.

use crate::lag::Lag;
use crate::ops;
use pesan_feed::{Event, Feed, Handle};
use pesan_host::Clock;
use sqlx::PgConnection;
use std::sync::Arc;

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
