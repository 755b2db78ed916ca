//! The backorder queue.

use crate::testing::{NOW, all_or_nothing, backorder, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use std::time::Duration;

#[sqlx::test(migrations = false)]
async fn the_queue_is_served_by_priority_then_age_then_order(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    let waiting = |quantity: i64, priority: i32, minutes: u64| pb::OrderDemand {
        priority,
        placed_at: Some(to_timestamp(NOW - Duration::from_secs(60 * minutes))),
        ..backorder(&[("MUG", quantity)])
    };
    // Made in the order of their ids; the served order is: urgent, old, first, second.
    let first = waiting(4, 5, 10);
    let second = waiting(4, 5, 10);
    let old = waiting(4, 5, 20);
    let urgent = waiting(4, 1, 0);
    for order in [&second, &first, &old, &urgent] {
        assert_eq!(service.reserve(order).await.unwrap().lines[0].backordered, 4);
    }
    let mut served = Vec::new();
    for _ in 0..8 {
        service.receive("MUG", &location, 2).await;
        service.fill().await;
        let filled = service.facts::<pb::BackordersFilled>().await;
        assert_eq!(filled.len(), served.len() + 1);
        served.push(filled.last().unwrap().1.order_id.clone());
    }
    let expected = [&urgent, &urgent, &old, &old, &first, &first, &second, &second];
    assert_eq!(served, expected.map(|order| order.order_id.clone()));

    let reservation = service.reservation(&first.order_id).await;
    assert_eq!((reservation.version, reservation.lines[0].backordered), (3, 0));
    assert_eq!((reservation.lines[0].allocations[0].reserved, reservation.lines[0].quantity), (4, 4));
    assert_eq!(service.levels("MUG").await, (16, 16, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_receipt_fills_by_itself(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 1)]).await;
    let order = backorder(&[("MUG", 3)]);
    service.reserve(&order).await.unwrap();
    service.receive("MUG", &location, 10).await;
    let filled = service.next_fact::<pb::BackordersFilled>().await;
    assert_eq!(filled.order_id, order.order_id);
    let line = pb::FilledLine { line_no: 1, sku: "MUG".into(), location_id: location, quantity: 2 };
    assert_eq!(filled.lines, [line]);
    assert_eq!(service.levels("MUG").await, (11, 3, 0));
}

#[sqlx::test(migrations = false)]
async fn nobody_who_comes_later_gets_what_waits_for_others(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 0)]).await;
    service.reserve(&backorder(&[("MUG", 5)])).await.unwrap();
    // Stock that came in without the filler having had its turn yet.
    sqlx::query("insert into stock (item, location, on_hand) select i.id, l.id, 7 from item i, location l")
        .execute(&pool)
        .await
        .unwrap();
    let jumps = service.reserve(&all_or_nothing(&[("MUG", 3)])).await.unwrap_err();
    assert_eq!(jumps.reason, "OUT_OF_STOCK");
    assert!(service.reserve(&all_or_nothing(&[("MUG", 2)])).await.is_ok(), "two of seven are nobody's");
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (7, 7, 0));
}

#[sqlx::test(migrations = false)]
async fn a_filled_order_may_be_split_over_locations(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 0), ("CUP", 0)]).await;
    let other = service.location("OTHER", 1).await;
    let order = backorder(&[("MUG", 5), ("CUP", 1), ("MUG", 2)]);
    service.reserve(&order).await.unwrap();
    service.receive("MUG", &main, 3).await;
    service.fill().await;
    service.receive("MUG", &other, 10).await;
    service.receive("CUP", &other, 1).await;
    service.fill().await;
    let reservation = service.reservation(&order.order_id).await;
    let held = |line: usize| -> Vec<(String, i64)> {
        reservation.lines[line].allocations.iter().map(|a| (a.location_id.clone(), a.reserved)).collect()
    };
    assert_eq!(held(0), [(main.clone(), 3), (other.clone(), 2)]);
    assert_eq!((held(1), held(2)), (vec![(other.clone(), 1)], vec![(other, 2)]));
    assert_eq!(service.availability("MUG").await.backordered, 0);
    service.assert_proven().await;
}
