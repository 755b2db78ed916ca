//! What is let go because the order service says so.

use crate::testing::{all_or_nothing, backorder, demand, service_item, start};
use pesan_api::inventory::v1 as pb;
use pesan_api::order::v1 as order;
use sqlx::PgPool;
use uuid::Uuid;

fn cancelled(order_id: &str, line_no: i32, reserved: &[(&str, i64)], backordered: i64) -> order::OrderCancelled {
    let at = |(location, quantity): &(&str, i64)| order::LocationQuantity {
        location_id: (*location).into(),
        quantity: *quantity,
    };
    let line = order::CancelledLine {
        line_no,
        quantity: reserved.iter().map(|(_, quantity)| quantity).sum::<i64>() + backordered,
        reserved: reserved.iter().map(at).collect(),
        backordered,
    };
    order::OrderCancelled { order_id: order_id.into(), lines: vec![line], ..order::OrderCancelled::default() }
}

#[sqlx::test(migrations = false)]
async fn a_cancelled_line_is_let_go_and_a_waiting_order_gets_it(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let rich = all_or_nothing(&[("MUG", 10)]);
    service.reserve(&rich).await.unwrap();
    let poor = backorder(&[("MUG", 3)]);
    service.reserve(&poor).await.unwrap();

    service.orders.tell(&rich.order_id, &[cancelled(&rich.order_id, 1, &[(&location, 4)], 0)]).await;
    service.fill().await;
    let (event, released) = service.facts::<pb::StockReleased>().await.remove(0);
    assert_eq!((released.lines[0].reserved, released.lines[0].backordered), (4, 0));
    assert_eq!((event.aggregate_id.as_str(), event.version), (rich.order_id.as_str(), 2));
    assert_eq!(&event.traceparent[3..35], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(service.reservation(&poor.order_id).await.lines[0].backordered, 0);
    let line = &service.reservation(&rich.order_id).await.lines[0];
    assert_eq!((line.quantity, line.allocations[0].reserved), (10, 6));
    assert_eq!(service.levels("MUG").await, (10, 9, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_got_stock_while_it_was_cancelled_is_taken_back_latest_first(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 2)]).await;
    let other = service.location("OTHER", 1).await;
    let order = backorder(&[("MUG", 10)]);
    service.reserve(&order).await.unwrap();
    // Filled in three steps: 3 at the main location, 2 at the other, 1 at the main one again; 2 wait on.
    for (location, quantity) in [(&main, 3), (&other, 2), (&main, 1)] {
        service.receive("MUG", location, quantity).await;
        service.fill().await;
    }
    let held = |reservation: &pb::Reservation, location: &str| -> i64 {
        let at = |a: &&pb::LineAllocation| a.location_id == location;
        reservation.lines[0].allocations.iter().filter(at).map(|a| a.reserved).sum()
    };
    let filled = service.reservation(&order.order_id).await;
    assert_eq!((held(&filled, &main), held(&filled, &other), filled.lines[0].backordered), (6, 2, 2));

    // The order believes that 8 wait, and cancels 6 of them: 2 wait, 4 are taken back: 1, then 2, then 1 of the 3.
    service.orders.tell(&order.order_id, &[cancelled(&order.order_id, 1, &[], 6)]).await;
    let left = service.reservation(&order.order_id).await;
    assert_eq!((held(&left, &main), held(&left, &other), left.lines[0].backordered), (4, 0, 0));
    let released = &service.facts::<pb::StockReleased>().await[0].1.lines[0];
    assert_eq!((released.reserved, released.backordered), (4, 2));
    let taken_back: Vec<_> = released.taken_back.iter().map(|at| (at.location_id.as_str(), at.quantity)).collect();
    assert_eq!(taken_back, [(main.as_str(), 1), (other.as_str(), 2), (main.as_str(), 1)], "the latest first");
    // Of the first fill 2 are left. Once more, and everything that was ever filled is taken back, but nothing else.
    service.orders.tell(&order.order_id, &[cancelled(&order.order_id, 1, &[], 5)]).await;
    let left = service.reservation(&order.order_id).await;
    assert_eq!((held(&left, &main), held(&left, &other)), (2, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_whole_cancellation_and_a_rejection_let_go_of_everything_for_good(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let cancelled = backorder(&[("MUG", 8), ("POSTAGE", 1)]);
    let rejected = demand(pb::ShortagePolicy::Backorder, &[("MUG", 8)]);
    service.reserve_all(vec![cancelled.clone(), rejected.clone()]).await;
    assert_eq!(service.levels("MUG").await, (10, 10, 0));

    let fact = order::OrderCancelled { order_id: cancelled.order_id.clone(), whole: true, ..Default::default() };
    service.orders.tell_later(&cancelled.order_id, &[fact]);
    let fact = order::OrderRejected { order_id: rejected.order_id.clone(), ..Default::default() };
    service.orders.tell(&rejected.order_id, &[fact]).await;
    assert_eq!(service.levels("MUG").await, (10, 0, 0));
    assert_eq!(service.availability("MUG").await.backordered, 0);
    let released = service.facts::<pb::StockReleased>().await;
    let total: i64 = released.iter().flat_map(|(_, fact)| &fact.lines).map(|l| l.reserved + l.backordered).sum();
    assert_eq!((released.len(), total), (2, 17));
    for order in [&cancelled, &rejected] {
        assert_eq!(service.reserve(order).await.unwrap_err().reason, "ORDER_CLOSED");
    }
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_held_for_a_promise_is_free_once_it_is_let_go_of(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let promised = backorder(&[("MUG", 12)]);
    service.reserve(&promised).await.unwrap();
    let waits = backorder(&[("MUG", 4)]);
    service.reserve(&waits).await.unwrap();
    let fact = order::PromiseReleased { order_id: promised.order_id.clone() };
    service.orders.tell(&promised.order_id, &[fact]).await;
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (10, 4, 0), "those who wait get it");
    assert_eq!(service.reserve(&promised).await.unwrap_err().reason, "ORDER_CLOSED", "its order never comes");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_demand_that_comes_after_the_rejection_meets_its_tombstone(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let late = all_or_nothing(&[("MUG", 1)]);
    let fact = order::OrderRejected { order_id: late.order_id.clone(), ..Default::default() };
    service.orders.tell(&late.order_id, &[fact]).await;
    assert_eq!(service.reserve(&late).await.unwrap_err().reason, "ORDER_CLOSED");
    assert_eq!(service.levels("MUG").await, (10, 0, 0));

    // Facts about orders never heard of, and facts of other kinds, are passed over.
    let unknown = Uuid::now_v7().to_string();
    service
        .orders
        .tell_later(&unknown, &[order::OrderHoldReleased { order_id: unknown.clone(), ..Default::default() }]);
    let fact = order::OrderConfirmed { order_id: unknown.clone(), ..Default::default() };
    service.orders.tell(&unknown, &[fact]).await;
    service.orders.tell(&unknown, &[cancelled(&unknown, 1, &[], 4)]).await;
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_batch_of_facts_about_one_order_is_applied_in_order(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let order = all_or_nothing(&[("MUG", 10)]);
    service.reserve(&order).await.unwrap();
    let id = &order.order_id;
    service.orders.tell_later(id, &[order::OrderConfirmed { order_id: id.clone(), ..Default::default() }]);
    service.orders.tell_later(id, &[cancelled(id, 1, &[(&location, 3)], 0), cancelled(id, 1, &[(&location, 2)], 0)]);
    let whole = order::OrderCancelled { order_id: id.clone(), whole: true, ..Default::default() };
    service.orders.tell(id, &[whole]).await;
    let released: Vec<i64> =
        service.facts::<pb::StockReleased>().await.iter().map(|(_, fact)| fact.lines[0].reserved).collect();
    assert_eq!(released, [3, 2, 5]);
    assert_eq!(service.levels("MUG").await, (10, 0, 0));
    service.assert_proven().await;
}
