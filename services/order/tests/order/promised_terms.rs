//! What a promise keeps apart from stock: its prices; what rules would say about it; and letting go of it.

use crate::channels::{channel, define};
use crate::prices::{cents, entry, list, publish, unpriced};
use crate::promising::{ask, asks, redeeming, stock, told, try_place};
use crate::rules::{hold, refuse, when, write};
use crate::suite::{Suite, eur, order, reason, start, start_at};
use pesan_api::order::v1::rule::Action;
use pesan_api::order::v1::*;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;
use tonic::{Code, Status};
use uuid::Uuid;

async fn release(suite: &Suite, promise: &OrderPromise, request_id: Uuid) -> Result<(), Status> {
    let request = ReleasePromiseRequest { request_id: request_id.to_string(), token: promise.token.clone() };
    suite.promises.clone().release_promise(request).await.map(drop)
}

/// With TEA for 1.25 each.
async fn with_prices(pool: PgPool, clock: Clock) -> Suite {
    let suite = start_at(pool, crate::peers::start().await, clock).await;
    publish(&suite, vec![list("ALL", vec![entry("TEA", 0, 1_25)])]).await;
    suite
}

async fn raise_prices(suite: &Suite) {
    publish(suite, vec![list("ALL", vec![entry("TEA", 0, 9_99)])]).await;
}

