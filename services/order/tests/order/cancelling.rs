//! Cancelling at every stage, and what fulfilment may say about it.

use crate::following::issue;
use crate::peers::{ANNEX, HALL};
use crate::suite::{LONG, Suite, order, order_of, parts, reason, start, start_with};
use pesan_api::inventory::v1::{BackordersFilled, FilledLine, ReleasedLine, ReservedAt, ShortageBooked, StockReleased};
use pesan_api::order::v1::*;
use sqlx::PgPool;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

fn request(name: &str, lines: &[(i32, i64)]) -> CancelOrderRequest {
    CancelOrderRequest {
        request_id: Uuid::now_v7().to_string(),
        name: name.into(),
        lines: lines.iter().map(|(line_no, quantity)| CancelLine { line_no: *line_no, quantity: *quantity }).collect(),
        reason: "changed my mind".into(),
        expected_version: 0,
    }
}

async fn cancel(suite: &Suite, request: CancelOrderRequest) -> Result<Order, Status> {
    Ok(suite.orders.clone().cancel_order(request).await?.into_inner().order.unwrap())
}

fn asked(suite: &Suite) -> Vec<pesan_api::fulfilment::v1::WithdrawLinesRequest> {
    suite.peers.fulfilment.asked.lock().unwrap().clone()
}

fn answer_next(suite: &Suite, answers: Vec<Status>) {
    suite.peers.fulfilment.answers.lock().unwrap().extend(answers.into_iter().map(Err));
}

