//! Placing: what is refused, what is the same order, and how much fits.

use crate::suite::{eur, line, order, order_of, reason, start};
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::{Address, Money, Problem};
use sqlx::PgPool;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

async fn place_all(suite: &crate::suite::Suite, orders: Vec<NewOrder>) -> Vec<PlaceOrderResult> {
    let request = PlaceOrdersRequest { orders, wait: PlaceWait::Durable.into(), view: OrderView::Full.into() };
    suite.orders.clone().place_orders(request).await.unwrap().into_inner().results
}

fn placed(result: PlaceOrderResult) -> (Order, bool) {
    match result.outcome {
        Some(place_order_result::Outcome::Order(order)) => (order, result.already_existed),
        other => panic!("{other:?}"),
    }
}

fn problem(result: PlaceOrderResult) -> Problem {
    match result.outcome {
        Some(place_order_result::Outcome::Problem(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = false)]
async fn all_that_is_wrong_is_named_with_its_path(pool: PgPool) {
    let suite = start(pool).await;
    let usd = Money { currency_code: "USD".into(), units: 1, nanos: 0 };
    let with = |change: fn(&mut NewOrder)| {
        let mut order = order(&[("TEA", 1)]);
        change(&mut order);
        order
    };
    let cases: Vec<(NewOrder, &[&str])> = vec![
        (with(|o| o.channel = "Web Shop".into()), &["channel"]),
        (with(|o| o.channel.clear()), &["channel"]),
        (with(|o| o.request_id = "7".into()), &["request_id"]),
        (with(|o| o.request_id.clear()), &["request_id"]),
        (with(|o| o.external_id = "x".repeat(101)), &["external_id"]),
        (with(|o| o.currency_code = "EURO".into()), &["currency_code"]),
        (with(|o| o.lines.clear()), &["lines"]),
        (with(|o| o.ship_to = None), &["ship_to"]),
        (with(|o| o.ship_to = Some(Address::default())), &["ship_to.country"]),
        (with(|o| o.payment_method = 0), &["payment_method"]),
        (with(|o| o.payment_method = 77), &["payment_method"]),
        (with(|o| o.payment_token.clear()), &["payment_token"]),
        (with(|o| o.reservation_policy = 9), &["reservation_policy"]),
        (with(|o| o.priority = Some(10)), &["priority"]),
        (with(|o| o.customer_id = Uuid::now_v7().to_string()), &["customer_id"]),
        (with(|o| o.customer_external_id = "nobody".into()), &["customer_external_id"]),
        (with(|o| o.lines[0].sku.clear()), &["lines[0].sku"]),
        (with(|o| o.lines[0].quantity = 0), &["lines[0].quantity"]),
        (with(|o| o.lines[0].quantity = i64::MAX), &["lines[0].quantity"]),
        (with(|o| o.lines[0].unit_price = Some(eur(-1))), &["lines[0].unit_price"]),
        (with(|o| o.lines[0].discount = Some(eur(1_26))), &["lines[0].discount"]),
        (with(|o| o.lines[0].tax = Some(eur(-1))), &["lines[0].tax"]),
        (
            with(|o| {
                let most = Money { currency_code: "EUR".into(), units: i64::MAX, nanos: 0 };
                o.lines[0].unit_price = Some(most);
                o.lines[0].quantity = 1_000_000_000;
            }),
            &["lines[0].quantity"],
        ),
        (
            with(|o| {
                let most = Money { currency_code: "EUR".into(), units: i64::MAX, nanos: 0 };
                o.lines[0].unit_price = Some(most);
                o.lines.push(o.lines[0].clone());
            }),
            &["lines"],
        ),
        (
            with(|o| {
                o.lines.push(line("", -3));
                o.priority = Some(-1);
            }),
            &["lines[1].sku", "lines[1].quantity", "priority"],
        ),
    ];
    let (orders, expected): (Vec<_>, Vec<_>) = cases.into_iter().unzip();
    let mut orders: Vec<NewOrder> = orders;
    let mut mixed = order(&[("TEA", 1)]);
    mixed.lines[0].unit_price = Some(usd);
    orders.push(mixed);
    orders.push(order(&[("TEA", 1)])); // one that is right, among them
    let mut results = place_all(&suite, orders).await;
    let (good, _) = placed(results.pop().unwrap());
    assert_eq!(good.lines.len(), 1);
    let mixed = problem(results.pop().unwrap());
    assert_eq!(mixed.violations[0].field, "lines[0].unit_price");
    for (result, fields) in results.into_iter().zip(expected) {
        let problem = problem(result);
        assert_eq!(problem.reason, "INVALID_ARGUMENT");
        let named: Vec<_> = problem.violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(named, fields, "{problem:?}");
    }
    let request = PlaceOrderRequest { order: Some(order(&[("", 1)])), wait: 0 };
    let status = suite.orders.clone().place_order(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_details_bad_request().unwrap();
    assert_eq!(details.field_violations[0].field, "order.lines[0].sku");
    let status = suite.orders.clone().place_order(PlaceOrderRequest { order: None, wait: 0 }).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "order");
}

#[sqlx::test(migrations = false)]
async fn sending_an_order_twice_is_one_order(pool: PgPool) {
    let suite = start(pool).await;
    let by_request = order(&[("TEA", 1)]);
    let by_external = NewOrder { request_id: String::new(), external_id: "536365".into(), ..order(&[("TEA", 2)]) };
    // Twice in one call, then once more.
    let twice = vec![by_request.clone(), by_request.clone(), by_external.clone(), by_external.clone()];
    let first: Vec<_> = place_all(&suite, twice).await.into_iter().map(placed).collect();
    assert_eq!([first[0].1, first[1].1, first[2].1, first[3].1], [false, true, false, true]);
    assert_eq!((&first[0].0.id, &first[2].0.id), (&first[1].0.id, &first[3].0.id));
    let again: Vec<_> = place_all(&suite, vec![by_request, by_external]).await.into_iter().map(placed).collect();
    assert_eq!((&again[0].0.id, again[0].1), (&first[0].0.id, true));
    assert_eq!((&again[1].0.id, again[1].1), (&first[2].0.id, true));
    // The same external id on another channel is another order.
    let other = NewOrder { channel: "edi".into(), external_id: "536365".into(), ..order(&[("TEA", 2)]) };
    assert!(!placed(place_all(&suite, vec![other]).await.remove(0)).1);
    let orders: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(orders, 3);
    suite.until(&first[0].0.id, OrderState::Confirmed).await;
    suite.until(&first[2].0.id, OrderState::Confirmed).await;
}

#[sqlx::test(migrations = false)]
async fn the_same_order_sent_by_many_at_once_is_one_order(pool: PgPool) {
    let suite = start(pool).await;
    let new: Vec<NewOrder> =
        (0..20).map(|i| NewOrder { external_id: format!("E-{i}"), ..order(&[("TEA", 1)]) }).collect();
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let (mut orders, mut client) = (new.clone(), suite.orders.clone());
            orders.rotate_left(caller * 2);
            tokio::spawn(async move {
                let request = PlaceOrdersRequest { orders, wait: PlaceWait::Durable.into(), view: 0 };
                client.place_orders(request).await.unwrap().into_inner().results
            })
        })
        .collect();
    let mut created = 0;
    for caller in callers {
        created += caller.await.unwrap().into_iter().map(placed).filter(|(_, existed)| !existed).count();
    }
    assert_eq!(created, 20);
    let orders: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(orders, 20);
}