#[sqlx::test(migrations = false)]
async fn an_order_gets_the_prices_that_it_was_promised(pool: PgPool) {
    let clock = Clock::manual(Clock::System.now());
    let suite = with_prices(pool, clock.clone()).await;
    let new = NewOrder { order_discount_basis_points: 1_000, ..unpriced(order(&[("TEA", 4)])) };
    let promise = ask(&suite, asks(&new, false)).await.unwrap();
    let line = &promise.lines[0];
    assert_eq!((cents(&line.unit_price), cents(&line.list_price), line.price_list.as_str()), (1_25, 1_25, "ALL"));
    let late = ask(&suite, asks(&new, false)).await.unwrap();
    raise_prices(&suite).await;

    let placed = try_place(&suite, &redeeming(&new, &promise)).await.unwrap().order.unwrap();
    let line = &placed.lines[0];
    assert_eq!((cents(&line.unit_price), cents(&line.list_price), line.price_list.as_str()), (1_25, 1_25, "ALL"));
    let total = |order: &Order| cents(&order.total);
    assert_eq!((total(&placed), cents(&promise.total)), (4_50, 4_50));
    let without = NewOrder { request_id: Uuid::now_v7().to_string(), ..new.clone() };
    assert_eq!(total(&suite.place(without).await), 35_96, "without a promise it costs what it costs now");
    clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(reason(&try_place(&suite, &redeeming(&new, &late)).await.unwrap_err()), "PROMISE_EXPIRED");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_given_price_is_measured_by_the_promised_one(pool: PgPool) {
    let suite = with_prices(pool, Clock::default()).await;
    let policy = |code: &str, policy: PriceDeviationPolicy| Channel {
        price_deviation_policy: policy.into(),
        price_tolerance_basis_points: 400, // 4 %: 1.20 to 1.30
        ..channel(code)
    };
    define(&suite, vec![policy("phone", PriceDeviationPolicy::Hold), policy("edi", PriceDeviationPolicy::Refuse)])
        .await;
    let of = |channel: &str| NewOrder { channel: channel.into(), ..unpriced(order(&[("TEA", 4)])) };
    let given = |new: &NewOrder, promise: &OrderPromise, cents: i64| {
        let mut new = redeeming(new, promise);
        new.lines[0].unit_price = Some(eur(cents));
        new
    };
    let (phone, edi) = (of("phone"), of("edi"));
    let mut promises = Vec::new();
    for new in [&phone, &phone, &edi] {
        promises.push(ask(&suite, asks(new, false)).await.unwrap());
    }
    // Promised with a price of its own: the order has to be asked for with the same.
    let mut own = phone.clone();
    own.lines[0].unit_price = Some(eur(1_30));
    let promised_own = ask(&suite, asks(&own, false)).await.unwrap();
    assert_eq!((cents(&promised_own.lines[0].list_price), promised_own.rules.unwrap().holds), (1_25, vec![]));
    let promised_own = ask(&suite, asks(&own, false)).await.unwrap();
    raise_prices(&suite).await;

    let status = try_place(&suite, &given(&own, &promised_own, 1_25)).await.unwrap_err();
    assert_eq!(reason(&status), "PROMISE_DIFFERS");
    let placed = try_place(&suite, &redeeming(&own, &promised_own)).await.unwrap().order.unwrap();
    assert_eq!((placed.state(), cents(&placed.lines[0].unit_price)), (OrderState::Confirmed, 1_30));

    let fine = try_place(&suite, &given(&phone, &promises[0], 1_20)).await.unwrap().order.unwrap();
    assert_eq!((fine.state(), cents(&fine.lines[0].unit_price)), (OrderState::Confirmed, 1_20));
    let held = try_place(&suite, &given(&phone, &promises[1], 9_99)).await.unwrap().order.unwrap();
    assert_eq!(held.state(), OrderState::OnHold);
    assert_eq!(held.holds[0].note, "line 1: 9.99 instead of 1.25 (ALL)");
    let refused = given(&edi, &promises[2], 9_99);
    assert_eq!(reason(&try_place(&suite, &refused).await.unwrap_err()), "PRICE_DEVIATION");
    assert!(try_place(&suite, &redeeming(&edi, &promises[2])).await.is_ok(), "the refusal has not used it up");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_promise_keeps_its_currency(pool: PgPool) {
    let suite = with_prices(pool, Clock::default()).await;
    let in_currency = |code: &str| Channel { currency_code: code.into(), ..channel("phone") };
    define(&suite, vec![in_currency("EUR")]).await;
    let new = NewOrder { channel: "phone".into(), currency_code: String::new(), ..unpriced(order(&[("TEA", 4)])) };
    let promise = ask(&suite, asks(&new, false)).await.unwrap();
    define(&suite, vec![in_currency("USD")]).await;
    let mut other = redeeming(&new, &promise);
    other.lines[0].unit_price = Some(pesan_api::r#type::v1::Money { currency_code: "USD".into(), units: 1, nanos: 0 });
    assert_eq!(reason(&try_place(&suite, &other).await.unwrap_err()), "PROMISE_DIFFERS");
    let placed = try_place(&suite, &redeeming(&new, &promise)).await.unwrap().order.unwrap();
    assert_eq!((placed.currency_code.as_str(), cents(&placed.gross)), ("EUR", 5_00));
}

#[sqlx::test(migrations = false)]
async fn a_promise_is_let_go_of_once_and_for_all(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite, "TEA", 5);
    let new = order(&[("TEA", 4)]);
    let promise = ask(&suite, asks(&new, true)).await.unwrap();
    assert_eq!(told(&suite).await, [(4, 0)]);
    let request_id = Uuid::now_v7();
    release(&suite, &promise, request_id).await.unwrap();
    assert_eq!(told(&suite).await, []);
    release(&suite, &promise, request_id).await.unwrap();
    release(&suite, &promise, Uuid::now_v7()).await.unwrap();
    let order_id = suite.peers.inventory.reservations.lock().unwrap().keys().next().unwrap().clone();
    assert_eq!(suite.fact_names(&order_id).await, ["PromiseReleased"], "inventory is told once");
    assert_eq!(reason(&try_place(&suite, &redeeming(&new, &promise)).await.unwrap_err()), "PROMISE_EXPIRED");

    // One that holds nothing is nobody else's business.
    let dates = ask(&suite, asks(&new, false)).await.unwrap();
    let status = release(&suite, &dates, request_id).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");
    release(&suite, &dates, Uuid::now_v7()).await.unwrap();
    assert_eq!(reason(&try_place(&suite, &redeeming(&new, &dates)).await.unwrap_err()), "PROMISE_EXPIRED");
    assert_eq!(suite.facts().await.len(), 1);

    let kept = ask(&suite, asks(&order(&[("TEA", 1)]), true)).await.unwrap();
    try_place(&suite, &redeeming(&order(&[("TEA", 1)]), &kept)).await.unwrap();
    let status = release(&suite, &kept, Uuid::now_v7()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "PROMISE_REDEEMED"));
    let unknown = OrderPromise { token: "promise-00000000000000000000000000000000".into(), ..Default::default() };
    let status = release(&suite, &unknown, Uuid::now_v7()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "PROMISE_NOT_FOUND"));
    let status = release(&suite, &OrderPromise::default(), Uuid::now_v7()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn letting_go_and_placing_at_once_one_of_them_wins(pool: PgPool) {
    let suite = start(pool).await;
    let new = order(&[("TEA", 1)]);
    for _ in 0..8 {
        let promise = ask(&suite, asks(&new, true)).await.unwrap();
        let order = redeeming(&new, &promise);
        let (released, placed) = tokio::join!(release(&suite, &promise, Uuid::now_v7()), try_place(&suite, &order));
        match (released, placed) {
            (Ok(()), Err(status)) => assert_eq!(reason(&status), "PROMISE_EXPIRED"),
            (Err(status), Ok(_)) => assert_eq!(reason(&status), "PROMISE_REDEEMED"),
            (released, placed) => panic!("{released:?} {placed:?}"),
        }
    }
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_promise_tells_what_rules_would_do_and_they_do_nothing(pool: PgPool) {
    let suite = start(pool).await;
    let same = |new: &NewOrder| NewOrder { request_id: Uuid::now_v7().to_string(), ..new.clone() };
    let rules = [
        when("many", "order.units >= 10", hold("MANY_UNITS")),
        when("big", "order.units > 4", Action::Tag(TagAction { tags: vec!["big".into()] })),
        when("knives", "lines.exists(l, l.sku.startsWith('KNIFE'))", refuse("NOT_SOLD")),
    ];
    write(&suite, &rules).await.unwrap();
    let told = async |new: &NewOrder| ask(&suite, asks(new, false)).await.unwrap().rules.unwrap();
    assert_eq!(told(&order(&[("TEA", 1)])).await, RulePreview::default());
    let many = order(&[("TEA", 10)]);
    let rules = told(&many).await;
    assert_eq!((rules.holds.len(), rules.tags.as_slice(), &rules.refusal), (1, &["big".to_owned()][..], &None));
    let hold = &rules.holds[0];
    assert_eq!((hold.reason.as_str(), hold.rule.as_str(), hold.id.as_str()), ("MANY_UNITS", "many", ""));
    let knives = order(&[("KNIFE", 10)]);
    let rules = told(&knives).await;
    assert_eq!((rules.holds.len(), rules.refusal.unwrap().reason.as_str()), (0, "NOT_SOLD"));
    assert_eq!(suite.facts().await, []);
    // They are asked again, and then it counts.
    for (new, state) in [(many, OrderState::OnHold), (knives, OrderState::Rejected)] {
        let promise = ask(&suite, asks(&new, true)).await.unwrap();
        let placed = try_place(&suite, &redeeming(&same(&new), &promise)).await.unwrap().order.unwrap();
        assert_eq!(placed.state(), state);
    }
    suite.assert_proven().await;
}
