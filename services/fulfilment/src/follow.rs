//! What this service does with the order service's facts.
//!
//! `OrderConfirmed` and `OrderLinesReady` become fulfilment orders, `ReturnApproved` an expected return,
//! `ReturnAmended` a receipt of what was set aside; `OrderStockMissing` says what nobody needs to look for. Of all other
//! facts of an order only the version counts: it tells how far the order is known. Cancellations need nothing here, because what
//! they cancel was withdrawn before, when the order service asked.

use crate::convert;
use crate::id::OrderId;
use crate::ops::{self, Amended, Approved, Asked, Missing};
use crate::store;
use pesan_api::order::v1::{
    OrderAccepted, OrderAmended, OrderConfirmed, OrderLinesReady, OrderStockMissing, ReturnAmended, ReturnApproved,
    ReturnHandling,
};
use pesan_feed::{Event, Feed, Handle};
use pesan_grpc::parse::from_timestamp;
use sqlx::PgConnection;
use std::collections::HashMap;

/// The source's name.
pub const ORDER: &str = "order";

/// Follows the order service.
pub struct OrderFacts {
    feed: Feed,
}

impl OrderFacts {
    /// Whose own facts go to `feed`.
    pub fn new(feed: Feed) -> Self {
        Self { feed }
    }
}

impl Handle for OrderFacts {
    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let mut versions = HashMap::new();
        let mut confirmed = Vec::new();
        let mut asked = Vec::new();
        let mut approved = Vec::new();
        let mut amended = Vec::new();
        let mut missing = Vec::new();
        let (mut addresses, mut dates) = (Vec::new(), Vec::new());
        for event in events {
            // Facts of customers belong to no journey, and nothing of an order that was only accepted can be here.
            if event.correlation_id == Some(event.aggregate_id) && !event.is::<OrderAccepted>() {
                versions.insert(OrderId(event.aggregate_id), event.version);
            }
            if let Some(fact) = event.decode::<OrderConfirmed>()? {
                let not_before = fact.not_before.as_ref().and_then(from_timestamp);
                let (order, allocations) = convert::confirmed(fact)?;
                asked.push(Asked { event, order_id: order.order_id, allocations });
                dates.extend(not_before.map(|date| (order.order_id, Some(date))));
                confirmed.push(order);
            } else if let Some(fact) = event.decode::<OrderAmended>()? {
                let Some(amended) = convert::amended(fact)? else { continue };
                let order_id = amended.order_id;
                dates.extend(amended.not_before.map(|date| (order_id, date)));
                if let Some(ship_to) = amended.ship_to {
                    match confirmed.iter_mut().find(|order| order.order_id == order_id) {
                        Some(order) => order.ship_to = Some(ship_to),
                        None => addresses.push((order_id, ship_to)),
                    }
                }
                asked.push(Asked { event, order_id, allocations: amended.allocations });
            } else if let Some(fact) = event.decode::<OrderLinesReady>()? {
                let (order_id, allocations) = convert::lines_ready(fact)?;
                asked.push(Asked { event, order_id, allocations });
            } else if let Some(fact) = event.decode::<OrderStockMissing>()? {
                let (order_id, quantities) = convert::stock_missing(fact)?;
                missing.push(Missing { event, order_id, quantities });
            } else if let Some(fact) = event.decode::<ReturnApproved>()? {
                let straight_through = fact.handling() == ReturnHandling::StraightThrough;
                approved.push(Approved { event, expected: convert::return_approved(event, fact)?, straight_through });
            } else if let Some(fact) = event.decode::<ReturnAmended>()? {
                let (return_id, order_id, amendments) = convert::return_amended(fact)?;
                amended.push(Amended { event, return_id, order_id, amendments });
            }
        }
        store::followed_order::advance(conn, &versions).await?;
        store::followed_order::readdress(conn, &addresses).await?;
        let mut facts = ops::fulfil(conn, &confirmed, asked).await?;
        facts.extend(ops::miss(conn, missing).await?);
        store::followed_order::reschedule(conn, &dates).await?;
        // After what left: what comes back in the same batch must find where it had left from.
        facts.extend(ops::expect_returns(conn, approved).await?);
        facts.extend(ops::amend_returns(conn, amended).await?);
        pesan_feed::append(conn, &facts).await?;
        Ok(())
    }

    fn applied(&self) {
        self.feed.wake();
    }
}
