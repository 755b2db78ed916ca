//! Carrying a plan out.

use super::Changer;
use super::ask::{Said, charge, demand, promise_of};
use crate::cancellation::Part;
use crate::change::{self, Course};
use crate::convert::change::CommitChange;
use crate::delivery::ReadyPart;
use crate::error::Error;
use crate::line::Line;
use crate::ops::cancel::{Withdrawal, withdrawn};
use crate::ops::claim;
use crate::ops::handover::{self, offer};
use crate::order::{Head, Order, Rejection};
use crate::store;
use crate::store::cancellation::Intent;
use crate::store::change::{KeptPlan, Mark, Underway};
use pesan_api::billing::v1::OrderCharge;
use pesan_api::fulfilment::v1::WithdrawLinesRequest;
use pesan_api::inventory::v1::OrderDemand;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::{idempotency, json};
use prost::{Message as _, Name as _};
use sqlx::{PgConnection, Postgres, Transaction};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const METHOD: &str = "pesan.order.v1.CommitChangeRequest";
/// Changes a worker takes at once.
const TAKE: i64 = 50;
/// How long, beyond the caller's deadline, a change is left to its caller.
const GRACE: Duration = Duration::from_secs(15);
/// How long an expired plan is kept, for what is under way and for questions.
const MEMORY: time::Duration = time::Duration::hours(1);

/// What is to be done next.
pub(super) enum Next {
    Done(Box<pb::CommitChangeResponse>),
    Withdraw(Box<Underway>),
    Reserve(Box<Underway>, Box<OrderDemand>),
    Charge(Box<Underway>, Box<OrderCharge>),
    /// It has begun.
    GoOn,
}

impl Changer {
    /// Carries a plan out, or says why not. At `deadline` it leaves what is not known yet to the worker.
    pub async fn commit(&self, command: &CommitChange, deadline: Instant) -> Result<pb::CommitChangeResponse, Error> {
        let order_id = match self.order_of(command).await? {
            Ok(order_id) => order_id,
            Err(earlier) => return Ok(earlier),
        };
        let mut unknown = 0;
        loop {
            let next = self.decide(order_id, command, deadline).await?;
            let is_known = match next {
                Next::Done(response) => return Ok(*response),
                Next::GoOn => true,
                Next::Withdraw(change) => match self.canceller.ask(&change.intent).await? {
                    Withdrawal::Granted => {
                        self.canceller.note_grant(&change.intent).await?;
                        true
                    }
                    Withdrawal::Refused(why) => {
                        self.drop_change(&change).await?;
                        return Err(Error::ChangeRefused("PICKED", why));
                    }
                    Withdrawal::Unknown => false,
                },
                Next::Reserve(change, demand) => match self.ask_inventory(*demand, &change).await {
                    Said::Yes(reserved) => {
                        let change = Underway { reserved: Some(reserved), ..*change };
                        if !change.charged && is_less(&change)? {
                            self.drop_change(&change).await?;
                            let why = "less is there than when it was planned".to_owned();
                            return Err(Error::ChangeRefused("STOCK_GONE", why));
                        }
                        self.note(&change).await?;
                        true
                    }
                    Said::No(_) if change.charged => return Err(Error::Broken("stock that billing was asked for")),
                    Said::No(error) => {
                        self.drop_change(&change).await?;
                        return Err(error);
                    }
                    Said::Unknown => false,
                },
                Next::Charge(change, charge) => match self.ask_billing(*charge).await {
                    Said::Yes(()) => {
                        self.note(&Underway { charged: true, ..*change }).await?;
                        true
                    }
                    Said::No(error) => {
                        self.drop_change(&change).await?;
                        return Err(error);
                    }
                    Said::Unknown => false,
                },
            };
            if is_known {
                continue;
            }
            let pause = self.books.patience.backoff.pause(unknown);
            unknown += 1;
            if Instant::now() + pause >= deadline {
                self.leave(order_id, unknown).await?;
                return Err(Error::ChangeUnknown);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The order of a commit, or the answer that it was given before.
    async fn order_of(&self, command: &CommitChange) -> Result<Result<Uuid, pb::CommitChangeResponse>, Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        if let Some(order_id) = store::cancellation::order_of_request(&mut tx, command.request_id).await? {
            return Ok(Ok(order_id));
        }
        if let Some(plan) = store::change::plan(&mut tx, command.plan_id).await? {
            return Ok(Ok(plan.order_id));
        }
        match claim(&mut tx, command.request_id, METHOD, &command.request).await? {
            Some(earlier) => Ok(Err(earlier)),
            None => Err(Error::PlanNotFound(command.plan_id.to_string())),
        }
    }

    async fn decide(&self, order_id: Uuid, command: &CommitChange, deadline: Instant) -> Result<Next, Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [order_id]).await?;
        if let Some(earlier) = claim(&mut tx, command.request_id, METHOD, &command.request).await? {
            return Ok(Next::Done(Box::new(earlier)));
        }
        match store::change::of_order(&mut tx, order_id).await? {
            None => self.begin(tx, order_id, command, deadline).await,
            Some(Some(change)) if change.intent.request_id == command.request_id => {
                let request = command.request.encode_to_vec();
                if change.intent.request != request {
                    let name = pb::CommitChangeRequest::full_name();
                    let fields = json::differing_fields(&name, &change.intent.request, &request);
                    return Err(Error::RequestIdReused(fields));
                }
                self.go_on(tx, command, change).await
            }
            Some(_) => Err(Error::CancellationPending),
        }
    }

