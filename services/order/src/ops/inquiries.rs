//! Inquiries, from the first word to the order or the end.

use crate::convert;
use crate::convert::inquiries::{AdvanceInquiry, CreateInquiry, ListInquiries, RespondToInquiry, Said, UpdateInquiry};
use crate::customer::{Customer, lock_id};
use crate::draft::Buyer;
use crate::error::Error;
use crate::inquiry::{Details, Filter, Inquiry, Probabilities, StageChange};
use crate::name::PresalesName;
use crate::ops::{Books, answer, at_version, begin, claim, page};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::InquiryStage;
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// The customer that a request names; none where it names none.
pub async fn customer_of(conn: &mut PgConnection, buyer: &Buyer, prefix: &str) -> Result<Option<Customer>, Error> {
    let (ids, externals, field) = match buyer {
        Buyer::Guest => return Ok(None),
        Buyer::Id(id) => (vec![*id], vec![], "customer_id"),
        Buyer::External(external_id) => (vec![], vec![external_id.as_str()], "customer_external_id"),
    };
    let found = store::customer::find(conn, &ids, &externals).await?.pop();
    found.map(Some).ok_or_else(|| Error::invalid(&format!("{prefix}{field}"), "is no customer"))
}

async fn details_of(conn: &mut PgConnection, said: Said) -> Result<Details, Error> {
    let customer = customer_of(conn, &said.buyer, "details.").await?;
    let customer_id = customer.as_ref().map(|customer| customer.customer_id);
    let customer_external_id = customer.map(|customer| customer.details.external_id).unwrap_or_default();
    Ok(Details { customer_id, customer_external_id, ..said.details })
}

/// An inquiry with all its history, as clients see it.
async fn whole(conn: &mut PgConnection, inquiry: &Inquiry) -> Result<pb::Inquiry, Error> {
    let probabilities = store::inquiry::probabilities(&mut *conn).await?;
    let responses = store::inquiry::responses(&mut *conn, inquiry.inquiry_id).await?;
    let changes = store::inquiry::changes(conn, inquiry.inquiry_id).await?;
    Ok(convert::inquiries::inquiry(inquiry, &probabilities, &responses, &changes))
}

