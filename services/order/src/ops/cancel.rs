//! Cancelling. Before the promise the whole order goes at once. After it, what is reserved may be in a picker's hands, so
//! fulfilment is asked first, outside of any transaction, and that it is asked is written down before: a grant is never
//! forgotten, whoever dies in between.
//!
//! One cancellation is a small machine, driven by its caller and, when the caller's time is up, by a worker:
//! *decide* (lock; nothing to ask: apply, publish, done; else write down what to ask) → *ask* → granted: note it, and
//! decide again, because a backorder may have been filled meanwhile; refused: undo, and say so; unknown: ask again.

use crate::cancellation::{Impossible, Part, Plan, Wanted, from_withheld, plan};
use crate::convert;
use crate::convert::orders::CancelOrder;
use crate::delivery::ReadyPart;
use crate::error::Error;
use crate::line::Line;
use crate::ops::handover::{self, offer};
use crate::ops::{Books, answer, at_version, claim, whole_order};
use crate::order::{Action, Head, Refusal, allows};
use crate::passed::Passed;
use crate::quantities::Quantities;
use crate::store;
use crate::store::cancellation::Intent;
use pesan_api::fulfilment::v1::fulfilment_service_client::FulfilmentServiceClient;
use pesan_api::fulfilment::v1::{WithdrawLinesRequest, WithdrawnLine};
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::channel::PeerChannel;
use pesan_grpc::{idempotency, json};
use prost::{Message as _, Name as _};
use sqlx::PgConnection;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use uuid::Uuid;

/// Cancellations a worker takes at once.
const TAKE: i64 = 50;
/// How long, beyond the caller's deadline, a cancellation is left to its caller.
const GRACE: Duration = Duration::from_secs(15);

/// What cancels.
#[derive(Clone)]
pub struct Canceller {
    /// The service's books.
    pub books: Books,
    /// Asked to let go.
    pub fulfilment: FulfilmentServiceClient<PeerChannel>,
}

/// What is to be done next.
enum Decision {
    Done(Box<pb::CancelOrderResponse>),
    Ask(Intent),
}

/// What fulfilment said.
pub(super) enum Withdrawal {
    Granted,
    Refused(String),
    Unknown,
}