    async fn begin(
        &self,
        mut tx: Transaction<'static, Postgres>,
        order_id: Uuid,
        command: &CommitChange,
        deadline: Instant,
    ) -> Result<Next, Error> {
        if store::cancellation::order_of_request(&mut tx, command.request_id).await?.is_some() {
            return Err(Error::RequestIdReused(vec!["plan_id".to_owned()]));
        }
        let plan = store::change::plan(&mut tx, command.plan_id).await?;
        let plan = plan.ok_or_else(|| Error::PlanNotFound(command.plan_id.to_string()))?;
        let order = order_of(&mut tx, order_id).await?;
        self.check(&plan, command, &order)?;
        let judged = self.judge(&mut tx, &order, &plan.amendment).await?;
        if let Some(Rejection { reason, message, .. }) = judged.rejection() {
            return Err(Error::ChangeRefused("REFUSED_BY_RULE", format!("{reason}: {message}")));
        }
        if !plan.amendment.promised {
            return self.apply_unpromised(tx, command, order, plan.amendment, judged).await;
        }
        let lines: Vec<Line> = order.lines.iter().map(|line| line.line.clone()).collect();
        let withheld = match order.head.delivery.withheld {
            0 => Vec::new(),
            _ => store::delivery::withheld(&mut tx, &[order_id]).await?.into_iter().map(|(_, part)| part).collect(),
        };
        let parts = change::parts(&lines, &plan.amendment, &withheld);
        let parts = parts.map_err(|why| Error::ChangeRefused("CHANGE_REFUSED", why.to_string()))?;
        // What goes of what is kept back must not be handed over meanwhile.
        if !parts.withheld.is_empty() {
            store::delivery::take(&mut tx, order_id, &parts.withheld).await?;
        }
        let known = store::change::marks(&mut tx, &[order_id]).await?;
        let known = |line_no: i32| known.get(&(order_id, line_no)).copied().unwrap_or_default();
        let claims =
            parts.waiting.iter().map(|(line_no, quantity)| (*line_no, Mark { claimed: *quantity, ..known(*line_no) }));
        let unborn =
            plan.amendment.added.iter().map(|line| (line.line_no, Mark { claimed: 0, inventory_version: i64::MAX }));
        let marks: Vec<(i32, Mark)> = claims.chain(unborn).collect();
        let course =
            Course { plan_id: plan.plan_id, revision: order.head.amendments + 1, parts, amendment: plan.amendment };
        let change = Underway {
            intent: self.intent(&order.head, command, &course, deadline),
            course,
            reserved: None,
            charged: false,
        };
        store::change::begin(&mut tx, &change).await?;
        store::change::mark(&mut tx, order_id, &marks).await?;
        idempotency::give_up(&mut tx, &[command.request_id]).await?;
        tx.commit().await?;
        Ok(Next::GoOn)
    }

    fn check(&self, plan: &KeptPlan, command: &CommitChange, order: &Order) -> Result<(), Error> {
        let actual = order.head.version;
        for expected in [command.order_version, plan.order_version] {
            if expected != actual {
                return Err(Error::VersionMismatch { expected, actual });
            }
        }
        if plan.expires_at <= self.books.clock.now() {
            return Err(Error::PlanExpired);
        }
        let told = pb::ChangePlan::decode(plan.plan.as_slice()).map_err(|_| Error::Broken("a stored plan"))?;
        if let Some(first) = told.impossible.first() {
            return Err(Error::PlanHasImpossible(format!("{}: {}", first.reason, first.message)));
        }
        if plan.amendment.promised && !plan.amendment.splits.is_empty() {
            super::split::check_token(order, &command.request.payment_token)?;
        }
        Ok(())
    }

