//! An order whose promise of stock lapsed and was made again asks for other lines.

use crate::house::provider::Flaky;
use crate::house::{self, START, by_token, line, on_account, shipped, shown};
use pesan_api::billing::v1 as pb;
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use uuid::Uuid;

fn promised(charge: pb::OrderCharge, promise_version: i64, quantity: i64, total: &str) -> pb::OrderCharge {
    pb::OrderCharge { promise_version, lines: vec![line(1, quantity, total, "0")], ..charge }
}

#[sqlx::test(migrations = false)]
async fn a_later_promise_is_decided_anew_on_account_and_an_earlier_one_changes_nothing(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(Some("10.00")).await, Uuid::now_v7());
    let charge = on_account(order, customer, vec![]);
    house.authorise(promised(charge.clone(), 1, 7, "7.00")).await.unwrap();
    // The same promise, and the same lines for a later one: the same answer.
    for (version, quantity, total) in [(1, 9, "9.00"), (2, 7, "7.00")] {
        let again = house.authorise(promised(charge.clone(), version, quantity, total)).await.unwrap();
        assert_eq!(shown(&again.amount), "7.00");
    }
    assert_eq!(house.story(order).await, ["PaymentAuthorised"]);
    let more = house.authorise(promised(charge.clone(), 3, 10, "10.00")).await.unwrap();
    assert_eq!((shown(&more.amount).as_str(), house.owed(customer).await.as_str()), ("10.00", "0.00/10.00"));
    let late = house.authorise(promised(charge.clone(), 2, 7, "7.00")).await.unwrap();
    assert_eq!(shown(&late.amount), "10.00", "a question that was overtaken");

    let too_much = house.authorise(promised(charge.clone(), 4, 11, "11.00")).await.unwrap_err();
    assert_eq!(too_much.reason, "CREDIT_LIMIT_EXCEEDED");
    assert_eq!(house.owed(customer).await, "0.00/0.00", "what was for another promise is let go");
    house.authorise(promised(charge.clone(), 5, 4, "4.00")).await.unwrap();
    house.fulfilment.tell(order, &shipped(order, &[(1, 4)]), START).await;
    let after = house.authorise(promised(charge, 6, 9, "9.00")).await.unwrap();
    assert_eq!(shown(&after.amount), "4.00", "it has left");
    assert_eq!(house.owed(customer).await, "4.00/0.00");
    assert_eq!(
        house.story(order).await,
        [
            "PaymentAuthorised",
            "AuthorisationVoided",
            "PaymentAuthorised",
            "AuthorisationVoided",
            "AuthorisationDeclined",
            "PaymentAuthorised",
            "InvoiceIssued"
        ]
    );
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn the_provider_lets_go_of_the_earlier_promise_and_holds_the_later_one(pool: PgPool) {
    let provider = Flaky::new(pool.clone());
    let mut house = house::start_with(pool.clone(), Some(Arc::new(provider.clone()))).await;
    let order = Uuid::now_v7();
    let charge = by_token(order, "tok_ok", vec![]);
    house.authorise(promised(charge.clone(), 1, 7, "7.00")).await.unwrap();
    // The later promise's question gets lost, and is overtaken by a promise that is later still.
    provider.answers_lost.store(1, SeqCst);
    provider.finds_lost.store(1, SeqCst);
    let unknown = house.authorise(promised(charge.clone(), 2, 9, "9.00")).await.unwrap_err();
    assert_eq!((unknown.reason.as_str(), unknown.retryable), ("PROVIDER_UNKNOWN", true));
    let unknown = house.authorise(promised(charge.clone(), 3, 5, "5.00")).await.unwrap_err();
    assert_eq!(unknown.reason, "PROVIDER_UNKNOWN", "what was asked before has to be known first");
    let held = house.authorise(promised(charge, 3, 5, "5.00")).await.unwrap();
    assert_eq!(shown(&held.amount), "5.00");
    house.fulfilment.tell(order, &shipped(order, &[(1, 5)]), START).await;
    house.until(order, "5.00 5.00 5.00 0.00 0.00").await;
    let book: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', amount::float8, voided::float8, captured::float8)
           from provider_book_authorisation where order_id = $1 order by key",
    )
    .bind(order)
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(book, ["7 7 0", "9 9 0", "5 0 5"]);
    house.is_in_order().await;
    house.stop().await;
}
