//! Returns: permissions to send back what was shipped.

use crate::convert;
use crate::convert::returns::ListReturns;
use crate::error::Error;
use crate::name::{OrderName, ReturnName};
use crate::ops::linked::{self, Content};
use crate::ops::{Books, return_policies};
use crate::order::Order;
use crate::quantities::Quantities;
use crate::return_policy::{Judgement, NotAllowed, Policy, fitting};
use crate::rma::{NotReturnable, ReturnRequest, Returnable, Rma, RmaLine, take};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{PaymentMethod, ReturnResolution, ReturnState};
use pesan_feed::NewEvent;
use pesan_grpc::Violations;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What becomes of one request: the return, and whether it was there before.
pub type Outcome = Result<(pb::Return, bool), Error>;

/// Approves returns (or has them wait for approval), each by itself, by the policies there are; `texts` are the orders' names as they came.
pub async fn request(books: &Books, requests: &[(ReturnRequest, String)]) -> Result<Vec<Outcome>, Error> {
    let names: Vec<OrderName> = requests.iter().map(|(request, _)| request.order.clone()).collect();
    let found = {
        let mut conn = books.pool.acquire().await?;
        store::order::find(&mut conn, &names).await?
    };
    let ids: Vec<Uuid> = found.values().copied().collect::<HashSet<_>>().into_iter().collect();
    let mut tx = store::begin(&books.pool).await?;
    pesan_feed::lock(&mut tx, ids.iter().copied()).await?;
    let mut shelf = Shelf::load(&mut tx, &ids, &found, requests).await?;

    let mut planned = Vec::with_capacity(requests.len());
    for (request, text) in requests {
        planned.push(match found.get(&request.order) {
            Some(order_id) => shelf.approve(*order_id, request),
            None => Err(Error::OrderNotFound(text.clone())),
        });
    }
    let new: Vec<&Rma> = shelf.new.iter().filter_map(|id| shelf.returns.get(id)).collect();
    let numbers = if new.is_empty() { HashMap::new() } else { store::rma::insert(&mut tx, &new).await? };
    for (id, number) in &numbers {
        shelf.returns.entry(*id).and_modify(|rma| rma.number = *number);
    }
    let mut events = Vec::with_capacity(shelf.new.len());
    let mut changed = HashSet::new();
    let now = books.clock.now();
    for id in &shelf.new {
        let Some(rma) = shelf.returns.get_mut(id) else { continue };
        let Some(order) = shelf.orders.get_mut(&rma.order_id) else { continue };
        let version = order.head.next_version();
        let event = if rma.stage == ReturnState::Approved {
            let fact = convert::returns::approved(rma, order.currency, &shelf.skus);
            NewEvent::new(rma.order_id, version, &fact, rma.requested_at)
        } else {
            NewEvent::new(rma.order_id, version, &convert::returns::progressed(rma, order.currency), rma.requested_at)
        };
        events.push(event.of_journey(rma.order_id).in_trace(order.head.traceparent.as_deref()));
        changed.insert(rma.order_id);
        if rma.stage == ReturnState::Approved && rma.advance {
            let original = linked::original(&mut tx, rma.order_id).await?;
            let content = Content::Wished(rma.resolution);
            events.push(linked::place(&mut tx, rma, &original, content, (rma.requested_at, now)).await?);
            store::rma::save(&mut tx, rma).await?;
        }
    }
    if planned.iter().flatten().any(|(_, existed)| *existed) {
        let mut known: Vec<Rma> = shelf.returns.values().cloned().collect();
        store::rma::complete(&mut tx, &mut known).await?;
        shelf.returns = known.into_iter().map(|rma| (rma.return_id, rma)).collect();
    }
    let heads: Vec<_> = changed.iter().filter_map(|id| shelf.orders.get(id)).map(|order| &order.head).collect();
    store::order::write(&mut tx, &heads).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    books.changed(changed);

    Ok(planned
        .into_iter()
        .map(|planned| {
            let (return_id, existed) = planned?;
            let rma = shelf.returns.get(&return_id).ok_or(Error::Broken("a return that was just written"))?;
            let order = shelf.orders.get(&rma.order_id).ok_or(Error::Broken("the order of a return"))?;
            Ok((convert::returns::rma(rma, order.currency), existed))
        })
        .collect())
}

