//! Orders, or lines of them, that will not be.

use crate::house::{self, START, by_token, line, on_account, shipped};
use pesan_api::billing::v1 as pb;
use pesan_api::order::v1::{CancelledLine, OrderAccepted, OrderCancelled, OrderRejected};
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

fn cancelled(order: Uuid, lines: &[(i32, i64)]) -> OrderCancelled {
    let line = |&(line_no, quantity): &(i32, i64)| CancelledLine { line_no, quantity, ..Default::default() };
    OrderCancelled { order_id: order.to_string(), lines: lines.iter().map(line).collect(), ..Default::default() }
}

#[sqlx::test(migrations = false)]
async fn cancelled_pieces_are_let_go_and_the_rest_is_invoiced_to_the_cent(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(Some("11.00")).await, Uuid::now_v7());
    house.authorise(on_account(order, customer, vec![line(1, 3, "10.00", "1.00")])).await.unwrap();
    house.order.tell(order, &cancelled(order, &[(1, 1)]), START).await;
    assert_eq!(house.owed(customer).await, "0.00/7.34");
    house.fulfilment.tell(order, &shipped(order, &[(1, 1)]), START).await;
    house.order.tell(order, &cancelled(order, &[(1, 1)]), START).await;
    assert_eq!(house.billing(order).await, "3.66 3.66 0.00 0.00 0.00");
    assert_eq!(house.owed(customer).await, "3.66/0.00", "11.00 = 3.66 let go + 3.68 let go + 3.66 invoiced");
    let story = ["PaymentAuthorised", "AuthorisationVoided", "InvoiceIssued", "AuthorisationVoided"];
    assert_eq!(house.story(order).await, story);
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_was_cancelled_before_the_charge_is_not_taken_off_twice(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(Some("5.00")).await, Uuid::now_v7());
    let charge = |quantity, total, order_version| pb::OrderCharge {
        order_version,
        ..on_account(order, customer, vec![line(1, quantity, total, "0")])
    };
    // Held for lack of credit; three of ten are cancelled (the order's event 3); then it fits, and is asked for before
    // the cancellation is read.
    house.authorise(charge(10, "10.00", 1)).await.unwrap_err();
    house
        .upsert(vec![pb::Account {
            customer_id: customer.to_string(),
            currency_code: "EUR".into(),
            ..Default::default()
        }])
        .await;
    house.authorise(charge(7, "7.00", 3)).await.unwrap();
    house.order.write(order, &OrderAccepted::default(), START);
    house.order.write(order, &OrderAccepted::default(), START);
    house.order.write(order, &cancelled(order, &[(1, 3)]), START);
    house.order.applied().await;
    assert_eq!(house.owed(customer).await, "0.00/7.00");
    house.order.tell(order, &cancelled(order, &[(1, 2)]), START).await;
    assert_eq!(house.owed(customer).await, "0.00/5.00", "what is cancelled later is taken off");
    house.fulfilment.tell(order, &shipped(order, &[(1, 5)]), START).await;
    assert_eq!(house.owed(customer).await, "5.00/0.00");
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_that_is_gone_is_never_charged(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    let (whole, rejected, unseen) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
    let charge = |order| on_account(order, customer, vec![line(1, 3, "10.00", "1.00"), line(2, 1, "1.00", "0")]);
    house.authorise(charge(whole)).await.unwrap();
    house.authorise(charge(rejected)).await.unwrap();
    house.order.write(whole, &OrderCancelled { whole: true, ..cancelled(whole, &[]) }, START);
    for order in [rejected, unseen] {
        house.order.write(order, &OrderRejected { order_id: order.to_string(), rejections: vec![] }, START);
    }
    house.order.applied().await;
    assert_eq!(house.owed(customer).await, "0.00/0.00");
    for order in [whole, rejected, unseen] {
        let late =
            house.authorise_all(vec![charge(order), by_token(order, "tok_ok", vec![line(1, 1, "1", "0")])]).await;
        for result in late {
            assert_eq!(result.unwrap_err().reason, "ORDER_CLOSED");
        }
    }
    assert_eq!(house.story(whole).await, ["PaymentAuthorised", "AuthorisationVoided"]);
    assert_eq!(house.story(unseen).await, Vec::<String>::new());
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_shipment_that_contradicts_what_is_known_waits_and_is_not_passed_over(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let (customer, order) = (house.account(None).await, Uuid::now_v7());
    house.fulfilment.write(order, &shipped(order, &[(1, 2)]), START);
    let waiting = tokio::time::timeout(Duration::from_millis(300), house.fulfilment.applied());
    assert!(waiting.await.is_err(), "nothing is invoiced that was not authorised");
    // Once it is known, everything goes on.
    house.authorise(on_account(order, customer, vec![line(1, 2, "10.00", "0")])).await.unwrap();
    house.fulfilment.applied().await;
    assert_eq!(house.owed(customer).await, "10.00/0.00");
    house.is_in_order().await;
    house.stop().await;
}
