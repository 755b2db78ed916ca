//! Documents: their numbers, stand-alone credit notes, lists, payments, and that they stay as they are.

use crate::house::{self, House, START, eur, line, money, on_account, shipped, shown};
use pesan_api::billing::v1::issue_credit_note_result::Outcome;
use pesan_api::billing::v1::{self as pb, DocumentKind};
use pesan_api::r#type::v1::Problem;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse::reason;
use sqlx::PgPool;
use std::collections::HashSet;
use time::Duration;
use time::macros::datetime;
use tonic::Code;
use uuid::Uuid;

fn note(external_id: &str, customer: &str, net: &str) -> pb::NewCreditNote {
    let line = pb::NewCreditNoteLine { sku: "A".into(), quantity: 1, net: Some(eur(net)), tax: Some(eur("0.50")) };
    pb::NewCreditNote {
        external_id: external_id.into(),
        customer_id: customer.into(),
        currency_code: "EUR".into(),
        lines: vec![line],
        reason: "GOODWILL".into(),
        effective_at: None,
        country: "France".into(),
        channel: "web".into(),
    }
}

async fn issue(house: &mut House, notes: Vec<pb::NewCreditNote>) -> Vec<(Result<pb::Document, Problem>, bool)> {
    let request = pb::IssueCreditNotesRequest { credit_notes: notes };
    let results = house.documents.issue_credit_notes(request).await.unwrap().into_inner().results;
    let outcome = |result: pb::IssueCreditNoteResult| {
        let outcome = match result.outcome.unwrap() {
            Outcome::Document(document) => Ok(document),
            Outcome::Problem(problem) => Err(problem),
        };
        (outcome, result.already_existed)
    };
    results.into_iter().map(outcome).collect()
}

