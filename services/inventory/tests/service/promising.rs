//! The dry run: what would be promised, and when.

use crate::testing::{NOW, Service, all_or_nothing, backorder, item, service_item, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Something of an item is on its way.
async fn on_its_way(pool: &PgPool, sku: &str, code: &str, expected_at: OffsetDateTime, quantity: i64) {
    sqlx::query(
        "insert into supply (kind, document_id, number, line_no, item, location, expected_at, quantity)
         select 1, $1, 'PO-' || $5, 1, i.id, l.id, $4, $5 from item i, location l where i.sku = $2 and l.code = $3",
    )
    .bind(Uuid::now_v7())
    .bind(sku)
    .bind(code)
    .bind(expected_at)
    .bind(quantity)
    .execute(pool)
    .await
    .unwrap();
}

/// Everything that a promise must leave as it is.
async fn traces(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar(
        "select count(*) from reservation union all select count(*) from outbox union all select count(*) from item where used
         union all select sum(reserved)::int8 from stock union all select count(*) from sourcing_decision
         union all select count(*) from request union all select sum(quantity)::int8 from supply",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn shop(service: &mut Service) -> String {
    service.upsert_items(vec![item("MUG"), item("CUP"), service_item("POSTAGE")]).await;
    let location = pb::Location {
        code: "JKT".into(),
        latitude: -6.2,
        longitude: 106.8,
        cut_off: "15:00".into(),
        time_zone: "Asia/Jakarta".into(),
        working_days: vec![1, 2, 3, 4, 5],
        holidays: vec!["2026-11-23".into()],
        ..pb::Location::default()
    };
    service.place(location).await
}

#[sqlx::test(migrations = false)]
async fn a_promise_is_dated_by_calendar_transit_and_supply_and_writes_nothing(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = shop(&mut service).await;
    service.receive("MUG", &location, 3).await;
    let waits = backorder(&[("MUG", 5)]);
    service.reserve(&waits).await.unwrap();
    service.receive("CUP", &location, 1).await;
    on_its_way(&pool, "MUG", "JKT", datetime!(2026-11-25 9:00 UTC), 3).await;
    on_its_way(&pool, "MUG", "JKT", datetime!(2026-12-04 1:00 UTC), 4).await;
    let before = traces(&pool).await;

    let destination = pb::Destination { latitude: Some(-6.9), longitude: Some(107.6), country: "ID".into() };
    let lines = [("CUP", 1), ("MUG", 6), ("POSTAGE", 1)];
    let order = pb::OrderDemand { destination: Some(destination), ..backorder(&lines) };
    let promise = service.promise(&order).await.unwrap();
    assert_eq!(promise.order_id, order.order_id);
    // It is Sunday, Monday is a holiday: Tuesday 15:00 there. 118 km: a day.
    let tuesday = datetime!(2026-11-24 8:00 UTC);
    let cup = &promise.lines[0].sources[0];
    assert_eq!((cup.quantity, &cup.location_id, cup.ship_at), (1, &location, Some(to_timestamp(tuesday))));
    assert_eq!(cup.deliver_at, Some(to_timestamp(tuesday + Duration::days(1))));
    assert!(promise.lines[0].why[0].contains("the next open day"), "{:?}", promise.lines[0].why);
    // Two of the first three go to who waits already; that day's cut-off was an hour before they come.
    let mugs = &promise.lines[1];
    let supplies: Vec<_> = mugs.supplies.iter().map(|s| (s.quantity, s.number.as_str(), s.ship_at)).collect();
    let expected = [
        (1, "PO-3", Some(to_timestamp(datetime!(2026-11-26 8:00 UTC)))),
        (4, "PO-4", Some(to_timestamp(datetime!(2026-12-04 8:00 UTC)))),
    ];
    assert_eq!((mugs.sources.len(), supplies), (0, expected.to_vec()));
    assert_eq!((mugs.undated, promise.ship_at, promise.refused), (1, None, false));
    assert_eq!(promise.lines[2].sources[0].quantity, 1, "services are always there");
    assert_eq!(traces(&pool).await, before, "nothing is written");

    let complete = pb::OrderDemand { ship_complete: true, ..backorder(&[("CUP", 1), ("MUG", 2)]) };
    let promise = service.promise(&complete).await.unwrap();
    let together = Some(to_timestamp(datetime!(2026-12-04 8:00 UTC)));
    assert_eq!((promise.ship_at, promise.lines[0].sources[0].ship_at), (together, together));
    let later =
        pb::OrderDemand { not_before: Some(to_timestamp(datetime!(2026-12-12 1:00 UTC))), ..backorder(&[("CUP", 1)]) };
    let monday = Some(to_timestamp(datetime!(2026-12-14 8:00 UTC)));
    assert_eq!(service.promise(&later).await.unwrap().ship_at, monday, "a Saturday is no day to ship");
}

#[sqlx::test(migrations = false)]
async fn demands_are_served_in_turn_and_refusals_are_told(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = shop(&mut service).await;
    service.receive("MUG", &location, 3).await;
    let [first, second] = [all_or_nothing(&[("MUG", 2)]), all_or_nothing(&[("MUG", 2)])];
    let unknown = all_or_nothing(&[("NOPE", 1)]);
    let wrong = pb::OrderDemand { order_id: "x".into(), ..all_or_nothing(&[("MUG", 1)]) };
    let third = all_or_nothing(&[("MUG", 1)]);
    let demands = vec![first, second.clone(), unknown, wrong, third];
    let answer = service.reservations.promise(pb::PromiseRequest { demands }).await.unwrap().into_inner();
    let told = answer.results.into_iter().map(|result| match result.outcome.unwrap() {
        pb::promise_result::Outcome::Promise(promise) => (promise.refused, String::new()),
        pb::promise_result::Outcome::Problem(problem) => (true, problem.reason),
    });
    let told: Vec<_> = told.collect();
    let expected = [(false, ""), (true, ""), (true, "UNKNOWN_SKU"), (true, "INVALID_ARGUMENT"), (false, "")];
    assert_eq!(told, expected.map(|(refused, reason)| (refused, reason.to_owned())));

    // What an order holds is free for itself, and its own place in the queue is not before it.
    let held = backorder(&[("MUG", 5)]);
    service.reserve(&held).await.unwrap();
    on_its_way(&pool, "MUG", "JKT", NOW + Duration::days(20), 2).await;
    let line = service.promise(&held).await.unwrap().lines.remove(0);
    assert_eq!((line.sources[0].quantity, line.supplies[0].quantity, line.undated), (3, 2, 0));
    let rejected = pesan_api::order::v1::OrderRejected { order_id: held.order_id.clone(), ..Default::default() };
    service.orders.tell(&held.order_id, &[rejected]).await;
    assert_eq!(service.promise(&held).await.unwrap_err().reason, "ORDER_CLOSED");
    let too_many = vec![second; 501];
    let refused = service.reservations.promise(pb::PromiseRequest { demands: too_many }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}
