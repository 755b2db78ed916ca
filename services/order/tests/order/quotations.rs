//! Quotations: offered, revised, sent, and accepted once.

use crate::inquiries::{details, get as get_inquiry, id, open};
use crate::proving::broken;
use crate::suite::{Suite, address, eur, line, reason, start, start_with};
use pesan_api::order::v1::*;
use pesan_grpc::parse::to_timestamp;
use pesan_host::Clock;
use sqlx::PgPool;
use std::collections::HashSet;
use tonic::{Code, Status};

fn terms(lines: &[(&str, i64)]) -> QuotationTerms {
    QuotationTerms {
        currency_code: "EUR".into(),
        lines: lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect(),
        valid_until: Some(to_timestamp(Clock::System.now() + time::Duration::days(14))),
        ..Default::default()
    }
}

async fn create(suite: &Suite, request: CreateQuotationRequest) -> Quotation {
    let request = CreateQuotationRequest { request_id: id(), ..request };
    suite.quotations.clone().create_quotation(request).await.unwrap().into_inner().quotation.unwrap()
}

pub async fn of_customer(suite: &Suite, external_id: &str, lines: &[(&str, i64)]) -> Quotation {
    let request = CreateQuotationRequest {
        customer_external_id: external_id.into(),
        terms: Some(terms(lines)),
        ..Default::default()
    };
    create(suite, request).await
}

pub async fn send(suite: &Suite, name: &str) -> Result<Quotation, Status> {
    let request = SendQuotationRequest { request_id: id(), name: name.into(), expected_version: 0 };
    suite.quotations.clone().send_quotation(request).await.map(|response| response.into_inner().quotation.unwrap())
}

async fn revise(suite: &Suite, name: &str, terms: QuotationTerms) -> Result<Quotation, Status> {
    let request =
        ReviseQuotationRequest { request_id: id(), name: name.into(), terms: Some(terms), ..Default::default() };
    suite.quotations.clone().revise_quotation(request).await.map(|response| response.into_inner().quotation.unwrap())
}

async fn accept(suite: &Suite, request: AcceptQuotationRequest) -> Result<AcceptQuotationResponse, Status> {
    suite.quotations.clone().accept_quotation(request).await.map(|response| response.into_inner())
}

fn yes(name: &str) -> AcceptQuotationRequest {
    AcceptQuotationRequest { name: name.into(), accepted_by: "Wati".into(), ..Default::default() }
}

async fn get(suite: &Suite, name: &str, revision: i32) -> Result<Quotation, Status> {
    let request = GetQuotationRequest { name: name.into(), revision };
    suite.quotations.clone().get_quotation(request).await.map(|response| response.into_inner().quotation.unwrap())
}

async fn document(suite: &Suite, name: &str, revision: i32) -> (GetQuotationDocumentResponse, String) {
    let request = GetQuotationDocumentRequest { name: name.into(), revision };
    let page = suite.quotations.clone().get_quotation_document(request).await.unwrap().into_inner();
    let text = String::from_utf8(page.content.clone()).unwrap();
    (page, text)
}

/// Lets so much time pass that its validity is over.
async fn expire(suite: &Suite, quotation: &Quotation) {
    let id: uuid::Uuid = quotation.id.parse().unwrap();
    for statement in [
        "update quotation set valid_until = now() - interval '1 minute' where quotation_id = $1",
        "update quotation_revision set valid_until = now() - interval '1 minute' where quotation_id = $1",
    ] {
        sqlx::query(statement).bind(id).execute(&suite.pool).await.unwrap();
    }
}

async fn orders(suite: &Suite) -> i64 {
    sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap()
}

