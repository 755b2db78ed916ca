//! Changes, cancellations, counts, receipts, returns and warehouse work at the same orders at once, and nothing is lost or stuck.

use e2e::{Ring, Suite, Watch, verify};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1::{Order, OrderState, Quantities};
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[sqlx::test(migrations = false)]
async fn nobody_is_lost_in_a_crowd(pool: PgPool) {
    let (seconds, seed) = (setting("PESAN_RACE_SECONDS", 60), setting("PESAN_SEED", 1));
    let suite = Suite::start(&pool).await.unwrap();
    let ring = Arc::new(Ring::of(suite, 50, 5).await.unwrap());
    let tally = ring.fight(24, seed, Duration::from_secs(seconds)).await.unwrap_or_else(|error| panic!("{error}"));
    println!("{tally:#?}");
    for done in ["cancel: done", "change: done", "count: done", "receive: done", "return: done", "warehouse: done"] {
        assert!(tally.contains_key(done), "nobody got through: {done} is not in {tally:?}");
    }
    let watch = Watch::of(&ring.suite).await.unwrap();
    watch.quiet().await.unwrap();
    watch.end().await;
    verify(&ring.suite, true).await.unwrap();
    for id in &ring.orders {
        let order = ring.suite.order(id).await.unwrap();
        if let Some(why) = stuck(&ring, &order).await {
            panic!("{} waits for nothing: {why}: {order:#?}", order.number);
        }
    }
    Arc::into_inner(ring).unwrap().suite.end().await.unwrap();
}

/// Why an order waits for something that will not come.
async fn stuck(ring: &Ring, order: &Order) -> Option<String> {
    let Quantities { ordered, reserved, backordered, cancelled, shipped, .. } = order.quantities.unwrap();
    if matches!(order.state(), OrderState::Accepted | OrderState::Unspecified) {
        return Some("not settled".into());
    }
    if order.state() == OrderState::OnHold {
        return order.holds.is_empty().then(|| "on hold without a hold".into());
    }
    if ordered != reserved + backordered + cancelled + shipped {
        return Some("a part of it is nowhere".into());
    }
    let mut reservations = ring.suite.reservations();
    let request = inventory::GetReservationRequest { order_id: order.id.clone() };
    let queued: i64 = match reservations.get_reservation(request).await {
        Ok(answer) => answer.into_inner().reservation.unwrap().lines.iter().map(|line| line.backordered).sum(),
        Err(_) => 0,
    };
    if queued != backordered {
        return Some(format!("{backordered} wait, {queued} are in the queue"));
    }
    let request =
        fulfilment::ListFulfilmentOrdersRequest { order_id: order.id.clone(), page_size: 1000, ..Default::default() };
    let all = ring.suite.fulfilment().list_fulfilment_orders(request).await.unwrap().into_inner().fulfilment_orders;
    let lines = all.iter().flat_map(|order| &order.lines);
    let handed_over: i64 = lines.map(|line| line.allocated - line.withdrawn - line.short - line.shipped).sum();
    (handed_over != reserved).then(|| format!("{reserved} are reserved, {handed_over} are in the warehouse"))
}
