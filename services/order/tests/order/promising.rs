//! Promising orders before they are placed, and placing them with what was promised.

use crate::peers::{HALL, day};
use crate::proving::{digests, value};
use crate::suite::{Suite, eur, order, parts, reason, start, start_at};
use pesan_api::inventory::v1::{BackordersFilled, FilledLine, ReservationExpired};
use pesan_api::order::v1::*;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;
use tonic::{Code, Status};
use uuid::Uuid;

pub fn asks(order: &NewOrder, hold_stock: bool) -> PromiseOrderRequest {
    PromiseOrderRequest { request_id: Uuid::now_v7().to_string(), order: Some(order.clone()), hold_stock }
}

pub async fn ask(suite: &Suite, request: PromiseOrderRequest) -> Result<OrderPromise, Status> {
    Ok(suite.promises.clone().promise_order(request).await?.into_inner().promise.unwrap())
}

pub async fn try_place(suite: &Suite, new: &NewOrder) -> Result<PlaceOrderResponse, Status> {
    let request = PlaceOrderRequest { order: Some(new.clone()), wait: PlaceWait::Settled.into() };
    Ok(suite.orders.clone().place_order(request).await?.into_inner())
}

/// The order with a promise, under a request id of its own.
pub fn redeeming(new: &NewOrder, promise: &OrderPromise) -> NewOrder {
    NewOrder { request_id: Uuid::now_v7().to_string(), promise_token: promise.token.clone(), ..new.clone() }
}

pub fn stock(suite: &Suite, sku: &str, quantity: i64) {
    suite.peers.inventory.stock.lock().unwrap().insert(sku.into(), quantity);
}

/// What is told of one subject that is not an order yet: (reserved, backordered) of line 1.
pub async fn told(suite: &Suite) -> Vec<(i64, i64)> {
    let (measures, all) = digests(suite, vec![]).await;
    all.iter().map(|d| (value(&measures, d, 1, "reserved"), value(&measures, d, 1, "backordered"))).collect()
}

