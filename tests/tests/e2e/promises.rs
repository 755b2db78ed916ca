//! Promised orders and scheduled deliveries through all services, to the end, with nothing left over.

use e2e::*;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::order::v1::{self as order, DeliveryMode, NewDelivery, OrderState};
use pesan_grpc::parse::to_timestamp;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;

async fn fulfilment_orders(suite: &Suite, order_id: &str) -> Result<Vec<fulfilment::FulfilmentOrder>, String> {
    let request = fulfilment::ListFulfilmentOrdersRequest { order_id: order_id.into(), ..Default::default() };
    let answer = suite.fulfilment().list_fulfilment_orders(request).await.map_err(|e| e.to_string())?;
    Ok(answer.into_inner().fulfilment_orders)
}

/// The quantities of the order's only fulfilment order, as soon as there is one.
async fn given(suite: &Suite, order_id: &str) -> Vec<(i32, i64)> {
    eventually("a fulfilment order", || async {
        let orders = fulfilment_orders(suite, order_id).await?;
        let [one] = orders.as_slice() else { return Err(format!("{orders:?}")) };
        Ok(one.lines.iter().map(|line| (line.line_no, line.allocated)).collect())
    })
    .await
    .unwrap()
}

fn complete() -> Option<NewDelivery> {
    Some(NewDelivery { mode: DeliveryMode::ShipComplete.into(), ..Default::default() })
}

#[sqlx::test(migrations = false)]
async fn what_is_promised_is_delivered(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 5))).await.unwrap();

    // Held under a token: nobody else gets it, and the proof holds while there is no order.
    let new = straight_through(card_order(&[("CHAIR", 4)]));
    let request = order::PromiseOrderRequest { request_id: request_id(), order: Some(new.clone()), hold_stock: true };
    let promise = suite.promises().promise_order(request).await.unwrap().into_inner().promise.unwrap();
    assert!(promise.stock_held && promise.ship_at.is_some(), "{promise:?}");
    assert_eq!(promise.lines[0].parts[0].location_id, location);
    verify(&suite, true).await.unwrap();
    let other = suite.place(card_order(&[("CHAIR", 4)])).await.unwrap();
    assert_eq!(other.quantities.unwrap().backordered, 3);

    let redeeming = order::NewOrder { promise_token: promise.token, ..new };
    let placed = suite.place(redeeming).await.unwrap();
    let done = suite.order_in(&placed.id, OrderState::Completed).await.unwrap();
    assert_eq!(done.quantities.unwrap().delivered, 4);
    assert_eq!(done.delivery.unwrap().promised_ship_at, promise.ship_at);
    verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn what_ships_complete_leaves_in_one_piece_and_nothing_leaves_before_its_date(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();
    suite.item("TABLE", Some((&location, 2))).await.unwrap();

    let new = order::NewOrder { delivery: complete(), ..card_order(&[("CHAIR", 4), ("TABLE", 5)]) };
    let placed = suite.place(new).await.unwrap();
    assert_eq!(placed.state(), OrderState::Backordered);
    // Fulfilment knows of it, and has none of it: both books say so.
    verify(&suite, true).await.unwrap();
    assert_eq!(fulfilment_orders(&suite, &placed.id).await.unwrap(), []);
    suite.receive("TABLE", &location, 3).await.unwrap();
    assert_eq!(given(&suite, &placed.id).await, [(1, 4), (2, 5)]);

    let soon = Clock::System.now() + Duration::from_secs(3);
    let delivery = NewDelivery { not_before: Some(to_timestamp(soon)), ..Default::default() };
    let new = order::NewOrder { delivery: Some(delivery), ..straight_through(card_order(&[("CHAIR", 2)])) };
    let dated = suite.place(new).await.unwrap();
    let done = suite.order_in(&dated.id, OrderState::Completed).await.unwrap();
    assert_eq!(done.quantities.unwrap().shipped, 2);
    assert!(Clock::System.now() >= soon, "it was handed over before its date");

    // Blocked, cancelled while it is: fulfilment never hears of it.
    let delivery = NewDelivery { block: "STOCKTAKING".into(), ..Default::default() };
    let new = order::NewOrder { delivery: Some(delivery), ..card_order(&[("CHAIR", 2)]) };
    let blocked = suite.place(new).await.unwrap();
    let request =
        order::CancelOrderRequest { request_id: request_id(), name: blocked.id.clone(), ..Default::default() };
    suite.orders().cancel_order(request).await.unwrap();
    verify(&suite, true).await.unwrap();
    assert_eq!(fulfilment_orders(&suite, &blocked.id).await.unwrap(), []);
    suite.end().await.unwrap();
}