#[sqlx::test(migrations = false)]
async fn an_accepted_quotation_is_an_order_and_wins_its_inquiry(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let said = InquiryDetails { customer_external_id: "C-1".into(), ..details("Ani", "web", 10_000).unwrap() };
    let inquiry = open(&suite, Some(said)).await;
    let mut offered = terms(&[("TEA", 4), ("CUP", 2)]);
    offered.lines[0].discount_basis_points = 1000;
    offered.lines[1].tax = Some(eur(50));
    let request =
        CreateQuotationRequest { inquiry: inquiry.number.clone(), terms: Some(offered), ..Default::default() };
    let draft = create(&suite, request).await;
    assert_eq!((draft.state(), draft.revision), (QuotationState::Draft, 1));
    assert_eq!((draft.customer_id.as_str(), draft.sales_rep.as_str()), (customer.id.as_str(), "Ani"));
    assert_eq!((draft.gross.clone(), draft.discount.clone()), (Some(eur(7_50)), Some(eur(50))));
    assert_eq!(draft.total, Some(eur(7_50)));
    assert_eq!(reason(&accept(&suite, yes(&draft.number)).await.unwrap_err()), "QUOTATION_NOT_OPEN");

    send(&suite, &draft.number).await.unwrap();
    let accepted = accept(&suite, yes(&draft.number)).await.unwrap();
    let (quotation, order) = (accepted.quotation.unwrap(), accepted.order.unwrap());
    assert_eq!((quotation.state(), quotation.order_id.as_str()), (QuotationState::Accepted, order.id.as_str()));
    assert_eq!((quotation.decided_by.as_str(), accepted.already_accepted), ("Wati", false));
    assert_eq!(order.state(), OrderState::Confirmed, "it waits until the order is settled");
    assert_eq!((order.channel.as_str(), &order.external_id), ("quotation", &quotation.number));
    assert_eq!((order.customer_id.as_str(), order.sales_rep.as_str()), (customer.id.as_str(), "Ani"));
    assert_eq!((order.gross, order.total), (quotation.gross.clone(), quotation.total.clone()));

    let again = accept(&suite, AcceptQuotationRequest { accepted_by: "Budi".into(), ..yes(&draft.id) }).await.unwrap();
    assert_eq!((again.order.unwrap().id, again.already_accepted), (order.id.clone(), true));
    assert_eq!((again.quotation.unwrap().decided_by.as_str(), orders(&suite).await), ("Wati", 1));
    let won = get_inquiry(&suite, &inquiry.id).await;
    assert_eq!(won.stage(), InquiryStage::Won);
    assert_eq!(won.stage_changes.last().unwrap().note, format!("{} was accepted", draft.number));
    assert_eq!(reason(&revise(&suite, &draft.id, terms(&[("TEA", 1)])).await.unwrap_err()), "QUOTATION_ACCEPTED");

    let facts = suite.fact_names(&draft.id).await;
    assert_eq!(facts, ["QuotationCreated", "QuotationSent", "QuotationAccepted"]);
    let fact: QuotationAccepted = suite.fact(&draft.id).await;
    let key = fact.quotation.unwrap();
    assert_eq!((fact.order_id, key.inquiry_id, key.total), (order.id.clone(), inquiry.id, quotation.total));
    let journey = suite.facts().await;
    let of_order = journey.iter().find(|event| event.aggregate_id == draft.id && event.correlation_id == order.id);
    assert!(of_order.is_some(), "the yes belongs to the order's journey");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn many_who_accept_at_once_get_one_order(pool: PgPool) {
    let suite = start(pool).await;
    suite.customer("C-1").await;
    let quotation = of_customer(&suite, "C-1", &[("TEA", 1)]).await;
    send(&suite, &quotation.id).await.unwrap();
    let another = start_with(suite.pool.clone(), suite.peers.clone()).await;
    let calls = (0..12).map(|n| {
        let mut client = [&suite, &another][n % 2].quotations.clone();
        let request = AcceptQuotationRequest { accepted_by: format!("hand {n}"), ..yes(&quotation.id) };
        async move { client.accept_quotation(request).await.unwrap().into_inner().order.unwrap().id }
    });
    let ids: HashSet<String> = futures::future::join_all(calls).await.into_iter().collect();
    assert_eq!((ids.len(), orders(&suite).await), (1, 1));
    let facts = suite.fact_names(&quotation.id).await;
    assert_eq!(facts.iter().filter(|name| *name == "QuotationAccepted").count(), 1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_acceptance_outlives_a_crash(pool: PgPool) {
    let suite = start(pool).await;
    suite.customer("C-1").await;
    let quotation = of_customer(&suite, "C-1", &[("TEA", 1)]).await;
    send(&suite, &quotation.id).await.unwrap();
    // It dies after the yes was written and before the order was: orders cannot be written meanwhile.
    let mut blocking = suite.pool.begin().await.unwrap();
    sqlx::query("lock table orders in exclusive mode").execute(&mut *blocking).await.unwrap();
    let mut client = suite.quotations.clone();
    let request = yes(&quotation.id);
    let call = tokio::spawn(async move { client.accept_quotation(request).await });
    let count = "select count(*) from acceptance";
    while sqlx::query_scalar::<_, i64>(count).fetch_one(&suite.pool).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let withdraw = WithdrawQuotationRequest { request_id: id(), name: quotation.id.clone(), ..Default::default() };
    let pending = suite.quotations.clone().withdraw_quotation(withdraw).await.unwrap_err();
    assert_eq!((pending.code(), reason(&pending).as_str()), (Code::Aborted, "ACCEPTANCE_PENDING"));
    let (pool, peers) = suite.crash().await;
    call.abort();
    // Whatever its transactions still wait for goes with them.
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where datname = current_database() and application_name = 'pesan-order'";
    sqlx::query(end).execute(&mut *blocking).await.unwrap();
    sqlx::query("update acceptance set due_at = now()").execute(&mut *blocking).await.unwrap();
    blocking.commit().await.unwrap();

    let suite = start_with(pool, peers).await;
    let decided = async {
        loop {
            let quotation = get(&suite, &quotation.id, 0).await.unwrap();
            if quotation.state() == QuotationState::Accepted {
                break quotation;
            }
            tokio::task::yield_now().await;
        }
    };
    let decided = tokio::time::timeout(crate::suite::LONG, decided).await.expect("a worker takes it up");
    assert_eq!((decided.decided_by.as_str(), orders(&suite).await), ("Wati", 1));
    suite.until(&decided.order_id, OrderState::Confirmed).await;
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_over_says_so_and_can_be_offered_anew(pool: PgPool) {
    let suite = start(pool).await;
    suite.customer("C-1").await;
    let quotation = of_customer(&suite, "C-1", &[("TEA", 1)]).await;
    send(&suite, &quotation.id).await.unwrap();
    expire(&suite, &quotation).await;
    let refused = accept(&suite, yes(&quotation.id)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "QUOTATION_EXPIRED"));
    assert_eq!(get(&suite, &quotation.id, 0).await.unwrap().state(), QuotationState::Expired);
    let list = |states: Vec<QuotationState>| {
        let mut client = suite.quotations.clone();
        let states = states.into_iter().map(i32::from).collect();
        async move {
            let request = ListQuotationsRequest { states, ..Default::default() };
            client.list_quotations(request).await.unwrap().into_inner().quotations.len()
        }
    };
    assert_eq!(list(vec![QuotationState::Sent]).await, 0);
    assert_eq!(list(vec![QuotationState::Expired, QuotationState::Rejected]).await, 1);
    assert!(document(&suite, &quotation.id, 0).await.1.contains(">Expired<"));
    assert_eq!(reason(&send(&suite, &quotation.id).await.unwrap_err()), "QUOTATION_EXPIRED");

    let mut cheaper = terms(&[("TEA", 1)]);
    cheaper.lines[0].unit_price = Some(eur(1_00));
    let second = revise(&suite, &quotation.id, cheaper).await.unwrap();
    assert_eq!((second.state(), second.revision), (QuotationState::Draft, 2));
    send(&suite, &quotation.id).await.unwrap();
    // What was offered first stays readable; who has read only that is told.
    let first = get(&suite, &quotation.id, 1).await.unwrap();
    assert_eq!((first.gross, first.latest_revision), (Some(eur(1_25)), 2));
    assert!(document(&suite, &quotation.id, 1).await.1.contains(">Replaced<"));
    let outdated = AcceptQuotationRequest { revision: 1, ..yes(&quotation.id) };
    assert_eq!(reason(&accept(&suite, outdated).await.unwrap_err()), "REVISION_CHANGED");
    let newest = AcceptQuotationRequest { revision: 2, ..yes(&quotation.id) };
    assert_eq!(accept(&suite, newest).await.unwrap().order.unwrap().gross, Some(eur(1_00)));
    assert_eq!(reason(&get(&suite, &quotation.id, 3).await.unwrap_err()), "REVISION_NOT_FOUND");
    assert_eq!(reason(&get(&suite, "QU-999999", 0).await.unwrap_err()), "QUOTATION_NOT_FOUND");
}

#[sqlx::test(migrations = false)]
async fn a_no_is_final_for_its_revision(pool: PgPool) {
    let suite = start(pool).await;
    suite.customer("C-1").await;
    let mut client = suite.quotations.clone();
    let (rejected, withdrawn) =
        (of_customer(&suite, "C-1", &[("TEA", 1)]).await, of_customer(&suite, "C-1", &[("CUP", 1)]).await);
    let no = RejectQuotationRequest {
        request_id: id(),
        name: rejected.number.clone(),
        rejected_by: "Wati".into(),
        note: "too dear".into(),
    };
    assert_eq!(reason(&client.reject_quotation(no.clone()).await.unwrap_err()), "QUOTATION_NOT_OPEN", "not sent yet");
    send(&suite, &rejected.id).await.unwrap();
    let said_no = client.reject_quotation(no.clone()).await.unwrap().into_inner();
    assert_eq!(said_no.quotation.as_ref().unwrap().decision_note, "too dear");
    assert_eq!(client.reject_quotation(no).await.unwrap().into_inner(), said_no, "the same request");
    assert_eq!(reason(&accept(&suite, yes(&rejected.id)).await.unwrap_err()), "QUOTATION_NOT_OPEN");
    let back = WithdrawQuotationRequest { request_id: id(), name: withdrawn.id.clone(), ..Default::default() };
    let back = client.withdraw_quotation(back).await.unwrap().into_inner().quotation.unwrap();
    assert_eq!(back.state(), QuotationState::Withdrawn);
    assert_eq!(reason(&send(&suite, &withdrawn.id).await.unwrap_err()), "QUOTATION_NOT_DRAFT");
    assert_eq!(revise(&suite, &withdrawn.id, terms(&[("CUP", 2)])).await.unwrap().state(), QuotationState::Draft);
    let stale = ReviseQuotationRequest {
        request_id: id(),
        name: withdrawn.id.clone(),
        terms: Some(terms(&[("CUP", 3)])),
        expected_version: 1,
        ..Default::default()
    };
    assert_eq!(reason(&client.revise_quotation(stale).await.unwrap_err()), "VERSION_MISMATCH");
    assert_eq!(suite.fact_names(&rejected.id).await.last().unwrap(), "QuotationRejected");
    assert_eq!(orders(&suite).await, 0);
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_an_order_is_refused_and_the_quotation_stays(pool: PgPool) {
    use tonic_types::StatusExt as _;
    let suite = start(pool).await;
    let mut client = suite.quotations.clone();
    let mut wrong = terms(&[("TEA", 0), ("CUP", 1)]);
    wrong.lines[1].unit_price = None;
    wrong.valid_until = Some(to_timestamp(Clock::System.now() - time::Duration::days(1)));
    let request = CreateQuotationRequest { request_id: id(), terms: Some(wrong), ..Default::default() };
    let refused = client.create_quotation(request).await.unwrap_err();
    let fields = refused.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field);
    let fields: Vec<_> = fields.collect();
    assert_eq!(fields, ["terms.valid_until", "terms.lines[1].unit_price", "terms.lines[0].quantity"]);

    // Somebody who is no customer yet, and pays by a provider.
    let prospect = create(
        &suite,
        CreateQuotationRequest {
            inquiry: open(&suite, details("Siti", "web", 1)).await.number,
            terms: Some(terms(&[("TEA", 2)])),
            ..Default::default()
        },
    )
    .await;
    send(&suite, &prospect.id).await.unwrap();
    let refused = accept(&suite, yes(&prospect.id)).await.unwrap_err();
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "ship_to");
    let nowhere = AcceptQuotationRequest { customer_external_id: "nobody".into(), ..yes(&prospect.id) };
    assert_eq!(accept(&suite, nowhere).await.unwrap_err().code(), Code::InvalidArgument);
    // Refused by the intake: a token without the method that needs it.
    let guest = AcceptQuotationRequest { ship_to: Some(address()), ..yes(&prospect.id) };
    assert_eq!(accept(&suite, guest.clone()).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(get(&suite, &prospect.id, 0).await.unwrap().state(), QuotationState::Sent);
    let paying = AcceptQuotationRequest {
        payment_method: PaymentMethod::Provider.into(),
        payment_token: "tok_ok".into(),
        ..guest
    };
    let accepted = accept(&suite, paying).await.unwrap();
    assert_eq!(accepted.order.unwrap().state(), OrderState::Confirmed);
    let left: i64 = sqlx::query_scalar("select count(*) from acceptance").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(left, 0, "the token is forgotten");
}

#[sqlx::test(migrations = false)]
async fn a_quotation_is_printed_and_nothing_in_it_is_markup(pool: PgPool) {
    let suite = start(pool).await;
    suite.customer("C-1").await;
    let mut offered = terms(&[("TEA", 2000), ("CUP", 1)]);
    offered.lines[0].description = "<script>alert('tea')</script> & more".into();
    offered.lines[1].discount = Some(eur(25));
    offered.ship_to = Some(address());
    offered.notes = "Delivery: <b>soon</b>".into();
    let request =
        CreateQuotationRequest { customer_external_id: "C-1".into(), terms: Some(offered), ..Default::default() };
    let quotation = create(&suite, request).await;
    let (page, text) = document(&suite, &quotation.number, 0).await;
    assert_eq!(page.content_type, "text/html; charset=utf-8");
    assert_eq!(page.file_name, format!("{}-1.html", quotation.number));
    for shown in ["2,000", "1.25 EUR", "2,500.00 EUR", "2,501.00 EUR", "Budi", "Jl. Merdeka 1", ">Draft<", "&amp; more"]
    {
        assert!(text.contains(shown), "{shown} is not on the page");
    }
    assert!(!text.contains("<script") && !text.contains("<b>"), "everything typed is escaped");
    assert!(!text.contains("http:") && !text.contains("https:"), "self-contained");
    send(&suite, &quotation.id).await.unwrap();
    assert!(!document(&suite, &quotation.id, 1).await.1.contains("class=\"stamp"), "nothing on what can be accepted");
}

#[sqlx::test(migrations = false)]
async fn the_proof_finds_what_is_wrong_with_presales(pool: PgPool) {
    let suite = start(pool).await;
    suite.customer("C-1").await;
    let inquiry = open(&suite, details("Siti", "web", 100)).await;
    let quotation = of_customer(&suite, "C-1", &[("TEA", 1)]).await;
    send(&suite, &quotation.id).await.unwrap();
    accept(&suite, yes(&quotation.id)).await.unwrap();
    let results = suite.invariants().await;
    for name in ["accepted_quotations_are_orders", "inquiries_match_their_history"] {
        assert_eq!(results.iter().find(|result| result.name == name).unwrap().rows_checked, 1, "{name}");
    }
    let unlock = "alter table quotation drop constraint quotation_order_unique";
    sqlx::raw_sql(unlock).execute(&suite.pool).await.unwrap();
    let (quotations, inquiries) = ("accepted_quotations_are_orders", "inquiries_match_their_history");
    for (plant, undo, expected) in [
        (
            "update quotation set order_id = quotation_id",
            "update quotation set order_id = o.order_id from orders o",
            quotations,
        ),
        ("update quotation set revision = 2", "update quotation set revision = 1", quotations),
        (
            "insert into acceptance select quotation_id, '', '', now(), null, now() + interval '1 day' from quotation",
            "delete from acceptance",
            quotations,
        ),
        ("update inquiry set stage = 2", "update inquiry set stage = 1", inquiries),
        ("update inquiry set first_response_at = now()", "update inquiry set first_response_at = null", inquiries),
        (
            "insert into inquiry_response select inquiry_id, 1, 'Siti', now(), 'yes' from inquiry",
            "delete from inquiry_response",
            inquiries,
        ),
        ("update inquiry set version = 2", "update inquiry set version = 1", "versions_match_events"),
        ("update quotation set version = 9", "update quotation set version = 3", "versions_match_events"),
    ] {
        sqlx::raw_sql(plant).execute(&suite.pool).await.unwrap();
        assert_eq!(broken(&suite).await, [expected], "{plant}");
        sqlx::raw_sql(undo).execute(&suite.pool).await.unwrap();
        assert_eq!(broken(&suite).await, [""; 0], "{undo}");
    }
    let name = &inquiry.number;
    sqlx::raw_sql("update inquiry set responses = 5").execute(&suite.pool).await.unwrap();
    let found = suite.invariants().await.into_iter().flat_map(|result| result.violations).next().unwrap();
    assert!(name.ends_with(found.id.trim_start_matches("INQ-")), "{} is named", found.id);
}