async fn until_told(suite: &Suite, expected: &[(i64, i64)]) {
    let wait = async {
        while told(suite).await != expected {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(crate::suite::LONG, wait).await;
    assert!(in_time.is_ok(), "{expected:?} is not told: {:?}", told(suite).await);
}

#[sqlx::test(migrations = false)]
async fn a_promise_tells_prices_places_dates_and_reasons(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite, "TEA", 2);
    let mut new = order(&[("TEA", 5), ("CUP", 1)]);
    new.delivery = Some(NewDelivery { requested_delivery_at: day(5), ..Default::default() });
    // How it is paid is not looked at, and need not be known.
    new.payment_token = String::new();
    let request = asks(&new, false);
    let promise = ask(&suite, request.clone()).await.unwrap();
    assert_eq!((promise.total.clone(), promise.stock_held, promise.refused), (Some(eur(7_50)), false, false));
    assert_eq!((promise.ship_at, promise.deliver_at, promise.late), (day(11), day(13), true));
    let [tea, cup] = promise.lines.as_slice() else { panic!("{promise:?}") };
    assert_eq!(
        (tea.line_total.clone(), tea.late, tea.ship_at, tea.deliver_at),
        (Some(eur(6_25)), true, day(11), day(13))
    );
    assert_eq!((cup.late, cup.ship_at, cup.deliver_at), (false, day(1), day(3)));
    let parts_of_tea: Vec<_> =
        tea.parts.iter().map(|p| (p.location_id.as_str(), p.quantity, p.ship_at, p.deliver_at)).collect();
    assert_eq!(parts_of_tea, [(HALL, 2, day(1), day(3)), (HALL, 3, day(11), day(13))]);
    let supply = tea.parts[1].supply.clone().unwrap();
    assert_eq!(
        (supply.source(), supply.number.as_str(), supply.expected_at),
        (SupplySource::PurchaseOrder, "PO-7", day(10))
    );
    assert_eq!(tea.why, ["because"]);
    assert!(suite.peers.inventory.calls.lock().unwrap().is_empty(), "nothing is reserved");
    assert_eq!(suite.facts().await, [], "and nothing has happened");

    // The same again has the same answer; something else has not.
    assert_eq!(ask(&suite, request.clone()).await.unwrap(), promise);
    let status = ask(&suite, PromiseOrderRequest { hold_stock: true, ..request }).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");

    // Its dates go with the order.
    let paid = NewOrder { payment_token: "tok_ok".into(), ..redeeming(&new, &promise) };
    let placed = try_place(&suite, &paid).await.unwrap().order.unwrap();
    assert_eq!(placed.state(), OrderState::Backordered);
    let delivery = placed.delivery.unwrap();
    assert_eq!((delivery.promised_ship_at, delivery.promised_delivery_at), (day(11), day(13)));
    assert_eq!(delivery.requested_delivery_at, day(5));
    assert_eq!(placed.lines[1].dates.as_ref().unwrap().promised_delivery_at, day(3));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_held_is_the_orders_that_redeems_it(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite, "TEA", 4);
    let new = order(&[("TEA", 5)]);
    let promise = ask(&suite, asks(&new, true)).await.unwrap();
    assert!(promise.stock_held && !promise.token.is_empty());
    // Both houses tell of it, though there is no order.
    assert_eq!(told(&suite).await, [(4, 1)]);
    suite.assert_proven().await;
    // Nobody else gets it.
    let other = suite.place(order(&[("TEA", 1)])).await;
    assert_eq!(other.state(), OrderState::Backordered);

    // While billing is down, the order has what was promised already.
    *suite.peers.billing.is_down.lock().unwrap() = true;
    let request = PlaceOrderRequest { order: Some(redeeming(&new, &promise)), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
    assert_eq!(placed.state(), OrderState::Accepted);
    assert_eq!(parts(&placed.quantities), [("ordered", 5), ("reserved", 4), ("backordered", 1)]);
    assert!(suite.peers.inventory.reservations.lock().unwrap().contains_key(&placed.id), "it is the order's own");
    suite.assert_proven().await;
    *suite.peers.billing.is_down.lock().unwrap() = false;
    let done = suite.until(&placed.id, OrderState::Backordered).await;
    assert_eq!(parts(&done.quantities), [("ordered", 5), ("reserved", 4), ("backordered", 1)]);
    assert_eq!(suite.peers.inventory.reservations.lock().unwrap().len(), 2);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn each_token_places_one_order(pool: PgPool) {
    let suite = start(pool).await;
    let new = order(&[("TEA", 5)]);
    let promise = ask(&suite, asks(&new, true)).await.unwrap();
    let all: Vec<NewOrder> = (0..8).map(|_| redeeming(&new, &promise)).collect();
    // Alone, and together in one request.
    let request = PlaceOrdersRequest { orders: all[4..].to_vec(), ..Default::default() };
    let mut client = suite.orders.clone();
    let (alone, together) = tokio::join!(
        futures::future::join_all(all[..4].iter().map(|new| try_place(&suite, new))),
        client.place_orders(request)
    );
    let (mut placed, mut refused) = (Vec::new(), Vec::new());
    for answer in alone {
        match answer {
            Ok(answer) => placed.push(answer.order.unwrap().id),
            Err(status) => refused.push(reason(&status)),
        }
    }
    for result in together.unwrap().into_inner().results {
        match result.outcome.unwrap() {
            place_order_result::Outcome::Order(order) => placed.push(order.id),
            place_order_result::Outcome::Problem(problem) => refused.push(problem.reason),
        }
    }
    assert_eq!(placed.len(), 1, "{refused:?}");
    assert_eq!(refused, ["PROMISE_REDEEMED"; 7]);
    // Whoever asks for the same again gets the order there is.
    let mut again = 0;
    for new in &all {
        match try_place(&suite, new).await {
            Ok(answer) => {
                assert!(answer.already_existed);
                assert_eq!(answer.order.unwrap().id, placed[0]);
                again += 1;
            }
            Err(status) => assert_eq!(reason(&status), "PROMISE_REDEEMED"),
        }
    }
    assert_eq!(again, 1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_token_is_refused_for_another_order_and_after_its_time(pool: PgPool) {
    let clock = Clock::manual(Clock::System.now());
    let suite = start_at(pool, crate::peers::start().await, clock.clone()).await;
    let new = order(&[("TEA", 5)]);
    let promise = ask(&suite, asks(&new, true)).await.unwrap();
    let mut other = redeeming(&new, &promise);
    other.lines[0].quantity = 6;
    other.priority = Some(1);
    let request = PlaceOrdersRequest { orders: vec![other], ..Default::default() };
    let answer = suite.orders.clone().place_orders(request).await.unwrap().into_inner().results.remove(0);
    let Some(place_order_result::Outcome::Problem(problem)) = answer.outcome else { panic!("{answer:?}") };
    assert_eq!(problem.reason, "PROMISE_DIFFERS");
    let fields: Vec<&str> = problem.violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["lines[0].quantity", "priority"]);

    for nonsense in ["nonsense", "promise-00000000000000000000000000000000"] {
        let token = NewOrder { promise_token: nonsense.into(), ..redeeming(&new, &promise) };
        let status = try_place(&suite, &token).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "PROMISE_EXPIRED"));
    }
    clock.advance(Duration::from_secs(15 * 60));
    let status = try_place(&suite, &redeeming(&new, &promise)).await.unwrap_err();
    assert_eq!(reason(&status), "PROMISE_EXPIRED");
    let count: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(count, 0);
}

#[sqlx::test(migrations = false)]
async fn what_inventory_does_meanwhile_is_followed(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite, "TEA", 2);
    let new = order(&[("TEA", 5)]);
    let promise = ask(&suite, asks(&new, true)).await.unwrap();
    assert_eq!(told(&suite).await, [(2, 3)]);
    let order_id = suite.peers.inventory.reservations.lock().unwrap().keys().next().unwrap().clone();
    let line = FilledLine { line_no: 1, sku: "TEA".into(), location_id: HALL.into(), quantity: 2 };
    let fact = BackordersFilled { order_id: order_id.clone(), lines: vec![line] };
    suite.peers.inventory.feed.tell(&order_id, &fact);
    until_told(&suite, &[(4, 1)]).await;
    suite.peers.inventory.feed.tell(&order_id, &ReservationExpired { order_id: order_id.clone() });
    until_told(&suite, &[]).await;
    let status = try_place(&suite, &redeeming(&new, &promise)).await.unwrap_err();
    assert_eq!(reason(&status), "PROMISE_EXPIRED", "what was held is gone");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_that_would_be_refused_gets_no_token(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite, "TEA", 2);
    let policy = ReservationPolicy::AllOrNothing.into();
    let new = NewOrder { reservation_policy: policy, ..order(&[("TEA", 5)]) };
    for hold_stock in [true, false] {
        let promise = ask(&suite, asks(&new, hold_stock)).await.unwrap();
        assert_eq!((promise.refused, promise.stock_held, promise.token.as_str()), (true, false, ""));
        assert_eq!(promise.lines[0].refused, 5);
        let status = ask(&suite, asks(&order(&[("UNKNOWN", 1)]), hold_stock)).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "UNKNOWN_SKU"));
    }
    assert_eq!(told(&suite).await, []);
    let nonsense = PromiseOrderRequest {
        request_id: "x".into(),
        order: Some(NewOrder { promise_token: "t".into(), channel: "UPPER".into(), ..order(&[("", 0)]) }),
        hold_stock: true,
    };
    let status = ask(&suite, nonsense).await.unwrap_err();
    let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
    let expected =
        ["request_id", "order.promise_token", "order.channel", "order.lines[0].sku", "order.lines[0].quantity"];
    assert_eq!(fields, expected);
}

