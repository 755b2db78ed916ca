//! The last step of a change: everybody has agreed, and now the order says what it is.

use super::Changer;
use super::ask::promise_of;
use super::commit::{Next, order_of};
use crate::convert;
use crate::convert::change::CommitChange;
use crate::delivery::ReadyPart;
use crate::error::Error;
use crate::line::{Line, LinePromise};
use crate::ops::handover::{self, offer};
use crate::ops::{answer, whole_order};
use crate::order::Order;
use crate::passed::Passed;
use crate::quantities::Quantities;
use crate::store;
use crate::store::change::{Mark, Underway};
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use sqlx::{Postgres, Transaction};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

impl Changer {
    pub(super) async fn apply(
        &self,
        mut tx: Transaction<'static, Postgres>,
        command: &CommitChange,
        order: Order,
        change: Underway,
    ) -> Result<Next, Error> {
        let (order_id, now) = (order.head.order_id, self.books.clock.now());
        let course = &change.course;
        let amendment = &course.amendment;
        let promise = match &change.reserved {
            Some(reserved) => Some(promise_of(reserved, amendment)?),
            None => None,
        };
        let promised = promise.as_ref().map_or(&[][..], |promise| promise.lines.as_slice());

        // What would refuse it only now keeps it back.
        let judged = self.judge(&mut tx, &order, amendment).await?;
        let mut lines: Vec<Line> = order.lines.iter().map(|line| line.line.clone()).collect();
        let cancelled = cancel(&mut lines, &change)?;
        for (planned, promise) in amendment.added.iter().zip(promised) {
            let mut line = Line::fresh(planned.line_no, planned.quantity);
            line.promise(promise)?;
            lines.push(line);
        }
        store::change::add_lines(&mut tx, order_id, &amendment.added).await?;
        let repriced: Vec<_> = amendment.repriced.iter().map(|line| (line.line_no, line.whole)).collect();
        store::change::reprice(&mut tx, order_id, &repriced).await?;
        store::change::write_lines(&mut tx, order_id, &lines).await?;
        self.unmark(&mut tx, course, order_id).await?;
        if let Some(promise) = &promise {
            let mark = Mark { claimed: 0, inventory_version: promise.version };
            let marks: Vec<(i32, Mark)> = promised.iter().map(|line| (line.line_no, mark)).collect();
            store::change::mark(&mut tx, order_id, &marks).await?;
        }
        let revision = if amendment.amends() { course.revision } else { order.head.amendments };
        let not_before = amendment.rescheduled.then_some(amendment.not_before);
        store::change::amend(&mut tx, order_id, revision, amendment.ship_to.as_deref(), not_before).await?;
        store::cancellation::delete(&mut tx, order_id).await?;

        let token = Some(command.request.payment_token.clone()).filter(|token| !token.is_empty());
        let split_off = self.split_off(&mut tx, &order, &amendment.splits, judged.splits, token, now).await?;

        let total: Quantities = lines.iter().map(|line| line.quantities).sum();
        let mut changed = order_of(&mut tx, order_id).await?;
        changed.head.standing.quantities = total;
        let block = judged.whole.into_holds(now).into_iter().next().map(|hold| hold.reason);
        let block = block.filter(|_| changed.delivery_block.is_none());
        if block.is_some() {
            store::delivery::block(&mut tx, order_id, block.as_deref()).await?;
            changed.head.delivery.is_blocked = true;
            changed.delivery_block.clone_from(&block);
        }
        let mut events = Vec::with_capacity(3);
        if !cancelled.is_empty() {
            if total.is_cancelled() {
                store::change::keep_passed(&mut tx, order_id, &Passed::default()).await?;
            }
            let fact = pb::OrderCancelled {
                order_id: order_id.to_string(),
                lines: cancelled,
                whole: total.is_cancelled(),
                reason: amendment.reason.clone(),
                revision: if change.charged { course.revision.into() } else { 0 },
            };
            events.push(NewEvent::new(order_id, changed.head.next_version(), &fact, now));
        }
        let ready = ready(&changed, promised, &change);
        let ready = offer(&mut tx, &mut changed.head, ready, now).await?;
        if !amendment.amends() && !ready.is_empty() {
            events.push(handover::lines_ready(&mut tx, &mut changed.head, &ready, now).await?);
        }
        if amendment.amends() {
            let allocations = allocations(&changed, &ready);
            let fact = convert::events::amended(&changed, amendment, allocations);
            events.push(NewEvent::new(order_id, changed.head.next_version(), &fact, now));
        }
        if block.is_some() {
            let fact = convert::events::delivery_changed(&changed);
            events.push(NewEvent::new(order_id, changed.head.next_version(), &fact, now));
        }
        let trace = changed.head.traceparent.clone();
        let events: Vec<NewEvent> =
            events.into_iter().map(|event| event.of_journey(order_id).in_trace(trace.as_deref())).collect();
        store::order::write(&mut tx, &[&changed.head]).await?;
        if changed.head.standing.holds > 0 {
            store::hold::review_orders(&mut tx, &[order_id], now).await?;
        }
        pesan_feed::append(&mut tx, &events).await?;
        let response = pb::CommitChangeResponse {
            order: Some(whole_order(&mut tx, order_id).await?),
            split_order_ids: split_off.iter().map(ToString::to_string).collect(),
        };
        answer(&mut tx, command.request_id, &response).await?;
        tx.commit().await?;
        let is_split = !split_off.is_empty();
        self.books.changed([order_id].into_iter().chain(split_off));
        if is_split {
            self.saga.nudge();
        }
        Ok(Next::Done(Box::new(response)))
    }
}

