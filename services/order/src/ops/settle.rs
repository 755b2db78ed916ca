//! One round of the saga: inventory is asked to reserve for all orders of the round in one call, billing to authorise
//! those it reserved for in another, and what came of it is one transaction. Nothing is open while a peer is asked.

use crate::cancellation::Part;
use crate::convert;
use crate::error::Error;
use crate::line::Line;
use crate::ops::Books;
use crate::order::{Head, Hold, Rejection};
use crate::quantities::Quantities;
use crate::settlement::{Fate, Promise, Step, Work, step};
use crate::store;
use pesan_api::billing::v1::AuthoriseRequest;
use pesan_api::billing::v1::payment_service_client::PaymentServiceClient;
use pesan_api::inventory::v1::ReserveRequest;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::FulfilmentPolicy;
use pesan_feed::NewEvent;
use pesan_grpc::channel::PeerChannel;
use prost::{Message, Name};
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

/// What settles rounds.
#[derive(Clone)]
pub struct Settler {
    /// The service's books.
    pub books: Books,
    /// Asked to reserve.
    pub inventory: ReservationServiceClient<PeerChannel>,
    /// Asked to authorise.
    pub billing: PaymentServiceClient<PeerChannel>,
}

/// An order of a round, on its way.
struct Settling {
    work: Work,
    /// Of a span in the order's own trace: what the peers do for it belongs there.
    traceparent: String,
    /// None while it is not known.
    fate: Option<Fate>,
    promise: Option<Promise>,
}

impl Settler {
    /// Settles as many of these orders as can be now; the others are tried again later. A failure is logged, and the jobs
    /// fall due again when their lease ends.
    pub async fn round(&self, works: Vec<Work>) {
        let mut round: Vec<Settling> = works.into_iter().map(begin).collect();
        self.reserve(&mut round).await;
        let reserved_at = Instant::now();
        self.authorise(&mut round).await;
        let mut tries = 0;
        loop {
            match self.write(&round, reserved_at).await {
                Err(Error::Contention) if tries < 3 => tries += 1,
                Err(error) => return warn!(%error, orders = round.len(), "a round could not be written; trying again"),
                Ok(()) => return,
            }
        }
    }

    async fn reserve(&self, round: &mut [Settling]) {
        let demands = round.iter().map(|one| convert::settle::demand(&one.work, &one.traceparent)).collect();
        let answer = self.inventory.clone().reserve(ReserveRequest { demands }).await;
        let results = match answer {
            Ok(answer) => answer.into_inner().results,
            Err(status) => return warn!(code = ?status.code(), message = status.message(), "inventory did not reserve"),
        };
        if results.len() != round.len() {
            return warn!(asked = round.len(), answered = results.len(), "inventory answered with another length");
        }
        for (one, result) in round.iter_mut().zip(results) {
            match convert::settle::promise(&one.work, result) {
                Ok(promise) => one.promise = Some(promise),
                Err(fate) => one.fate = Some(fate),
            }
        }
    }

    async fn authorise(&self, round: &mut [Settling]) {
        let mut promised: Vec<&mut Settling> = round.iter_mut().filter(|one| one.promise.is_some()).collect();
        if promised.is_empty() {
            return;
        }
        let charge = |one: &&mut Settling| {
            one.promise.as_ref().map(|promise| convert::settle::charge(&one.work, promise, &one.traceparent))
        };
        let charges = promised.iter().filter_map(charge).collect();
        let answer = self.billing.clone().authorise(AuthoriseRequest { charges }).await;
        let results = match answer {
            Ok(answer) => answer.into_inner().results,
            Err(status) => return warn!(code = ?status.code(), message = status.message(), "billing did not authorise"),
        };
        if results.len() != promised.len() {
            return warn!(asked = promised.len(), answered = results.len(), "billing answered with another length");
        }
        for (one, result) in promised.iter_mut().zip(results) {
            one.fate = one.promise.take().map(|promise| convert::settle::fate(&one.work, promise, result));
        }
    }

