//! Inquiries.

use crate::convert::money;
use crate::convert::orders::{time_and_id, time_token};
use crate::convert::place::known;
use crate::draft::Buyer;
use crate::error::Error;
use crate::inquiry::{Details, Filter, Inquiry, PipelineRow, Probabilities, Response, StageChange};
use crate::name::{PresalesName, inquiry_number};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::InquiryStage;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, page};
use time::OffsetDateTime;
use uuid::Uuid;

/// The name of an inquiry.
pub fn inquiry_name(v: &mut Violations, field: &str, text: &str) -> PresalesName {
    PresalesName::of_inquiry(text).unwrap_or_else(|| {
        v.add(field, "must be an inquiry's id or number (\"INQ-000012\")");
        PresalesName::Number(0)
    })
}

/// A customer by one of two ids, or nobody.
pub fn buyer(v: &mut Violations, prefix: &str, id: &str, external_id: String) -> Buyer {
    match (id, external_id.as_str()) {
        ("", "") => Buyer::Guest,
        ("", _) => Buyer::External(v.text(&format!("{prefix}customer_external_id"), external_id, 1, 100)),
        (id, "") => Buyer::Id(v.uuid(&format!("{prefix}customer_id"), id)),
        (_, _) => {
            v.add(format!("{prefix}customer_external_id"), "must be empty where customer_id is given");
            Buyer::Guest
        }
    }
}

/// What is said of an inquiry; its customer is still to be found.
pub struct Said {
    /// Without customer ids.
    pub details: Details,
    /// Who it is.
    pub buyer: Buyer,
}

fn said(v: &mut Violations, details: Option<pb::InquiryDetails>) -> Option<Said> {
    let Some(details) = details else {
        v.add("details", "is required");
        return None;
    };
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if details.source.is_empty() || details.source.len() > 40 || !details.source.bytes().all(is_name) {
        v.add("details.source", "must have 1 to 40 lower-case letters, digits and dashes");
    }
    let value = details.estimated_value.as_ref();
    let field = "details.estimated_value";
    let currency = match value {
        Some(money) => v.currency(&format!("{field}.currency_code"), &money.currency_code),
        None => {
            v.add(field, "is required; it may be 0");
            None
        }
    }?;
    let buyer = buyer(v, "details.", &details.customer_id, details.customer_external_id);
    Some(Said {
        details: Details {
            title: v.text("details.title", details.title, 1, 300),
            description: v.text("details.description", details.description, 0, 10_000),
            source: details.source,
            owner: v.text("details.owner", details.owner, 0, 100),
            customer_id: None,
            customer_external_id: String::new(),
            contact_name: v.text("details.contact_name", details.contact_name, 0, 300),
            contact_email: v.text("details.contact_email", details.contact_email, 0, 300),
            contact_phone: v.text("details.contact_phone", details.contact_phone, 0, 300),
            currency,
            estimated_value: v.amount_or_zero(field, value, currency),
            expected_close_at: v.time("details.expected_close_at", details.expected_close_at.as_ref()),
        },
        buyer,
    })
}

/// An inquiry that comes in.
pub struct CreateInquiry {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// Its id in its source.
    pub external_id: Option<String>,
    /// What is known of it.
    pub said: Said,
    /// When it came in.
    pub opened_at: OffsetDateTime,
    /// The request as it came.
    pub request: pb::CreateInquiryRequest,
}

impl CreateInquiry {
    /// Reads one; `now` is when it came in unless it says otherwise.
    pub fn read(request: pb::CreateInquiryRequest, now: OffsetDateTime) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let external_id = v.text("external_id", request.external_id.clone(), 0, 100);
        let opened_at = v.past_time("opened_at", request.opened_at.as_ref(), now);
        let said = said(&mut v, request.details.clone());
        let Some(said) = said.filter(|_| v.is_empty()) else { return Err(v.into()) };
        let external_id = Some(external_id).filter(|text| !text.is_empty());
        Ok(Self { request_id, external_id, said, opened_at, request })
    }
}

/// An inquiry that is described anew.
pub struct UpdateInquiry {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// Which.
    pub name: PresalesName,
    /// What is known of it now.
    pub said: Said,
    /// The request as it came.
    pub request: pb::UpdateInquiryRequest,
}

impl TryFrom<pb::UpdateInquiryRequest> for UpdateInquiry {
    type Error = Error;

    fn try_from(request: pb::UpdateInquiryRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let name = inquiry_name(&mut v, "name", &request.name);
        v.within("expected_version", request.expected_version, 0, i64::MAX);
        let said = said(&mut v, request.details.clone());
        let Some(said) = said.filter(|_| v.is_empty()) else { return Err(v.into()) };
        Ok(Self { request_id, name, said, request })
    }
}

/// An inquiry that shall move.
pub struct AdvanceInquiry {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// Which.
    pub name: PresalesName,
    /// Where to.
    pub stage: InquiryStage,
    /// The request as it came.
    pub request: pb::AdvanceInquiryRequest,
}

