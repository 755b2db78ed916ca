//! What becomes of the order service's facts.

use crate::house::{House, NOW};
use crate::order_feed::{Fact, OrderFeed};
use crate::orders::{NORTH, Order, SOUTH, address, allocation, service};
use pesan_api::feed::v1::PullRequest;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::fulfilment::v1 as pb;
use pesan_api::order::v1::CustomerChanged;
use pesan_fulfilment::carrier::Simulated;
use sqlx::PgPool;
use std::sync::Arc;
use time::macros::datetime;
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn a_confirmed_order_becomes_one_fulfilment_order_for_each_location(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let allocations = vec![allocation(1, NORTH, 3), allocation(2, SOUTH, 2), allocation(1, SOUTH, 1), service(3, 1)];
    house.feed.apply(vec![order.accepted(), order.confirmed(allocations)]).await;

    let orders = house.of_order(order.id).await;
    let seen: Vec<_> = orders
        .iter()
        .map(|o| {
            (o.location_id.clone(), o.lines.iter().map(|l| (l.line_no, l.allocated, l.stocked)).collect::<Vec<_>>())
        })
        .collect();
    let expected = [
        (String::new(), vec![(3, 1, false)]),
        (NORTH.to_string(), vec![(1, 3, true)]),
        (SOUTH.to_string(), vec![(1, 1, true), (2, 2, true)]),
    ];
    assert_eq!(seen, expected);
    for order_here in &orders {
        assert_eq!(order_here.state(), pb::FulfilmentState::Open);
        assert_eq!((order_here.version, &order_here.order_number), (1, &order.number()));
        assert_eq!(order_here.ship_to, Some(address()));
        assert_eq!(order_here.created_at, Some(pesan_grpc::parse::to_timestamp(order.at)));
        assert_eq!(house.get(&order_here.number).await, *order_here);
        assert_eq!(house.get(&order_here.id).await, *order_here);
    }
    assert_eq!(orders[0].number, "FO-000001");

    let events = house.events().await;
    assert_eq!(events.len(), 3);
    for (event, order_here) in events.iter().zip(&orders) {
        let fact: pb::FulfilmentOrderCreated = event.read();
        assert_eq!((&fact.fulfilment_order_id, &fact.location_id), (&order_here.id, &order_here.location_id));
        assert_eq!((event.version, event.correlation_id, event.effective_at), (1, Some(order.id), order.at));
    }
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn straight_through_is_shipped_and_delivered_when_the_order_was_placed(pool: PgPool) {
    let mut house = House::start(pool).await;
    let placed = datetime!(2010-12-01 08:26 UTC);
    let order = Order::straight_through(placed);
    house.feed.apply(vec![order.accepted(), order.confirmed(vec![allocation(1, NORTH, 6), service(2, 1)])]).await;

    let orders = house.of_order(order.id).await;
    let placed_at = Some(pesan_grpc::parse::to_timestamp(placed));
    for order_here in &orders {
        assert_eq!(order_here.state(), pb::FulfilmentState::Delivered);
        assert_eq!((order_here.shipped_at, order_here.delivered_at), (placed_at, placed_at));
        assert!(order_here.allowed_actions.is_empty());
        assert!(order_here.lines.iter().all(|l| l.shipped == l.allocated && l.picked == l.allocated));
    }
    assert_eq!(orders[0].parcels, vec![], "a service needs no parcel");
    assert_eq!(orders[1].parcels[0].carrier, "simulated");
    assert_eq!(orders[1].parcels[0].tracking_number, Simulated::tracking_number(2, 1));

    let events = house.events().await;
    let told: Vec<_> = events.iter().map(|e| (e.name(), e.version)).collect();
    let one = [("FulfilmentOrderCreated", 1), ("GoodsIssued", 2), ("Delivered", 3)];
    assert_eq!(told, [one, one].concat());
    assert!(events.iter().all(|e| e.effective_at == placed && e.correlation_id == Some(order.id)));
    let issued: pb::GoodsIssued = events[4].read();
    let line = pb::ShipmentLine { line_no: 1, sku: "SKU-1".into(), quantity: 6, stocked: true };
    assert_eq!((issued.lines, issued.location_id, issued.parcels.len()), (vec![line], NORTH.to_string(), 1));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn backordered_lines_that_get_stock_become_another_fulfilment_order(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (by_hand, at_once) = (Order::standard(), Order::straight_through(NOW));
    house.feed.apply(vec![by_hand.confirmed(vec![allocation(1, NORTH, 3)]), at_once.confirmed(vec![])]).await;
    assert_eq!(house.of_order(at_once.id).await, vec![], "everything waits for stock");

    house.feed.apply(vec![by_hand.lines_ready(vec![allocation(1, NORTH, 2)])]).await;
    house.feed.apply(vec![at_once.lines_ready(vec![allocation(1, SOUTH, 5)])]).await;

    let orders = house.of_order(by_hand.id).await;
    let seen: Vec<_> = orders.iter().map(|o| (o.lines[0].allocated, o.state())).collect();
    assert_eq!(seen, [(3, pb::FulfilmentState::Open), (2, pb::FulfilmentState::Open)]);
    assert_eq!(orders[1].ship_to, Some(address()), "as the order said when it was confirmed");
    assert_eq!(house.of_order(at_once.id).await[0].state(), pb::FulfilmentState::Delivered);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn a_batch_of_large_orders_is_applied_at_once(pool: PgPool) {
    let mut house = House::start(pool).await;
    let orders: Vec<Order> = (0..250).map(|_| Order::straight_through(NOW)).collect();
    let lines = || (1..=40).map(|no| allocation(no, NORTH, i64::from(no))).collect::<Vec<_>>();
    let facts: Vec<Fact> = orders.iter().flat_map(|o| [o.accepted(), o.confirmed(lines())]).collect();
    house.feed.apply(facts).await;

    let rows: (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from fulfilment_order where state = 5), count(*), sum(shipped)::int8 from fulfilment_line",
    )
    .fetch_one(&house.pool)
    .await
    .unwrap();
    assert_eq!(rows, (250, 250 * 40, 250 * 820));
    let proof = house.check().await;
    assert!(proof.results.iter().filter(|r| !r.name.starts_with("returns")).all(|r| r.rows_checked >= 250));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn what_was_read_is_not_applied_again_by_the_next_process(pool: PgPool) {
    let (feed, endpoint) = OrderFeed::serve().await;
    let order = Order::standard();
    let first = House::start_on(pool.clone(), Arc::new(Simulated), feed.clone(), endpoint.clone()).await;
    first.feed.apply(vec![order.accepted(), order.confirmed(vec![allocation(1, NORTH, 3)])]).await;
    first.close().await;

    let mut second = House::start_on(pool, Arc::new(Simulated), feed, endpoint).await;
    second.feed.apply(vec![order.progressed()]).await;
    assert_eq!(second.of_order(order.id).await.len(), 1);
    assert_eq!(second.event_names().await, ["FulfilmentOrderCreated"]);
    let cursors = second.check().await.followers;
    assert_eq!((cursors[0].source.as_str(), cursors[0].cursor.as_str()), ("order", "3"));
    second.close().await;
}

#[sqlx::test(migrations = false)]
async fn facts_of_no_concern_are_passed_over(pool: PgPool) {
    let house = House::start(pool).await;
    let customer = Uuid::now_v7();
    let changed = CustomerChanged { customer_id: customer.to_string(), ..Default::default() };
    let of_customer = Fact { journey: None, ..Fact::of(customer, &changed, NOW) };
    let order = Order::standard();
    let unheard_of = Fact { kind: "pesan.order.v1.SomethingNew".into(), ..order.progressed() };
    house.feed.apply(vec![of_customer, order.accepted(), unheard_of, order.progressed()]).await;

    assert!(house.events().await.is_empty());
    let followed: Vec<(Uuid, i64)> =
        sqlx::query_as("select order_id, version from followed_order").fetch_all(&house.pool).await.unwrap();
    assert_eq!(followed, [(order.id, 3)], "of orders the version counts, of customers nothing");
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_is_one_trace_through_this_service_as_well(pool: PgPool) {
    let telemetry = pesan_telemetry::init("fulfilment", &pesan_telemetry::TelemetryConfig::default()).unwrap();
    let house = House::start(pool).await;
    let trace = |n: u8| format!("00-0af7651916cd43dd8448eb211c8031{n:02x}-b7ad6b7169203331-01");
    let orders = [Order::standard(), Order::straight_through(NOW)];
    let facts = orders
        .iter()
        .zip([1, 2])
        .map(|(order, n)| Fact { traceparent: trace(n), ..order.confirmed(vec![allocation(1, NORTH, 2)]) });
    house.feed.apply(facts.collect()).await;
    let traces = house.events().await.into_iter().map(|event| {
        let traceparent = event.traceparent.unwrap();
        (event.correlation_id.unwrap(), pesan_telemetry::trace_id(&traceparent).unwrap().to_owned())
    });
    let id = |n| pesan_telemetry::trace_id(&trace(n)).unwrap().to_owned();
    let through = (orders[1].id, id(2));
    assert_eq!(traces.collect::<Vec<_>>(), [(orders[0].id, id(1)), through.clone(), through.clone(), through]);
    house.close().await;
    telemetry.shutdown();
}

#[sqlx::test(migrations = false)]
async fn its_own_facts_are_served(pool: PgPool) {
    let house = House::start(pool).await;
    let order = Order::straight_through(NOW);
    house.feed.apply(vec![order.confirmed(vec![allocation(1, NORTH, 2)])]).await;
    let mut reader = FeedServiceClient::new(house.channel.clone());
    let mut request = PullRequest { follower: "test".into(), max_wait_ms: 10_000, ..Default::default() };
    let mut types = Vec::new();
    // A transaction elsewhere on the server may hide the newest for a moment.
    while types.len() < 3 {
        let page = reader.pull(request.clone()).await.unwrap().into_inner();
        assert!(!page.events.is_empty(), "{types:?}");
        types.extend(page.events.into_iter().map(|event| event.r#type));
        request.cursor = page.cursor;
    }
    let expected = ["FulfilmentOrderCreated", "GoodsIssued", "Delivered"];
    assert_eq!(types, expected.map(|name| format!("pesan.fulfilment.v1.{name}")));
    house.close().await;
}
