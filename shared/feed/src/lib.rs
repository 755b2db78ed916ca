//! Facts and how they travel: the outbox that a service writes in its own transactions, the feed that serves it, and the
//! follower that reads another service's feed, applies a batch and moves its cursor in one transaction. No broker;
//! nothing lost, nothing applied twice.
//!
//! Order is promised for the events of one aggregate, as long as every transaction that writes them first calls
//! [`lock`] with the aggregates' (or their journeys') ids: the lock is taken before the transaction gets an id of its
//! own, so of two transactions on one aggregate the one that commits first also has the smaller id.

mod cursor;
mod event;
mod follower;
mod outbox;
mod page;
mod server;
mod tail;

pub use cursor::Cursor;
pub use event::{Event, NewEvent};
pub use follower::{Follower, FollowerOptions, Handle, Progress, cursors, reset};
pub use outbox::{append, begin, check_contiguous, ensure_partitions, lock};
pub use server::Feed;

use sqlx::migrate::Migrator;
use std::borrow::Cow;

/// The outbox and cursor tables, for a service's schema.
pub fn migrator() -> Migrator {
    Migrator { table_name: Cow::Borrowed("_feed_migrations"), ..sqlx::migrate!() }
}
