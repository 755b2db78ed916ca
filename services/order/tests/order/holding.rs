//! Holds by people.

use crate::suite::{Suite, order, reason, start};
use pesan_api::order::v1::*;
use sqlx::PgPool;
use tonic::{Code, Status};
use uuid::Uuid;

fn request(name: &str) -> HoldOrderRequest {
    HoldOrderRequest {
        request_id: Uuid::now_v7().to_string(),
        name: name.into(),
        reason: "MANUAL".into(),
        note: "call first".into(),
        owner: "Ani".into(),
        ..Default::default()
    }
}

async fn hold(suite: &Suite, request: HoldOrderRequest) -> Result<Order, Status> {
    Ok(suite.orders.clone().hold_order(request).await?.into_inner().order.unwrap())
}

async fn release(suite: &Suite, name: &str, hold_id: &str) -> Result<Order, Status> {
    let request_id = Uuid::now_v7().to_string();
    let request = ReleaseHoldRequest { request_id, name: name.into(), hold_id: hold_id.into(), ..Default::default() };
    Ok(suite.orders.clone().release_hold(request).await?.into_inner().order.unwrap())
}

/// An order that is accepted and goes no further: inventory is away.
async fn waiting(suite: &Suite) -> Order {
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let place = PlaceOrderRequest { order: Some(order(&[("TEA", 2)])), wait: PlaceWait::Durable.into() };
    suite.orders.clone().place_order(place).await.unwrap().into_inner().order.unwrap()
}

#[sqlx::test(migrations = false)]
async fn an_order_waits_until_its_last_hold_is_lifted(pool: PgPool) {
    let suite = start(pool).await;
    let placed = waiting(&suite).await;
    let first = request(&placed.id);
    let held = hold(&suite, first.clone()).await.unwrap();
    assert_eq!((held.state(), held.holds[0].owner.as_str()), (OrderState::OnHold, "Ani"));
    assert_eq!(hold(&suite, first).await.unwrap(), held, "the same request again");
    let held = hold(&suite, request(&placed.id)).await.unwrap();
    assert_eq!(held.holds.len(), 2);
    *suite.peers.inventory.is_down.lock().unwrap() = false;
    suite.assert_proven().await;

    let one_left = release(&suite, &placed.id, &held.holds[0].id).await.unwrap();
    assert_eq!((one_left.state(), one_left.holds.len()), (OrderState::OnHold, 1));
    let status = release(&suite, &placed.id, &held.holds[0].id).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "HOLD_NOT_FOUND"));
    release(&suite, &placed.id, "").await.unwrap();
    suite.until(&placed.id, OrderState::Confirmed).await;
    let names = suite.fact_names(&placed.id).await;
    let expected =
        ["OrderAccepted", "OrderHeld", "OrderHeld", "OrderHoldReleased", "OrderHoldReleased", "OrderConfirmed"];
    assert_eq!(names, expected);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_promise_cannot_be_held_back(pool: PgPool) {
    let suite = start(pool).await;
    let confirmed = suite.place(order(&[("TEA", 2)])).await;
    let status = hold(&suite, request(&confirmed.id)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ALREADY_PROMISED"));
    let rejected = suite.place(order(&[("UNKNOWN", 2)])).await;
    let status = hold(&suite, request(&rejected.id)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ORDER_CLOSED"));
    let status = hold(&suite, HoldOrderRequest { reason: "for fun".into(), ..request(&confirmed.id) }).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
    let status = release(&suite, &confirmed.id, "").await.unwrap_err();
    assert_eq!(reason(&status), "HOLD_NOT_FOUND");
}