    fn intent(&self, head: &Head, command: &CommitChange, course: &Course, deadline: Instant) -> Intent {
        let lines: Vec<_> = course.parts.withdrawn().iter().map(withdrawn).collect();
        let ask = WithdrawLinesRequest {
            request_id: Uuid::now_v7().to_string(),
            order_id: head.order_id.to_string(),
            order_version: head.version,
            lines,
        };
        let mine = deadline.saturating_duration_since(Instant::now()) + GRACE;
        Intent {
            order_id: head.order_id,
            request_id: command.request_id,
            request: command.request.encode_to_vec(),
            ask: if ask.lines.is_empty() { Vec::new() } else { ask.encode_to_vec() },
            granted: Vec::new(),
            due_at: self.books.clock.now() + mine,
            attempts: 0,
        }
    }

    async fn go_on(
        &self,
        mut tx: Transaction<'static, Postgres>,
        command: &CommitChange,
        change: Underway,
    ) -> Result<Next, Error> {
        if !change.intent.ask.is_empty() {
            return Ok(Next::Withdraw(Box::new(change)));
        }
        let order = order_of(&mut tx, change.intent.order_id).await?;
        let Course { amendment, revision, .. } = &change.course;
        if !amendment.added.is_empty() {
            let version = match &change.reserved {
                Some(reserved) => promise_of(reserved, amendment)?.version,
                None => -1,
            };
            // Facts about the new lines that were read before these were there have been passed over.
            if change.reserved.is_none() || version < order.head.inventory_version {
                let demand = demand(&order, amendment, *revision);
                return Ok(Next::Reserve(Box::new(change), Box::new(demand)));
            }
        }
        if amendment.needs_money() && !change.charged {
            let charge = charge(&order, amendment, *revision);
            return Ok(Next::Charge(Box::new(change), Box::new(charge)));
        }
        self.apply(tx, command, order, change).await
    }