/// Takes what goes out of the lines.
fn cancel(lines: &mut [Line], change: &Underway) -> Result<Vec<pb::CancelledLine>, Error> {
    let parts = &change.course.parts;
    let waiting: HashMap<i32, i64> = parts.waiting.iter().copied().collect();
    let mut cancelled = Vec::new();
    for line in lines {
        let line_no = line.line_no;
        let backordered = waiting.get(&line_no).copied().unwrap_or(0);
        line.cancel_backordered(backordered)?;
        let mut by_location: BTreeMap<Uuid, i64> = BTreeMap::new();
        for part in parts.gone().filter(|part| part.line_no == line_no) {
            line.cancel_reserved(part.location, part.quantity)?;
            *by_location.entry(part.location).or_default() += part.quantity;
        }
        let quantity = backordered + by_location.values().sum::<i64>();
        if quantity > 0 {
            let reserved = convert::events::reserved_by_location(by_location.into_iter());
            cancelled.push(pb::CancelledLine { line_no, quantity, reserved, backordered });
        }
    }
    Ok(cancelled)
}

/// What fulfilment could do now: new lines, and what it let go of to be handed over again.
fn ready(order: &Order, promised: &[LinePromise], change: &Underway) -> Vec<ReadyPart> {
    let new =
        promised.iter().flat_map(|line| line.reserved.iter().map(|(at, quantity)| (line.line_no, *at, *quantity)));
    let moved = change.course.parts.resent.iter().map(|part| (part.line_no, part.location, part.quantity));
    let part = |(line_no, location, quantity): (i32, Uuid, i64)| {
        let line = order.lines.iter().find(|line| line.line.line_no == line_no)?;
        Some(ReadyPart { line_no, location, quantity, stocked: line.line.stocked })
    };
    new.chain(moved).filter_map(part).collect()
}

/// As OrderAmended tells it.
fn allocations(order: &Order, ready: &[ReadyPart]) -> Vec<pb::AllocatedLine> {
    let allocated = |part: &ReadyPart| {
        let line = order.lines.iter().find(|line| line.line.line_no == part.line_no)?;
        Some(pb::AllocatedLine {
            line_no: part.line_no,
            sku: line.sku.clone(),
            location_id: convert::location_text(part.location),
            quantity: part.quantity,
            stocked: part.stocked,
        })
    };
    ready.iter().filter_map(allocated).collect()
}