#[sqlx::test(migrations = false)]
async fn a_request_id_is_not_to_be_used_for_another_order(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let first = order_of(&customer, &[("TEA", 1), ("CUP", 2)]);
    placed(place_all(&suite, vec![first.clone()]).await.remove(0));
    let mut other = first.clone();
    other.lines[1].quantity = 3;
    other.priority = Some(1);
    let problem = problem(place_all(&suite, vec![other.clone()]).await.remove(0));
    assert_eq!(problem.reason, "REQUEST_ID_REUSED");
    let fields: Vec<_> = problem.violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["lines[1].quantity", "priority"]);
    let request = PlaceOrderRequest { order: Some(other), wait: PlaceWait::Durable.into() };
    let status = suite.orders.clone().place_order(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
}

#[sqlx::test(migrations = false)]
async fn ten_thousand_lines_are_one_order(pool: PgPool) {
    let suite = start(pool).await;
    let new = NewOrder { lines: (0..10_000).map(|i| line(&format!("SKU-{i}"), 1 + i % 7)).collect(), ..order(&[]) };
    let placed = suite.place(new.clone()).await;
    assert_eq!(placed.state(), OrderState::Confirmed);
    assert_eq!(placed.lines.len(), 10_000);
    assert_eq!(placed.lines[9_999].sku, "SKU-9999");
    suite.assert_proven().await;
    let mut too_many = new;
    too_many.request_id = Uuid::now_v7().to_string();
    too_many.lines.push(line("ONE-MORE", 1));
    let request = PlaceOrderRequest { order: Some(too_many), wait: 0 };
    assert_eq!(suite.orders.clone().place_order(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn amounts_are_rounded_once_and_kept_exactly(pool: PgPool) {
    let suite = start(pool).await;
    let mills = |mills: i64| {
        let nanos = i32::try_from(mills % 1000).unwrap() * 1_000_000;
        Some(Money { currency_code: "GBP".into(), units: mills / 1000, nanos })
    };
    let cents = |cents: i64| mills(cents * 10);
    let mut new = NewOrder { currency_code: "GBP".into(), ..order(&[("TEA", 3), ("CUP", 1)]) };
    new.lines[0] = NewOrderLine { unit_price: mills(415), discount: cents(10), tax: cents(23), ..new.lines[0].clone() };
    new.lines[1].unit_price = mills(1_005); // 1.005: to even
    let placed = suite.place(new).await;
    assert_eq!(placed.lines[0].unit_price, mills(415));
    assert_eq!(placed.lines[0].line_total, cents(1_24), "1.245 to even");
    assert_eq!(placed.lines[1].line_total, cents(1_00));
    assert_eq!((placed.gross, placed.total), (cents(2_24), cents(2_37)));
}

#[sqlx::test(migrations = false)]
async fn history_keeps_its_own_time(pool: PgPool) {
    let suite = start(pool).await;
    let then = prost_types::Timestamp { seconds: 1_291_191_960, nanos: 0 };
    let new = NewOrder {
        placed_at: Some(then),
        fulfilment_policy: FulfilmentPolicy::StraightThrough.into(),
        ..order(&[("TEA", 1)])
    };
    let placed = suite.place(new).await;
    assert_eq!(placed.placed_at, Some(then));
    let facts = suite.facts().await;
    assert_eq!(facts.iter().map(|fact| fact.effective_at).collect::<Vec<_>>(), [Some(then), Some(then)]);
    let future = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
    let request =
        PlaceOrderRequest { order: Some(NewOrder { placed_at: Some(future), ..order(&[("TEA", 1)]) }), wait: 0 };
    assert_eq!(suite.orders.clone().place_order(request).await.unwrap_err().code(), Code::InvalidArgument);
}
