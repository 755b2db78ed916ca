//! What this service does with the facts of others: the order service's say what promises are settled or off,
//! fulfilment's what became of the goods.

use crate::ops::Inventory;
use crate::ops::expire::CaughtUp;
use crate::ops::follow_fulfilment::{self, GoodsFact, GoodsLine};
use crate::ops::follow_order::{self, CancelledLine, OrderFact};
use anyhow::Context as _;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::order::v1 as order;
use pesan_feed::{Event, Handle};
use prost::Name as _;
use sqlx::PgConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// Follows the order service.
pub struct FollowOrder {
    inventory: Inventory,
    caught_up: Arc<CaughtUp>,
    freed: AtomicBool,
}

impl FollowOrder {
    /// Tells `caught_up` whenever the feed was read to its end.
    pub fn new(inventory: Inventory, caught_up: Arc<CaughtUp>) -> Self {
        Self { inventory, caught_up, freed: AtomicBool::new(false) }
    }
}

impl Handle for FollowOrder {
    fn types(&self) -> Vec<String> {
        vec![
            order::OrderConfirmed::full_name(),
            order::OrderCancelled::full_name(),
            order::OrderAmended::full_name(),
            order::OrderChangeDropped::full_name(),
            order::OrderStockMissing::full_name(),
            order::OrderRejected::full_name(),
            order::PromiseReleased::full_name(),
        ]
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let mut facts = Vec::with_capacity(events.len());
        for event in events {
            if let Some((order_id, fact)) = order_fact(event).with_context(|| format!("event {}", event.event_id))? {
                facts.push((event, order_id, fact));
            }
        }
        if !facts.is_empty() {
            let freed = follow_order::apply(&self.inventory, conn, &facts).await?;
            self.freed.fetch_or(freed, Ordering::SeqCst);
        }
        Ok(())
    }

    fn applied(&self) {
        wake(&self.inventory, &self.freed);
    }

    fn caught_up(&self) {
        self.caught_up.note(&self.inventory.clock);
    }
}

/// Follows fulfilment.
pub struct FollowFulfilment {
    inventory: Inventory,
    freed: AtomicBool,
}

impl FollowFulfilment {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory, freed: AtomicBool::new(false) }
    }
}

impl Handle for FollowFulfilment {
    fn types(&self) -> Vec<String> {
        vec![
            fulfilment::GoodsIssued::full_name(),
            fulfilment::ShortPicked::full_name(),
            fulfilment::ReturnReceived::full_name(),
        ]
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let mut facts = Vec::with_capacity(events.len());
        for event in events {
            if let Some((order_id, fact)) = goods_fact(event).with_context(|| format!("event {}", event.event_id))? {
                facts.push((event, order_id, fact));
            }
        }
        if !facts.is_empty() {
            let freed = follow_fulfilment::apply(&self.inventory, conn, &facts).await?;
            self.freed.fetch_or(freed, Ordering::SeqCst);
        }
        Ok(())
    }

    fn applied(&self) {
        wake(&self.inventory, &self.freed);
    }
}

/// After the commit: readers of this service's feed look now, and the filler where stock may have come free.
fn wake(inventory: &Inventory, freed: &AtomicBool) {
    inventory.feed.wake();
    if freed.swap(false, Ordering::SeqCst) {
        inventory.filler.notify_one();
    }
}

