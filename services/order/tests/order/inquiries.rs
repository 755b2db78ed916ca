//! Inquiries: opened, answered, moved, weighed.

use crate::suite::{Suite, eur, reason, start};
use pesan_api::order::v1::*;
use pesan_grpc::parse::to_timestamp;
use pesan_host::Clock;
use prost_types::Timestamp;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

pub fn id() -> String {
    Uuid::now_v7().to_string()
}

/// A time so many hours ago.
fn ago(hours: i64) -> Option<Timestamp> {
    Some(to_timestamp(Clock::System.now() - time::Duration::hours(hours)))
}

pub fn details(owner: &str, source: &str, cents: i64) -> Option<InquiryDetails> {
    Some(InquiryDetails {
        title: "Tea for an office".into(),
        source: source.into(),
        owner: owner.into(),
        contact_name: "Wati".into(),
        estimated_value: Some(eur(cents)),
        ..Default::default()
    })
}

pub async fn open(suite: &Suite, details: Option<InquiryDetails>) -> Inquiry {
    let request = CreateInquiryRequest { request_id: id(), details, opened_at: ago(10), ..Default::default() };
    suite.inquiries.clone().create_inquiry(request).await.unwrap().into_inner().inquiry.unwrap()
}

async fn advance(suite: &Suite, name: &str, stage: InquiryStage, note: &str) -> Result<Inquiry, tonic::Status> {
    let request = AdvanceInquiryRequest {
        request_id: id(),
        name: name.into(),
        stage: stage.into(),
        changed_by: "Siti".into(),
        note: note.into(),
        expected_version: 0,
    };
    suite.inquiries.clone().advance_inquiry(request).await.map(|response| response.into_inner().inquiry.unwrap())
}

async fn respond(suite: &Suite, name: &str, hours_ago: i64) -> Result<Inquiry, tonic::Status> {
    let request = RespondToInquiryRequest {
        request_id: id(),
        name: name.into(),
        responder: "Siti".into(),
        text: "We have it.".into(),
        responded_at: ago(hours_ago),
    };
    suite.inquiries.clone().respond_to_inquiry(request).await.map(|response| response.into_inner().inquiry.unwrap())
}

pub async fn get(suite: &Suite, name: &str) -> Inquiry {
    let request = GetInquiryRequest { name: name.into() };
    suite.inquiries.clone().get_inquiry(request).await.unwrap().into_inner().inquiry.unwrap()
}