/// What is known of the orders that returns are asked for, and what is decided so far.
struct Shelf {
    policies: Vec<Policy>,
    /// Of customers; read where there are policies.
    segments: HashMap<Uuid, String>,
    orders: HashMap<Uuid, Order>,
    skus: HashMap<(Uuid, i32), String>,
    returnable: HashMap<Uuid, HashMap<i32, Returnable>>,
    returns: HashMap<Uuid, Rma>,
    by_external_id: HashMap<(Uuid, String), Uuid>,
    /// Returns that were approved now.
    new: Vec<Uuid>,
}

impl Shelf {
    async fn load(
        conn: &mut PgConnection,
        ids: &[Uuid],
        found: &HashMap<OrderName, Uuid>,
        requests: &[(ReturnRequest, String)],
    ) -> Result<Self, Error> {
        let policies = return_policies::all(conn).await?;
        // What lines cost is asked for restocking fees only.
        let orders = store::read::orders(conn, ids, !policies.is_empty()).await?;
        let customers: Vec<Uuid> = orders.values().filter_map(|order| order.customer_id).collect();
        let segments = match policies.is_empty() || customers.is_empty() {
            true => HashMap::new(),
            false => {
                let found = store::customer::find(conn, &customers, &[]).await?.into_iter();
                found.map(|customer| (customer.customer_id, customer.details.segment)).collect()
            }
        };
        let keys: HashSet<(Uuid, i32)> = requests
            .iter()
            .filter_map(|(request, _)| Some((*found.get(&request.order)?, request)))
            .flat_map(|(id, request)| request.lines.iter().map(move |line| (id, line.line_no)))
            .collect();
        let keys: Vec<(Uuid, i32)> = keys.into_iter().collect();
        let lines = store::line::load(conn, &keys).await?;
        let skus = store::line::skus_of(conn, &keys).await?;
        let returns: HashMap<Uuid, Rma> =
            store::rma::of_orders(conn, ids).await?.into_iter().map(|rma| (rma.return_id, rma)).collect();
        let mut returnable: HashMap<Uuid, HashMap<i32, Returnable>> = HashMap::new();
        for ((order_id, line_no), line) in &lines {
            let Quantities { ordered, cancelled, shipped, returned, .. } = line.quantities;
            let room = Returnable { now: shipped - returned, later: ordered - cancelled - shipped };
            returnable.entry(*order_id).or_default().insert(*line_no, room);
        }
        for rma in returns.values() {
            for line in &rma.lines {
                let room = returnable.get_mut(&rma.order_id).and_then(|of_order| of_order.get_mut(&line.line_no));
                if let Some(room) = room {
                    room.now -= line.open();
                }
            }
        }
        let known = returns.values().filter(|rma| !rma.external_id.is_empty());
        let by_external_id = known.map(|rma| ((rma.order_id, rma.external_id.clone()), rma.return_id)).collect();
        Ok(Self { policies, segments, orders, skus, returnable, returns, by_external_id, new: Vec::new() })
    }