/// Opens an inquiry.
pub async fn create(books: &Books, command: CreateInquiry) -> Result<pb::CreateInquiryResponse, Error> {
    let CreateInquiry { request_id, external_id, said, opened_at, request } = command;
    let mut tx = store::begin(&books.pool).await?;
    let source = said.details.source.clone();
    // By external id, because a new inquiry has no id yet that two callers would share.
    let shared = external_id.as_ref().map(|external_id| lock_id(&format!("inquiry/{source}/{external_id}")));
    pesan_feed::lock(&mut tx, shared).await?;
    if let Some(earlier) = claim(&mut tx, request_id, "pesan.order.v1.CreateInquiryRequest", &request).await? {
        return Ok(earlier);
    }
    let known = match &external_id {
        Some(external_id) => store::inquiry::by_external_id(&mut tx, &source, external_id).await?,
        None => None,
    };
    let already_existed = known.is_some();
    let inquiry = match known {
        Some(known) => known,
        None => open(&mut tx, external_id, said, opened_at).await?,
    };
    let response = pb::CreateInquiryResponse { inquiry: Some(whole(&mut tx, &inquiry).await?), already_existed };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

async fn open(
    conn: &mut PgConnection,
    external_id: Option<String>,
    said: Said,
    opened_at: OffsetDateTime,
) -> Result<Inquiry, Error> {
    let details = details_of(&mut *conn, said).await?;
    let stage = InquiryStage::Qualification;
    let mut inquiry = Inquiry {
        inquiry_id: Uuid::now_v7(),
        number: 0,
        external_id,
        details,
        stage,
        opened_at,
        first_response_at: None,
        closed_at: None,
        lost_reason: String::new(),
        responses: 0,
        stage_changes: 1,
        version: 1,
    };
    inquiry.number = store::inquiry::insert(&mut *conn, &inquiry).await?;
    let opening = StageChange {
        change_no: 1,
        from: InquiryStage::Unspecified,
        to: stage,
        changed_at: opened_at,
        changed_by: inquiry.details.owner.clone(),
        note: String::new(),
    };
    store::inquiry::insert_change(&mut *conn, inquiry.inquiry_id, &opening).await?;
    let fact = pb::InquiryOpened { inquiry: convert::inquiries::key(&inquiry) };
    pesan_feed::append(conn, &[NewEvent::new(inquiry.inquiry_id, 1, &fact, opened_at)]).await?;
    Ok(inquiry)
}

/// The id of the inquiry with this name.
pub async fn find(books: &Books, name: PresalesName, text: &str) -> Result<Uuid, Error> {
    let mut conn = books.pool.acquire().await?;
    store::inquiry::id_of(&mut conn, name).await?.ok_or_else(|| Error::InquiryNotFound(text.to_owned()))
}

/// An inquiry that is locked.
async fn locked(conn: &mut PgConnection, inquiry_id: Uuid) -> Result<Inquiry, Error> {
    store::inquiry::get(conn, inquiry_id).await?.ok_or(Error::Broken("an inquiry that was found"))
}

/// Describes an inquiry anew.
pub async fn update(books: &Books, command: UpdateInquiry) -> Result<pb::UpdateInquiryResponse, Error> {
    let UpdateInquiry { request_id, name, said, request } = command;
    let method = "pesan.order.v1.UpdateInquiryRequest";
    let inquiry_id = find(books, name, &request.name).await?;
    let mut tx = match begin(books, inquiry_id, request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let mut inquiry = locked(&mut tx, inquiry_id).await?;
    at_version(inquiry.version, request.expected_version)?;
    if inquiry.is_closed() {
        return Err(Error::InquiryRefused(crate::inquiry::Refusal::Closed));
    }
    if said.details.source != inquiry.details.source {
        return Err(Error::invalid("details.source", "never changes: it is where the inquiry came from"));
    }
    inquiry.details = details_of(&mut tx, said).await?;
    let fact = pb::InquiryChanged { inquiry: convert::inquiries::key(&inquiry) };
    let event = NewEvent::new(inquiry.inquiry_id, inquiry.next_version(), &fact, books.clock.now());
    store::inquiry::write(&mut tx, &inquiry).await?;
    pesan_feed::append(&mut tx, &[event]).await?;
    let response = pb::UpdateInquiryResponse { inquiry: Some(whole(&mut tx, &inquiry).await?) };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// Moves an inquiry to another stage.
pub async fn advance(books: &Books, command: AdvanceInquiry) -> Result<pb::AdvanceInquiryResponse, Error> {
    let AdvanceInquiry { request_id, name, stage, request } = command;
    let method = "pesan.order.v1.AdvanceInquiryRequest";
    let inquiry_id = find(books, name, &request.name).await?;
    let mut tx = match begin(books, inquiry_id, request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let mut inquiry = locked(&mut tx, inquiry_id).await?;
    at_version(inquiry.version, request.expected_version)?;
    let now = books.clock.now();
    let change = inquiry.advance(stage, now, &request.changed_by, &request.note).map_err(Error::InquiryRefused)?;
    let event = write_move(&mut tx, &mut inquiry, &change).await?;
    pesan_feed::append(&mut tx, &[event]).await?;
    let response = pb::AdvanceInquiryResponse { inquiry: Some(whole(&mut tx, &inquiry).await?) };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

async fn write_move(conn: &mut PgConnection, inquiry: &mut Inquiry, change: &StageChange) -> Result<NewEvent, Error> {
    let probabilities = store::inquiry::probabilities(&mut *conn).await?;
    let fact = convert::inquiries::moved(inquiry, change, &probabilities);
    let event = NewEvent::new(inquiry.inquiry_id, inquiry.next_version(), &fact, change.changed_at);
    store::inquiry::write(&mut *conn, inquiry).await?;
    store::inquiry::insert_change(conn, inquiry.inquiry_id, change).await?;
    Ok(event)
}

/// Wins an inquiry whose quotation was accepted; the fact, unless it is won already. The caller has locked it.
pub async fn win(
    conn: &mut PgConnection,
    inquiry_id: Uuid,
    at: OffsetDateTime,
    by: &str,
    note: &str,
) -> Result<Option<NewEvent>, Error> {
    let inquiry = store::inquiry::get(&mut *conn, inquiry_id).await?;
    let mut inquiry = inquiry.ok_or(Error::Broken("a quotation's inquiry"))?;
    match inquiry.advance(InquiryStage::Won, at, by, note) {
        Ok(change) => Ok(Some(write_move(conn, &mut inquiry, &change).await?)),
        // It was won by another quotation or by hand; or has a thousand moves, and the order counts more.
        Err(_) => Ok(None),
    }
}

/// Notes an answer to the inquirer.
pub async fn respond(books: &Books, command: RespondToInquiry) -> Result<pb::RespondToInquiryResponse, Error> {
    let RespondToInquiry { request_id, name, responded_at, request } = command;
    let method = "pesan.order.v1.RespondToInquiryRequest";
    let inquiry_id = find(books, name, &request.name).await?;
    let mut tx = match begin(books, inquiry_id, request_id, method, &request).await? {
        Ok(tx) => tx,
        Err(earlier) => return Ok(earlier),
    };
    let mut inquiry = locked(&mut tx, inquiry_id).await?;
    if responded_at < inquiry.opened_at {
        return Err(Error::invalid("responded_at", "must not be before the inquiry was opened"));
    }
    let responder = request.responder.clone();
    let (response, is_first) =
        inquiry.respond(responded_at, responder.clone(), request.text.clone()).map_err(Error::InquiryRefused)?;
    let fact = pb::InquiryResponded { inquiry: convert::inquiries::key(&inquiry), responder, is_first };
    let event = NewEvent::new(inquiry.inquiry_id, inquiry.next_version(), &fact, responded_at);
    store::inquiry::write(&mut tx, &inquiry).await?;
    store::inquiry::insert_response(&mut tx, inquiry.inquiry_id, &response).await?;
    pesan_feed::append(&mut tx, &[event]).await?;
    let response = pb::RespondToInquiryResponse { inquiry: Some(whole(&mut tx, &inquiry).await?) };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(response)
}

/// One inquiry with its history.
pub async fn get(books: &Books, name: PresalesName, text: &str) -> Result<pb::Inquiry, Error> {
    let inquiry_id = find(books, name, text).await?;
    let mut conn = books.pool.acquire().await?;
    let inquiry = store::inquiry::get(&mut conn, inquiry_id).await?;
    whole(&mut conn, &inquiry.ok_or_else(|| Error::InquiryNotFound(text.to_owned()))?).await
}

/// A page of inquiries; the token of the next one where there is one.
pub async fn list(books: &Books, command: &ListInquiries) -> Result<(Vec<pb::Inquiry>, String), Error> {
    let mut conn = books.pool.acquire().await?;
    let rows = store::inquiry::page(&mut conn, &command.filter, command.after, command.size + 1).await?;
    let (rows, is_last) = page(rows, command.size);
    let probabilities = store::inquiry::probabilities(&mut conn).await?;
    let token = rows.last().filter(|_| !is_last).map(|last| command.token(last)).unwrap_or_default();
    let page = rows.iter().map(|inquiry| convert::inquiries::inquiry(inquiry, &probabilities, &[], &[]));
    Ok((page.collect(), token))
}

/// How likely inquiries are won.
pub async fn probabilities(books: &Books) -> Result<Probabilities, Error> {
    let mut conn = books.pool.acquire().await?;
    store::inquiry::probabilities(&mut conn).await
}

/// Sets how likely inquiries are won.
pub async fn set_probabilities(
    books: &Books,
    request_id: Uuid,
    asked: pb::StageProbabilities,
    request: pb::SetStageProbabilitiesRequest,
) -> Result<pb::SetStageProbabilitiesResponse, Error> {
    let mut tx = store::begin(&books.pool).await?;
    let method = "pesan.order.v1.SetStageProbabilitiesRequest";
    if let Some(earlier) = claim(&mut tx, request_id, method, &request).await? {
        return Ok(earlier);
    }
    let known = store::inquiry::probabilities(&mut tx).await?;
    at_version(known.version, request.expected_version)?;
    let next = Probabilities {
        qualification: asked.qualification_percent,
        proposal: asked.proposal_percent,
        negotiation: asked.negotiation_percent,
        version: known.version + 1,
    };
    if !store::inquiry::write_probabilities(&mut tx, &next).await? {
        return Err(Error::Contention);
    }
    let probabilities = Some(convert::inquiries::probabilities(&next));
    let response = pb::SetStageProbabilitiesResponse { probabilities };
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    Ok(response)
}

/// Counts and values by stage, owner and currency.
pub async fn pipeline(books: &Books, filter: &Filter) -> Result<pb::GetPipelineResponse, Error> {
    let mut conn = books.pool.acquire().await?;
    let rows = store::inquiry::pipeline(&mut conn, filter).await?;
    let probabilities = store::inquiry::probabilities(&mut conn).await?;
    Ok(convert::inquiries::pipeline(&rows, &probabilities))
}