    /// Notes what inventory reserved or that billing agreed.
    async fn note(&self, change: &Underway) -> Result<(), Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [change.intent.order_id]).await?;
        if same(&mut tx, change).await?.is_some() {
            store::change::note(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends a change that was refused: fulfilment gets back what it let go of, stock that was passed over is taken, and
    /// inventory lets go of what it reserved. Nothing has changed.
    async fn drop_change(&self, asked: &Underway) -> Result<(), Error> {
        let order_id = asked.intent.order_id;
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [order_id]).await?;
        let Some(now) = same(&mut tx, asked).await? else { return Ok(()) };
        let mut order = order_of(&mut tx, order_id).await?;
        let head = &mut order.head;
        let mut lines: Vec<Line> = order.lines.into_iter().map(|line| line.line).collect();
        store::cancellation::delete(&mut tx, order_id).await?;
        self.unmark(&mut tx, &now.course, order_id).await?;
        let mut ready: Vec<ReadyPart> = Vec::new();
        let mut hand_over = |line: &Line, location: Uuid, quantity: i64| match ready
            .iter_mut()
            .find(|ready| (ready.line_no, ready.location) == (line.line_no, location))
        {
            Some(ready) => ready.quantity += quantity,
            None => ready.push(ReadyPart { line_no: line.line_no, location, quantity, stocked: line.stocked }),
        };
        for Part { line_no, location, quantity } in &now.course.parts.withheld {
            if let Some(line) = lines.iter().find(|line| line.line_no == *line_no) {
                hand_over(line, *location, *quantity);
            }
        }
        if !now.intent.granted.is_empty() {
            for Part { line_no, location, quantity } in now.course.parts.withdrawn() {
                if let Some(line) = lines.iter().find(|line| line.line_no == line_no) {
                    hand_over(line, location, quantity);
                }
            }
        }
        if let Some(mut passed) = store::change::passed(&mut tx, &[order_id]).await?.remove(&order_id) {
            for line in &mut lines {
                for part in passed.catch_up(line, 0) {
                    hand_over(line, part.location, part.quantity);
                }
            }
            store::change::keep_passed(&mut tx, order_id, &passed).await?;
        }
        head.standing.quantities = lines.iter().map(|line| line.quantities).sum();
        let at = self.books.clock.now();
        let ready = offer(&mut tx, head, ready, at).await?;
        let trace = head.traceparent.clone();
        let mut events = Vec::new();
        if asked.reserved.is_some() {
            let line_nos = now.course.amendment.added.iter().map(|line| line.line_no).collect();
            let revision = now.course.revision.into();
            let fact = pb::OrderChangeDropped { order_id: order_id.to_string(), revision, line_nos };
            events.push(NewEvent::new(order_id, head.next_version(), &fact, at));
        }
        if !ready.is_empty() {
            events.push(handover::lines_ready(&mut tx, head, &ready, at).await?);
        }
        let events: Vec<NewEvent> =
            events.into_iter().map(|event| event.of_journey(order_id).in_trace(trace.as_deref())).collect();
        store::change::write_lines(&mut tx, order_id, &lines).await?;
        store::order::write(&mut tx, &[&*head]).await?;
        if now.course.amendment.needs_money() {
            store::change::skip_revision(&mut tx, order_id, now.course.revision).await?;
        }
        pesan_feed::append(&mut tx, &events).await?;
        tx.commit().await?;
        self.books.changed([order_id]);
        Ok(())
    }

    /// Lets go of what a change claims.
    pub(super) async fn unmark(&self, conn: &mut PgConnection, course: &Course, order_id: Uuid) -> Result<(), Error> {
        if course.parts.waiting.is_empty() {
            return Ok(());
        }
        let known = store::change::marks(conn, &[order_id]).await?;
        let marks: Vec<(i32, Mark)> = course
            .parts
            .waiting
            .iter()
            .filter_map(|(line_no, _)| Some((*line_no, Mark { claimed: 0, ..*known.get(&(order_id, *line_no))? })))
            .collect();
        store::change::mark(conn, order_id, &marks).await
    }

    /// Leaves a change to the worker.
    async fn leave(&self, order_id: Uuid, tries: i32) -> Result<(), Error> {
        let due_at = self.books.clock.now() + self.books.patience.backoff.pause(tries);
        let mut conn = self.books.pool.acquire().await?;
        store::cancellation::reschedule(&mut conn, order_id, due_at).await
    }

    /// Drives changes that nobody else drives any more, and forgets old plans; how many changes they were.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let now = self.books.clock.now();
        let changes = {
            let mut conn = self.books.pool.acquire().await?;
            store::change::forget_plans(&mut conn, now - MEMORY).await?;
            store::change::take(&mut conn, now, now + self.books.patience.lease, TAKE).await?
        };
        let count = changes.len();
        for change in changes {
            let request = pb::CommitChangeRequest::decode(change.intent.request.as_slice());
            let request = request.map_err(|_| Error::Broken("a stored change"))?;
            match self.commit(&CommitChange::try_from(request)?, Instant::now()).await {
                Ok(_) => tracing::info!(order_id = %change.intent.order_id, "a change was finished"),
                Err(error) => tracing::info!(order_id = %change.intent.order_id, %error, "a change was not finished"),
            }
        }
        Ok(count)
    }

    /// Runs until `stop`.
    pub async fn recover(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "changes cannot be taken; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.books.patience.look) => {}
            }
        }
    }
}

/// The change as it is now, if it is still the same one.
async fn same(conn: &mut PgConnection, asked: &Underway) -> Result<Option<Underway>, Error> {
    let now = store::change::of_order(conn, asked.intent.order_id).await?.flatten();
    Ok(now
        .filter(|now| now.intent.request_id == asked.intent.request_id && now.course.revision == asked.course.revision))
}

/// Less is reserved than was planned.
fn is_less(change: &Underway) -> Result<bool, Error> {
    let Some(reserved) = &change.reserved else { return Ok(false) };
    let amendment = &change.course.amendment;
    let promise = promise_of(reserved, amendment)?;
    let expected = |line_no: i32| amendment.expected.get(&line_no).copied().unwrap_or(0);
    Ok(promise.lines.iter().any(|line| line.reserved_in_all() < expected(line.line_no)))
}

pub(super) async fn order_of(conn: &mut PgConnection, order_id: Uuid) -> Result<Order, Error> {
    let order = store::read::orders(conn, &[order_id], true).await?.remove(&order_id);
    order.ok_or(Error::Broken("the order of a change"))
}
