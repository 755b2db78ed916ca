//! What people do with returns: approve, reject, cancel, close, decide discrepancies, repair. Each is one transaction under
//! the order's lock; whether a return can still be called off is fulfilment's to say, and it is asked before.

use crate::convert;
use crate::convert::return_steps::{Deed, Repair, Resolve};
use crate::error::Error;
use crate::ops::Books;
use crate::ops::linked::{self, Content};
use crate::order::Order;
use crate::rma::{Decision, Discrepancy, Rma, RmaLine, repair as repair_leads_to};
use crate::store;
use pesan_api::fulfilment::v1::CloseExpectedReturnRequest;
use pesan_api::fulfilment::v1::return_receipt_service_client::ReturnReceiptServiceClient;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{DiscrepancyDecision, DiscrepancyKind, RepairStep, ReturnResolution, ReturnState};
use pesan_feed::NewEvent;
use pesan_grpc::channel::PeerChannel;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use pesan_grpc::refuse;
use prost::{Message, Name};
use sqlx::{Postgres, Transaction};
use std::collections::HashMap;
use time::OffsetDateTime;
use tonic::Code;
use uuid::Uuid;

/// Reason of goods that were taken although nobody had announced them.
const UNANNOUNCED: &str = "UNANNOUNCED";

/// Who does it.
#[derive(Clone)]
pub struct Clerk {
    /// The books.
    pub books: Books,
    /// Asked to let go of returns.
    pub fulfilment: ReturnReceiptServiceClient<PeerChannel>,
}

/// A return on the desk: its order is locked, and nothing is written yet.
struct Desk {
    tx: Transaction<'static, Postgres>,
    now: OffsetDateTime,
    rma: Rma,
    /// With its lines.
    order: Order,
    events: Vec<NewEvent>,
}

/// A return that somebody wants to do something with.
enum Opened {
    /// It was done before.
    Answered(Box<pb::Return>),
    Desk(Box<Desk>),
}

impl Desk {
    fn tell<M: Message + Name>(&mut self, fact: &M) {
        let version = self.order.head.next_version();
        let event = NewEvent::new(self.rma.order_id, version, fact, self.now).of_journey(self.rma.order_id);
        self.events.push(event.in_trace(self.order.head.traceparent.as_deref()));
    }

    fn expect(&self, state: ReturnState, why: &'static str) -> Result<(), Error> {
        if self.rma.state() == state { Ok(()) } else { Err(Error::ReturnState(self.rma.state(), why)) }
    }

    async fn place(&mut self, content: Content<'_>) -> Result<(), Error> {
        let when = (self.now, self.now);
        self.events.push(linked::place(&mut self.tx, &mut self.rma, &self.order, content, when).await?);
        Ok(())
    }

    /// Tells that the return is approved, and sends the exchange where it goes ahead.
    async fn approve(&mut self) -> Result<(), Error> {
        self.rma.stage = ReturnState::Approved;
        let skus = self.order.lines.iter().map(|line| ((self.rma.order_id, line.line.line_no), line.sku.clone()));
        let fact = convert::returns::approved(&self.rma, self.order.currency, &skus.collect::<HashMap<_, _>>());
        self.tell(&fact);
        if self.rma.advance {
            self.place(Content::Wished(self.rma.resolution)).await?;
        }
        Ok(())
    }

    /// Credits goods that came back earlier: (line, quantity, credit).
    fn credit(&mut self, lines: &[(i32, i64, Option<rust_decimal::Decimal>)], reason: &str) -> Result<(), Error> {
        for (line_no, ..) in lines {
            let line = self.order.lines.iter().find(|line| line.line.line_no == *line_no);
            let q = line.map(|line| line.line.quantities).ok_or(Error::Broken("a line of a return"))?;
            // Billing reads this without waiting for anybody: it must have invoiced what it credits.
            if q.invoiced < q.returned {
                return Err(Error::NotInvoicedYet);
            }
        }
        let line = |(line_no, quantity, credit): &(i32, i64, Option<_>)| pb::CreditedReturnLine {
            line_no: *line_no,
            quantity: *quantity,
            credit: credit.and_then(|credit| convert::money(self.order.currency, credit)),
        };
        let fact = pb::ReturnCredited {
            order_id: self.rma.order_id.to_string(),
            return_id: self.rma.return_id.to_string(),
            number: crate::name::return_number(self.rma.number),
            reason: reason.to_owned(),
            lines: lines.iter().map(line).collect(),
        };
        self.tell(&fact);
        Ok(())
    }

