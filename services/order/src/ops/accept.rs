//! The yes to a quotation: its order is placed, once.
//!
//! 1. The acceptance is written, with the very order that will be placed. From now on the quotation cannot be changed,
//!    and whoever accepts it again gets the same order.
//! 2. The order goes through the same intake as all others. Its request id follows from the quotation's id, so that
//!    however often it is placed it is there once.
//! 3. In one transaction the quotation gets its order, its inquiry is won, and the acceptance is gone.
//!
//! A process that dies between leaves the acceptance: a worker takes it up when its lease is over.

use crate::convert;
use crate::convert::quotations::{AcceptQuotation, new_order, order_draft};
use crate::error::Error;
use crate::ops::inquiries;
use crate::ops::place::{Intake, Placed};
use crate::ops::quotations::{find, permit};
use crate::ops::wait;
use crate::ops::{Books, read};
use crate::quotation::{Action, order_request_id};
use crate::store;
use crate::store::quotation::Acceptance;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::QuotationState;
use pesan_batch::Refused;
use pesan_feed::NewEvent;
use prost::Message as _;
use sqlx::Acquire as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Acceptances that a worker takes at once.
const BATCH: i64 = 50;

/// Accepts quotations.
#[derive(Clone)]
pub struct Acceptor {
    /// The books.
    pub books: Books,
    /// Takes new orders.
    pub intake: Intake,
}

/// What a quotation is about to become.
enum Intended {
    /// It is this order.
    Done(Uuid),
    /// Its order is being placed.
    Now(Acceptance),
}

impl Acceptor {
    /// Accepts a quotation and answers with its order, when that is settled or at the deadline.
    pub async fn accept(
        &self,
        command: &AcceptQuotation,
        deadline: Instant,
    ) -> Result<pb::AcceptQuotationResponse, Error> {
        let quotation_id = find(&self.books, command.name, &command.request.name).await?;
        let (order_id, already_accepted) = match self.intend(quotation_id, command).await? {
            Intended::Done(order_id) => (order_id, true),
            Intended::Now(acceptance) => (self.carry_out(&acceptance).await?, false),
        };
        if command.waits {
            let waiting = self.books.wakes.wait_for(&[order_id]);
            wait::until_settled(&self.books, &waiting, &[order_id], deadline).await?;
        }
        let mut orders = read::by_ids(&self.books, &[order_id], true).await?;
        let mut conn = self.books.pool.acquire().await?;
        let at = store::quotation::get(&mut conn, quotation_id, 0).await?.ok_or(Error::Broken("a quotation"))?;
        let quotation = Some(convert::quotations::quotation(&at, self.books.clock.now(), true));
        Ok(pb::AcceptQuotationResponse { quotation, order: orders.remove(&order_id), already_accepted })
    }

