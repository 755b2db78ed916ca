//! Quotations.

use crate::convert::inquiries::{after, buyer, fingerprint, inquiry_name};
use crate::convert::orders::time_token;
use crate::convert::place::{draft, known};
use crate::convert::{address, money};
use crate::draft::{Buyer, Draft};
use crate::error::Error;
use crate::name::{PresalesName, quotation_number};
use crate::price;
use crate::quotation::{At, Filter, Quotation, Revision};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{PaymentMethod, QuotationState};
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, page};
use time::OffsetDateTime;
use uuid::Uuid;

/// Most lines of a quotation: all of it is one row, and one page for people.
const MOST_LINES: usize = 1000;

/// The name of a quotation.
pub fn quotation_name(v: &mut Violations, text: &str) -> PresalesName {
    PresalesName::of_quotation(text).unwrap_or_else(|| {
        v.add("name", "must be a quotation's id or number (\"QU-000012\")");
        PresalesName::Number(0)
    })
}

/// A revision that is written.
fn revision(
    v: &mut Violations,
    channel: &str,
    terms: Option<pb::QuotationTerms>,
    by: &str,
    now: OffsetDateTime,
) -> Option<Revision> {
    let Some(mut terms) = terms else {
        v.add("terms", "is required");
        return None;
    };
    if terms.lines.len() > MOST_LINES {
        v.add("terms.lines", format!("must have 1 to {MOST_LINES} entries, not {}", terms.lines.len()));
        return None;
    }
    let valid_until = v.time("terms.valid_until", terms.valid_until.as_ref());
    match valid_until {
        None => v.add("terms.valid_until", "is required"),
        Some(until) if until <= now => v.add("terms.valid_until", "must be in the future"),
        Some(_) => {}
    }
    if terms.currency_code.is_empty() {
        v.add("terms.currency_code", "is required: an ISO 4217 code such as EUR");
        return None;
    }
    for (i, line) in terms.lines.iter().enumerate().filter(|(_, line)| line.unit_price.is_none()) {
        v.add(format!("terms.lines[{i}].unit_price"), format!("is required for {}: it is what is offered", line.sku));
    }
    v.text("terms.notes", terms.notes.clone(), 0, 10_000);
    // What is offered must be an order that could be placed: whatever is not known yet is taken to be right.
    let order = pb::NewOrder {
        request_id: Uuid::now_v7().to_string(),
        channel: channel.to_owned(),
        customer_id: Uuid::now_v7().to_string(),
        currency_code: terms.currency_code.clone(),
        lines: terms.lines.clone(),
        ship_to: terms.ship_to.clone(),
        payment_method: terms.payment_method,
        payment_token: if terms.payment_method == i32::from(PaymentMethod::Provider) { "-" } else { "" }.to_owned(),
        reservation_policy: terms.reservation_policy,
        ..Default::default()
    };
    let checked = draft(order, now, None).and_then(|draft| {
        let amiss = |amiss: price::Amiss| {
            let mut wrong = Violations::new();
            wrong.add(amiss.field(), amiss.to_string());
            wrong
        };
        let currency = draft.currency.ok_or_else(Violations::new)?;
        Ok((currency, price::totals(&draft.lines).map_err(amiss)?, draft.lines))
    });
    let (currency, totals, lines) = match checked {
        Ok(checked) => checked,
        Err(wrong) => {
            for violation in wrong.as_slice() {
                let prefix = if violation.field == "channel" { "" } else { "terms." };
                v.add(format!("{prefix}{}", violation.field), violation.description.clone());
            }
            return None;
        }
    };
    // Shares become amounts: what was offered stays, to the minor unit.
    for (offered, line) in terms.lines.iter_mut().zip(&lines) {
        offered.discount = money(currency, line.discount).filter(|_| !line.discount.is_zero());
        offered.discount_basis_points = 0;
    }
    Some(Revision {
        revision: 1,
        currency,
        gross: totals.gross,
        discount: totals.discount,
        tax: totals.tax,
        valid_until: valid_until?,
        revised_at: now,
        revised_by: by.to_owned(),
        terms,
    })
}

/// A quotation that is written.
pub struct CreateQuotation {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The inquiry it answers.
    pub inquiry: Option<PresalesName>,
    /// Who it is for.
    pub buyer: Buyer,
    /// Where its order will be placed.
    pub channel: String,
    /// The first revision.
    pub revision: Revision,
    /// The request as it came.
    pub request: pb::CreateQuotationRequest,
}

