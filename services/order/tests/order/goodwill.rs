//! Credits without goods.

use crate::following::{invoice, issue};
use crate::peers::HALL;
use crate::suite::{Suite, eur, order, reason, start};
use pesan_api::billing::v1::{CreditNoteIssued, Document, DocumentLine};
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Money;
use sqlx::PgPool;
use tonic::{Code, Status};
use uuid::Uuid;

/// Four TEA for 5.00 and two CUP for 2.50, shipped and invoiced.
async fn invoiced(suite: &Suite) -> Order {
    let placed = suite.place(order(&[("TEA", 4), ("CUP", 2)])).await;
    issue(suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 4), (2, 2)]);
    suite.until(&placed.id, OrderState::Shipped).await;
    invoice(suite, &placed.id, &[(1, 4), (2, 2)]);
    *suite.peers.billing.invoiced_and_credited.lock().unwrap() = Some((7_50, 0));
    suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().invoiced == 6).await
}

fn wish(order: &Order, amount: Option<Money>, percent: &str) -> GrantGoodwillRequest {
    GrantGoodwillRequest {
        request_id: Uuid::now_v7().to_string(),
        order_name: order.number.clone(),
        amount,
        percent: percent.into(),
        line_nos: vec![],
        reason: "LATE_DELIVERY".into(),
        owner: "Siti".into(),
        note: "a week".into(),
    }
}

async fn grant(suite: &Suite, request: GrantGoodwillRequest) -> Result<Goodwill, Status> {
    Ok(suite.goodwill.clone().grant_goodwill(request).await?.into_inner().goodwill.unwrap())
}

async fn list(suite: &Suite, order: &Order) -> Vec<Goodwill> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListGoodwillRequest { order_name: order.id.clone(), page_size: 1, page_token };
        let page = suite.goodwill.clone().list_goodwill(request).await.unwrap().into_inner();
        all.extend(page.goodwill);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

#[sqlx::test(migrations = false)]
async fn a_goodwill_is_granted_once_and_told(pool: PgPool) {
    let suite = start(pool).await;
    let order = invoiced(&suite).await;
    let request = wish(&order, Some(eur(1_00)), "");
    let granted = grant(&suite, request.clone()).await.unwrap();
    assert_eq!(grant(&suite, request.clone()).await.unwrap(), granted, "the same");
    let other = GrantGoodwillRequest { amount: Some(eur(2_00)), ..request };
    assert_eq!(reason(&grant(&suite, other).await.unwrap_err()), "REQUEST_ID_REUSED");
    let lines: Vec<_> = granted.lines.iter().map(|line| (line.line_no, line.amount.clone().unwrap())).collect();
    assert_eq!(lines, [(1, eur(67)), (2, eur(33))], "in proportion to what was invoiced");
    let fact: GoodwillGranted = suite.fact(&order.id).await;
    assert_eq!(fact.goodwill, Some(granted.clone()));
    assert_eq!(suite.get(&order.id).await.goodwill, Some(eur(1_00)));

    // Billing credits it: no quantity is refunded by that.
    let document = Document {
        id: Uuid::now_v7().to_string(),
        order_id: order.id.clone(),
        lines: vec![DocumentLine { line_no: 1, quantity: 0, ..Default::default() }],
        total: Some(eur(90)),
        ..Default::default()
    };
    let note =
        CreditNoteIssued { document: Some(document.clone()), goodwill_id: granted.id.clone(), ..Default::default() };
    let before = suite.get(&order.id).await.version;
    suite.peers.billing.feed.tell(&order.id, &note);
    let now = suite.until_it(&order.id, |order| order.version > before).await;
    assert_eq!(now.quantities.unwrap().refunded, 0);
    let second = grant(&suite, GrantGoodwillRequest { line_nos: vec![2], ..wish(&order, None, "10") }).await.unwrap();
    assert_eq!((second.amount.clone(), second.lines.len(), second.lines[0].line_no), (Some(eur(25)), 1, 2));
    let all = list(&suite, &order).await;
    assert_eq!((all[0].credited.clone(), all[0].document_id.as_str()), (Some(eur(90)), document.id.as_str()));
    assert_eq!((all[1].id.as_str(), all.len()), (second.id.as_str(), 2));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn no_more_is_granted_than_is_left_of_what_was_invoiced(pool: PgPool) {
    let suite = start(pool).await;
    let order = invoiced(&suite).await;
    *suite.peers.billing.invoiced_and_credited.lock().unwrap() = Some((7_50, 5_00));
    let code = |status: Status| (status.code(), reason(&status));
    let too_much = (Code::FailedPrecondition, "MORE_THAN_INVOICED".to_owned());
    assert_eq!(code(grant(&suite, wish(&order, Some(eur(2_51)), "")).await.unwrap_err()), too_much);
    grant(&suite, wish(&order, Some(eur(2_00)), "")).await.unwrap();
    // What is granted and not credited yet counts.
    assert_eq!(code(grant(&suite, wish(&order, Some(eur(51)), "")).await.unwrap_err()), too_much);
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, request) = (suite.goodwill.clone(), wish(&order, Some(eur(10)), ""));
            tokio::spawn(async move { client.grant_goodwill(request).await.is_ok() })
        })
        .collect();
    let mut granted = 0;
    for caller in callers {
        granted += i32::from(caller.await.unwrap());
    }
    assert_eq!(granted, 5, "fifty cents were left");
    *suite.peers.billing.is_down.lock().unwrap() = true;
    let down = grant(&suite, wish(&order, Some(eur(1)), "")).await.unwrap_err();
    assert_eq!(code(down), (Code::Unavailable, "PEER_UNAVAILABLE".into()));
    *suite.peers.billing.is_down.lock().unwrap() = false;
    *suite.peers.billing.invoiced_and_credited.lock().unwrap() = None;
    assert_eq!(code(grant(&suite, wish(&order, Some(eur(1)), "")).await.unwrap_err()), too_much, "no charge at all");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_wish_that_makes_no_sense_is_refused_with_paths(pool: PgPool) {
    let suite = start(pool).await;
    let order = invoiced(&suite).await;
    let fields = async |request| {
        use tonic_types::StatusExt as _;
        let status = grant(&suite, request).await.unwrap_err();
        let request = status.get_details_bad_request().unwrap_or_else(|| panic!("{status:?}"));
        request.field_violations.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
    };
    let good = wish(&order, Some(eur(1)), "");
    assert_eq!(fields(GrantGoodwillRequest { percent: "10".into(), ..good.clone() }).await, ["amount"]);
    assert_eq!(fields(wish(&order, None, "100.001")).await, ["percent"]);
    assert_eq!(fields(wish(&order, Some(eur(0)), "")).await, ["amount"]);
    assert_eq!(fields(GrantGoodwillRequest { line_nos: vec![1, 9], ..good.clone() }).await, ["line_nos[1]"]);
    let bare = GrantGoodwillRequest { owner: String::new(), reason: "late".into(), ..good };
    assert_eq!(fields(bare).await, ["reason", "owner"]);
}
