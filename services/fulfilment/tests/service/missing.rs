//! A count did not find what was to be picked.

use crate::house::House;
use crate::orders::{NORTH, Order, SOUTH, allocation};
use crate::proof::broken;
use pesan_api::fulfilment::v1 as pb;
use sqlx::PgPool;
use std::collections::HashMap;

#[sqlx::test(migrations = false)]
async fn what_a_count_did_not_find_is_not_to_be_picked(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let allocations = vec![allocation(1, NORTH, 5), allocation(2, NORTH, 1), allocation(1, SOUTH, 4)];
    house.feed.apply(vec![order.accepted(), order.confirmed(allocations)]).await;
    house.feed.apply(vec![order.stock_missing(&[(1, NORTH, 2)]), order.stock_missing(&[(1, SOUTH, 9)])]).await;

    let orders = house.of_order(order.id).await;
    let lines: Vec<_> = orders[0].lines.iter().map(|l| (l.line_no, l.short, l.withdrawn)).collect();
    assert_eq!((lines, orders[0].state()), (vec![(1, 2, 0), (2, 0, 0)], pb::FulfilmentState::Open));
    assert_eq!(orders[1].state(), pb::FulfilmentState::Cancelled, "nothing is left of it");
    let events = house.events().await;
    let told: Vec<_> = events[2..].iter().map(|e| (e.name(), e.version, e.correlation_id)).collect();
    assert_eq!(told, [("ShortPicked", 2, Some(order.id)); 2]);
    let fact: pb::ShortPicked = events[2].read();
    let lines: Vec<_> = fact.lines.iter().map(|l| (l.line_no, l.sku.as_str(), l.quantity)).collect();
    assert_eq!((lines, fact.location_id), (vec![(1, "SKU-1", 2)], NORTH.to_string()));
    assert_eq!(broken(&mut house).await, HashMap::new());

    // The picker tells only of what is missing besides.
    let picked = house.pick(&orders[0].number, &[(1, 2)]).await.unwrap();
    assert_eq!(picked.lines.iter().map(|l| (l.picked, l.short)).collect::<Vec<_>>(), [(2, 3), (1, 0)]);
    let fact: pb::ShortPicked = house.events().await[5].read();
    assert_eq!(fact.lines[0].quantity, 1);
    assert_eq!(broken(&mut house).await, HashMap::new());
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_picked_was_there(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    house.feed.apply(vec![order.confirmed(vec![allocation(1, NORTH, 5)])]).await;
    house.pick("FO-000001", &[]).await.unwrap();
    let before = house.event_names().await;
    // What is handed over after the count is there too.
    let later = order.lines_ready(vec![allocation(1, NORTH, 3)]);
    house.feed.apply(vec![order.stock_missing(&[(1, NORTH, 2)]), later]).await;
    let quantities: Vec<_> =
        house.of_order(order.id).await.iter().map(|o| (o.lines[0].picked, o.lines[0].short)).collect();
    assert_eq!(quantities, [(5, 0), (0, 0)]);
    assert_eq!(house.event_names().await[before.len()..], ["FulfilmentOrderCreated"]);
    assert_eq!(broken(&mut house).await, HashMap::new());
    house.close().await;
}