#[sqlx::test(migrations = false)]
async fn a_promise_that_nobody_heard_is_finished_or_tidied(pool: PgPool) {
    let clock = Clock::manual(Clock::System.now());
    let suite = start_at(pool, crate::peers::start().await, clock.clone()).await;
    stock(&suite, "TEA", 9);
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let request = asks(&order(&[("TEA", 5)]), true);
    let status = ask(&suite, request.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "PEER_UNAVAILABLE"));
    *suite.peers.inventory.is_down.lock().unwrap() = false;
    // Stock is held, but the dates are not told: it is not lost sight of, and asked again it goes on with the same.
    *suite.peers.inventory.tells_no_dates.lock().unwrap() = true;
    assert_eq!(ask(&suite, request.clone()).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(told(&suite).await, [(5, 0)]);
    *suite.peers.inventory.tells_no_dates.lock().unwrap() = false;
    let promise = ask(&suite, request).await.unwrap();
    assert!(promise.stock_held);
    assert_eq!(suite.peers.inventory.reservations.lock().unwrap().len(), 1);

    // One whose answer was lost for good: what inventory holds for it is found out.
    let lost = asks(&order(&[("TEA", 3)]), true);
    ask(&suite, lost).await.unwrap();
    sqlx::query("update promise set answer = null, held = null, inventory_version = 0 where line_count = 1 and held->0->'reserved'->0->>1 = '3'")
        .execute(&suite.pool)
        .await
        .unwrap();
    assert_eq!(told(&suite).await, [(5, 0)]);
    clock.advance(Duration::from_secs(61));
    until_told(&suite, &[(5, 0), (3, 0)]).await;
    // Old ones are forgotten, but not while stock is held for them.
    for order_id in suite.peers.inventory.reservations.lock().unwrap().keys().take(1) {
        let expired = ReservationExpired { order_id: order_id.clone() };
        suite.peers.inventory.feed.tell(order_id, &expired);
    }
    clock.advance(Duration::from_secs(2 * 24 * 3600));
    let count =
        async || -> i64 { sqlx::query_scalar("select count(*) from promise").fetch_one(&suite.pool).await.unwrap() };
    let wait = async {
        while count().await > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::suite::LONG, wait).await.unwrap();
    assert_eq!(told(&suite).await.len(), 1);
}

#[sqlx::test(migrations = false)]
async fn inventory_is_told_what_was_promised_to_the_customer(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite, "TEA", 5);
    let new = order(&[("TEA", 5)]);
    let promise = ask(&suite, asks(&new, false)).await.unwrap();
    let placed = try_place(&suite, &redeeming(&new, &promise)).await.unwrap().order.unwrap();
    let promised = placed.delivery.as_ref().and_then(|dates| dates.promised_ship_at.or(dates.promised_delivery_at));
    assert!(promised.is_some(), "{placed:?}");
    let without = try_place(&suite, &order(&[("TEA", 1)])).await.unwrap().order.unwrap();
    let calls = suite.peers.inventory.calls.lock().unwrap();
    let demands: Vec<_> = calls.iter().flatten().map(|d| (d.order_id.as_str(), d.promised_at)).collect();
    assert_eq!(demands, [(placed.id.as_str(), promised), (without.id.as_str(), None)]);
}
