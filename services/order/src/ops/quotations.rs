//! Quotations, up to the customer's answer. (The yes is in `ops::accept`.)

use crate::convert;
use crate::convert::quotations::{CreateQuotation, Decision, ListQuotations, ReviseQuotation};
use crate::error::Error;
use crate::inquiry;
use crate::name::PresalesName;
use crate::ops::inquiries::{self, customer_of};
use crate::ops::{Books, answer, at_version, begin, claim, page};
use crate::quotation::{Action, At, MOST_REVISIONS, Quotation, Revision, allows};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::QuotationState;
use pesan_feed::NewEvent;
use prost::{Message, Name};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes a quotation's first revision.
pub async fn create(books: &Books, command: CreateQuotation) -> Result<pb::CreateQuotationResponse, Error> {
    let CreateQuotation { request_id, inquiry, buyer, channel, revision, request } = command;
    let inquiry_id = match inquiry {
        Some(name) => Some(inquiries::find(books, name, &request.inquiry).await?),
        None => None,
    };
    let now = revision.revised_at;
    let mut tx = store::begin(&books.pool).await?;
    pesan_feed::lock(&mut tx, inquiry_id).await?;
    if let Some(earlier) = claim(&mut tx, request_id, "pesan.order.v1.CreateQuotationRequest", &request).await? {
        return Ok(earlier);
    }
    let inquiry = match inquiry_id {
        Some(id) => store::inquiry::get(&mut tx, id).await?,
        None => None,
    };
    if inquiry.as_ref().is_some_and(inquiry::Inquiry::is_closed) {
        return Err(Error::InquiryRefused(inquiry::Refusal::Closed));
    }
    let customer = customer_of(&mut tx, &buyer, "").await?;
    let of_inquiry = inquiry.as_ref().map(|inquiry| &inquiry.details);
    let (customer_id, customer_external_id, customer_rep) = match customer {
        Some(customer) => (Some(customer.customer_id), customer.details.external_id, customer.details.sales_rep),
        None => {
            let known = of_inquiry.map(|details| (details.customer_id, details.customer_external_id.clone()));
            let (id, external_id) = known.unwrap_or_default();
            (id, external_id, String::new())
        }
    };
    let owner = of_inquiry.map(|details| details.owner.clone()).unwrap_or_default();
    let sales_rep = [request.sales_rep.clone(), owner, customer_rep].into_iter().find(|rep| !rep.is_empty());
    let mut quotation = Quotation {
        quotation_id: Uuid::now_v7(),
        number: 0,
        inquiry_id,
        customer_id,
        customer_external_id,
        channel,
        sales_rep: sales_rep.unwrap_or_default(),
        state: QuotationState::Draft,
        revision: 1,
        valid_until: revision.valid_until,
        created_at: now,
        sent_at: None,
        decided_at: None,
        decided_by: String::new(),
        decision_note: String::new(),
        order_id: None,
        version: 1,
    };
    quotation.number = store::quotation::insert(&mut tx, &quotation).await?;
    store::quotation::insert_revision(&mut tx, quotation.quotation_id, &revision).await?;
    let at = (quotation, revision);
    let fact = pb::QuotationCreated { quotation: convert::quotations::key(&at) };
    pesan_feed::append(&mut tx, &[NewEvent::new(at.0.quotation_id, 1, &fact, now)]).await?;
    let response = pb::CreateQuotationResponse { quotation: Some(convert::quotations::quotation(&at, now, true)) };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// The id of the quotation with this name.
pub async fn find(books: &Books, name: PresalesName, text: &str) -> Result<Uuid, Error> {
    let mut conn = books.pool.acquire().await?;
    store::quotation::id_of(&mut conn, name).await?.ok_or_else(|| Error::QuotationNotFound(text.to_owned()))
}

/// A quotation that is locked, at its newest revision, and that nobody is accepting.
async fn locked(conn: &mut PgConnection, quotation_id: Uuid) -> Result<At, Error> {
    let at = store::quotation::get(&mut *conn, quotation_id, 0).await?;
    if store::quotation::acceptance_of(conn, quotation_id).await?.is_some() {
        return Err(Error::AcceptancePending);
    }
    at.ok_or(Error::Broken("a quotation that was found"))
}

/// Whether a quotation allows an action now.
pub fn permit(quotation: &Quotation, action: Action, now: OffsetDateTime) -> Result<(), Error> {
    let state = quotation.state_at(now);
    allows(state, action).map_err(|refusal| Error::QuotationRefused(state, refusal))
}

/// Writes a changed quotation and its fact.
async fn publish<M: Message + Name>(
    conn: &mut PgConnection,
    at: &mut At,
    fact: impl FnOnce(Option<pb::QuotationKey>) -> M,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let version = at.0.next_version();
    let fact = fact(convert::quotations::key(at));
    store::quotation::write(&mut *conn, &at.0).await?;
    pesan_feed::append(conn, &[NewEvent::new(at.0.quotation_id, version, &fact, now)]).await?;
    Ok(())
}

/// Writes another revision.
pub async fn revise(books: &Books, command: ReviseQuotation) -> Result<pb::ReviseQuotationResponse, Error> {
    let ReviseQuotation { request_id, name, revision, request } = command;
    let method = "pesan.order.v1.ReviseQuotationRequest";
    let quotation_id = find(books, name, &request.name).await?;
    let mut tx = match begin(books, quotation_id, request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let (mut quotation, _) = locked(&mut tx, quotation_id).await?;
    let now = revision.revised_at;
    at_version(quotation.version, request.expected_version)?;
    permit(&quotation, Action::Revise, now)?;
    if quotation.revision >= MOST_REVISIONS {
        return Err(Error::invalid("name", "has as many revisions as a quotation can have: create another"));
    }
    quotation.revise(revision.valid_until);
    let revision = Revision { revision: quotation.revision, ..revision };
    let mut at = (quotation, revision);
    store::quotation::insert_revision(&mut tx, at.0.quotation_id, &at.1).await?;
    publish(&mut tx, &mut at, |quotation| pb::QuotationRevised { quotation }, now).await?;
    let response = pb::ReviseQuotationResponse { quotation: Some(convert::quotations::quotation(&at, now, true)) };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// Sends the newest revision to the customer.
pub async fn send(
    books: &Books,
    decision: Decision,
    request: pb::SendQuotationRequest,
) -> Result<pb::SendQuotationResponse, Error> {
    let method = "pesan.order.v1.SendQuotationRequest";
    let quotation_id = find(books, decision.name, &decision.text).await?;
    let mut tx = match begin(books, quotation_id, decision.request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let mut at = locked(&mut tx, quotation_id).await?;
    let now = books.clock.now();
    at_version(at.0.version, decision.expected_version)?;
    permit(&at.0, Action::Send, now)?;
    at.0.state = QuotationState::Sent;
    at.0.sent_at = Some(now);
    publish(&mut tx, &mut at, |quotation| pb::QuotationSent { quotation }, now).await?;
    let response = pb::SendQuotationResponse { quotation: Some(convert::quotations::quotation(&at, now, true)) };
    answer(&mut tx, decision.request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// Takes a quotation back.
pub async fn withdraw(
    books: &Books,
    decision: Decision,
    request: pb::WithdrawQuotationRequest,
) -> Result<pb::WithdrawQuotationResponse, Error> {
    let method = "pesan.order.v1.WithdrawQuotationRequest";
    let quotation_id = find(books, decision.name, &decision.text).await?;
    let mut tx = match begin(books, quotation_id, decision.request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let mut at = locked(&mut tx, quotation_id).await?;
    let now = books.clock.now();
    permit(&at.0, Action::Withdraw, now)?;
    at.0.decide(QuotationState::Withdrawn, now, &decision.by, &decision.note);
    let note = decision.note;
    publish(&mut tx, &mut at, |quotation| pb::QuotationWithdrawn { quotation, note }, now).await?;
    let response = pb::WithdrawQuotationResponse { quotation: Some(convert::quotations::quotation(&at, now, true)) };
    answer(&mut tx, decision.request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// Notes that the customer said no.
pub async fn reject(
    books: &Books,
    decision: Decision,
    request: pb::RejectQuotationRequest,
) -> Result<pb::RejectQuotationResponse, Error> {
    let method = "pesan.order.v1.RejectQuotationRequest";
    let quotation_id = find(books, decision.name, &decision.text).await?;
    let mut tx = match begin(books, quotation_id, decision.request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let mut at = locked(&mut tx, quotation_id).await?;
    let now = books.clock.now();
    permit(&at.0, Action::Reject, now)?;
    at.0.decide(QuotationState::Rejected, now, &decision.by, &decision.note);
    let note = decision.note;
    publish(&mut tx, &mut at, |quotation| pb::QuotationRejected { quotation, note }, now).await?;
    let response = pb::RejectQuotationResponse { quotation: Some(convert::quotations::quotation(&at, now, true)) };
    answer(&mut tx, decision.request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// One quotation at a revision; 0: the newest.
pub async fn get(books: &Books, name: PresalesName, text: &str, revision: i32) -> Result<At, Error> {
    let quotation_id = find(books, name, text).await?;
    let mut conn = books.pool.acquire().await?;
    let at = store::quotation::get(&mut conn, quotation_id, revision).await?;
    at.ok_or_else(|| Error::RevisionNotFound(text.to_owned(), revision))
}

/// A page for people.
pub async fn document(
    books: &Books,
    name: PresalesName,
    text: &str,
    revision: i32,
) -> Result<pb::GetQuotationDocumentResponse, Error> {
    let at = get(books, name, text, revision).await?;
    let mut conn = books.pool.acquire().await?;
    let ids: Vec<Uuid> = at.0.customer_id.into_iter().collect();
    let customer = store::customer::find(&mut conn, &ids, &[]).await?.pop();
    let customer = match customer {
        Some(customer) if customer.details.name.is_empty() => customer.details.external_id,
        Some(customer) => customer.details.name,
        None => contact(&mut conn, at.0.inquiry_id).await?,
    };
    Ok(convert::quotation_page::page(&at, &customer, books.clock.now()))
}

/// Whom an inquiry is from.
async fn contact(conn: &mut PgConnection, inquiry_id: Option<Uuid>) -> Result<String, Error> {
    let Some(inquiry_id) = inquiry_id else { return Ok(String::new()) };
    let inquiry = store::inquiry::get(conn, inquiry_id).await?;
    Ok(inquiry.map(|inquiry| inquiry.details.contact_name).unwrap_or_default())
}

/// A page of quotations; the token of the next one where there is one.
pub async fn list(books: &Books, mut command: ListQuotations) -> Result<(Vec<pb::Quotation>, String), Error> {
    if let Some((name, text)) = &command.inquiry {
        command.filter.inquiry_id = Some(inquiries::find(books, *name, text).await?);
    }
    let now = books.clock.now();
    let mut conn = books.pool.acquire().await?;
    let rows = store::quotation::page(&mut conn, &command.filter, now, command.after, command.size + 1).await?;
    let (rows, is_last) = page(rows, command.size);
    let token = rows.last().filter(|_| !is_last).map(|last| command.token(&last.0)).unwrap_or_default();
    Ok((rows.iter().map(|at| convert::quotations::quotation(at, now, false)).collect(), token))
}