async fn until_asked(suite: &Suite, times: usize) {
    let enough = async {
        while asked(suite).len() < times {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, enough).await.unwrap();
}

fn picked() -> Status {
    pesan_grpc::refuse::refused(Code::FailedPrecondition, "ALREADY_PICKED", "fulfilment.pesan", "line 1 is picked")
}

#[sqlx::test(migrations = false)]
async fn before_the_promise_all_of_it_goes_and_some_of_it_must_wait(pool: PgPool) {
    let suite = start(pool).await;
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let place = PlaceOrderRequest { order: Some(order(&[("TEA", 2), ("CUP", 1)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(place).await.unwrap().into_inner().order.unwrap();
    let status = cancel(&suite, request(&placed.id, &[(1, 1)])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "PROMISE_PENDING"));
    assert!(status.get_details_retry_info().is_some());

    let whole = request(&placed.number, &[]);
    let cancelled = cancel(&suite, whole.clone()).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert_eq!(cancel(&suite, whole).await.unwrap(), cancelled, "the same request again");
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    let lines: Vec<_> = fact.lines.iter().map(|l| (l.line_no, l.quantity, l.reserved.len(), l.backordered)).collect();
    assert_eq!((fact.whole, fact.reason.as_str(), lines), (true, "changed my mind", vec![(1, 2, 0, 0), (2, 1, 0, 0)]));
    let status = cancel(&suite, request(&placed.id, &[])).await.unwrap_err();
    assert_eq!(reason(&status), "ORDER_CLOSED");
    assert!(asked(&suite).is_empty(), "fulfilment has nothing of it");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_held_order_gives_back_what_was_held_for_it(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    *suite.peers.billing.refuses.lock().unwrap() = Some("NO_ACCOUNT");
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 2);
    let held = suite.place(order_of(&customer, &[("TEA", 3)])).await;
    let cancelled = cancel(&suite, request(&held.id, &[])).await.unwrap();
    assert_eq!((cancelled.state(), cancelled.holds.len()), (OrderState::Cancelled, 0));
    let fact: OrderCancelled = suite.fact(&held.id).await;
    let reserved = vec![LocationQuantity { location_id: HALL.into(), quantity: 2 }];
    assert_eq!(fact.lines, [CancelledLine { line_no: 1, quantity: 3, reserved, backordered: 1 }]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn after_the_promise_fulfilment_is_asked_for_what_is_reserved(pool: PgPool) {
    let suite = start(pool).await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 3);
    let placed = suite.place(order(&[("TEA", 5), ("CUP", 1)])).await;
    // Two wait and need nobody's leave.
    let some = cancel(&suite, request(&placed.id, &[(1, 1)])).await.unwrap();
    assert_eq!(
        parts(&some.lines[0].quantities),
        [("ordered", 5), ("reserved", 3), ("backordered", 1), ("cancelled", 1)]
    );
    assert!(asked(&suite).is_empty());
    // One waits, two are reserved.
    let more = request(&placed.id, &[(1, 3)]);
    let more = cancel(&suite, more.clone()).await.unwrap();
    assert_eq!(parts(&more.lines[0].quantities), [("ordered", 5), ("reserved", 1), ("cancelled", 4)]);
    let ask = &asked(&suite)[0];
    assert_eq!((ask.order_id.as_str(), ask.order_version), (placed.id.as_str(), some.version));
    assert_eq!((ask.lines[0].line_no, ask.lines[0].location_id.as_str(), ask.lines[0].quantity), (1, HALL, 2));
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    let reserved = vec![LocationQuantity { location_id: HALL.into(), quantity: 2 }];
    assert_eq!(fact.lines, [CancelledLine { line_no: 1, quantity: 3, reserved, backordered: 1 }]);
    assert!(!fact.whole);
    // The rest.
    let rest = cancel(&suite, request(&placed.id, &[])).await.unwrap();
    assert_eq!(rest.state(), OrderState::Cancelled);
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    assert!(fact.whole);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_fulfilment_keeps_stays(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    answer_next(&suite, vec![picked()]);
    let again = request(&placed.id, &[(1, 2)]);
    let status = cancel(&suite, again.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ALREADY_SHIPPED"));
    assert_eq!(suite.get(&placed.id).await, placed, "nothing was cancelled");
    // Refused is not done: the same request may be tried again.
    let cancelled = cancel(&suite, again).await.unwrap();
    assert_eq!(parts(&cancelled.quantities), [("ordered", 5), ("reserved", 3), ("cancelled", 2)]);
    let ids: Vec<_> = asked(&suite).iter().map(|ask| ask.request_id.clone()).collect();
    assert_ne!(ids[0], ids[1], "another try is another question");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_has_left_is_not_even_asked_for(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    issue(&suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 3)]);
    suite.until(&placed.id, OrderState::PartiallyShipped).await;
    let status = cancel(&suite, request(&placed.id, &[(1, 3)])).await.unwrap_err();
    assert_eq!(reason(&status), "ALREADY_SHIPPED");
    assert!(asked(&suite).is_empty());
    let rest = cancel(&suite, request(&placed.id, &[])).await.unwrap();
    assert_eq!(parts(&rest.quantities), [("ordered", 5), ("cancelled", 2), ("shipped", 3)]);
    assert_eq!(rest.state(), OrderState::Shipped);
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    assert!(!fact.whole);
    let status = cancel(&suite, request(&placed.id, &[])).await.unwrap_err();
    assert_eq!(reason(&status), "ALREADY_SHIPPED");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_fulfilment_that_has_not_read_so_far_is_asked_again(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    answer_next(&suite, vec![Status::aborted("NOT_FOLLOWED_YET"), Status::unavailable("down")]);
    let cancelled = cancel(&suite, request(&placed.id, &[])).await.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    let asked = asked(&suite);
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|ask| ask == &asked[0]), "the same question each time");
}

#[sqlx::test(migrations = false)]
async fn a_cancellation_goes_on_without_its_caller(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    // Fulfilment is away for longer than the caller waits.
    answer_next(&suite, vec![Status::unavailable("down"); 40]);
    let whole = request(&placed.id, &[]);
    let mut hurried = tonic::Request::new(whole.clone());
    hurried.set_timeout(std::time::Duration::from_millis(300));
    let status = suite.orders.clone().cancel_order(hurried).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "CANCELLATION_UNKNOWN"));
    suite.until(&placed.id, OrderState::Cancelled).await;
    assert_eq!(cancel(&suite, whole).await.unwrap().state(), OrderState::Cancelled);
    assert_eq!(suite.fact_names(&placed.id).await.iter().filter(|name| *name == "OrderCancelled").count(), 1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_grant_that_a_crash_came_after_is_not_forgotten(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let gate = suite.peers.fulfilment.gate.clone().lock_owned().await;
    let (whole, mut client) = (request(&placed.id, &[]), suite.orders.clone());
    let again = whole.clone();
    let caller = tokio::spawn(async move { client.cancel_order(whole).await });
    until_asked(&suite, 1).await;
    // Fulfilment let go, but nobody of this process gets to hear it.
    let (pool, peers) = suite.crash().await;
    caller.abort();
    sqlx::query("update cancellation set due_at = now()").execute(&pool).await.unwrap();
    let suite = start_with(pool, peers).await;
    until_asked(&suite, 2).await;
    drop(gate);
    suite.until(&placed.id, OrderState::Cancelled).await;
    let asked = asked(&suite);
    assert_eq!(asked[0], asked[1], "asked by the same id, so that fulfilment lets go once");
    assert_eq!(cancel(&suite, again).await.unwrap().state(), OrderState::Cancelled);
    assert_eq!(suite.fact_names(&placed.id).await.iter().filter(|name| *name == "OrderCancelled").count(), 1);
    suite.assert_proven().await;
}

/// An order of which two of five waited when its cancellation asked for the other three, and were filled before the answer.
async fn filled_while_asked(suite: &Suite) -> (Order, tokio::task::JoinHandle<Result<Order, Status>>) {
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 3);
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let gate = suite.peers.fulfilment.gate.clone().lock_owned().await;
    let (whole, mut client) = (request(&placed.id, &[]), suite.orders.clone());
    let caller = tokio::spawn(async move { Ok(client.cancel_order(whole).await?.into_inner().order.unwrap()) });
    until_asked(suite, 1).await;
    let filled = FilledLine { line_no: 1, sku: "TEA".into(), location_id: ANNEX.into(), quantity: 2 };
    let fact = BackordersFilled { order_id: placed.id.clone(), lines: vec![filled] };
    suite.peers.inventory.feed.tell(&placed.id, &fact);
    suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().backordered == 0).await;
    drop(gate);
    (placed, caller)
}

#[sqlx::test(migrations = false)]
async fn a_backorder_filled_meanwhile_is_asked_for_as_well(pool: PgPool) {
    let suite = start(pool).await;
    let (placed, caller) = filled_while_asked(&suite).await;
    let cancelled = caller.await.unwrap().unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    let asked = asked(&suite);
    let places: Vec<_> = asked.iter().map(|a| (a.lines[0].location_id.as_str(), a.lines[0].quantity)).collect();
    assert_eq!(places, [(HALL, 3), (ANNEX, 2)]);
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    assert_eq!((fact.whole, fact.lines[0].quantity, fact.lines[0].backordered), (true, 5, 0));
    assert_eq!(fact.lines[0].reserved.len(), 2);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_was_let_go_for_nothing_is_handed_out_again(pool: PgPool) {
    let suite = start(pool).await;
    // What was reserved at first is granted; what was filled meanwhile is not.
    suite.peers.fulfilment.answers.lock().unwrap().extend([Ok(()), Err(picked())]);
    let (placed, caller) = filled_while_asked(&suite).await;
    let status = caller.await.unwrap().unwrap_err();
    assert_eq!(reason(&status), "ALREADY_SHIPPED");
    let kept = suite.get(&placed.id).await;
    assert_eq!(parts(&kept.quantities), [("ordered", 5), ("reserved", 5)], "all or nothing");
    let ready: OrderLinesReady = suite.fact(&placed.id).await;
    let allocations: Vec<_> =
        ready.allocations.iter().map(|a| (a.sku.as_str(), a.location_id.as_str(), a.quantity)).collect();
    assert_eq!(allocations, [("TEA", HALL, 3)], "fulfilment gets back what it had let go");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn one_cancellation_at_a_time_and_only_of_the_version_seen(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let old = CancelOrderRequest { expected_version: 1, ..request(&placed.id, &[]) };
    let status = cancel(&suite, old).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "VERSION_MISMATCH"));

    let gate = suite.peers.fulfilment.gate.clone().lock_owned().await;
    let first = CancelOrderRequest { expected_version: 2, ..request(&placed.id, &[(1, 1)]) };
    let (running, mut client) = (first.clone(), suite.orders.clone());
    let caller = tokio::spawn(async move { client.cancel_order(running).await });
    until_asked(&suite, 1).await;
    let status = cancel(&suite, request(&placed.id, &[(1, 1)])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "CANCELLATION_PENDING"));
    let mut other = first.clone();
    other.lines[0].quantity = 2;
    let status = cancel(&suite, other.clone()).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED", "while it is under way");
    drop(gate);
    caller.await.unwrap().unwrap();
    let status = cancel(&suite, other).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert!(status.message().contains("lines[0].quantity"), "{}", status.message());
}

#[sqlx::test(migrations = false)]
async fn nonsense_is_refused_with_paths(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let field = |status: Status| status.get_details_bad_request().unwrap().field_violations[0].field.clone();
    for (request, expected) in [
        (CancelOrderRequest { request_id: String::new(), ..request(&placed.id, &[]) }, "request_id"),
        (request("SO-", &[]), "name"),
        (request(&placed.id, &[(1, 0)]), "lines[0].quantity"),
        (request(&placed.id, &[(1, 1), (1, 2)]), "lines[1].line_no"),
        (request(&placed.id, &[(1, 1), (9, 2)]), "lines[1].line_no"),
    ] {
        assert_eq!(field(cancel(&suite, request).await.unwrap_err()), expected);
    }
    let status = cancel(&suite, request("SO-999999", &[])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "ORDER_NOT_FOUND"));
}

#[sqlx::test(migrations = false)]
async fn stock_for_what_was_cancelled_is_taken_when_something_waits_again(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 4);
    let placed = suite.place(order_of(&customer, &[("TEA", 7)])).await;
    let until = async |reserved, backordered| {
        let is_so = |order: &Order| {
            let q = order.quantities.as_ref().unwrap();
            (q.reserved, q.backordered) == (reserved, backordered)
        };
        suite.until_it(&placed.id, is_so).await
    };
    let short = ShortageBooked {
        order_id: placed.id.clone(),
        line_no: 1,
        sku: "TEA".into(),
        location_id: HALL.into(),
        quantity: 1,
        backordered: 1,
    };
    // Three wait, two of them are cancelled; inventory does not know that yet, and has stock for all three.
    cancel(&suite, request(&placed.id, &[(1, 2)])).await.unwrap();
    let line = FilledLine { line_no: 1, sku: "TEA".into(), location_id: ANNEX.into(), quantity: 3 };
    suite.peers.inventory.feed.tell(&placed.id, &BackordersFilled { order_id: placed.id.clone(), lines: vec![line] });
    until(5, 0).await;
    // The next piece that waits is one that inventory takes out of the queue: of the two only one is taken back.
    suite.peers.inventory.feed.tell(&placed.id, &short);
    suite
        .until_it(&placed.id, |order| {
            order.lines[0].allocations.iter().any(|a| a.location_id == ANNEX && a.reserved == 2)
        })
        .await;
    until(5, 0).await;
    let ready: OrderLinesReady = suite.fact(&placed.id).await;
    assert_eq!((ready.allocations[0].location_id.as_str(), ready.allocations[0].quantity), (ANNEX, 1));
    let taken_back = vec![ReservedAt { location_id: ANNEX.into(), quantity: 1 }];
    let line = ReleasedLine { line_no: 1, reserved: 1, backordered: 1, taken_back, ..Default::default() };
    suite.peers.inventory.feed.tell(&placed.id, &StockReleased { order_id: placed.id.clone(), lines: vec![line] });
    // Nothing is passed over any more.
    suite.peers.inventory.feed.tell(&placed.id, &short);
    until(4, 1).await;
    suite.assert_proven().await;
}
