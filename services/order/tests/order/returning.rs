//! Returns: what may come back, and what did.

use crate::following::issue;
use crate::peers::HALL;
use crate::suite::{Suite, eur, order, parts, reason, start};
use pesan_api::billing::v1::{CreditNoteIssued, Document, DocumentLine};
use pesan_api::fulfilment::v1::{ReturnReceived, ReturnReceivedLine};
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::{Money, Problem};
use request_return_result::Outcome;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

pub fn new(order_name: &str, lines: &[(i32, i64)]) -> NewReturn {
    let line = |(line_no, quantity): &(i32, i64)| NewReturnLine {
        line_no: *line_no,
        quantity: *quantity,
        reason: "DAMAGED".into(),
        ..Default::default()
    };
    NewReturn { order_name: order_name.into(), lines: lines.iter().map(line).collect(), ..Default::default() }
}

pub async fn ask(suite: &Suite, returns: Vec<NewReturn>) -> Vec<RequestReturnResult> {
    suite.returns.clone().request_returns(RequestReturnsRequest { returns }).await.unwrap().into_inner().results
}

pub fn approved(result: &RequestReturnResult) -> Return {
    match &result.outcome {
        Some(Outcome::Return(approved)) => approved.clone(),
        other => panic!("{other:?}"),
    }
}

pub fn refused(result: &RequestReturnResult) -> Problem {
    match &result.outcome {
        Some(Outcome::Problem(problem)) => problem.clone(),
        other => panic!("{other:?}"),
    }
}

/// An order of five TEA and two CUP, of which four TEA have left.
pub async fn shipped(suite: &Suite) -> Order {
    let placed = suite.place(NewOrder { external_id: "E-1".into(), ..order(&[("TEA", 5), ("CUP", 2)]) }).await;
    issue(suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 4)]);
    suite.until(&placed.id, OrderState::PartiallyShipped).await
}