    /// Writes all of it. The answer, which is kept with the request.
    async fn finish(mut self, books: &Books, deed: &Deed) -> Result<pb::Return, Error> {
        self.rma.version += 1;
        let fact = convert::returns::progressed(&self.rma, self.order.currency);
        self.tell(&fact);
        let answer = convert::returns::rma(&self.rma, self.order.currency);
        store::rma::save(&mut self.tx, &self.rma).await?;
        store::order::write(&mut self.tx, &[&self.order.head]).await?;
        pesan_feed::append(&mut self.tx, &self.events).await?;
        idempotency::answer(&mut self.tx, &[(deed.request_id, answer.encode_to_vec())]).await?;
        self.tx.commit().await?;
        books.changed([self.rma.order_id]);
        Ok(answer)
    }
}

impl Clerk {
    async fn find(&self, deed: &Deed) -> Result<Rma, Error> {
        let mut conn = self.books.pool.acquire().await?;
        let found = store::rma::find(&mut conn, deed.name).await?;
        found.ok_or_else(|| Error::ReturnNotFound(deed.text.clone()))
    }

    async fn open(&self, deed: &Deed) -> Result<Opened, Error> {
        let found = self.find(deed).await?;
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [found.order_id]).await?;
        let claim = Claim { request_id: deed.request_id, method: deed.method, body: deed.body.clone() };
        match idempotency::claim(&mut tx, &[claim]).await?.pop() {
            Some(Claimed::Answered(bytes)) => {
                let answer = pb::Return::decode(bytes.as_slice()).map_err(|_| Error::Broken("a stored answer"))?;
                return Ok(Opened::Answered(Box::new(answer)));
            }
            Some(Claimed::Reused(fields)) => return Err(Error::RequestIdReused(fields)),
            Some(Claimed::New | Claimed::SameAs(_)) | None => {}
        }
        let rma = store::rma::by_ids(&mut tx, &[found.return_id]).await?.pop();
        let rma = rma.ok_or(Error::Broken("a return that was found"))?;
        let order = linked::original(&mut tx, rma.order_id).await?;
        let now = self.books.clock.now();
        Ok(Opened::Desk(Box::new(Desk { tx, now, rma, order, events: Vec::new() })))
    }

    /// Approves a return that awaits it.
    pub async fn approve(&self, deed: &Deed) -> Result<pb::Return, Error> {
        let mut desk = match self.open(deed).await? {
            Opened::Answered(answer) => return Ok(*answer),
            Opened::Desk(desk) => desk,
        };
        desk.expect(ReturnState::AwaitingApproval, "it does not await approval")?;
        desk.rma.stage = ReturnState::Approved;
        desk.rma.note(desk.now, &deed.by, &deed.note);
        desk.approve().await?;
        desk.finish(&self.books, deed).await
    }

    /// Rejects a return that awaits approval.
    pub async fn reject(&self, deed: &Deed) -> Result<pb::Return, Error> {
        let mut desk = match self.open(deed).await? {
            Opened::Answered(answer) => return Ok(*answer),
            Opened::Desk(desk) => desk,
        };
        desk.expect(ReturnState::AwaitingApproval, "it does not await approval")?;
        desk.rma.stage = ReturnState::Rejected;
        desk.rma.release();
        desk.rma.note(desk.now, &deed.by, &deed.note);
        desk.finish(&self.books, deed).await
    }

    /// Expects nothing more of a return; where `cancels`, only if nothing of it came back.
    pub async fn close(&self, deed: &Deed, cancels: bool) -> Result<pb::Return, Error> {
        let found = self.find(deed).await?;
        let released = match found.state() {
            ReturnState::AwaitingApproval => None,
            ReturnState::Approved
            | ReturnState::PartiallyReceived
            | ReturnState::Discrepancy
            | ReturnState::Received
            | ReturnState::Cancelled => Some(self.ask_to_close(deed, found.return_id, cancels).await?),
            state => return Err(Error::ReturnState(state, "nothing of it is expected")),
        };
        let mut desk = match self.open(deed).await? {
            Opened::Answered(answer) => return Ok(*answer),
            Opened::Desk(desk) => desk,
        };
        match released {
            None => {
                desk.expect(ReturnState::AwaitingApproval, "it was approved meanwhile: try again")?;
                desk.rma.stage = ReturnState::Cancelled;
                desk.rma.release();
            }
            Some(released) => {
                for line in &mut desk.rma.lines {
                    // The feed may have told it before the answer came.
                    let told = released.get(&line.line_no).copied().unwrap_or(0);
                    line.released = line.released.max(told.min(line.quantity - line.received));
                }
            }
        }
        desk.rma.note(desk.now, &deed.by, &deed.note);
        if desk.rma.is_due() {
            desk.place(Content::Wished(desk.rma.resolution)).await?;
        }
        desk.finish(&self.books, deed).await
    }

    /// What fulfilment lets go of, by line.
    async fn ask_to_close(&self, deed: &Deed, return_id: Uuid, cancels: bool) -> Result<HashMap<i32, i64>, Error> {
        let request = CloseExpectedReturnRequest {
            request_id: deed.request_id.to_string(),
            name: return_id.to_string(),
            only_if_untouched: cancels,
        };
        let answer = self.fulfilment.clone().close_expected_return(request).await;
        let answer = answer.map_err(|status| match (status.code(), refuse::reason(&status).as_str()) {
            (Code::NotFound, _) => Error::NotFollowedYet,
            (Code::FailedPrecondition, "ALREADY_RECEIVED") => Error::AlreadyReceived,
            (Code::AlreadyExists, _) => Error::RequestIdReused(Vec::new()),
            (code, reason) => {
                tracing::warn!(?code, reason, "fulfilment did not close a return");
                Error::PeerUnavailable("fulfilment")
            }
        })?;
        let expected = answer.into_inner().expected_return.ok_or(Error::PeerUnavailable("fulfilment"))?;
        Ok(expected.lines.iter().map(|line| (line.line_no, line.released)).collect())
    }

    /// Decides what becomes of goods that were not as announced.
    pub async fn resolve(&self, command: &Resolve) -> Result<pb::Return, Error> {
        let deed = &command.deed;
        let mut desk = match self.open(deed).await? {
            Opened::Answered(answer) => return Ok(*answer),
            Opened::Desk(desk) => desk,
        };
        let place = desk.rma.discrepancies.iter().position(|one| one.id == command.discrepancy_id);
        let place = place.ok_or_else(|| Error::DiscrepancyNotFound(command.discrepancy_id.to_string()))?;
        let one = desk.rma.discrepancies[place].clone();
        if one.decision.is_some() {
            return Err(Error::ReturnState(desk.rma.state(), "the discrepancy was decided before"));
        }
        let takes = command.decision != DiscrepancyDecision::Reject;
        let pays = matches!(desk.rma.resolution, ReturnResolution::Refund | ReturnResolution::Exchange)
            && command.decision == DiscrepancyDecision::Accept;
        match one.kind {
            DiscrepancyKind::OtherGoods | DiscrepancyKind::Unspecified if takes => {
                return Err(Error::invalid("decision", "must be REJECT for goods that the order never had"));
            }
            DiscrepancyKind::Condition if pays => {
                let before = desk.rma.credited_later(one.line_no);
                let credit = desk.rma.withheld_credit(one.line_no, one.damaged, before, desk.order.currency);
                let reason = reason_of(&desk.rma, one.line_no);
                desk.credit(&[(one.line_no, one.damaged, credit)], &reason)?;
            }
            DiscrepancyKind::More | DiscrepancyKind::OtherLine if takes => amend(&mut desk, &one, pays).await?,
            DiscrepancyKind::OtherGoods
            | DiscrepancyKind::Unspecified
            | DiscrepancyKind::Condition
            | DiscrepancyKind::More
            | DiscrepancyKind::OtherLine => {}
        }
        let decision = Decision { what: command.decision, by: deed.by.clone(), note: deed.note.clone(), at: desk.now };
        desk.rma.discrepancies[place].decision = Some(decision);
        desk.rma.note(desk.now, &deed.by, &deed.note);
        if desk.rma.is_due() {
            desk.place(Content::Wished(desk.rma.resolution)).await?;
        }
        desk.finish(&self.books, deed).await
    }

    /// One step of a repair.
    pub async fn repair(&self, command: &Repair) -> Result<pb::Return, Error> {
        let deed = &command.deed;
        let mut desk = match self.open(deed).await? {
            Opened::Answered(answer) => return Ok(*answer),
            Opened::Desk(desk) => desk,
        };
        let state = desk.rma.state();
        if desk.rma.resolution != ReturnResolution::Repair {
            return Err(Error::ReturnState(state, "it is not for repair"));
        }
        let next = repair_leads_to(state, command.step)
            .ok_or(Error::ReturnState(state, "that is not the next step of its repair"))?;
        let received: Vec<(i32, i64, Option<rust_decimal::Decimal>)> = desk
            .rma
            .lines
            .iter()
            .filter(|line| line.received > 0)
            .map(|line| {
                let credit = desk.rma.amended_credit(line.line_no, line.received, desk.order.currency);
                (line.line_no, line.received, credit)
            })
            .collect();
        desk.rma.stage = next;
        desk.rma.note(desk.now, &deed.by, &deed.note);
        match (command.step, command.scrapped_for) {
            (RepairStep::SendBack, _) => {
                let own = desk.rma.service_sku.clone();
                let sku = if command.service_sku.is_empty() { &own } else { &command.service_sku };
                if sku.is_empty() {
                    return Err(Error::invalid("service_sku", "is required: the policy names none"));
                }
                desk.place(Content::Repaired { sku }).await?;
            }
            (RepairStep::Scrap, ReturnResolution::Replacement) => {
                desk.place(Content::Wished(ReturnResolution::Replacement)).await?;
            }
            (RepairStep::Scrap, _) => desk.credit(&received, "SCRAPPED")?,
            (RepairStep::Unspecified | RepairStep::Start | RepairStep::Complete, _) => {}
        }
        desk.finish(&self.books, deed).await
    }
}