impl TryFrom<pb::AdvanceInquiryRequest> for AdvanceInquiry {
    type Error = Error;

    fn try_from(request: pb::AdvanceInquiryRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let stage = stage(&mut v, "stage", request.stage);
        if stage == InquiryStage::Lost && request.note.trim().is_empty() {
            v.add("note", "is required where an inquiry is lost: why?");
        }
        v.text("changed_by", request.changed_by.clone(), 0, 100);
        v.text("note", request.note.clone(), 0, 500);
        v.within("expected_version", request.expected_version, 0, i64::MAX);
        let advance = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: inquiry_name(&mut v, "name", &request.name),
            stage,
            request,
        };
        Ok(v.into_result(advance)?)
    }
}

fn stage(v: &mut Violations, field: &str, number: i32) -> InquiryStage {
    let stage = known::<InquiryStage>(v, field, number).unwrap_or(InquiryStage::Qualification);
    if stage == InquiryStage::Unspecified {
        v.add(field, "must be a stage");
    }
    stage
}

/// Somebody answered.
pub struct RespondToInquiry {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// To which.
    pub name: PresalesName,
    /// When.
    pub responded_at: OffsetDateTime,
    /// The request as it came.
    pub request: pb::RespondToInquiryRequest,
}

impl RespondToInquiry {
    /// Reads one; `now` is when it was unless it says otherwise.
    pub fn read(request: pb::RespondToInquiryRequest, now: OffsetDateTime) -> Result<Self, Error> {
        let mut v = Violations::new();
        v.text("responder", request.responder.clone(), 1, 100);
        v.text("text", request.text.clone(), 1, 10_000);
        let respond = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: inquiry_name(&mut v, "name", &request.name),
            responded_at: v.past_time("responded_at", request.responded_at.as_ref(), now),
            request,
        };
        Ok(v.into_result(respond)?)
    }
}

/// A page of inquiries that is asked for.
pub struct ListInquiries {
    /// Which.
    pub filter: Filter,
    /// After this one.
    pub after: Option<(OffsetDateTime, Uuid)>,
    /// How many.
    pub size: i64,
    fingerprint: String,
}

impl TryFrom<pb::ListInquiriesRequest> for ListInquiries {
    type Error = Error;

    fn try_from(request: pb::ListInquiriesRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let stages = request.stages.iter().enumerate().take(100);
        let filter = Filter {
            stages: stages.map(|(i, number)| stage(&mut v, &format!("stages[{i}]"), *number)).collect(),
            owner: v.text("owner", request.owner, 0, 100),
            source: v.text("source", request.source, 0, 40),
            customer_id: v.optional_uuid("customer_id", &request.customer_id),
            opened_from: v.time("opened_from", request.opened_from.as_ref()),
            opened_to: v.time("opened_to", request.opened_to.as_ref()),
        };
        let fingerprint = fingerprint(&filter);
        let after = after(&mut v, &request.page_token, &fingerprint);
        Ok(v.into_result(Self { filter, after, size, fingerprint })?)
    }
}

impl ListInquiries {
    /// The token of the page after this inquiry.
    pub fn token(&self, last: &Inquiry) -> String {
        page::token(&[&self.fingerprint, &time_token(last.opened_at), &last.inquiry_id.to_string()])
    }
}

/// Tells one filter from another: a page token belongs to its filter.
pub(super) fn fingerprint(filter: &impl std::fmt::Debug) -> String {
    crate::customer::lock_id(&format!("{filter:?}")).simple().to_string()
}

/// The place a page token names.
pub(super) fn after(v: &mut Violations, token: &str, fingerprint: &str) -> Option<(OffsetDateTime, Uuid)> {
    let key = page::key(v, token, 3)?;
    let after = time_and_id(key.get(1)?, key.get(2)?).filter(|_| key.first().is_some_and(|own| own == fingerprint));
    if after.is_none() {
        v.add("page_token", "must come from the answer to the same request");
    }
    after
}