impl CreateQuotation {
    /// Reads one.
    pub fn read(request: pb::CreateQuotationRequest, now: OffsetDateTime) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let inquiry = Some(request.inquiry.as_str()).filter(|text| !text.is_empty());
        let inquiry = inquiry.map(|text| inquiry_name(&mut v, "inquiry", text));
        let buyer = buyer(&mut v, "", &request.customer_id, request.customer_external_id.clone());
        v.text("sales_rep", request.sales_rep.clone(), 0, 100);
        v.text("created_by", request.created_by.clone(), 0, 100);
        let channel = match request.channel.as_str() {
            "" => "quotation".to_owned(),
            own => own.to_owned(),
        };
        let revision = revision(&mut v, &channel, request.terms.clone(), &request.created_by, now);
        let Some(revision) = revision.filter(|_| v.is_empty()) else { return Err(v.into()) };
        Ok(Self { request_id, inquiry, buyer, channel, revision, request })
    }
}

/// A quotation that is written anew.
pub struct ReviseQuotation {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// Which.
    pub name: PresalesName,
    /// Its number is given when it is written.
    pub revision: Revision,
    /// The request as it came.
    pub request: pb::ReviseQuotationRequest,
}

impl ReviseQuotation {
    /// Reads one.
    pub fn read(request: pb::ReviseQuotationRequest, now: OffsetDateTime) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let name = quotation_name(&mut v, &request.name);
        v.text("revised_by", request.revised_by.clone(), 0, 100);
        v.within("expected_version", request.expected_version, 0, i64::MAX);
        let revision = revision(&mut v, "quotation", request.terms.clone(), &request.revised_by, now);
        let Some(revision) = revision.filter(|_| v.is_empty()) else { return Err(v.into()) };
        Ok(Self { request_id, name, revision, request })
    }
}

/// What is common to sending, rejecting and withdrawing.
pub struct Decision {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// Which.
    pub name: PresalesName,
    /// As the caller wrote it.
    pub text: String,
    /// Who decides.
    pub by: String,
    /// Why.
    pub note: String,
    /// 0: any.
    pub expected_version: i64,
}

impl Decision {
    /// Reads one; `by_field` is what the request calls who decides.
    pub fn read(
        request_id: &str,
        name: &str,
        (by_field, by): (&str, &str),
        note: &str,
        expected_version: i64,
    ) -> Result<Self, Error> {
        let mut v = Violations::new();
        v.within("expected_version", expected_version, 0, i64::MAX);
        let decision = Self {
            request_id: v.uuid("request_id", request_id),
            name: quotation_name(&mut v, name),
            text: name.to_owned(),
            by: v.text(by_field, by.to_owned(), 0, 100),
            note: v.text("note", note.to_owned(), 0, 500),
            expected_version,
        };
        Ok(v.into_result(decision)?)
    }
}

/// A quotation that is accepted.
pub struct AcceptQuotation {
    /// Which.
    pub name: PresalesName,
    /// Who accepts, where the quotation does not say.
    pub buyer: Buyer,
    /// The request as it came.
    pub request: pb::AcceptQuotationRequest,
    /// Whether to wait until the order is settled.
    pub waits: bool,
}

impl TryFrom<pb::AcceptQuotationRequest> for AcceptQuotation {
    type Error = Error;

    fn try_from(request: pb::AcceptQuotationRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let name = quotation_name(&mut v, &request.name);
        v.within("revision", request.revision, 0, i32::MAX);
        v.text("accepted_by", request.accepted_by.clone(), 0, 100);
        let buyer = buyer(&mut v, "", &request.customer_id, request.customer_external_id.clone());
        if let Some(ship_to) = request.ship_to.clone() {
            address(&mut v, "ship_to", ship_to);
        }
        known::<PaymentMethod>(&mut v, "payment_method", request.payment_method);
        v.text("payment_token", request.payment_token.clone(), 0, 500);
        let wait = known::<pb::PlaceWait>(&mut v, "wait", request.wait);
        let waits = wait != Some(pb::PlaceWait::Durable);
        Ok(v.into_result(Self { name, buyer, request, waits })?)
    }
}

/// The order that a quotation becomes. Its external id is the quotation's number.
pub fn new_order(
    (quotation, revision): &At,
    request: &pb::AcceptQuotationRequest,
    order_request_id: Uuid,
    now: OffsetDateTime,
) -> pb::NewOrder {
    let terms = revision.terms.clone();
    let payment_method = match request.payment_method {
        0 => terms.payment_method,
        own => own,
    };
    let (customer_id, customer_external_id) = match quotation.customer_id {
        Some(id) => (id.to_string(), String::new()),
        None => (request.customer_id.clone(), request.customer_external_id.clone()),
    };
    pb::NewOrder {
        request_id: order_request_id.to_string(),
        channel: quotation.channel.clone(),
        external_id: quotation_number(quotation.number),
        customer_id,
        customer_external_id,
        currency_code: terms.currency_code,
        lines: terms.lines,
        ship_to: request.ship_to.clone().or(terms.ship_to),
        payment_method,
        payment_token: request.payment_token.clone(),
        reservation_policy: terms.reservation_policy,
        placed_at: Some(to_timestamp(now)),
        sales_rep: quotation.sales_rep.clone(),
        ..Default::default()
    }
}