#[sqlx::test(migrations = false)]
async fn numbers_have_no_gap_however_many_issue_at_once(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let customer = house.account(None).await;
    let orders: Vec<Uuid> = (0..40).map(|_| Uuid::now_v7()).collect();
    let charges = orders.iter().map(|id| on_account(*id, customer, vec![line(1, 1, "3.00", "0")])).collect();
    house.authorise_all(charges).await.into_iter().for_each(|result| drop(result.unwrap()));
    // Forty invoices in two years, against forty calls that issue notes; some are refused after they were claimed.
    for (i, order) in orders.iter().enumerate() {
        let at = if i % 2 == 0 { START } else { datetime!(2025-12-31 12:00 UTC) };
        house.fulfilment.write(*order, &shipped(*order, &[(1, 1)]), at);
    }
    let callers: Vec<_> = (0..40)
        .map(|i| {
            let mut documents = house.documents.clone();
            let foreign = pb::NewCreditNote {
                currency_code: "USD".into(),
                lines: vec![pb::NewCreditNoteLine {
                    sku: "A".into(),
                    quantity: 1,
                    net: Some(money("USD", "1")),
                    tax: None,
                }],
                ..note(&format!("F-{i}"), &customer.to_string(), "1")
            };
            let credit_notes =
                vec![note(&format!("N-{}", i / 2), "", "1.00"), foreign, note(&format!("M-{i}"), "", "2.00")];
            tokio::spawn(async move {
                documents.issue_credit_notes(pb::IssueCreditNotesRequest { credit_notes }).await.unwrap()
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    house.fulfilment.applied().await;
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("select series, count(*), max(number) from document group by series order by series")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(
        rows,
        [("CN-2026".to_owned(), 60, 60), ("INV-2025".to_owned(), 20, 20), ("INV-2026".to_owned(), 20, 20)]
    );
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_note_again_is_the_same_note(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    let (owned, guest, unknown) = (note("R-1", &customer.to_string(), "7.00"), note("R-2", "", "1.00"), Uuid::now_v7());
    let stranger = note("R-3", &unknown.to_string(), "1.00");
    let first = issue(&mut house, vec![owned.clone(), guest, stranger, owned.clone()]).await;
    let numbers: Vec<_> = first.iter().map(|(d, existed)| (d.as_ref().unwrap().number.as_str(), *existed)).collect();
    assert_eq!(
        numbers,
        [("CN-2026-000001", false), ("CN-2026-000002", false), ("CN-2026-000003", false), ("CN-2026-000001", true)]
    );
    let again = issue(&mut house, vec![note("R-4", "", "1.00"), owned]).await;
    assert_eq!((again[1].0.as_ref(), again[1].1), (first[0].0.as_ref(), true));
    assert_eq!(house.owed(customer).await, "-7.50/0.00", "credited once");

    let document = first[0].0.clone().unwrap();
    assert_eq!((document.order_id.as_str(), document.reference.as_str(), document.open), ("", "R-1", None));
    let id: Uuid = document.id.parse().unwrap();
    assert_eq!(house.story(id).await, ["CreditNoteIssued"]);
    let event = house.events().await.remove(0);
    let fact: pb::CreditNoteIssued = prost::Message::decode(event.payload).unwrap();
    assert_eq!((fact.country.as_str(), fact.channel.as_str(), fact.reason.as_str()), ("France", "web", "GOODWILL"));
    assert_eq!((event.correlation_id.as_str(), fact.document.unwrap().lines.len()), ("", 1));

    let digests = house.digests(&[id]).await;
    assert_eq!(digests.len(), 1);
    assert_eq!((digests[0].parts[0].part, digests[0].parts[0].values.as_slice()), (0, [0, 0, 0, 700].as_slice()));
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_note_that_is_wrong_is_told_all_that_is_and_takes_no_number(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    let bad_line =
        pb::NewCreditNoteLine { sku: String::new(), quantity: 0, net: Some(eur("1.001")), tax: Some(eur("-1")) };
    let bad = pb::NewCreditNote {
        external_id: String::new(),
        reason: "goodwill".into(),
        effective_at: Some(to_timestamp(START + Duration::days(1))),
        lines: vec![bad_line],
        ..note("X", "y", "1")
    };
    let foreign = pb::NewCreditNote {
        currency_code: "USD".into(),
        lines: vec![pb::NewCreditNoteLine { sku: "A".into(), quantity: 1, net: Some(money("USD", "1")), tax: None }],
        ..note("USD-1", &customer.to_string(), "1")
    };
    let results = issue(&mut house, vec![bad, foreign.clone(), note("OK", "", "1.00")]).await;
    let fields = |i: usize| {
        let problem = results[i].0.as_ref().unwrap_err();
        problem.violations.iter().map(|v| v.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        fields(0),
        [
            "external_id",
            "customer_id",
            "reason",
            "effective_at",
            "lines[0].net",
            "lines[0].tax",
            "lines[0].quantity",
            "lines[0].sku"
        ]
    );
    assert_eq!(fields(1), ["currency_code"]);
    assert_eq!(results[2].0.as_ref().unwrap().number, "CN-2026-000001");
    let later = issue(&mut house, vec![pb::NewCreditNote { customer_id: String::new(), ..foreign }]).await;
    assert!(later[0].0.is_ok() && !later[0].1, "a refused id is free again");
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn documents_are_listed_page_by_page_and_found_by_name(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    for n in 0..3 {
        let order = Uuid::now_v7();
        house.authorise(on_account(order, customer, vec![line(1, 1, "3.00", "0.10")])).await.unwrap();
        house.fulfilment.tell(order, &shipped(order, &[(1, 1)]), START + Duration::days(n)).await;
    }
    issue(&mut house, vec![note("A", "", "1"), note("B", &customer.to_string(), "1")]).await;
    let mut pages = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListDocumentsRequest { page_size: 2, page_token, ..Default::default() };
        let page = house.documents.list_documents(request).await.unwrap().into_inner();
        pages.push(page.documents.into_iter().map(|d| d.number).collect::<Vec<_>>());
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(
        pages,
        [vec!["CN-2026-000001", "CN-2026-000002"], vec!["INV-2026-000001", "INV-2026-000002"], vec!["INV-2026-000003"]]
    );
    let invoices = pb::ListDocumentsRequest {
        kind: DocumentKind::Invoice.into(),
        customer_id: customer.to_string(),
        ..Default::default()
    };
    let invoices = house.documents.list_documents(invoices).await.unwrap().into_inner().documents;
    assert_eq!((invoices.len(), invoices[0].lines.len(), shown(&invoices[0].total)), (3, 1, "3.10".into()));

    for name in [invoices[1].id.clone(), "INV-2026-000002".into()] {
        let found = house.documents.get_document(pb::GetDocumentRequest { name }).await.unwrap().into_inner();
        assert_eq!(found.document.as_ref(), Some(&invoices[1]));
    }
    for name in ["INV-2026-000004".to_owned(), Uuid::now_v7().to_string(), "nonsense".to_owned()] {
        let status = house.documents.get_document(pb::GetDocumentRequest { name }).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "DOCUMENT_NOT_FOUND"));
    }
    let mut postings = 0;
    let mut page_token = String::new();
    loop {
        let request = pb::ListPostingsRequest { page_size: 2, page_token, ..Default::default() };
        let page = house.documents.list_postings(request).await.unwrap().into_inner();
        postings += page.postings.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(postings, 5);
    let february = pb::GetTrialBalanceRequest {
        from: Some(to_timestamp(datetime!(2026-03-03 0:00 UTC))),
        to: Some(to_timestamp(datetime!(2026-03-04 0:00 UTC))),
    };
    let rows = house.documents.get_trial_balance(february).await.unwrap().into_inner().rows;
    let told: Vec<_> = rows.iter().map(|r| (r.account().as_str_name(), shown(&r.debit), shown(&r.credit))).collect();
    let row = |name, debit: &str, credit: &str| (name, debit.to_owned(), credit.to_owned());
    assert_eq!(
        told,
        [
            row("LEDGER_ACCOUNT_RECEIVABLES", "3.10", "0.00"),
            row("LEDGER_ACCOUNT_REVENUE", "0.00", "3.00"),
            row("LEDGER_ACCOUNT_TAX", "0.00", "0.10"),
        ]
    );
    for request in [
        pb::ListDocumentsRequest {
            page_size: 1001,
            kind: 9,
            order_id: "x".into(),
            page_token: "?".into(),
            ..Default::default()
        },
        pb::ListDocumentsRequest { page_size: -1, ..Default::default() },
    ] {
        let status = house.documents.list_documents(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_issued_and_posted_cannot_be_changed(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    issue(&mut house, vec![note("A", "", "1")]).await;
    for statement in [
        "update document set net = net + 1",
        "delete from document",
        "update document_line set quantity = 2",
        "truncate posting_pair",
        "delete from posting_pair",
        "update posting set reference = gen_random_uuid()",
        "truncate posting cascade",
    ] {
        let error = sqlx::raw_sql(statement).execute(&pool).await.unwrap_err();
        let code = error.as_database_error().and_then(|e| e.code().map(|c| c.to_string()));
        assert_eq!(code.as_deref(), Some("23001"), "{statement}");
    }
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_payment_pays_the_oldest_first_or_what_it_names_and_is_booked_once(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    for (n, total) in ["10.00", "20.00", "30.00"].into_iter().enumerate() {
        let order = Uuid::now_v7();
        house.authorise(on_account(order, customer, vec![line(1, 1, total, "0")])).await.unwrap();
        house.fulfilment.tell(order, &shipped(order, &[(1, 1)]), START - Duration::days(n as i64)).await;
    }
    let pay = |amount: &str, invoices: &[&str]| pb::ApplyPaymentRequest {
        request_id: Uuid::now_v7().to_string(),
        customer_id: customer.to_string(),
        amount: Some(eur(amount)),
        reference: "bank 1".into(),
        invoices: invoices.iter().map(|i| (*i).to_owned()).collect(),
        effective_at: None,
    };
    let request = pay("35.00", &[]);
    let first = house.payments.apply_payment(request.clone()).await.unwrap().into_inner();
    let parts: Vec<_> = first.applications.iter().map(|a| (a.invoice_number.as_str(), shown(&a.amount))).collect();
    assert_eq!(parts, [("INV-2026-000003", "30.00".to_owned()), ("INV-2026-000002", "5.00".to_owned())]);
    assert_eq!(house.payments.apply_payment(request.clone()).await.unwrap().into_inner(), first, "the same answer");
    assert_eq!(house.owed(customer).await, "25.00/0.00", "booked once");
    let other = pb::ApplyPaymentRequest { reference: "bank 2".into(), ..request };
    let status = house.payments.apply_payment(other).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert!(status.message().contains("reference"), "{status}");

    let named =
        house.payments.apply_payment(pay("12.00", &["INV-2026-000001", "INV-2026-000002"])).await.unwrap().into_inner();
    let parts: Vec<_> = named.applications.iter().map(|a| (a.invoice_number.as_str(), shown(&a.amount))).collect();
    assert_eq!(parts, [("INV-2026-000001", "10.00".to_owned()), ("INV-2026-000002", "2.00".to_owned())]);
    for (request, code, why) in [
        (pay("13.01", &[]), Code::FailedPrecondition, "MORE_THAN_OPEN"),
        (pay("1.00", &["INV-2026-000001"]), Code::FailedPrecondition, "MORE_THAN_OPEN"),
        (pay("1.00", &["INV-2026-000009"]), Code::NotFound, "INVOICE_NOT_FOUND"),
        (
            pb::ApplyPaymentRequest { customer_id: Uuid::now_v7().to_string(), ..pay("1", &[]) },
            Code::NotFound,
            "ACCOUNT_NOT_FOUND",
        ),
        (pay("0", &["?"]), Code::InvalidArgument, ""),
        (pb::ApplyPaymentRequest { amount: Some(money("USD", "1")), ..pay("1", &[]) }, Code::InvalidArgument, ""),
    ] {
        let status = house.payments.apply_payment(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, why), "{status}");
    }
    house.payments.apply_payment(pay("13.00", &[])).await.unwrap();
    assert_eq!(house.owed(customer).await, "0.00/0.00");
    assert_eq!(house.story(customer).await, ["PaymentApplied", "PaymentApplied", "PaymentApplied"]);
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn two_payments_at_once_do_not_pay_an_invoice_twice(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(None).await, Uuid::now_v7());
    house.authorise(on_account(order, customer, vec![line(1, 1, "10.00", "0")])).await.unwrap();
    house.fulfilment.tell(order, &shipped(order, &[(1, 1)]), START).await;
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let mut payments = house.payments.clone();
            let request = pb::ApplyPaymentRequest {
                request_id: Uuid::now_v7().to_string(),
                customer_id: customer.to_string(),
                amount: Some(eur("4.00")),
                ..Default::default()
            };
            tokio::spawn(async move { payments.apply_payment(request).await.is_ok() })
        })
        .collect();
    let mut booked = HashSet::new();
    for (i, caller) in callers.into_iter().enumerate() {
        if caller.await.unwrap() {
            booked.insert(i);
        }
    }
    assert_eq!((booked.len(), house.owed(customer).await.as_str()), (2, "2.00/0.00"));
    house.is_in_order().await;
    house.stop().await;
}
