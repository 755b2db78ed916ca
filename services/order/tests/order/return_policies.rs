//! What policies make of returns, and what people do with those that await them.

use crate::following::issue;
use crate::peers::HALL;
use crate::returning::{approved, ask, new, refused, shipped};
use crate::suite::{Suite, eur, order, reason, start};
use pesan_api::fulfilment::v1::Delivered;
use pesan_api::order::v1::*;
use pesan_host::Clock;
use sqlx::PgPool;
use time::Duration;
use tonic::{Code, Status};
use uuid::Uuid;

pub fn terms(reason: &str) -> ReturnTerms {
    ReturnTerms { reason: reason.into(), ..Default::default() }
}

pub fn policy(name: &str, reasons: Vec<ReturnTerms>) -> ReturnPolicy {
    ReturnPolicy { name: name.into(), window_days: 30, reasons, ..Default::default() }
}

pub async fn set(suite: &Suite, policies: Vec<ReturnPolicy>) -> Vec<UpsertReturnPolicyResult> {
    let request = UpsertReturnPoliciesRequest { policies };
    suite.policies.clone().upsert_return_policies(request).await.unwrap().into_inner().results
}

fn id() -> String {
    Uuid::now_v7().to_string()
}

pub async fn get(suite: &Suite, name: &str) -> Return {
    let request = GetReturnRequest { name: name.into() };
    suite.returns.clone().get_return(request).await.unwrap().into_inner().r#return.unwrap()
}

/// The return as soon as it is in a state.
pub async fn until(suite: &Suite, rma: &Return, state: ReturnState) -> Return {
    let rma_id = rma.id.clone();
    suite.until_it(&rma.order_id, |_| true).await;
    for _ in 0..400 {
        let now = get(suite, &rma_id).await;
        if now.state() == state {
            return now;
        }
        // Woken by whatever happens to the order next.
        let version = suite.get(&rma.order_id).await.version;
        let watch = WatchOrderRequest { name: rma.order_id.clone(), after_version: version };
        let mut changes = suite.orders.clone().watch_order(watch).await.unwrap().into_inner();
        if get(suite, &rma_id).await.state() != state {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), changes.message()).await;
        }
    }
    panic!("it stays {:?}", get(suite, &rma_id).await);
}