    /// The return's id, and whether it was there before.
    fn approve(&mut self, order_id: Uuid, request: &ReturnRequest) -> Result<(Uuid, bool), Error> {
        let key = (order_id, request.external_id.clone());
        if let Some(known) = self.by_external_id.get(&key) {
            return Ok((*known, true));
        }
        let order = self.orders.get(&order_id).ok_or(Error::Broken("the order of a return"))?;
        let credits = credits(request, order.currency)?;
        check_wish(request, order)?;
        let segment = order.customer_id.and_then(|id| self.segments.get(&id)).map_or("", String::as_str);
        let policy = fitting(&self.policies, &order.channel, segment);
        let judged = match policy {
            Some(policy) => {
                let since = order.head.delivered_at.or(order.head.shipped_at);
                policy.judge(request, since).map_err(|why| not_allowed(request, why))?
            }
            None => Judgement::default(),
        };
        let mut of_order = self.returnable.get(&order_id).cloned().unwrap_or_default();
        take(&mut of_order, &request.lines).map_err(|(place, why)| refuse(request, place, why))?;
        self.returnable.insert(order_id, of_order);
        let wants_goods = matches!(request.resolution, ReturnResolution::Exchange | ReturnResolution::Replacement);
        let mut rma = Rma {
            return_id: Uuid::now_v7(),
            number: 0,
            order_id,
            external_id: request.external_id.clone(),
            handling: request.handling,
            requested_at: request.requested_at,
            version: 1,
            stage: if judged.needs_approval { ReturnState::AwaitingApproval } else { ReturnState::Approved },
            resolution: request.resolution,
            wish: request.wish.clone(),
            advance: wants_goods && policy.is_some_and(|policy| policy.advance_exchange),
            service_sku: policy.map(|policy| policy.repair_service_sku.clone()).unwrap_or_default(),
            lines: lines(request, order, credits, &judged.fees),
            linked: Vec::new(),
            discrepancies: Vec::new(),
            history: Vec::new(),
        };
        if let Some(window) = request.window_override.as_ref().filter(|_| judged.overridden) {
            rma.note(request.requested_at, &window.by, &window.note);
        }
        let return_id = rma.return_id;
        if !rma.external_id.is_empty() {
            self.by_external_id.insert(key, return_id);
        }
        self.new.push(return_id);
        self.returns.insert(return_id, rma);
        Ok((return_id, false))
    }
}

/// What the caller wants to be credited, now that the currency is known.
fn credits(request: &ReturnRequest, currency: Currency) -> Result<Vec<Option<Decimal>>, Error> {
    let mut v = Violations::new();
    let credits = request.lines.iter().enumerate().map(|(i, line)| {
        line.credit.as_ref().map(|credit| v.amount_or_zero(&format!("lines[{i}].credit"), Some(credit), currency))
    });
    let credits = credits.collect();
    Ok(v.into_result(credits)?)
}

/// Refuses what the customer wants instead where it cannot be ordered.
fn check_wish(request: &ReturnRequest, order: &Order) -> Result<(), Error> {
    if let Some(wish) = &request.wish {
        convert::returns::wished_lines(wish, request.resolution, order.currency)?;
    }
    let has_token = request.wish.as_ref().is_some_and(|wish| !wish.payment_token.is_empty());
    let by_provider = order.payment_method == PaymentMethod::Provider;
    if request.resolution == ReturnResolution::Exchange && by_provider && !has_token {
        return Err(Error::invalid(
            "exchange.payment_token",
            "is required: the order was paid by the payment provider",
        ));
    }
    Ok(())
}

fn lines(request: &ReturnRequest, order: &Order, credits: Vec<Option<Decimal>>, fees: &[Decimal]) -> Vec<RmaLine> {
    let mut lines: Vec<RmaLine> = Vec::with_capacity(request.lines.len());
    let pays = matches!(request.resolution, ReturnResolution::Refund | ReturnResolution::Exchange);
    for (place, (line, credit)) in request.lines.iter().zip(credits).enumerate() {
        let fee = fees.get(place).filter(|fee| pays && credit.is_none() && !fee.is_zero());
        let less = fee.and_then(|percent| less_restocking(order, line.line_no, line.quantity, *percent));
        lines.push(RmaLine {
            line_no: line.line_no,
            quantity: line.quantity,
            reason: line.reason.clone(),
            credit: less.map(|(credit, _)| credit).or(credit),
            fee: less.map(|(_, fee)| fee),
            condition: line.condition,
            serial: line.serial.clone(),
            claim: line.claim.clone(),
            ..RmaLine::default()
        });
    }
    lines.sort_by_key(|line| line.line_no);
    lines
}