/// An order to be placed, read as PlaceOrder reads it.
pub fn order_draft(order: pb::NewOrder, now: OffsetDateTime, traceparent: Option<String>) -> Result<Draft, Error> {
    Ok(draft(order, now, traceparent)?)
}

/// A page of quotations that is asked for.
pub struct ListQuotations {
    /// Which; the inquiry is still to be found.
    pub filter: Filter,
    /// Of this inquiry.
    pub inquiry: Option<(PresalesName, String)>,
    /// After this one.
    pub after: Option<(OffsetDateTime, Uuid)>,
    /// How many.
    pub size: i64,
    fingerprint: String,
}

impl TryFrom<pb::ListQuotationsRequest> for ListQuotations {
    type Error = Error;

    fn try_from(request: pb::ListQuotationsRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let mut states = Vec::with_capacity(request.states.len());
        for (i, number) in request.states.iter().enumerate().take(100) {
            match known::<QuotationState>(&mut v, &format!("states[{i}]"), *number) {
                Some(QuotationState::Unspecified) => v.add(format!("states[{i}]"), "must be a state"),
                Some(state) => states.push(state),
                None => {}
            }
        }
        let filter = Filter {
            states,
            customer_id: v.optional_uuid("customer_id", &request.customer_id),
            inquiry_id: None,
            created_from: v.time("created_from", request.created_from.as_ref()),
            created_to: v.time("created_to", request.created_to.as_ref()),
        };
        let inquiry = Some(request.inquiry).filter(|text| !text.is_empty());
        let inquiry = inquiry.map(|text| (inquiry_name(&mut v, "inquiry", &text), text));
        let fingerprint = fingerprint(&(&filter, &inquiry));
        let after = after(&mut v, &request.page_token, &fingerprint);
        Ok(v.into_result(Self { filter, inquiry, after, size, fingerprint })?)
    }
}

impl ListQuotations {
    /// The token of the page after this quotation.
    pub fn token(&self, last: &Quotation) -> String {
        page::token(&[&self.fingerprint, &time_token(last.created_at), &last.quotation_id.to_string()])
    }
}

/// Name and revision of a quotation that is read.
pub fn at_revision(name: &str, revision: i32) -> Result<PresalesName, Error> {
    let mut v = Violations::new();
    let parsed = quotation_name(&mut v, name);
    v.within("revision", revision, 0, i32::MAX);
    Ok(v.into_result(parsed)?)
}

fn optional(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// A quotation as clients see it at a time; with terms only where `full`.
pub fn quotation((quotation, revision): &At, now: OffsetDateTime, full: bool) -> pb::Quotation {
    let amount = |amount| money(revision.currency, amount);
    pb::Quotation {
        id: quotation.quotation_id.to_string(),
        number: quotation_number(quotation.number),
        latest_revision: quotation.revision,
        revision: revision.revision,
        state: quotation.state_at(now).into(),
        inquiry_id: optional(quotation.inquiry_id),
        customer_id: optional(quotation.customer_id),
        customer_external_id: quotation.customer_external_id.clone(),
        channel: quotation.channel.clone(),
        sales_rep: quotation.sales_rep.clone(),
        terms: full.then(|| revision.terms.clone()),
        gross: amount(revision.gross),
        discount: amount(revision.discount),
        tax: amount(revision.tax),
        total: amount(revision.gross - revision.discount + revision.tax),
        created_at: Some(to_timestamp(quotation.created_at)),
        revised_at: Some(to_timestamp(revision.revised_at)),
        revised_by: revision.revised_by.clone(),
        valid_until: Some(to_timestamp(revision.valid_until)),
        sent_at: quotation.sent_at.map(to_timestamp),
        decided_at: quotation.decided_at.map(to_timestamp),
        decided_by: quotation.decided_by.clone(),
        decision_note: quotation.decision_note.clone(),
        order_id: optional(quotation.order_id),
        version: quotation.version,
    }
}

/// What facts tell of a quotation.
pub fn key((quotation, revision): &At) -> Option<pb::QuotationKey> {
    Some(pb::QuotationKey {
        quotation_id: quotation.quotation_id.to_string(),
        number: quotation_number(quotation.number),
        revision: revision.revision,
        inquiry_id: optional(quotation.inquiry_id),
        customer_id: optional(quotation.customer_id),
        channel: quotation.channel.clone(),
        sales_rep: quotation.sales_rep.clone(),
        gross: money(revision.currency, revision.gross),
        total: money(revision.currency, revision.gross - revision.discount + revision.tax),
        created_at: Some(to_timestamp(quotation.created_at)),
        valid_until: Some(to_timestamp(revision.valid_until)),
    })
}