fn reason_of(rma: &Rma, line_no: i32) -> String {
    rma.lines.iter().find(|line| line.line_no == line_no).map(|line| line.reason.clone()).unwrap_or_default()
}

/// Takes goods that nobody announced into the return, as far as so many left and are not on their way back already.
async fn amend(desk: &mut Desk, one: &Discrepancy, pays: bool) -> Result<(), Error> {
    let quantity = one.sellable + one.damaged;
    let line = desk.order.lines.iter().find(|line| line.line.line_no == one.line_no);
    let q = line.map(|line| line.line.quantities).ok_or(Error::Broken("a line of a discrepancy"))?;
    let others = store::rma::of_orders(&mut desk.tx, &[desk.rma.order_id]).await?;
    let on_its_way: i64 = others
        .iter()
        .flat_map(|rma| rma.lines.iter().filter(|line| line.line_no == one.line_no))
        .map(RmaLine::open)
        .sum();
    let returnable = q.shipped - q.returned - on_its_way;
    if quantity > returnable {
        return Err(Error::NotShipped {
            field: "discrepancy_id".to_owned(),
            line_no: one.line_no,
            quantity,
            returnable,
            may_come: false,
        });
    }
    let credit = desk.rma.amended_credit(one.line_no, quantity, desk.order.currency).filter(|_| pays);
    let lines = &mut desk.rma.lines;
    let at = lines.partition_point(|line| line.line_no < one.line_no);
    if lines.get(at).is_none_or(|line| line.line_no != one.line_no) {
        let line = RmaLine { line_no: one.line_no, reason: UNANNOUNCED.to_owned(), ..RmaLine::default() };
        lines.insert(at, line);
    }
    lines[at].quantity += quantity;
    let fact = pb::ReturnAmended {
        order_id: desk.rma.order_id.to_string(),
        return_id: desk.rma.return_id.to_string(),
        number: crate::name::return_number(desk.rma.number),
        lines: vec![pb::AmendedReturnLine {
            line_no: one.line_no,
            sku: one.sku.clone(),
            sellable: one.sellable,
            damaged: one.damaged,
            reason: reason_of(&desk.rma, one.line_no),
            uncredited: !pays,
            credit: credit.and_then(|credit| convert::money(desk.order.currency, credit)),
            discrepancy_id: one.id.to_string(),
        }],
    };
    desk.tell(&fact);
    Ok(())
}
