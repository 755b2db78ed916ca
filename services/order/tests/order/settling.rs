//! From placed to promised, and what can come between.

use crate::suite::{LONG, eur, order, order_of, parts, start, start_with};
use pesan_api::order::v1::*;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn an_order_with_stock_and_money_is_confirmed(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let placed = suite.place(order_of(&customer, &[("TEA", 3), ("SERVICE-WRAP", 1)])).await;
    assert_eq!(placed.state(), OrderState::Confirmed);
    assert_eq!(placed.number, "SO-000001");
    assert_eq!((placed.gross.clone(), placed.total.clone()), (Some(eur(5_00)), Some(eur(5_00))));
    assert_eq!(parts(&placed.quantities), [("ordered", 4), ("reserved", 4)]);
    assert_eq!(placed.ship_to.as_ref().unwrap().country, "ID", "the customer's first address");
    assert_eq!(placed.sales_rep, "Siti");

    assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderConfirmed"]);
    let accepted: OrderAccepted = suite.fact(&placed.id).await;
    assert_eq!((accepted.segment.as_str(), accepted.country.as_str()), ("wholesale", "ID"));
    assert_eq!(accepted.customer_external_id, "C-1");
    assert_eq!(accepted.lines[0].line_total, Some(eur(3_75)));
    let confirmed: OrderConfirmed = suite.fact(&placed.id).await;
    let stocked: Vec<_> = confirmed.allocations.iter().map(|a| (a.line_no, a.quantity, a.stocked)).collect();
    assert_eq!(stocked, [(1, 3, true), (2, 1, false)]);
    assert_eq!(confirmed.allocations[0].location_id, crate::peers::HALL);
    let charges = suite.peers.billing.charges.lock().unwrap().clone();
    assert_eq!(charges[0].customer_id, customer.id);
    assert_eq!(charges[0].lines[0].line_total, Some(eur(3_75)));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_not_there_waits_and_goes_on_when_it_comes(pool: PgPool) {
    let suite = start(pool).await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 2);
    let placed = suite.place(order(&[("TEA", 5)])).await;
    assert_eq!(placed.state(), OrderState::Backordered);
    assert_eq!(parts(&placed.quantities), [("ordered", 5), ("reserved", 2), ("backordered", 3)]);
    assert_eq!(suite.peers.billing.charges.lock().unwrap()[0].lines[0].quantity, 5, "what waits is authorised as well");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_there_is_promised_and_charged_and_the_rest_is_cancelled(pool: PgPool) {
    let suite = start(pool).await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 2);
    let policy = ReservationPolicy::WhatIsThere.into();
    let placed = suite.place(NewOrder { reservation_policy: policy, ..order(&[("TEA", 3)]) }).await;
    assert_eq!(placed.state(), OrderState::Confirmed);
    assert_eq!(parts(&placed.quantities), [("ordered", 3), ("reserved", 2), ("cancelled", 1)]);
    let charge = suite.peers.billing.charges.lock().unwrap()[0].clone();
    assert_eq!((charge.lines[0].quantity, charge.lines[0].line_total.clone()), (2, Some(eur(2_50))));
    let confirmed: OrderConfirmed = suite.fact(&placed.id).await;
    assert_eq!(confirmed.cancelled, [LineQuantity { line_no: 1, quantity: 1 }]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_is_rejected_with_its_reasons(pool: PgPool) {
    let suite = start(pool).await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 2);
    let all_or_nothing = ReservationPolicy::AllOrNothing.into();
    for (order, field, reason) in [
        (order(&[("TEA", 1), ("UNKNOWN", 1)]), "lines[1].sku", "UNKNOWN_SKU"),
        (NewOrder { reservation_policy: all_or_nothing, ..order(&[("TEA", 3)]) }, "", "OUT_OF_STOCK"),
        (NewOrder { payment_token: "tok_decline".into(), ..order(&[("TEA", 1)]) }, "", "PAYMENT_DECLINED"),
    ] {
        let placed = suite.place(order).await;
        assert_eq!(placed.state(), OrderState::Rejected);
        let why: Vec<_> = placed.rejections.iter().map(|r| (r.field.as_str(), r.reason.as_str())).collect();
        assert_eq!(why, [(field, reason)]);
        assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderRejected"]);
        let fact: OrderRejected = suite.fact(&placed.id).await;
        assert_eq!(fact.rejections, placed.rejections);
    }
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_customer_beyond_his_credit_is_held_until_somebody_decides(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    *suite.peers.billing.refuses.lock().unwrap() = Some("CREDIT_LIMIT_EXCEEDED");
    let placed = suite.place(order_of(&customer, &[("TEA", 3)])).await;
    assert_eq!(placed.state(), OrderState::OnHold);
    assert_eq!(placed.holds[0].reason, "CREDIT_LIMIT_EXCEEDED");
    assert_eq!(parts(&placed.quantities), [("ordered", 3), ("reserved", 3)], "inventory holds it meanwhile");
    suite.assert_proven().await;

    *suite.peers.billing.refuses.lock().unwrap() = None;
    let request_id = uuid::Uuid::now_v7().to_string();
    let release = ReleaseHoldRequest { request_id, name: placed.number.clone(), ..Default::default() };
    let released = suite.orders.clone().release_hold(release).await.unwrap().into_inner().order.unwrap();
    assert!(released.holds.is_empty());
    suite.until(&placed.id, OrderState::Confirmed).await;
    let names = suite.fact_names(&placed.id).await;
    assert_eq!(names, ["OrderAccepted", "OrderHeld", "OrderHoldReleased", "OrderConfirmed"]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_peer_that_is_down_delays_an_order_and_loses_none(pool: PgPool) {
    let suite = start(pool).await;
    for down in [&suite.peers.inventory.is_down, &suite.peers.billing.is_down] {
        *down.lock().unwrap() = true;
        let mut request = tonic::Request::new(PlaceOrderRequest {
            order: Some(order(&[("TEA", 1)])),
            wait: PlaceWait::Settled.into(),
        });
        request.set_timeout(std::time::Duration::from_millis(500));
        let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
        assert_eq!(placed.state(), OrderState::Accepted, "answered before the caller's deadline");
        suite.assert_proven().await;
        *down.lock().unwrap() = false;
        suite.until(&placed.id, OrderState::Confirmed).await;
    }
    // It was asked again and again, but with pauses.
    let calls = suite.peers.inventory.calls.lock().unwrap().len();
    assert!((4..200).contains(&calls), "{calls} calls");
}

#[sqlx::test(migrations = false)]
async fn a_peer_that_asks_to_try_again_is_asked_again(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    *suite.peers.billing.refuses.lock().unwrap() = Some("PROVIDER_UNKNOWN");
    let request =
        PlaceOrderRequest { order: Some(order_of(&customer, &[("TEA", 1)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
    let asked = || suite.peers.billing.charges.lock().unwrap().len();
    let three_times = async {
        while asked() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, three_times).await.unwrap();
    *suite.peers.billing.refuses.lock().unwrap() = None;
    suite.until(&placed.id, OrderState::Confirmed).await;
}

#[sqlx::test(migrations = false)]
async fn what_a_process_that_died_left_is_finished_by_the_next(pool: PgPool) {
    let suite = start(pool).await;
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let mut placed = Vec::new();
    for _ in 0..3 {
        let request = PlaceOrderRequest { order: Some(order(&[("TEA", 1)])), wait: PlaceWait::Durable.into() };
        placed.push(suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap());
    }
    assert!(placed.iter().all(|order| order.state() == OrderState::Accepted));
    let (pool, peers) = suite.crash().await;
    *peers.inventory.is_down.lock().unwrap() = false;

    let suite = start_with(pool, peers).await;
    for order in placed {
        suite.until(&order.id, OrderState::Confirmed).await;
        assert_eq!(suite.fact_names(&order.id).await, ["OrderAccepted", "OrderConfirmed"], "once");
    }
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_job_whose_worker_vanished_falls_due_when_its_lease_ends(pool: PgPool) {
    let suite = start(pool).await;
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let request = PlaceOrderRequest { order: Some(order(&[("TEA", 1)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
    let (pool, peers) = suite.stop().await;
    // As if it had been taken by a process that then died: leased for a little while yet.
    sqlx::query("update saga_job set due_at = now() + interval '1 second'").execute(&pool).await.unwrap();
    *peers.inventory.is_down.lock().unwrap() = false;
    let suite = start_with(pool, peers).await;
    suite.until(&placed.id, OrderState::Confirmed).await;
}

#[sqlx::test(migrations = false)]
async fn an_order_cancelled_while_billing_thinks_stays_cancelled(pool: PgPool) {
    let suite = start(pool).await;
    let gate = suite.peers.billing.gate.clone().lock_owned().await;
    let request = PlaceOrderRequest { order: Some(order(&[("TEA", 1)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
    until_billing_is_asked(&suite).await;
    let request_id = uuid::Uuid::now_v7().to_string();
    let cancel = CancelOrderRequest { request_id, name: placed.id.clone(), ..Default::default() };
    let cancelled = suite.orders.clone().cancel_order(cancel).await.unwrap().into_inner().order.unwrap();
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    drop(gate);

    // Another order goes the whole way, so the first one's round is over as well.
    suite.place(order(&[("TEA", 1)])).await;
    assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderCancelled"]);
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    assert!(fact.whole);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_held_while_billing_thinks_remembers_what_inventory_holds(pool: PgPool) {
    let suite = start(pool).await;
    let gate = suite.peers.billing.gate.clone().lock_owned().await;
    let request = PlaceOrderRequest { order: Some(order(&[("TEA", 1)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
    until_billing_is_asked(&suite).await;
    let request_id = uuid::Uuid::now_v7().to_string();
    let hold = HoldOrderRequest {
        request_id,
        name: placed.id.clone(),
        reason: "MANUAL".into(),
        note: "fraud?".into(),
        owner: "Ani".into(),
        ..Default::default()
    };
    suite.orders.clone().hold_order(hold).await.unwrap();
    drop(gate);
    let held = suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().reserved == 1).await;
    assert_eq!(held.state(), OrderState::OnHold);
    assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderHeld", "OrderProgressed"]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_promise_that_inventory_changed_meanwhile_is_asked_for_anew(pool: PgPool) {
    let suite = start(pool).await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 1);
    let gate = suite.peers.billing.gate.clone().lock_owned().await;
    let request = PlaceOrderRequest { order: Some(order(&[("TEA", 3)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap();
    until_billing_is_asked(&suite).await;
    // Two waited; they get stock, and the order reads that before it has written down that they wait.
    {
        let mut reservations = suite.peers.inventory.reservations.lock().unwrap();
        let reservation = reservations.get_mut(&placed.id).unwrap();
        reservation.version = 2;
        reservation.lines[0].backordered = 0;
        reservation.lines[0].allocations[0].reserved = 3;
    }
    let filled = pesan_api::inventory::v1::FilledLine {
        line_no: 1,
        sku: "TEA".into(),
        location_id: crate::peers::HALL.into(),
        quantity: 2,
    };
    let fact = pesan_api::inventory::v1::BackordersFilled { order_id: placed.id.clone(), lines: vec![filled] };
    suite.peers.inventory.feed.tell(&placed.id, &fact);
    suite.until_it(&placed.id, |order| order.version == 2).await;
    drop(gate);
    let confirmed = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!(parts(&confirmed.quantities), [("ordered", 3), ("reserved", 3)]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn many_orders_share_few_rounds(pool: PgPool) {
    let suite = start(pool).await;
    let orders = (0..500).map(|_| order(&[("TEA", 1), ("CUP", 2)])).collect();
    let request = PlaceOrdersRequest { orders, wait: PlaceWait::Settled.into(), view: OrderView::Basic.into() };
    let results = suite.orders.clone().place_orders(request).await.unwrap().into_inner().results;
    assert_eq!(results.len(), 500);
    for result in results {
        let Some(place_order_result::Outcome::Order(order)) = result.outcome else { panic!("{result:?}") };
        assert_eq!(order.state(), OrderState::Confirmed);
    }
    let calls = suite.peers.inventory.calls.lock().unwrap().len();
    assert!(calls <= 20, "{calls} calls for 500 orders");
    suite.assert_proven().await;
}

async fn until_billing_is_asked(suite: &crate::suite::Suite) {
    let asked = async {
        while suite.peers.billing.charges.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap();
}