    async fn write(&self, round: &[Settling], reserved_at: Instant) -> Result<(), Error> {
        let ids: Vec<Uuid> = round.iter().map(|one| one.work.order_id).collect();
        let mut tx = pesan_feed::begin(&self.books.pool, ids.iter().copied()).await?;
        let mut heads = store::order::heads(&mut tx, &ids).await?;
        let mut outcome = Outcome::new(self.books.clock.now());
        for one in round {
            let Some(head) = heads.get_mut(&one.work.order_id) else { continue };
            // What was asked for may not be what is wanted any more: asked again.
            let is_outdated = head.amendments != one.work.amendments;
            let fate = one.fate.clone().filter(|_| !is_outdated).unwrap_or(Fate::Retry);
            match step(&head.standing, head.inventory_version, fate, reserved_at.elapsed()) {
                Step::Drop => outcome.done.push(head.order_id),
                Step::Again => {
                    let attempts = one.work.attempts.saturating_add(1);
                    let pause = self.books.patience.backoff.pause(one.work.attempts);
                    outcome.again.push((head.order_id, attempts, outcome.now + pause));
                }
                Step::Confirm(promise) => outcome.confirm(head, one, &promise)?,
                Step::Remember(promise) => outcome.remember(head, one, &promise)?,
                Step::Hold { promise, reason, note } => outcome.hold(head, one, &promise, reason, note)?,
                Step::Reject(rejections) => outcome.reject(head, one, rejections),
            }
        }
        let changed: Vec<&Head> = outcome.changed.iter().filter_map(|id| heads.get(id)).collect();
        store::order::write(&mut tx, &changed).await?;
        let lines: Vec<(Uuid, &Line)> = outcome.lines.iter().map(|(id, line)| (*id, line)).collect();
        store::line::write(&mut tx, &lines).await?;
        store::delivery::keep(&mut tx, &outcome.withheld).await?;
        store::delivery::fall_due(&mut tx, &outcome.due).await?;
        store::hold::insert(&mut tx, &outcome.holds).await?;
        store::hold::delete_of_orders(&mut tx, &outcome.no_longer_held).await?;
        store::hold::insert_rejections(&mut tx, &outcome.rejections).await?;
        store::job::delete(&mut tx, &outcome.done).await?;
        store::job::reschedule(&mut tx, &outcome.again).await?;
        pesan_feed::append(&mut tx, &outcome.events).await?;
        tx.commit().await?;
        self.books.changed(outcome.changed);
        Ok(())
    }
}

/// Opens a span in the order's own trace.
fn begin(work: Work) -> Settling {
    let traceparent = work
        .traceparent
        .as_deref()
        .map(|came| pesan_telemetry::step(came, || tracing::info_span!("settle", pesan.service = "order")).1);
    let traceparent = traceparent.unwrap_or_default();
    Settling { work, traceparent, fate: None, promise: None }
}

/// What a round writes.
struct Outcome {
    now: OffsetDateTime,
    changed: Vec<Uuid>,
    lines: Vec<(Uuid, Line)>,
    holds: Vec<(Uuid, Hold)>,
    /// Orders that are over while somebody held them.
    no_longer_held: Vec<Uuid>,
    rejections: Vec<(Uuid, Vec<Rejection>)>,
    /// What is reserved and kept back from fulfilment.
    withheld: Vec<(Uuid, Part)>,
    /// Until when, where that is known.
    due: Vec<(Uuid, OffsetDateTime)>,
    events: Vec<NewEvent>,
    /// Jobs that are over.
    done: Vec<Uuid>,
    /// Jobs to be tried again: order, tries that failed, when.
    again: Vec<(Uuid, i32, OffsetDateTime)>,
}