    /// Writes down what will be placed, or finds what is being placed already.
    async fn intend(&self, quotation_id: Uuid, command: &AcceptQuotation) -> Result<Intended, Error> {
        let now = self.books.clock.now();
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [quotation_id]).await?;
        let at = store::quotation::get(&mut tx, quotation_id, 0).await?.ok_or(Error::Broken("a quotation"))?;
        let quotation = &at.0;
        let asked = command.request.revision;
        if asked != 0 && asked != quotation.revision {
            return Err(Error::RevisionChanged { asked, newest: quotation.revision });
        }
        if let Some(order_id) = quotation.order_id {
            return Ok(Intended::Done(order_id));
        }
        if let Some(acceptance) = store::quotation::acceptance_of(&mut tx, quotation_id).await? {
            return Ok(Intended::Now(acceptance));
        }
        permit(quotation, Action::Accept, now)?;
        let names_one = !command.request.customer_id.is_empty() || !command.request.customer_external_id.is_empty();
        if quotation.customer_id.is_some() && names_one {
            return Err(Error::invalid("customer_id", "must be empty: the quotation names its customer"));
        }
        inquiries::customer_of(&mut tx, &command.buyer, "").await?;
        let order = new_order(&at, &command.request, order_request_id(quotation_id), now);
        // What could not be placed is refused before anything is promised.
        order_draft(order.clone(), now, None)?;
        let acceptance = Acceptance {
            quotation_id,
            new_order: order.encode_to_vec(),
            accepted_by: command.request.accepted_by.clone(),
            accepted_at: now,
            traceparent: pesan_telemetry::current_traceparent(),
        };
        store::quotation::insert_acceptance(&mut tx, &acceptance, now + self.books.patience.lease).await?;
        tx.commit().await?;
        Ok(Intended::Now(acceptance))
    }

    /// Places the order and writes down that the quotation became it.
    async fn carry_out(&self, acceptance: &Acceptance) -> Result<Uuid, Error> {
        let order =
            pb::NewOrder::decode(acceptance.new_order.as_slice()).map_err(|_| Error::Broken("an acceptance"))?;
        let draft = order_draft(order, acceptance.accepted_at, acceptance.traceparent.clone());
        let placed = match draft {
            Ok(draft) => {
                let lines = draft.lines.len();
                match self.intake.submit(draft, lines).await {
                    Ok(placed) => placed,
                    Err(Refused::Full) => Err(Error::Busy),
                    Err(Refused::Closed) => Err(Error::ShuttingDown),
                }
            }
            Err(wrong) => Err(wrong),
        };
        match placed {
            Ok(placed) => self.complete(acceptance, placed).await,
            // Refused for what it is: the quotation is as it was.
            Err(refused) if refused.is_final() => {
                self.give_up(acceptance.quotation_id).await?;
                Err(refused)
            }
            Err(error) => {
                tracing::warn!(%error, quotation_id = %acceptance.quotation_id, "an accepted quotation's order waits");
                Err(Error::AcceptanceUnknown)
            }
        }
    }

    async fn give_up(&self, quotation_id: Uuid) -> Result<(), Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [quotation_id]).await?;
        store::quotation::delete_acceptance(&mut tx, quotation_id).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn complete(&self, acceptance: &Acceptance, placed: Placed) -> Result<Uuid, Error> {
        let (quotation_id, order_id) = (acceptance.quotation_id, placed.order_id);
        let mut conn = self.books.pool.acquire().await?;
        let known = store::quotation::get(&mut conn, quotation_id, 0).await?.ok_or(Error::Broken("a quotation"))?;
        if store::quotation::request_of_order(&mut conn, order_id).await? != Some(order_request_id(quotation_id)) {
            self.give_up(quotation_id).await?;
            let what =
                "has a number that another order of its channel has as external id: revise it in another channel";
            return Err(Error::invalid("name", what));
        }
        drop(conn);
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [quotation_id].into_iter().chain(known.0.inquiry_id)).await?;
        let mut at = store::quotation::get(&mut tx, quotation_id, 0).await?.ok_or(Error::Broken("a quotation"))?;
        if at.0.order_id.is_some() {
            return Ok(order_id);
        }
        // Whatever happened to it meanwhile: the order is there.
        at.0.decide(QuotationState::Accepted, acceptance.accepted_at, &acceptance.accepted_by, "");
        at.0.order_id = Some(order_id);
        let order = store::read::orders(&mut tx, &[order_id], false).await?.remove(&order_id);
        at.0.customer_id = order.and_then(|order| order.customer_id).or(at.0.customer_id);
        let version = at.0.next_version();
        let fact = pb::QuotationAccepted { quotation: convert::quotations::key(&at), order_id: order_id.to_string() };
        let event = NewEvent::new(quotation_id, version, &fact, acceptance.accepted_at).of_journey(order_id);
        let mut events = vec![event.in_trace(acceptance.traceparent.as_deref())];
        if let Some(inquiry_id) = at.0.inquiry_id {
            let note = format!("{} was accepted", crate::name::quotation_number(at.0.number));
            let by = &acceptance.accepted_by;
            events.extend(inquiries::win(&mut tx, inquiry_id, acceptance.accepted_at, by, &note).await?);
        }
        store::quotation::write(&mut tx, &at.0).await?;
        store::quotation::delete_acceptance(&mut tx, quotation_id).await?;
        pesan_feed::append(&mut tx, &events).await?;
        tx.commit().await?;
        self.books.feed.wake();
        Ok(order_id)
    }

    /// Takes up acceptances whose lease is over; how many.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let now = self.books.clock.now();
        let mut conn = self.books.pool.acquire().await?;
        let mut tx = conn.begin().await?;
        let lease = now + self.books.patience.lease;
        let taken = store::quotation::take_acceptances(&mut tx, now, lease, BATCH).await?;
        tx.commit().await?;
        drop(conn);
        for acceptance in &taken {
            if let Err(error) = self.carry_out(acceptance).await {
                tracing::warn!(%error, quotation_id = %acceptance.quotation_id, "an acceptance was not carried out");
            }
        }
        Ok(taken.len())
    }

    /// Looks for acceptances that nobody finishes, until `stop`.
    pub async fn recover(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.run_once().await {
                tracing::warn!(%error, "acceptances cannot be taken; trying again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.books.patience.look) => {}
            }
        }
    }
}