/// What is credited for a quantity of a line, without tax, when so many percent of it are kept for restocking; and what is
/// kept, rounded half-even to the minor unit. Receipts share out the credit exactly.
fn less_restocking(order: &Order, line_no: i32, quantity: i64, percent: Decimal) -> Option<(Decimal, Decimal)> {
    let line = order.lines.iter().find(|line| line.line.line_no == line_no)?;
    let [line_total, discount, _] = linked::work_line(line).amounts_for(order.currency, quantity);
    let goods = line_total - discount;
    let fee = Money::new(order.currency, goods * percent / Decimal::ONE_HUNDRED).round().amount;
    Some((goods - fee, fee))
}

fn not_allowed(request: &ReturnRequest, why: NotAllowed) -> Error {
    let reason = |place: usize| request.lines.get(place).map(|line| line.reason.clone()).unwrap_or_default();
    let field = |place: usize| format!("lines[{place}].reason");
    match why {
        NotAllowed::WindowClosed(closed_at) => Error::ReturnWindowClosed(closed_at),
        NotAllowed::Reason(place) => Error::ReturnReasonNotAllowed { field: field(place), reason: reason(place) },
        NotAllowed::Resolution(place) => Error::ReturnResolutionNotAllowed {
            field: field(place),
            reason: reason(place),
            resolution: request.resolution,
        },
    }
}

fn refuse(request: &ReturnRequest, place: usize, why: NotReturnable) -> Error {
    let (line_no, quantity) = request.lines.get(place).map(|line| (line.line_no, line.quantity)).unwrap_or_default();
    let field = format!("lines[{place}].quantity");
    let not_shipped = |room: Returnable, may_come| Error::NotShipped {
        field: field.clone(),
        line_no,
        quantity,
        returnable: room.now,
        may_come,
    };
    match why {
        NotReturnable::NoSuchLine => Error::invalid(&format!("lines[{place}].line_no"), "is no line of the order"),
        NotReturnable::NotYet(room) => not_shipped(room, true),
        NotReturnable::TooMuch(room) => not_shipped(room, false),
    }
}

pub(super) async fn as_seen(conn: &mut PgConnection, returns: Vec<Rma>) -> Result<Vec<pb::Return>, Error> {
    let ids: Vec<Uuid> = returns.iter().map(|rma| rma.order_id).collect();
    let orders = store::read::orders(conn, &ids, false).await?;
    returns
        .iter()
        .map(|rma| {
            let order = orders.get(&rma.order_id).ok_or(Error::Broken("the order of a return"))?;
            Ok(convert::returns::rma(rma, order.currency))
        })
        .collect()
}

/// One return.
pub async fn get(books: &Books, name: ReturnName, text: &str) -> Result<pb::Return, Error> {
    let mut conn = books.pool.acquire().await?;
    let found = store::rma::find(&mut conn, name).await?.ok_or_else(|| Error::ReturnNotFound(text.to_owned()))?;
    as_seen(&mut conn, vec![found]).await?.pop().ok_or(Error::Broken("a return that was just read"))
}

/// A page of returns, newest first; the key of its last one where there are more.
pub async fn list(
    books: &Books,
    command: &ListReturns,
) -> Result<(Vec<pb::Return>, Option<(time::OffsetDateTime, Uuid)>), Error> {
    let mut conn = books.pool.acquire().await?;
    let mut page = store::rma::page(&mut conn, command.order_id, command.after, command.size + 1).await?;
    let has_more = page.len() as i64 > command.size;
    page.truncate(usize::try_from(command.size).unwrap_or(0));
    let last = page.last().map(|rma| (rma.requested_at, rma.return_id)).filter(|_| has_more);
    Ok((as_seen(&mut conn, page).await?, last))
}