impl Canceller {
    /// Cancels, or says why not. At `deadline` it leaves what is not known yet to the worker.
    pub async fn cancel(&self, command: &CancelOrder, deadline: Instant) -> Result<pb::CancelOrderResponse, Error> {
        let order_id = self.books.find(&command.name, &command.request.name).await?;
        let mut unknown = 0;
        loop {
            let intent = match self.decide(order_id, command, deadline).await? {
                Decision::Done(response) => return Ok(*response),
                Decision::Ask(intent) => intent,
            };
            match self.ask(&intent).await? {
                Withdrawal::Granted => self.note_grant(&intent).await?,
                Withdrawal::Refused(why) => {
                    self.undo(&intent).await?;
                    return Err(Error::AlreadyShipped(why));
                }
                Withdrawal::Unknown => {
                    let pause = self.books.patience.backoff.pause(unknown);
                    unknown += 1;
                    if Instant::now() + pause >= deadline {
                        self.leave(&intent).await?;
                        return Err(Error::CancellationUnknown);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn decide(&self, order_id: Uuid, command: &CancelOrder, deadline: Instant) -> Result<Decision, Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [order_id]).await?;
        let method = "pesan.order.v1.CancelOrderRequest";
        if let Some(earlier) = claim(&mut tx, command.request_id, method, &command.request).await? {
            return Ok(Decision::Done(Box::new(earlier)));
        }
        let pending = self.pending(&mut tx, order_id, command).await?;
        let mut head =
            store::order::head_of(&mut tx, order_id).await?.ok_or(Error::Broken("an order that was found"))?;
        if let Some(asking) = pending.as_ref().filter(|intent| !intent.ask.is_empty()) {
            // What was asked may have been granted: its answer comes first.
            return Ok(Decision::Ask(asking.clone()));
        }
        if pending.is_none() {
            at_version(head.version, command.expected_version)?;
        }
        let mut lines = store::line::of_order(&mut tx, order_id).await?;
        let action = if is_everything(command, &lines) { Action::CancelAll } else { Action::CancelPart };
        allows(head.state(), action).map_err(|refusal| not_allowed(&head, refusal))?;
        if head.standing.confirmed_at.is_none() {
            let fact = cancel_unpromised(&mut head, &mut lines, &command.reason);
            store::job::delete(&mut tx, &[order_id]).await?;
            store::hold::delete_of_orders(&mut tx, &[order_id]).await?;
            return self.finish(tx, command, head, &lines, fact, &[]).await;
        }
        let granted = pending.as_ref().map(|intent| parts(&intent.granted)).transpose()?.unwrap_or_default();
        let wanted = if command.lines.is_empty() { Wanted::Everything } else { Wanted::Lines(command.lines.clone()) };
        // Fulfilment need not be asked for what it has not got.
        let withheld = match head.delivery.withheld {
            0 => Vec::new(),
            _ => store::delivery::withheld(&mut tx, &[order_id]).await?.into_iter().map(|(_, part)| part).collect(),
        };
        let own = from_withheld(&lines, &wanted, &granted, &withheld);
        let free: Vec<Part> = granted.iter().chain(&own).copied().collect();
        let plan = match plan(&lines, &wanted, &free) {
            Ok(plan) => plan,
            Err(why) => {
                if let Some(intent) = pending {
                    self.give_back(&mut tx, &mut head, &intent, &lines).await?;
                    idempotency::give_up(&mut tx, &[command.request_id]).await?;
                    tx.commit().await?;
                    self.books.changed([order_id]);
                }
                return Err(impossible(command, why));
            }
        };
        if !plan.to_ask.is_empty() {
            let intent = self.intent(&head, command, &plan, pending, deadline);
            store::cancellation::write(&mut tx, &intent).await?;
            idempotency::give_up(&mut tx, &[command.request_id]).await?;
            tx.commit().await?;
            return Ok(Decision::Ask(intent));
        }
        let fact = apply(&mut head, &mut lines, &plan, &free, &command.reason)?;
        if pending.is_some() {
            store::cancellation::delete(&mut tx, order_id).await?;
        }
        if !own.is_empty() {
            store::delivery::take(&mut tx, order_id, &own).await?;
            head.delivery.withheld -= own.iter().map(|part| part.quantity).sum::<i64>();
        }
        // It may be complete without what was cancelled.
        let ready = match head.delivery.withheld {
            0 => Vec::new(),
            _ => offer(&mut tx, &mut head, Vec::new(), self.books.clock.now()).await?,
        };
        self.finish(tx, command, head, &lines, fact, &ready).await
    }

    /// The cancellation under way for the order, if it is this one; another one is in the way.
    async fn pending(
        &self,
        conn: &mut PgConnection,
        order_id: Uuid,
        command: &CancelOrder,
    ) -> Result<Option<Intent>, Error> {
        let pending = store::cancellation::of_order(conn, order_id).await?;
        match &pending {
            Some(intent) if intent.request_id == command.request_id => {
                let request = command.request.encode_to_vec();
                if intent.request != request {
                    let name = pb::CancelOrderRequest::full_name();
                    return Err(Error::RequestIdReused(json::differing_fields(&name, &intent.request, &request)));
                }
            }
            Some(_) => return Err(Error::CancellationPending),
            None => {
                if store::cancellation::order_of_request(conn, command.request_id).await?.is_some() {
                    return Err(Error::RequestIdReused(vec!["name".to_owned()]));
                }
            }
        }
        Ok(pending)
    }

    fn intent(
        &self,
        head: &Head,
        command: &CancelOrder,
        plan: &Plan,
        pending: Option<Intent>,
        deadline: Instant,
    ) -> Intent {
        let ask = WithdrawLinesRequest {
            request_id: Uuid::now_v7().to_string(),
            order_id: head.order_id.to_string(),
            order_version: head.version,
            lines: plan.to_ask.iter().map(withdrawn).collect(),
        };
        let mine = deadline.saturating_duration_since(Instant::now()) + GRACE;
        Intent {
            order_id: head.order_id,
            request_id: command.request_id,
            request: command.request.encode_to_vec(),
            ask: ask.encode_to_vec(),
            granted: pending.map(|intent| intent.granted).unwrap_or_default(),
            due_at: self.books.clock.now() + mine,
            attempts: 0,
        }
    }

    async fn finish(
        &self,
        mut tx: sqlx::Transaction<'static, sqlx::Postgres>,
        command: &CancelOrder,
        mut head: Head,
        lines: &[Line],
        fact: pb::OrderCancelled,
        ready: &[ReadyPart],
    ) -> Result<Decision, Error> {
        let (order_id, now) = (head.order_id, self.books.clock.now());
        let event = NewEvent::new(order_id, head.next_version(), &fact, now).of_journey(order_id);
        let mut events = vec![event.in_trace(head.traceparent.as_deref())];
        if !ready.is_empty() {
            events.push(handover::lines_ready(&mut tx, &mut head, ready, now).await?);
        }
        let cancelled: std::collections::HashSet<i32> = fact.lines.iter().map(|line| line.line_no).collect();
        let changed: Vec<(Uuid, &Line)> =
            lines.iter().filter(|line| cancelled.contains(&line.line_no)).map(|line| (order_id, line)).collect();
        store::order::write(&mut tx, &[&head]).await?;
        store::line::write(&mut tx, &changed).await?;
        if fact.whole {
            store::change::keep_passed(&mut tx, order_id, &Passed::default()).await?;
        }
        pesan_feed::append(&mut tx, &events).await?;
        let response = pb::CancelOrderResponse { order: Some(whole_order(&mut tx, order_id).await?) };
        answer(&mut tx, command.request_id, &response).await?;
        tx.commit().await?;
        self.books.changed([order_id]);
        Ok(Decision::Done(Box::new(response)))
    }

    pub(super) async fn ask(&self, intent: &Intent) -> Result<Withdrawal, Error> {
        let request = read(&intent.ask)?;
        let status = match self.fulfilment.clone().withdraw_lines(request).await {
            Ok(_) => return Ok(Withdrawal::Granted),
            Err(status) => status,
        };
        Ok(match status.code() {
            // Definite: nothing was withdrawn, and asking again would not change it.
            Code::FailedPrecondition
            | Code::NotFound
            | Code::InvalidArgument
            | Code::OutOfRange
            | Code::AlreadyExists => {
                tracing::info!(order_id = %intent.order_id, code = ?status.code(), "fulfilment does not let go");
                Withdrawal::Refused(status.message().to_owned())
            }
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | Code::Unauthenticated => Withdrawal::Unknown,
        })
    }

    /// Notes that what was asked for was let go. Nothing more: the next decision uses it.
    pub(super) async fn note_grant(&self, asked: &Intent) -> Result<(), Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [asked.order_id]).await?;
        if let Some(mut intent) = same_ask(&mut tx, asked).await? {
            let mut granted = read(&intent.granted)?;
            granted.lines.extend(read(&intent.ask)?.lines);
            intent.granted = granted.encode_to_vec();
            intent.ask = Vec::new();
            store::cancellation::write(&mut tx, &intent).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends a cancellation that was refused.
    async fn undo(&self, asked: &Intent) -> Result<(), Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [asked.order_id]).await?;
        if let Some(intent) = same_ask(&mut tx, asked).await? {
            let head = store::order::head_of(&mut tx, intent.order_id).await?;
            let mut head = head.ok_or(Error::Broken("the order of a cancellation"))?;
            let lines = store::line::of_order(&mut tx, intent.order_id).await?;
            self.give_back(&mut tx, &mut head, &intent, &lines).await?;
        }
        tx.commit().await?;
        self.books.changed([asked.order_id]);
        Ok(())
    }

    /// Ends a cancellation; what fulfilment let go already is handed to it again, so that nothing is cancelled.
    async fn give_back(
        &self,
        conn: &mut PgConnection,
        head: &mut Head,
        intent: &Intent,
        lines: &[Line],
    ) -> Result<(), Error> {
        store::cancellation::delete(conn, intent.order_id).await?;
        let granted = parts(&intent.granted)?;
        if granted.is_empty() {
            return Ok(());
        }
        let stocked: HashMap<i32, bool> = lines.iter().map(|line| (line.line_no, line.stocked)).collect();
        let ready = granted.iter().map(|part| ReadyPart {
            line_no: part.line_no,
            location: part.location,
            quantity: part.quantity,
            stocked: stocked.get(&part.line_no).is_none_or(|stocked| *stocked),
        });
        let now = self.books.clock.now();
        let ready = offer(conn, head, ready.collect(), now).await?;
        let event = if ready.is_empty() {
            let fact = convert::events::progressed(head);
            let event = NewEvent::new(head.order_id, head.next_version(), &fact, now).of_journey(head.order_id);
            event.in_trace(head.traceparent.as_deref())
        } else {
            handover::lines_ready(conn, head, &ready, now).await?
        };
        store::order::write(conn, &[&*head]).await?;
        pesan_feed::append(conn, &[event]).await?;
        Ok(())
    }

    /// Leaves a cancellation to the worker.
    async fn leave(&self, intent: &Intent) -> Result<(), Error> {
        let due_at = self.books.clock.now() + self.books.patience.backoff.pause(intent.attempts.saturating_add(1));
        let mut conn = self.books.pool.acquire().await?;
        store::cancellation::reschedule(&mut conn, intent.order_id, due_at).await
    }

    /// Drives cancellations that nobody else drives any more; how many they were.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let now = self.books.clock.now();
        let intents = {
            let mut conn = self.books.pool.acquire().await?;
            store::cancellation::take(&mut conn, now, now + self.books.patience.lease, TAKE).await?
        };
        let count = intents.len();
        for intent in intents {
            let request = pb::CancelOrderRequest::decode(intent.request.as_slice());
            let request = request.map_err(|_| Error::Broken("a stored cancellation"))?;
            match self.cancel(&CancelOrder::try_from(request)?, Instant::now()).await {
                Ok(_) => tracing::info!(order_id = %intent.order_id, "a cancellation was finished"),
                Err(error) => tracing::info!(order_id = %intent.order_id, %error, "a cancellation was not finished"),
            }
        }
        Ok(count)
    }

