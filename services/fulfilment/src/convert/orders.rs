//! What the order service's events say, in this service's words. They are facts: what cannot be read stops the follower.

use crate::fulfilment_order::{Address, Allocation, ConfirmedOrder, Wanted};
use crate::id::{LocationId, OrderId};
use anyhow::Context as _;
use pesan_api::order::v1 as pb;
use pesan_grpc::parse::from_timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

/// What holds for all fulfilment orders of a confirmed order, and what is allocated at first.
pub fn confirmed(event: pb::OrderConfirmed) -> anyhow::Result<(ConfirmedOrder, Vec<Allocation>)> {
    let straight_through = event.fulfilment_policy() == pb::FulfilmentPolicy::StraightThrough;
    let confirmed = ConfirmedOrder {
        order_id: OrderId(event.order_id.parse().context("order_id")?),
        order_number: event.number,
        straight_through,
        ship_to: event.ship_to.map(Address::from),
    };
    Ok((confirmed, allocations(event.allocations)?))
}

/// What is allocated of backordered lines now.
pub fn lines_ready(event: pb::OrderLinesReady) -> anyhow::Result<(OrderId, Vec<Allocation>)> {
    Ok((OrderId(event.order_id.parse().context("order_id")?), allocations(event.allocations)?))
}

/// What nobody needs to look for of an order.
pub fn stock_missing(event: pb::OrderStockMissing) -> anyhow::Result<(OrderId, Wanted)> {
    let mut missing = Wanted::new();
    for line in event.lines.iter().filter(|line| line.quantity > 0) {
        let location_id = LocationId(line.location_id.parse().context("location_id")?);
        *missing.entry((line.line_no, location_id)).or_default() += line.quantity;
    }
    Ok((OrderId(event.order_id.parse().context("order_id")?), missing))
}

/// What a change of a confirmed order means here.
pub struct Amended {
    pub order_id: OrderId,
    /// To be fulfilled now.
    pub allocations: Vec<Allocation>,
    /// Where what is handed over from now on goes, where that changes.
    pub ship_to: Option<Address>,
    /// When it may go, where that changes.
    pub not_before: Option<Option<OffsetDateTime>>,
}

/// A change; none before the promise, when there is nothing here yet.
pub fn amended(event: pb::OrderAmended) -> anyhow::Result<Option<Amended>> {
    if !event.promised {
        return Ok(None);
    }
    Ok(Some(Amended {
        order_id: OrderId(event.order_id.parse().context("order_id")?),
        allocations: allocations(event.allocations)?,
        ship_to: event.ship_to.map(Address::from),
        not_before: event.rescheduled.then(|| event.not_before.as_ref().and_then(from_timestamp)),
    }))
}

fn allocations(lines: Vec<pb::AllocatedLine>) -> anyhow::Result<Vec<Allocation>> {
    lines
        .into_iter()
        .map(|line| {
            let location_id = match line.location_id.as_str() {
                "" => Uuid::nil(),
                id => id.parse().context("location_id")?,
            };
            Ok(Allocation {
                line_no: line.line_no,
                sku: line.sku,
                location_id: LocationId(location_id),
                quantity: line.quantity,
                stocked: line.stocked,
            })
        })
        .collect()
}