#[sqlx::test(migrations = false)]
async fn an_inquiry_is_opened_once_answered_and_decided(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let said = InquiryDetails { customer_external_id: "C-1".into(), ..details("Siti", "web", 100_000).unwrap() };
    let request = CreateInquiryRequest {
        request_id: id(),
        external_id: "lead-7".into(),
        details: Some(said),
        opened_at: ago(10),
    };
    let mut client = suite.inquiries.clone();
    let opened = client.create_inquiry(request.clone()).await.unwrap().into_inner();
    let inquiry = opened.inquiry.clone().unwrap();
    assert_eq!(inquiry.details.as_ref().unwrap().customer_id, customer.id);
    assert_eq!((inquiry.stage(), inquiry.probability_percent), (InquiryStage::Qualification, 20));
    assert_eq!((inquiry.weighted_value.clone(), inquiry.first_response_seconds), (Some(eur(20_000)), None));
    // The same request, and another with the same id in its source.
    assert_eq!(client.create_inquiry(request.clone()).await.unwrap().into_inner(), opened);
    let again = CreateInquiryRequest { request_id: id(), ..request.clone() };
    let again = client.create_inquiry(again).await.unwrap().into_inner();
    assert_eq!((again.inquiry.unwrap().id, again.already_existed), (inquiry.id.clone(), true));
    let reused = CreateInquiryRequest { opened_at: ago(9), ..request };
    assert_eq!(reason(&client.create_inquiry(reused).await.unwrap_err()), "REQUEST_ID_REUSED");

    // The later answer was noted first.
    respond(&suite, &inquiry.number, 6).await.unwrap();
    let answered = respond(&suite, &inquiry.id, 8).await.unwrap();
    let seconds = answered.first_response_seconds.unwrap();
    assert!((7190..=7210).contains(&seconds), "two hours after it was opened: {seconds}");
    assert_eq!(answered.responses.iter().map(|r| r.response_no).collect::<Vec<_>>(), [2, 1]);
    let too_early = respond(&suite, &inquiry.id, 11).await.unwrap_err();
    assert_eq!(too_early.code(), Code::InvalidArgument);

    let moved = advance(&suite, &inquiry.number, InquiryStage::Negotiation, "").await.unwrap();
    assert_eq!((moved.probability_percent, moved.weighted_value.clone()), (75, Some(eur(75_000))));
    let unchanged = advance(&suite, &inquiry.id, InquiryStage::Negotiation, "").await.unwrap_err();
    assert_eq!(reason(&unchanged), "STAGE_UNCHANGED");
    let unexplained = advance(&suite, &inquiry.id, InquiryStage::Lost, "").await.unwrap_err();
    assert_eq!(unexplained.code(), Code::InvalidArgument);
    let lost = advance(&suite, &inquiry.id, InquiryStage::Lost, "too dear").await.unwrap();
    assert_eq!((lost.lost_reason.as_str(), lost.closed_at.is_some()), ("too dear", true));
    advance(&suite, &inquiry.id, InquiryStage::Proposal, "").await.unwrap();
    let won = advance(&suite, &inquiry.id, InquiryStage::Won, "").await.unwrap();
    let stages: Vec<_> = won.stage_changes.iter().map(StageChange::to_stage).collect();
    use InquiryStage::{Lost, Negotiation, Proposal, Qualification, Won};
    assert_eq!(stages, [Qualification, Negotiation, Lost, Proposal, Won]);
    assert_eq!(reason(&advance(&suite, &inquiry.id, Lost, "no").await.unwrap_err()), "INQUIRY_CLOSED");
    assert_eq!(get(&suite, &inquiry.number).await, won);

    let facts = suite.fact_names(&inquiry.id).await;
    let moves = ["InquiryStageChanged"; 4];
    assert_eq!(facts, [&["InquiryOpened", "InquiryResponded", "InquiryResponded"][..], &moves].concat());
    let last: InquiryStageChanged = suite.fact(&inquiry.id).await;
    assert_eq!((last.from_stage(), last.to_stage(), last.probability_percent), (Proposal, Won, 100));
    assert_eq!(last.inquiry.unwrap().estimated_value, Some(eur(100_000)));
    let response: InquiryResponded = suite.fact(&inquiry.id).await;
    assert!(response.is_first, "it was earlier");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_inquiry_is_described_anew_by_who_has_read_it(pool: PgPool) {
    let suite = start(pool).await;
    let inquiry = open(&suite, details("Siti", "web", 10_00)).await;
    let mut client = suite.inquiries.clone();
    let update = |version, details| UpdateInquiryRequest {
        request_id: id(),
        name: inquiry.number.clone(),
        details,
        expected_version: version,
    };
    let request = update(1, details("Budi", "web", 20_00));
    let updated = client.update_inquiry(request.clone()).await.unwrap().into_inner();
    assert_eq!(updated.inquiry.as_ref().unwrap().details.as_ref().unwrap().owner, "Budi");
    assert_eq!(client.update_inquiry(request).await.unwrap().into_inner(), updated, "the same request");
    let stale = client.update_inquiry(update(1, details("Ani", "web", 1))).await.unwrap_err();
    assert_eq!((stale.code(), reason(&stale).as_str()), (Code::Aborted, "VERSION_MISMATCH"));
    let moved = client.update_inquiry(update(0, details("Ani", "fair", 1))).await.unwrap_err();
    assert_eq!(moved.code(), Code::InvalidArgument);
    advance(&suite, &inquiry.id, InquiryStage::Lost, "gone").await.unwrap();
    let closed = client.update_inquiry(update(0, details("Ani", "web", 1))).await.unwrap_err();
    assert_eq!(reason(&closed), "INQUIRY_CLOSED");

    let nonsense = InquiryDetails {
        source: "The Web".into(),
        customer_id: "x".into(),
        estimated_value: Some(eur(-1)),
        ..Default::default()
    };
    let wrong = client.update_inquiry(update(0, Some(nonsense))).await.unwrap_err();
    use tonic_types::StatusExt as _;
    let wrong: Vec<_> =
        wrong.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field).collect();
    assert_eq!(wrong, ["details.source", "details.customer_id", "details.title", "details.estimated_value"]);
    let none = GetInquiryRequest { name: "INQ-999999".into() };
    assert_eq!(reason(&client.get_inquiry(none).await.unwrap_err()), "INQUIRY_NOT_FOUND");
}

