//! Orders that pay through the provider: it may decline, be late, or not answer, and billing may stop at any moment.

use crate::house::provider::Flaky;
use crate::house::{self, START, by_token, eur, line, returned, shipped, shown};
use pesan_api::order::v1::{CancelledLine, OrderCancelled};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use uuid::Uuid;

const TWO: Duration = Duration::from_secs(3 * 60);

/// "approved amount voided captured refunded" of each entry of an order in the provider's book.
async fn book(pool: &PgPool, order: Uuid) -> Vec<String> {
    sqlx::query_scalar(
        "select concat_ws(' ', approved, amount::float8, voided::float8, captured::float8, refunded::float8)
           from provider_book_authorisation where order_id = $1 order by key",
    )
    .bind(order)
    .fetch_all(pool)
    .await
    .unwrap()
}

fn two_lines() -> Vec<pesan_api::billing::v1::ChargeLine> {
    vec![line(1, 4, "40.00", "8.00"), line(2, 1, "10.00", "2.00")]
}

#[sqlx::test(migrations = false)]
async fn money_is_held_taken_when_goods_leave_and_given_back_when_they_return(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let order = Uuid::now_v7();
    let held = house.authorise(by_token(order, "tok_ok_visa", two_lines())).await.unwrap();
    assert_eq!((shown(&held.amount).as_str(), held.provider_reference.is_empty()), ("60.00", false));
    assert_eq!(book(&pool, order).await, ["t 60 0 0 0"]);

    house.fulfilment.tell(order, &shipped(order, &[(1, 2)]), START).await;
    house.until(order, "60.00 24.00 24.00 0.00 0.00").await;
    let line_2 = CancelledLine { line_no: 2, quantity: 1, ..Default::default() };
    let cancelled = OrderCancelled { order_id: order.to_string(), lines: vec![line_2], ..Default::default() };
    house.order.tell(order, &cancelled, START).await;
    house.fulfilment.tell(order, &returned(order, &[(1, 1, None)]), START).await;
    house.until(order, "48.00 24.00 24.00 12.00 12.00").await;
    house.fulfilment.tell(order, &shipped(order, &[(1, 2)]), START).await;
    house.until(order, "48.00 48.00 48.00 12.00 12.00").await;
    assert_eq!(book(&pool, order).await, ["t 60 12 48 12"]);

    let documents = house.documents_of(order).await;
    assert_eq!(documents.iter().map(|d| shown(&d.open)).collect::<Vec<_>>(), ["-", "0.00", "0.00"], "all captured");
    let request = pesan_api::billing::v1::GetTrialBalanceRequest::default();
    let rows = house.documents.get_trial_balance(request).await.unwrap().into_inner().rows;
    let clearing = rows.iter().find(|r| r.account().as_str_name() == "LEDGER_ACCOUNT_PROVIDER_CLEARING").unwrap();
    assert_eq!((shown(&clearing.debit).as_str(), shown(&clearing.credit).as_str()), ("48.00", "12.00"));
    let story = house.story(order).await;
    assert_eq!(story.iter().filter(|e| *e == "PaymentCaptured").count(), 2);
    assert_eq!(story.iter().filter(|e| *e == "RefundMade").count(), 1);
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_decline_is_final_for_its_token_and_another_card_may_do(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let order = Uuid::now_v7();
    for token in ["tok_decline_poor", "made_up"] {
        let problem = house.authorise(by_token(order, token, two_lines())).await.unwrap_err();
        assert_eq!((problem.reason.as_str(), problem.retryable), ("PAYMENT_DECLINED", false));
    }
    house.authorise(by_token(order, "tok_ok", two_lines())).await.unwrap();
    assert_eq!(book(&pool, order).await, ["f 60 0 0 0", "f 60 0 0 0", "t 60 0 0 0"]);
    let story = ["AuthorisationDeclined", "AuthorisationDeclined", "PaymentAuthorised"];
    assert_eq!(house.story(order).await, story);
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn an_answer_that_was_lost_is_asked_for_by_key(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let order = Uuid::now_v7();
    let held = house.authorise(by_token(order, "tok_timeout", two_lines())).await.unwrap();
    assert_eq!(shown(&held.amount), "60.00");
    assert_eq!(book(&pool, order).await, ["t 60 0 0 0"]);
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_provider_that_answers_late_is_unknown_until_it_does(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let order = Uuid::now_v7();
    let charge = by_token(order, "tok_late", two_lines());
    let problem = house.authorise(charge.clone()).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.retryable), ("PROVIDER_UNKNOWN", true));
    assert_eq!(house.billing(order).await, "0.00 0.00 0.00 0.00 0.00");
    // As the saga does: again until it is known.
    let mut held = None;
    for _ in 0..20 {
        match house.authorise(charge.clone()).await {
            Ok(authorisation) => {
                held = Some(authorisation);
                break;
            }
            Err(problem) => assert_eq!(problem.reason, "PROVIDER_UNKNOWN"),
        }
    }
    assert_eq!(shown(&held.unwrap().amount), "60.00");
    assert_eq!(book(&pool, order).await, ["t 60 0 0 0"], "asked several times, held once");
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn billing_that_dies_while_it_asks_holds_the_money_once(pool: PgPool) {
    let provider = Flaky::new(pool.clone());
    let mut house = house::start_with(pool.clone(), Some(Arc::new(provider.clone()))).await;
    let (taken, not_taken) = (Uuid::now_v7(), Uuid::now_v7());
    // It dies between the call and writing down what came of it …
    provider.answers_lost.store(1, SeqCst);
    provider.finds_lost.store(1, SeqCst);
    let problem = house.authorise(by_token(taken, "tok_ok", two_lines())).await.unwrap_err();
    assert_eq!(problem.reason, "PROVIDER_UNKNOWN");
    assert_eq!(book(&pool, taken).await, ["t 60 0 0 0"], "the provider has it, billing does not know");
    // … and between writing down that it will ask and the call.
    provider.calls_lost.store(1, SeqCst);
    let problem = house.authorise(by_token(not_taken, "tok_ok", two_lines())).await.unwrap_err();
    assert_eq!(problem.reason, "PROVIDER_UNKNOWN");
    assert_eq!(book(&pool, not_taken).await, Vec::<String>::new());
    house.stop().await;

    // The next one finds out by itself what the provider has, and asks for the rest when it is asked.
    let mut house = house::start(pool.clone()).await;
    house.clock.advance(Duration::from_secs(31));
    house.until(taken, "60.00 0.00 0.00 0.00 0.00").await;
    house.authorise(by_token(taken, "tok_ok", two_lines())).await.unwrap();
    house.authorise(by_token(not_taken, "tok_ok", two_lines())).await.unwrap();
    for order in [taken, not_taken] {
        assert_eq!(book(&pool, order).await, ["t 60 0 0 0"]);
        assert_eq!(house.story(order).await, ["PaymentAuthorised"]);
    }
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_cancelled_while_the_provider_thinks_is_let_go_when_it_answers(pool: PgPool) {
    let provider = Flaky::new(pool.clone());
    let mut house = house::start_with(pool.clone(), Some(Arc::new(provider.clone()))).await;
    let (whole, part) = (Uuid::now_v7(), Uuid::now_v7());
    for order in [whole, part] {
        provider.answers_lost.store(1, SeqCst);
        provider.finds_lost.store(1, SeqCst);
        house.authorise(by_token(order, "tok_ok", two_lines())).await.unwrap_err();
    }
    house
        .order
        .tell(whole, &OrderCancelled { order_id: whole.to_string(), whole: true, ..Default::default() }, START)
        .await;
    let line_1 = CancelledLine { line_no: 1, quantity: 1, ..Default::default() };
    let cancelled = OrderCancelled { order_id: part.to_string(), lines: vec![line_1], ..Default::default() };
    house.order.tell(part, &cancelled, START).await;
    assert_eq!(house.story(whole).await, Vec::<String>::new(), "nothing is known to be held");

    let problem = house.authorise(by_token(whole, "tok_ok", two_lines())).await.unwrap_err();
    assert_eq!(problem.reason, "ORDER_CLOSED");
    house.clock.advance(Duration::from_secs(31));
    house.until(part, "48.00 0.00 0.00 0.00 0.00").await;
    assert_eq!(house.story(whole).await, ["PaymentAuthorised", "AuthorisationVoided"]);
    for (order, entry) in [(whole, "t 60 60 0 0"), (part, "t 60 12 0 0")] {
        house::eventually(async || match book(&pool, order).await {
            entries if entries == [entry] => Ok(()),
            entries => Err(format!("{entries:?}")),
        })
        .await;
    }
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_capture_is_tried_until_it_is_known_and_done_once(pool: PgPool) {
    let provider = Flaky::new(pool.clone());
    let mut house = house::start_with(pool.clone(), Some(Arc::new(provider.clone()))).await;
    let order = Uuid::now_v7();
    house.authorise(by_token(order, "tok_ok", two_lines())).await.unwrap();
    // The provider takes the money, its answer is lost, it cannot be asked, then the line is cut for a while.
    provider.answers_lost.store(1, SeqCst);
    provider.finds_lost.store(3, SeqCst);
    house.fulfilment.tell(order, &shipped(order, &[(1, 4), (2, 1)]), START).await;
    house::eventually(async || {
        house.clock.advance(Duration::from_secs(1));
        provider.calls_lost.store(1, SeqCst);
        match provider.finds_lost.load(SeqCst) {
            0 => Ok(()),
            left => Err(format!("{left} questions still to be lost")),
        }
    })
    .await;
    provider.calls_lost.store(0, SeqCst);
    house.clock.advance(Duration::from_secs(3600));
    house.until(order, "60.00 60.00 60.00 0.00 0.00").await;
    assert_eq!(book(&pool, order).await, ["t 60 0 60 0"], "taken once");
    let story = house.story(order).await;
    assert_eq!(story, ["PaymentAuthorised", "InvoiceIssued", "PaymentCaptured"]);
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_worker_that_dies_with_a_job_leaves_it_to_the_next_one(pool: PgPool) {
    let provider = Flaky::new(pool.clone());
    let mut house = house::start_with(pool.clone(), Some(Arc::new(provider.clone()))).await;
    let order = Uuid::now_v7();
    house.authorise(by_token(order, "tok_ok", two_lines())).await.unwrap();
    // Jobs that are not due are nobody's: the worker of this house does not touch the lease of the one that died.
    provider.calls_lost.store(u32::MAX, SeqCst);
    provider.finds_lost.store(u32::MAX, SeqCst);
    house.fulfilment.tell(order, &shipped(order, &[(1, 4), (2, 1)]), START).await;
    house.stop().await;
    let mut conn = pool.acquire().await.unwrap();
    let day = time::Duration::days(1);
    let lease = START + day + time::Duration::minutes(2);
    let jobs = pesan_billing::store::job::lease(&mut conn, START + day, lease, 10).await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(pesan_billing::store::job::lease(&mut conn, START + day, lease, 10).await.unwrap(), []);
    drop(conn);

    let mut house = house::start(pool.clone()).await;
    house.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(house.billing(order).await, "60.00 60.00 0.00 0.00 0.00");
    house.clock.advance(TWO);
    house.until(order, "60.00 60.00 60.00 0.00 0.00").await;
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn never_more_is_given_back_than_was_taken(pool: PgPool) {
    let mut house = house::start(pool.clone()).await;
    let order = Uuid::now_v7();
    house.authorise(by_token(order, "tok_ok", two_lines())).await.unwrap();
    // All in one batch of events: the refunds wait for the capture, and the second finds less than it was to give.
    house.fulfilment.write(order, &shipped(order, &[(1, 4), (2, 1)]), START);
    house.fulfilment.write(order, &returned(order, &[(1, 3, Some(eur("30.00")))]), START);
    house.fulfilment.write(order, &returned(order, &[(1, 1, Some(eur("99.00")))]), START);
    house.fulfilment.applied().await;
    house.until(order, "60.00 60.00 60.00 137.00 60.00").await;
    assert_eq!(book(&pool, order).await, ["t 60 0 60 60"]);
    house.is_in_order().await;
    house.stop().await;
}