    /// Runs until `stop`.
    pub async fn recover(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "cancellations cannot be taken; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.books.patience.look) => {}
            }
        }
    }
}

/// The intent as it is now, if it still asks for the same.
async fn same_ask(conn: &mut PgConnection, asked: &Intent) -> Result<Option<Intent>, Error> {
    let now = store::cancellation::of_order(conn, asked.order_id).await?;
    Ok(now.filter(|intent| intent.request_id == asked.request_id && intent.ask == asked.ask))
}

fn is_everything(command: &CancelOrder, lines: &[Line]) -> bool {
    command.lines.is_empty()
        || lines.iter().all(|line| command.lines.get(&line.line_no) == Some(&line.quantities.ordered))
            && command.lines.len() == lines.len()
}

fn not_allowed(head: &Head, refusal: Refusal) -> Error {
    Error::NotAllowed(head.state(), refusal)
}

fn impossible(command: &CancelOrder, why: Impossible) -> Error {
    match why {
        Impossible::NoSuchLine(line_no) => {
            let place = command.request.lines.iter().position(|line| line.line_no == line_no).unwrap_or_default();
            Error::invalid(&format!("lines[{place}].line_no"), "is no line of the order")
        }
        Impossible::TooLate { .. } | Impossible::NothingLeft => Error::AlreadyShipped(why.to_string()),
    }
}