/// An inquiry as clients see it.
pub fn inquiry(
    inquiry: &Inquiry,
    probabilities: &Probabilities,
    responses: &[Response],
    changes: &[StageChange],
) -> pb::Inquiry {
    let details = &inquiry.details;
    let first = inquiry.first_response_at;
    let weighted = probabilities.weigh(inquiry.stage, details.currency, details.estimated_value);
    pb::Inquiry {
        id: inquiry.inquiry_id.to_string(),
        number: inquiry_number(inquiry.number),
        external_id: inquiry.external_id.clone().unwrap_or_default(),
        details: Some(pb::InquiryDetails {
            title: details.title.clone(),
            description: details.description.clone(),
            source: details.source.clone(),
            owner: details.owner.clone(),
            customer_id: details.customer_id.map(|id| id.to_string()).unwrap_or_default(),
            customer_external_id: details.customer_external_id.clone(),
            contact_name: details.contact_name.clone(),
            contact_email: details.contact_email.clone(),
            contact_phone: details.contact_phone.clone(),
            estimated_value: money(details.currency, details.estimated_value),
            expected_close_at: details.expected_close_at.map(to_timestamp),
        }),
        stage: inquiry.stage.into(),
        probability_percent: probabilities.of(inquiry.stage),
        weighted_value: money(details.currency, weighted),
        opened_at: Some(to_timestamp(inquiry.opened_at)),
        first_response_at: first.map(to_timestamp),
        first_response_seconds: first.map(|first| (first - inquiry.opened_at).whole_seconds()),
        closed_at: inquiry.closed_at.map(to_timestamp),
        lost_reason: inquiry.lost_reason.clone(),
        version: inquiry.version,
        responses: responses
            .iter()
            .map(|response| pb::InquiryResponse {
                response_no: response.response_no,
                responder: response.responder.clone(),
                responded_at: Some(to_timestamp(response.responded_at)),
                text: response.text.clone(),
            })
            .collect(),
        stage_changes: changes
            .iter()
            .map(|change| pb::StageChange {
                from_stage: change.from.into(),
                to_stage: change.to.into(),
                changed_at: Some(to_timestamp(change.changed_at)),
                changed_by: change.changed_by.clone(),
                note: change.note.clone(),
            })
            .collect(),
    }
}

/// What facts tell of an inquiry.
pub fn key(inquiry: &Inquiry) -> Option<pb::InquiryKey> {
    let details = &inquiry.details;
    Some(pb::InquiryKey {
        inquiry_id: inquiry.inquiry_id.to_string(),
        number: inquiry_number(inquiry.number),
        source: details.source.clone(),
        owner: details.owner.clone(),
        customer_id: details.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        estimated_value: money(details.currency, details.estimated_value),
        opened_at: Some(to_timestamp(inquiry.opened_at)),
    })
}

/// The fact that an inquiry moved.
pub fn moved(inquiry: &Inquiry, change: &StageChange, probabilities: &Probabilities) -> pb::InquiryStageChanged {
    pb::InquiryStageChanged {
        inquiry: key(inquiry),
        from_stage: change.from.into(),
        to_stage: change.to.into(),
        probability_percent: probabilities.of(change.to),
        note: change.note.clone(),
    }
}

/// Probabilities as clients see them.
pub fn probabilities(probabilities: &Probabilities) -> pb::StageProbabilities {
    pb::StageProbabilities {
        qualification_percent: probabilities.qualification,
        proposal_percent: probabilities.proposal,
        negotiation_percent: probabilities.negotiation,
        version: probabilities.version,
    }
}

/// Probabilities that are set.
pub fn set_probabilities(request: &pb::SetStageProbabilitiesRequest) -> Result<(Uuid, pb::StageProbabilities), Error> {
    let mut v = Violations::new();
    let request_id = v.uuid("request_id", &request.request_id);
    let Some(asked) = request.probabilities else { return Err(Error::invalid("probabilities", "is required")) };
    for (field, percent) in [
        ("qualification_percent", asked.qualification_percent),
        ("proposal_percent", asked.proposal_percent),
        ("negotiation_percent", asked.negotiation_percent),
    ] {
        v.within(&format!("probabilities.{field}"), percent, 0, 100);
    }
    v.within("expected_version", request.expected_version, 0, i64::MAX);
    Ok(v.into_result((request_id, asked))?)
}

/// Which inquiries a pipeline is about.
pub fn pipeline_filter(request: pb::GetPipelineRequest, now: OffsetDateTime) -> Result<Filter, Error> {
    let mut v = Violations::new();
    let filter = Filter {
        owner: v.text("owner", request.owner, 0, 100),
        source: v.text("source", request.source, 0, 40),
        opened_from: v.time("opened_from", request.opened_from.as_ref()).or(Some(now - time::Duration::days(365))),
        opened_to: v.time("opened_to", request.opened_to.as_ref()),
        ..Filter::default()
    };
    Ok(v.into_result(filter)?)
}

/// A pipeline as clients see it.
pub fn pipeline(rows: &[PipelineRow], probabilities: &Probabilities) -> pb::GetPipelineResponse {
    let mut stages: Vec<PipelineRow> = Vec::new();
    for row in rows {
        match stages.iter_mut().find(|sum| (sum.stage, sum.currency) == (row.stage, row.currency)) {
            Some(sum) => {
                sum.count += row.count;
                sum.value += row.value;
            }
            None => stages.push(PipelineRow { owner: String::new(), ..row.clone() }),
        }
    }
    stages.sort_by_key(|row| (i32::from(row.stage), row.currency.code()));
    let row = |row: &PipelineRow| pb::PipelineRow {
        stage: row.stage.into(),
        owner: row.owner.clone(),
        count: row.count,
        value: money(row.currency, row.value),
        weighted_value: money(row.currency, probabilities.weigh(row.stage, row.currency, row.value)),
    };
    pb::GetPipelineResponse { rows: rows.iter().map(row).collect(), stages: stages.iter().map(row).collect() }
}