async fn approve(suite: &Suite, name: &str) -> Result<Return, Status> {
    let request = ApproveReturnRequest { request_id: id(), name: name.into(), by: "Siti".into(), note: "fine".into() };
    Ok(suite.returns.clone().approve_return(request).await?.into_inner().r#return.unwrap())
}

async fn close(suite: &Suite, name: &str) -> Result<Return, Status> {
    let request = CloseReturnRequest { request_id: id(), name: name.into(), by: "Siti".into(), ..Default::default() };
    Ok(suite.returns.clone().close_return(request).await?.into_inner().r#return.unwrap())
}

async fn cancel(suite: &Suite, name: &str) -> Result<Return, Status> {
    let request = CancelReturnRequest { request_id: id(), name: name.into(), ..Default::default() };
    Ok(suite.returns.clone().cancel_return(request).await?.into_inner().r#return.unwrap())
}

fn refusal(status: Status) -> (Code, String) {
    (status.code(), reason(&status))
}

#[sqlx::test(migrations = false)]
async fn policies_are_kept_by_name_and_judged_by_rank(pool: PgPool) {
    let suite = start(pool).await;
    let mut wrong = policy("", vec![terms("BROKEN"), terms("BROKEN"), terms("")]);
    wrong.window_days = -1;
    wrong.otherwise = Some(ReturnTerms { restocking_fee_percent: "101".into(), ..terms("X") });
    let results = set(&suite, vec![policy("b", vec![]), wrong, ReturnPolicy { rank: 1, ..policy("a", vec![]) }]).await;
    let Some(upsert_return_policy_result::Outcome::Problem(problem)) = &results[1].outcome else {
        panic!("{results:?}")
    };
    let fields: Vec<_> = problem.violations.iter().map(|violation| violation.field.as_str()).collect();
    for field in [
        "name",
        "window_days",
        "reasons[1].reason",
        "reasons[2].reason",
        "otherwise.restocking_fee_percent",
        "otherwise.reason",
    ] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    let listed = async || {
        let answer = suite.policies.clone().list_return_policies(ListReturnPoliciesRequest {}).await.unwrap();
        answer.into_inner().policies.into_iter().map(|policy| (policy.name, policy.window_days)).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [("b".to_owned(), 30), ("a".to_owned(), 30)]);
    set(&suite, vec![ReturnPolicy { rank: 2, window_days: 7, ..policy("b", vec![]) }]).await;
    assert_eq!(listed().await, [("a".to_owned(), 30), ("b".to_owned(), 7)]);
    let delete = |name: &str| DeleteReturnPolicyRequest { name: name.into() };
    suite.policies.clone().delete_return_policy(delete("a")).await.unwrap();
    let status = suite.policies.clone().delete_return_policy(delete("a")).await.unwrap_err();
    assert_eq!(refusal(status), (Code::NotFound, "RETURN_POLICY_NOT_FOUND".into()));
    assert_eq!(listed().await, [("b".to_owned(), 7)]);
}

#[sqlx::test(migrations = false)]
async fn a_return_after_its_window_needs_a_named_person(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 4)])).await;
    let shipment = Uuid::now_v7();
    issue(&suite, &placed.id, shipment, HALL, &[(1, 4)]);
    let order = suite.until(&placed.id, OrderState::Shipped).await;
    // It arrived forty days ago.
    let at = Clock::System.now() - Duration::days(40);
    sqlx::query("update orders set shipped_at = $1, delivered_at = $1").bind(at).execute(&suite.pool).await.unwrap();
    let damaged = ReturnTerms { resolutions: vec![ReturnResolution::Refund.into()], ..terms("DAMAGED") };
    set(&suite, vec![ReturnPolicy { channels: vec!["web".into()], ..policy("web", vec![damaged]) }]).await;

    let late = new(&order.id, &[(1, 1)]);
    assert_eq!(refused(&ask(&suite, vec![late.clone()]).await[0]).reason, "RETURN_WINDOW_CLOSED");
    let window = WindowOverride { by: "Siti".into(), note: "was in hospital".into() };
    let opened = NewReturn { window_override: Some(window), ..late.clone() };
    let rma = approved(&ask(&suite, vec![opened.clone()]).await[0]);
    assert_eq!(rma.state(), ReturnState::Approved);
    let told = (rma.history[0].by.as_str(), rma.history[0].note.as_str());
    assert_eq!(told, ("Siti", "was in hospital"), "who opened it stays known");

    let mut other = opened.clone();
    other.lines[0].reason = "BORED".into();
    let problem = refused(&ask(&suite, vec![other]).await[0]);
    assert_eq!(
        (problem.reason.as_str(), problem.violations[0].field.as_str()),
        ("RETURN_REASON_NOT_ALLOWED", "lines[0].reason")
    );
    let repair = NewReturn { resolution: ReturnResolution::Repair.into(), ..opened };
    assert_eq!(refused(&ask(&suite, vec![repair]).await[0]).reason, "RETURN_RESOLUTION_NOT_ALLOWED");

    // A delivery opens the window anew: it is counted from the last one.
    let fact = Delivered {
        fulfilment_order_id: shipment.to_string(),
        order_id: placed.id.clone(),
        lines: vec![pesan_api::fulfilment::v1::ShipmentLine { line_no: 1, quantity: 4, ..Default::default() }],
    };
    suite.peers.fulfilment.feed.tell_of(shipment, placed.id.parse().unwrap(), &fact);
    suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().delivered == 4).await;
    approved(&ask(&suite, vec![late]).await[0]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_restocking_fee_is_taken_off_the_credit(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let fee = |percent: &str| ReturnTerms { restocking_fee_percent: percent.into(), ..terms("DAMAGED") };
    set(&suite, vec![policy("all", vec![fee("12.5")])]).await;
    // Three of five for 6.25: 3.75, less 12.5 %, which is 0.46875.
    let rma = approved(&ask(&suite, vec![new(&order.id, &[(1, 3)])]).await[0]);
    assert_eq!((rma.lines[0].credit.clone(), rma.lines[0].restocking_fee.clone()), (Some(eur(3_28)), Some(eur(47))));
    let fact: ReturnApproved = suite.fact(&order.id).await;
    assert_eq!(fact.lines[0].credit, Some(eur(3_28)), "fulfilment shares it out over its receipts");
    // A trusted caller's word on the credit stands.
    let mut own = new(&order.id, &[(1, 1)]);
    own.lines[0].credit = Some(eur(1_00));
    let rma = approved(&ask(&suite, vec![own]).await[0]);
    assert_eq!((rma.lines[0].credit.clone(), rma.lines[0].restocking_fee.clone()), (Some(eur(1_00)), None));
}

#[sqlx::test(migrations = false)]
async fn a_return_waits_for_approval_where_the_policy_says_so(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    set(&suite, vec![policy("all", vec![ReturnTerms { needs_approval: true, ..terms("DAMAGED") }])]).await;
    let results =
        ask(&suite, vec![new(&order.id, &[(1, 2)]), new(&order.id, &[(1, 2)]), new(&order.id, &[(1, 1)])]).await;
    let (first, second) = (approved(&results[0]), approved(&results[1]));
    assert_eq!((first.state(), refused(&results[2]).reason.as_str()), (ReturnState::AwaitingApproval, "NOT_SHIPPED"));
    let names = suite.fact_names(&order.id).await;
    assert!(!names.contains(&"ReturnApproved".to_owned()), "{names:?}");

    let now = approve(&suite, &first.number).await.unwrap();
    assert_eq!((now.state(), now.history[0].by.as_str()), (ReturnState::Approved, "Siti"));
    let fact: ReturnApproved = suite.fact(&order.id).await;
    assert_eq!(fact.return_id, first.id);
    let again = approve(&suite, &first.number).await.unwrap_err();
    assert_eq!(refusal(again), (Code::FailedPrecondition, "RETURN_STATE".into()));

    let request =
        RejectReturnRequest { request_id: id(), name: second.id.clone(), by: "Siti".into(), note: "worn".into() };
    let rejected = suite.returns.clone().reject_return(request.clone()).await.unwrap().into_inner();
    assert_eq!(rejected.r#return.as_ref().unwrap().state(), ReturnState::Rejected);
    assert_eq!(suite.returns.clone().reject_return(request.clone()).await.unwrap().into_inner(), rejected, "the same");
    let other = RejectReturnRequest { note: "torn".into(), ..request };
    let status = suite.returns.clone().reject_return(other).await.unwrap_err();
    assert_eq!(refusal(status), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    // What was rejected is free again, and so is what is cancelled before anybody approved it.
    let third = approved(&ask(&suite, vec![new(&order.id, &[(1, 2)])]).await[0]);
    assert_eq!(cancel(&suite, &third.number).await.unwrap().state(), ReturnState::Cancelled);
    approved(&ask(&suite, vec![new(&order.id, &[(1, 2)])]).await[0]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn whether_a_return_can_be_called_off_is_for_fulfilment_to_say(pool: PgPool) {
    let suite = start(pool).await;
    let order = shipped(&suite).await;
    let rma = approved(&ask(&suite, vec![new(&order.id, &[(1, 4)])]).await[0]);
    let closes = suite.peers.fulfilment.closes.clone();
    assert_eq!(refusal(cancel(&suite, &rma.id).await.unwrap_err()), (Code::Aborted, "NOT_FOLLOWED_YET".into()));
    let received = pesan_grpc::refuse::refused(Code::FailedPrecondition, "ALREADY_RECEIVED", "fulfilment.pesan", "no");
    *closes.lock().unwrap() = Some(Err(received));
    let refused = cancel(&suite, &rma.id).await.unwrap_err();
    assert_eq!(refusal(refused), (Code::FailedPrecondition, "ALREADY_RECEIVED".into()));
    *closes.lock().unwrap() = Some(Err(Status::unavailable("down")));
    assert_eq!(refusal(close(&suite, &rma.id).await.unwrap_err()), (Code::Unavailable, "PEER_UNAVAILABLE".into()));

    *closes.lock().unwrap() = Some(Ok(vec![(1, 3)]));
    let closed = close(&suite, &rma.id).await.unwrap();
    assert_eq!((closed.lines[0].released, closed.state()), (3, ReturnState::Approved), "one is still to be read of");
    // Its feed tells the same again, and the quantity is free once.
    let (return_id, order_id): (Uuid, Uuid) = (rma.id.parse().unwrap(), order.id.parse().unwrap());
    let fact = pesan_api::fulfilment::v1::ExpectedReturnClosed {
        return_id: rma.id.clone(),
        order_id: order.id.clone(),
        lines: vec![pesan_api::fulfilment::v1::ClosedReturnLine { line_no: 1, released: 4 }],
        ..Default::default()
    };
    suite.peers.fulfilment.feed.tell_of(return_id, order_id, &fact);
    until(&suite, &rma, ReturnState::Cancelled).await;
    let results = ask(&suite, vec![new(&order.id, &[(1, 4)]), new(&order.id, &[(1, 1)])]).await;
    approved(&results[0]);
    assert_eq!(crate::returning::refused(&results[1]).reason, "NOT_SHIPPED");
    suite.assert_proven().await;
}