impl Outcome {
    fn new(now: OffsetDateTime) -> Self {
        Self {
            now,
            changed: Vec::new(),
            lines: Vec::new(),
            holds: Vec::new(),
            no_longer_held: Vec::new(),
            rejections: Vec::new(),
            withheld: Vec::new(),
            due: Vec::new(),
            events: Vec::new(),
            done: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Divides the order's quantities as inventory promised.
    fn divide(&mut self, head: &mut Head, work: &Work, promise: &Promise) -> Result<(), Error> {
        let mut total = Quantities::default();
        for (line, promise) in work.lines.iter().zip(&promise.lines) {
            let mut divided = Line::fresh(line.line_no, line.quantity);
            divided.promise(promise)?;
            total += divided.quantities;
            self.lines.push((head.order_id, divided));
        }
        head.standing.quantities = total;
        head.inventory_version = promise.version;
        Ok(())
    }

    fn publish<M: Message + Name>(&mut self, head: &mut Head, one: &Settling, fact: &M) {
        // Replayed history happened when it was placed.
        let is_history = head.fulfilment_policy == FulfilmentPolicy::StraightThrough;
        let effective_at = if is_history { head.placed_at } else { self.now };
        let event = NewEvent::new(head.order_id, head.next_version(), fact, effective_at).of_journey(head.order_id);
        self.events.push(event.in_trace(Some(&one.traceparent)));
        self.changed.push(head.order_id);
        self.done.push(head.order_id);
    }

    fn confirm(&mut self, head: &mut Head, one: &Settling, promise: &Promise) -> Result<(), Error> {
        self.divide(head, &one.work, promise)?;
        head.standing.confirmed_at = Some(self.now);
        let ship_to = store::address(&one.work.ship_to)?;
        let is_withheld = head.delivery.withholds(head.standing.quantities.backordered, self.now);
        if is_withheld {
            let parts = promise.lines.iter().flat_map(|line| {
                let part = |(location, quantity): &(Uuid, i64)| Part {
                    line_no: line.line_no,
                    location: *location,
                    quantity: *quantity,
                };
                line.reserved.iter().map(part)
            });
            self.withheld.extend(parts.map(|part| (head.order_id, part)));
            self.due.extend(head.delivery.due_at(self.now).map(|due_at| (head.order_id, due_at)));
        }
        self.publish(head, one, &convert::events::confirmed(&one.work, promise, ship_to, is_withheld));
        Ok(())
    }

    fn remember(&mut self, head: &mut Head, one: &Settling, promise: &Promise) -> Result<(), Error> {
        self.divide(head, &one.work, promise)?;
        let fact = convert::events::progressed(head);
        self.publish(head, one, &fact);
        Ok(())
    }

    fn hold(
        &mut self,
        head: &mut Head,
        one: &Settling,
        promise: &Promise,
        reason: String,
        note: String,
    ) -> Result<(), Error> {
        self.divide(head, &one.work, promise)?;
        head.standing.holds += 1;
        let hold = Hold::new(reason, note, "billing", self.now);
        let fact = pb::OrderHeld { order_id: head.order_id.to_string(), hold: Some(convert::orders::hold(&hold)) };
        self.holds.push((head.order_id, hold));
        self.publish(head, one, &fact);
        Ok(())
    }

    fn reject(&mut self, head: &mut Head, one: &Settling, rejections: Vec<Rejection>) {
        let before = head.standing.quantities;
        if before.divided() > 0 {
            // What an earlier round divided, while the order was held, is nothing any more.
            self.lines
                .extend(one.work.lines.iter().map(|line| (head.order_id, Line::fresh(line.line_no, line.quantity))));
            head.standing.quantities = Quantities::of(before.ordered);
        }
        if head.standing.holds > 0 {
            self.no_longer_held.push(head.order_id);
            head.standing.holds = 0;
        }
        head.standing.rejected = true;
        let fact = pb::OrderRejected {
            order_id: head.order_id.to_string(),
            rejections: rejections.iter().map(convert::orders::rejection).collect(),
        };
        self.rejections.push((head.order_id, rejections));
        self.publish(head, one, &fact);
    }
}