fn read(bytes: &[u8]) -> Result<WithdrawLinesRequest, Error> {
    WithdrawLinesRequest::decode(bytes).map_err(|_| Error::Broken("a stored cancellation"))
}

pub(super) fn withdrawn(part: &Part) -> WithdrawnLine {
    let location_id = convert::location_text(part.location);
    WithdrawnLine { line_no: part.line_no, location_id, quantity: part.quantity }
}

/// The parts in an encoded WithdrawLinesRequest.
fn parts(bytes: &[u8]) -> Result<Vec<Part>, Error> {
    let broken = Error::Broken("a stored cancellation");
    let lines = read(bytes)?.lines.into_iter();
    let parts: Option<Vec<Part>> = lines
        .map(|line| {
            let location = convert::location(&line.location_id)?;
            Some(Part { line_no: line.line_no, location, quantity: line.quantity })
        })
        .collect();
    parts.ok_or(broken)
}

pub(super) fn cancel_unpromised(head: &mut Head, lines: &mut [Line], reason: &str) -> pb::OrderCancelled {
    let fact = convert::events::cancelled_unpromised(head, lines, reason);
    lines.iter_mut().for_each(Line::cancel_unpromised);
    head.standing.quantities = lines.iter().map(|line| line.quantities).sum();
    head.standing.holds = 0;
    fact
}

/// Takes what was granted and what waits out of the lines.
fn apply(
    head: &mut Head,
    lines: &mut [Line],
    plan: &Plan,
    granted: &[Part],
    reason: &str,
) -> Result<pb::OrderCancelled, Error> {
    let waiting: HashMap<i32, i64> = plan.backordered.iter().copied().collect();
    let mut cancelled = Vec::new();
    let mut total = Quantities::default();
    for line in lines {
        let backordered = waiting.get(&line.line_no).copied().unwrap_or(0);
        line.cancel_backordered(backordered)?;
        let mut by_location: HashMap<Uuid, i64> = HashMap::new();
        let line_no = line.line_no;
        for part in granted.iter().filter(|part| part.line_no == line_no) {
            line.cancel_reserved(part.location, part.quantity)?;
            *by_location.entry(part.location).or_default() += part.quantity;
        }
        let quantity = backordered + by_location.values().sum::<i64>();
        if quantity > 0 {
            cancelled.push(pb::CancelledLine {
                line_no: line.line_no,
                quantity,
                reserved: convert::events::reserved_by_location(by_location.into_iter()),
                backordered,
            });
        }
        total += line.quantities;
    }
    head.standing.quantities = total;
    let whole = total.is_cancelled();
    let (order_id, reason) = (head.order_id.to_string(), reason.to_owned());
    Ok(pb::OrderCancelled { order_id, lines: cancelled, whole, reason, revision: 0 })
}