#[sqlx::test(migrations = false)]
async fn the_pipeline_is_counted_and_weighed_as_configured(pool: PgPool) {
    let suite = start(pool).await;
    let mut client = suite.inquiries.clone();
    let mut numbers = Vec::new();
    for (owner, source, cents) in [("Siti", "web", 10_000), ("Siti", "fair", 50_00), ("Budi", "web", 10_01)] {
        numbers.push(open(&suite, details(owner, source, cents)).await.number);
    }
    advance(&suite, &numbers[0], InquiryStage::Proposal, "").await.unwrap();
    let before = client.get_stage_probabilities(GetStageProbabilitiesRequest {}).await.unwrap().into_inner();
    let before = before.probabilities.unwrap();
    let set = SetStageProbabilitiesRequest {
        request_id: id(),
        probabilities: Some(StageProbabilities { qualification_percent: 50, proposal_percent: 30, ..before }),
        expected_version: before.version,
    };
    client.set_stage_probabilities(set.clone()).await.unwrap();
    client.set_stage_probabilities(set.clone()).await.unwrap(); // the same request
    let stale = SetStageProbabilitiesRequest { request_id: id(), ..set };
    assert_eq!(reason(&client.set_stage_probabilities(stale.clone()).await.unwrap_err()), "VERSION_MISMATCH");
    let beyond = StageProbabilities { proposal_percent: 101, ..before };
    let beyond = SetStageProbabilitiesRequest { probabilities: Some(beyond), ..stale };
    assert_eq!(client.set_stage_probabilities(beyond).await.unwrap_err().code(), Code::InvalidArgument);

    let row = |stage: InquiryStage, owner: &str, count, value, weighted| PipelineRow {
        stage: stage.into(),
        owner: owner.into(),
        count,
        value: Some(eur(value)),
        weighted_value: Some(eur(weighted)),
    };
    use InquiryStage::{Proposal, Qualification};
    let pipeline = client.get_pipeline(GetPipelineRequest::default()).await.unwrap().into_inner();
    let rows = [
        row(Qualification, "Budi", 1, 10_01, 5_00), // half-even
        row(Qualification, "Siti", 1, 50_00, 25_00),
        row(Proposal, "Siti", 1, 10_000, 30_00),
    ];
    assert_eq!(pipeline.rows, rows);
    assert_eq!(pipeline.stages, [row(Qualification, "", 2, 60_01, 30_00), row(Proposal, "", 1, 10_000, 30_00)]);
    let of_siti = GetPipelineRequest { owner: "Siti".into(), source: "web".into(), ..Default::default() };
    assert_eq!(client.get_pipeline(of_siti).await.unwrap().into_inner().rows, rows[2..]);
    let later = GetPipelineRequest { opened_from: ago(1), ..Default::default() };
    assert_eq!(client.get_pipeline(later).await.unwrap().into_inner().rows, []);

    // Lists: page by page, and by what they are.
    let list = |request: ListInquiriesRequest| {
        let mut client = suite.inquiries.clone();
        async move { client.list_inquiries(request).await.map(|response| response.into_inner()) }
    };
    let by_one = ListInquiriesRequest { page_size: 1, owner: "Siti".into(), ..Default::default() };
    let first = list(by_one.clone()).await.unwrap();
    let second = ListInquiriesRequest { page_token: first.next_page_token.clone(), ..by_one };
    let rest = list(second.clone()).await.unwrap();
    let seen: Vec<_> = first.inquiries.iter().chain(&rest.inquiries).map(|inquiry| inquiry.number.clone()).collect();
    assert_eq!((seen, rest.next_page_token.as_str()), (vec![numbers[1].clone(), numbers[0].clone()], ""));
    let other = ListInquiriesRequest { owner: "Budi".into(), ..second };
    assert_eq!(list(other).await.unwrap_err().code(), Code::InvalidArgument, "a token belongs to its filter");
    for (filter, count) in [
        (ListInquiriesRequest { stages: vec![Proposal.into()], ..Default::default() }, 1),
        (ListInquiriesRequest { source: "fair".into(), ..Default::default() }, 1),
        (ListInquiriesRequest { opened_to: ago(11), ..Default::default() }, 0),
        (ListInquiriesRequest::default(), 3),
    ] {
        assert_eq!(list(filter.clone()).await.unwrap().inquiries.len(), count, "{filter:?}");
    }
}
