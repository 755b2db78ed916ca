//! What billing does with the facts of others: goods that left are invoiced, goods that came back credited, what was
//! cancelled is let go, what stock cost is posted. A batch of events is one transaction.

use crate::{convert, ops};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as order;
use pesan_feed::{Event, Feed, Handle};
use pesan_host::Clock;
use prost::Name as _;
use sqlx::PgConnection;
use std::sync::Arc;
use tokio::sync::Notify;

/// What every follower needs.
#[derive(Clone)]
pub struct Follow {
    pub clock: Clock,
    /// Woken after each batch: it wrote events.
    pub feed: Feed,
    /// Woken after each batch: it may have left jobs for the provider.
    pub jobs: Arc<Notify>,
}

impl Follow {
    fn wake(&self) {
        self.feed.wake();
        self.jobs.notify_one();
    }
}

/// Follows fulfilment: goods issued and returns received.
pub struct OfFulfilment(pub Follow);

impl Handle for OfFulfilment {
    fn types(&self) -> Vec<String> {
        vec![fulfilment::GoodsIssued::full_name(), fulfilment::ReturnReceived::full_name()]
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let now = self.0.clock.now();
        // A return comes after the shipment it is of, so all shipments of a batch may go first.
        ops::invoice::invoice(conn, &convert::shipments(events)?, now).await?;
        ops::credit::credit(conn, &convert::receipts(events)?, now).await?;
        Ok(())
    }

    fn applied(&self) {
        self.0.wake();
    }
}

/// Follows the order service: orders and lines cancelled, orders rejected, credits granted.
pub struct OfOrder(pub Follow);

impl Handle for OfOrder {
    fn types(&self) -> Vec<String> {
        vec![
            order::OrderCancelled::full_name(),
            order::OrderRejected::full_name(),
            order::ReturnCredited::full_name(),
            order::GoodwillGranted::full_name(),
        ]
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let now = self.0.clock.now();
        ops::void::void(conn, &convert::gone(events)?, now).await?;
        ops::credit::credit(conn, &convert::granted(events)?, now).await?;
        Ok(())
    }

    fn applied(&self) {
        self.0.wake();
    }
}

/// Follows inventory: what issued and returned stock cost.
pub struct OfInventory(pub Follow);

impl Handle for OfInventory {
    fn types(&self) -> Vec<String> {
        vec![inventory::StockIssued::full_name(), inventory::StockReturned::full_name()]
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        ops::cost::post(conn, &convert::costs(events)?, self.0.clock.now()).await?;
        Ok(())
    }

    fn applied(&self) {
        self.0.wake();
    }
}