#[sqlx::test(migrations = false)]
async fn what_was_shipped_may_come_back_once(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let first = NewReturn { external_id: "R-1".into(), ..new("web/E-1", &[(1, 3)]) };
    let results = ask(&suite, vec![first.clone(), new(&order.id, &[(1, 2)]), new(&order.number, &[(1, 1)])]).await;
    let rma = approved(&results[0]);
    assert_eq!(
        (rma.number.as_str(), rma.order_id.as_str(), rma.handling()),
        ("RMA-000001", order.id.as_str(), ReturnHandling::Inspect)
    );
    let too_much = refused(&results[1]);
    assert_eq!((too_much.reason.as_str(), too_much.retryable), ("NOT_SHIPPED", true), "one more may yet be shipped");
    assert_eq!(too_much.violations[0].field, "lines[0].quantity");
    approved(&results[2]);
    let again = ask(&suite, vec![first]).await;
    assert_eq!((approved(&again[0]), again[0].already_existed), (rma.clone(), true));
    let fact: ReturnApproved = suite.fact(&order.id).await;
    assert_eq!((fact.number.as_str(), fact.lines[0].sku.as_str()), ("RMA-000002", "TEA"));
    assert_eq!(suite.get(&order.id).await.version, 5, "two returns are two facts");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_came_back_is_counted_and_credited(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let mut asked = new(&order.id, &[(1, 3)]);
    asked.lines[0].credit = Some(eur(2_00));
    asked.handling = ReturnHandling::StraightThrough.into();
    let rma = approved(&ask(&suite, vec![asked]).await[0]);
    assert_eq!(rma.lines[0].credit, Some(eur(2_00)));
    let fact: ReturnApproved = suite.fact(&order.id).await;
    assert_eq!((fact.handling(), fact.lines[0].credit.clone()), (ReturnHandling::StraightThrough, Some(eur(2_00))));

    let back = |sellable, damaged| ReturnReceivedLine {
        line_no: 1,
        sku: "TEA".into(),
        location_id: HALL.into(),
        sellable,
        damaged,
        ..Default::default()
    };
    let received = ReturnReceived {
        return_id: rma.id.clone(),
        order_id: order.id.clone(),
        lines: vec![back(1, 0), back(0, 1)],
        ..Default::default()
    };
    let (return_id, order_id): (Uuid, Uuid) = (rma.id.parse().unwrap(), order.id.parse().unwrap());
    suite.peers.fulfilment.feed.tell_of(return_id, order_id, &received);
    let returned = suite.until_it(&order.id, |order| order.quantities.as_ref().unwrap().returned == 2).await;
    let document = Document {
        order_id: order.id.clone(),
        lines: vec![DocumentLine { line_no: 1, quantity: 2, ..Default::default() }],
        ..Default::default()
    };
    suite.peers.billing.feed.tell(&order.id, &CreditNoteIssued { document: Some(document), ..Default::default() });
    let refunded = suite.until_it(&order.id, |order| order.quantities.as_ref().unwrap().refunded == 2).await;
    assert!(refunded.version > returned.version);
    assert_eq!(
        parts(&refunded.lines[0].quantities),
        [("ordered", 5), ("reserved", 1), ("shipped", 4), ("returned", 2), ("refunded", 2)]
    );
    let request = GetReturnRequest { name: rma.number.clone() };
    let now = suite.returns.clone().get_return(request).await.unwrap().into_inner().r#return.unwrap();
    assert_eq!((now.lines[0].received, now.version), (2, 2));
    // Of four shipped, two are back and one is on its way: one more can come.
    let results = ask(&suite, vec![new(&order.id, &[(1, 2)]), new(&order.id, &[(1, 1)])]).await;
    assert_eq!(refused(&results[0]).reason, "NOT_SHIPPED");
    approved(&results[1]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_returned_is_refused_by_itself(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let mut in_dollars = new(&order.id, &[(1, 1)]);
    in_dollars.lines[0].credit = Some(Money { currency_code: "USD".into(), units: 1, nanos: 0 });
    let mut bad_reason = new(&order.id, &[(1, 1)]);
    bad_reason.lines[0].reason = "it broke".into();
    let results = ask(
        &suite,
        vec![
            new("web/nothing", &[(1, 1)]),
            new(&order.id, &[]),
            new(&order.id, &[(1, 1), (1, 1)]),
            new(&order.id, &[(1, 0)]),
            new(&order.id, &[(9, 1)]),
            new(&order.id, &[(1, 6)]),
            in_dollars,
            bad_reason,
            new("?", &[(1, 1)]),
            new(&order.id, &[(1, 4)]),
        ],
    )
    .await;
    let why: Vec<_> = results[..9]
        .iter()
        .map(refused)
        .map(|p| (p.reason, p.violations.first().map(|v| v.field.clone()).unwrap_or_default(), p.retryable))
        .collect();
    let invalid = |field: &str| ("INVALID_ARGUMENT".to_owned(), field.to_owned(), false);
    assert_eq!(why[0], ("ORDER_NOT_FOUND".to_owned(), String::new(), false));
    assert_eq!(why[1], invalid("lines"));
    assert_eq!(why[2], invalid("lines[1].line_no"));
    assert_eq!(why[3], invalid("lines[0].quantity"));
    assert_eq!(why[4], invalid("lines[0].line_no"));
    assert_eq!(why[5], ("NOT_SHIPPED".to_owned(), "lines[0].quantity".to_owned(), false));
    assert_eq!(why[6], invalid("lines[0].credit"));
    assert_eq!(why[7], invalid("lines[0].reason"));
    assert_eq!(why[8], invalid("order_name"));
    approved(&results[9]);
}

#[sqlx::test(migrations = false)]
async fn of_two_who_want_the_same_goods_back_one_is_refused(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let (mut client, returns) = (suite.returns.clone(), vec![new(&order.id, &[(1, 1)])]);
            tokio::spawn(async move {
                let answer = client.request_returns(RequestReturnsRequest { returns }).await.unwrap();
                matches!(answer.into_inner().results[0].outcome, Some(Outcome::Return(_)))
            })
        })
        .collect();
    let mut granted = 0;
    for caller in callers {
        granted += i32::from(caller.await.unwrap());
    }
    assert_eq!(granted, 4, "four have left");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn returns_are_listed_newest_first(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let returns = [10, 30, 20].map(|s| NewReturn { requested_at: at(s), ..new(&order.id, &[(1, 1)]) }).to_vec();
    ask(&suite, returns).await;
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = ListReturnsRequest { page_size: 2, page_token: token, order_id: order.id.clone() };
        let page = suite.returns.clone().list_returns(request).await.unwrap().into_inner();
        seen.extend(page.returns.into_iter().map(|rma| rma.requested_at.unwrap().seconds));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [30, 20, 10]);
    let request = ListReturnsRequest { order_id: Uuid::now_v7().to_string(), ..Default::default() };
    assert!(suite.returns.clone().list_returns(request).await.unwrap().into_inner().returns.is_empty());
    let request = GetReturnRequest { name: "RMA-999999".into() };
    let status = suite.returns.clone().get_return(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RETURN_NOT_FOUND"));
}
