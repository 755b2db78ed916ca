//! Reservations that are never confirmed.

use crate::testing::{NOW, all_or_nothing, backorder, start};
use pesan_api::inventory::v1 as pb;
use pesan_api::order::v1 as order;
use pesan_grpc::parse::to_timestamp;
use pesan_inventory::ops::expire;
use sqlx::PgPool;
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(900);

#[sqlx::test(migrations = false)]
async fn an_unconfirmed_reservation_lapses_and_may_be_asked_for_again(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let lapses = backorder(&[("MUG", 12)]);
    service.reserve(&lapses).await.unwrap();
    let confirmed = backorder(&[("MUG", 1)]);
    service.reserve(&confirmed).await.unwrap();
    let fact = order::OrderConfirmed { order_id: confirmed.order_id.clone(), ..order::OrderConfirmed::default() };
    service.orders.tell(&confirmed.order_id, &[fact]).await;
    assert_eq!(service.reservation(&confirmed.order_id).await.expires_at, None);

    service.clock.advance(LIFE);
    service.orders.nothing_new();
    let expired = service.next_fact::<pb::ReservationExpired>().await;
    assert_eq!(expired.order_id, lapses.order_id);
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (10, 1, 0), "who waited got it, the rest is free");
    assert_eq!(service.availability("MUG").await.backordered, 0);
    let gone = service.reservation(&lapses.order_id).await;
    assert_eq!((gone.lines[0].quantity, gone.lines[0].allocations.len(), gone.lines[0].backordered), (12, 0, 0));

    let again = service.reserve(&lapses).await.unwrap();
    assert_eq!((again.lines[0].allocations[0].reserved, again.lines[0].backordered), (9, 3));
    assert_eq!(again.expires_at, Some(to_timestamp(NOW + LIFE + LIFE)));
    assert_eq!(again.version, 3);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn nothing_lapses_while_the_order_service_is_down(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let orders = [all_or_nothing(&[("MUG", 1)]), all_or_nothing(&[("MUG", 2)])];
    for order in &orders {
        service.reserve(order).await.unwrap();
    }
    service.orders.applied().await;
    service.orders.set_down(true);
    service.clock.advance(LIFE * 2);
    // All that is known is that the feed was read to its end before it was time, or never.
    for caught_up in [None, Some(NOW), Some(NOW + LIFE - Duration::from_micros(1))] {
        assert_eq!(expire::run_once(&service.inventory, caught_up).await.unwrap(), 0, "{caught_up:?}");
    }
    assert_eq!(service.levels("MUG").await, (10, 3, 0));

    // One was confirmed meanwhile: it is read of before anything lapses.
    let fact = order::OrderConfirmed { order_id: orders[0].order_id.clone(), ..order::OrderConfirmed::default() };
    service.orders.tell_later(&orders[0].order_id, &[fact]);
    service.orders.set_down(false);
    service.orders.applied().await;
    service.orders.nothing_new();
    let expired = service.next_fact::<pb::ReservationExpired>().await;
    assert_eq!(expired.order_id, orders[1].order_id);
    assert_eq!(service.levels("MUG").await, (10, 1, 0));
    assert_eq!(expire::run_once(&service.inventory, Some(NOW + LIFE * 2)).await.unwrap(), 0);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_confirmed_too_late_holds_again_what_is_free(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let late = backorder(&[("MUG", 12)]);
    service.reserve(&late).await.unwrap();
    service.clock.advance(LIFE);
    assert_eq!(expire::run_once(&service.inventory, Some(NOW + LIFE)).await.unwrap(), 1);
    service.reserve(&all_or_nothing(&[("MUG", 4)])).await.unwrap();

    let allocation =
        order::AllocatedLine { line_no: 1, sku: "MUG".into(), location_id: location, quantity: 10, stocked: true };
    let fact = order::OrderConfirmed {
        order_id: late.order_id.clone(),
        allocations: vec![allocation],
        backordered: vec![order::LineQuantity { line_no: 1, quantity: 2 }],
        ..order::OrderConfirmed::default()
    };
    service.orders.tell(&late.order_id, &[fact]).await;
    let held = service.reservation(&late.order_id).await;
    assert_eq!((held.lines[0].allocations[0].reserved, held.lines[0].backordered), (6, 2));
    assert_eq!(held.expires_at, None);
    assert_eq!(service.levels("MUG").await, (10, 10, 0));
    service.assert_proven().await;
}