/// None for facts that do not concern stock.
fn order_fact(event: &Event) -> anyhow::Result<Option<(Uuid, OrderFact)>> {
    if let Some(fact) = event.decode::<order::OrderConfirmed>()? {
        let allocation = |line: &order::AllocatedLine| Ok((line.line_no, id(&line.location_id)?, line.quantity));
        let allocations = fact.allocations.iter().map(allocation).collect::<anyhow::Result<_>>()?;
        let backordered = fact.backordered.iter().map(|line| (line.line_no, line.quantity)).collect();
        return Ok(Some((id(&fact.order_id)?, OrderFact::Confirmed { allocations, backordered })));
    }
    if let Some(fact) = event.decode::<order::OrderCancelled>()? {
        let line = |line: &order::CancelledLine| {
            let at = |at: &order::LocationQuantity| Ok((id(&at.location_id)?, at.quantity));
            let reserved = line.reserved.iter().map(at).collect::<anyhow::Result<_>>()?;
            Ok(CancelledLine { line_no: line.line_no, reserved, backordered: line.backordered })
        };
        let lines = fact.lines.iter().map(line).collect::<anyhow::Result<_>>()?;
        return Ok(Some((id(&fact.order_id)?, OrderFact::Cancelled { lines, whole: fact.whole })));
    }
    if let Some(fact) = event.decode::<order::OrderAmended>()? {
        // After the promise it takes what was reserved for it, and what it cancels is told apart.
        let amended = OrderFact::Amended { revision: fact.revision };
        return Ok(if fact.promised { None } else { Some((id(&fact.order_id)?, amended)) });
    }
    if let Some(fact) = event.decode::<order::OrderChangeDropped>()? {
        let dropped = OrderFact::ChangeDropped { revision: fact.revision, line_nos: fact.line_nos };
        return Ok(Some((id(&fact.order_id)?, dropped)));
    }
    if let Some(fact) = event.decode::<order::OrderStockMissing>()? {
        let withheld = fact.lines.iter().filter(|line| line.withheld > 0);
        let withheld = withheld.map(|line| Ok((line.line_no, id(&line.location_id)?, line.withheld)));
        let withheld: Vec<_> = withheld.collect::<anyhow::Result<_>>()?;
        // What fulfilment has is told by fulfilment.
        let given_up = (!withheld.is_empty()).then_some(OrderFact::StockMissing { withheld });
        return given_up.map(|given_up| Ok((id(&fact.order_id)?, given_up))).transpose();
    }
    if let Some(fact) = event.decode::<order::OrderRejected>()? {
        return Ok(Some((id(&fact.order_id)?, OrderFact::Rejected)));
    }
    // Its order never comes.
    if let Some(fact) = event.decode::<order::PromiseReleased>()? {
        return Ok(Some((id(&fact.order_id)?, OrderFact::Rejected)));
    }
    Ok(None)
}

/// None for facts that do not concern stock.
fn goods_fact(event: &Event) -> anyhow::Result<Option<(Uuid, GoodsFact)>> {
    if let Some(fact) = event.decode::<fulfilment::GoodsIssued>()? {
        let lines = shipment_lines(&fact.lines, &fact.location_id)?;
        let issued = GoodsFact::Issued { fulfilment_order_id: fact.fulfilment_order_id, lines };
        return Ok(Some((id(&fact.order_id)?, issued)));
    }
    if let Some(fact) = event.decode::<fulfilment::ShortPicked>()? {
        let lines = shipment_lines(&fact.lines, &fact.location_id)?;
        return Ok(Some((id(&fact.order_id)?, GoodsFact::ShortPicked { lines })));
    }
    // A receipt of nothing but goods that nobody announced has no lines: they are set aside, not stock.
    if let Some(fact) = event.decode::<fulfilment::ReturnReceived>()?.filter(|fact| !fact.lines.is_empty()) {
        let line = |line: fulfilment::ReturnReceivedLine| {
            Ok(GoodsLine {
                line_no: line.line_no,
                location_id: id(&line.location_id)?,
                sku: line.sku,
                stocked: line.stocked,
                quantity: line.sellable,
                damaged: line.damaged,
            })
        };
        let lines = fact.lines.into_iter().map(line).collect::<anyhow::Result<_>>()?;
        return Ok(Some((id(&fact.order_id)?, GoodsFact::Returned { return_id: fact.return_id, lines })));
    }
    Ok(None)
}

fn shipment_lines(lines: &[fulfilment::ShipmentLine], location_id: &str) -> anyhow::Result<Vec<GoodsLine>> {
    let location_id = id(location_id)?;
    let line = |line: &fulfilment::ShipmentLine| GoodsLine {
        line_no: line.line_no,
        sku: line.sku.clone(),
        location_id,
        stocked: line.stocked,
        quantity: line.quantity,
        damaged: 0,
    };
    Ok(lines.iter().map(line).collect())
}

fn id(text: &str) -> anyhow::Result<Uuid> {
    text.parse().with_context(|| format!("{text:?} is no id"))
}
