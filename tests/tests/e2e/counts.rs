//! Counts that find less than is promised: order, inventory and fulfilment agree by themselves.

use e2e::{Suite, Watch, account_order, approval, count_stock, request_id, verify};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::fulfilment::v1::FulfilmentState as State;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as order;
use pesan_api::order::v1::{DeliveryMode, NewDelivery, OrderState};
use sqlx::PgPool;

/// A suite, a place, and so much of an item.
async fn house(pool: &PgPool, stock: i64) -> (Suite, String, String) {
    let suite = Suite::start(pool).await.unwrap();
    let location = suite.location("C-1").await.unwrap();
    suite.item("TEA", Some((&location, stock))).await.unwrap();
    let customer = suite.customer("COUNTED", None).await.unwrap();
    (suite, location, customer)
}

async fn quiet(suite: &Suite) {
    let watch = Watch::of(suite).await.unwrap();
    watch.quiet().await.unwrap();
    watch.end().await;
}

/// Counts, approves, and waits until everybody knows.
async fn count(suite: &Suite, location: &str, quantity: i64) {
    let counted = count_stock(suite.counts(), location, "TEA", quantity).await.unwrap();
    suite.counts().approve_count(approval(&counted)).await.unwrap();
    quiet(suite).await;
    verify(suite, true).await.unwrap();
}

/// Reserved, waiting, cancelled and shipped.
async fn stands(suite: &Suite, order_id: &str) -> [i64; 4] {
    let q = suite.order(order_id).await.unwrap().quantities.unwrap();
    [q.reserved, q.backordered, q.cancelled, q.shipped]
}

async fn work(suite: &Suite, order_id: &str) -> Vec<fulfilment::FulfilmentOrder> {
    let request = fulfilment::ListFulfilmentOrdersRequest { order_id: order_id.into(), ..Default::default() };
    suite.fulfilment().list_fulfilment_orders(request).await.unwrap().into_inner().fulfilment_orders
}

async fn pick(suite: &Suite, name: &str) {
    let request = fulfilment::PickRequest { request_id: request_id(), name: name.into(), ..Default::default() };
    suite.fulfilment().pick(request).await.unwrap();
}

async fn ship(suite: &Suite, name: &str) {
    let pack = fulfilment::PackRequest { request_id: request_id(), name: name.into(), ..Default::default() };
    suite.fulfilment().pack(pack).await.unwrap();
    let ship = fulfilment::ShipRequest { request_id: request_id(), name: name.into(), ..Default::default() };
    suite.fulfilment().ship(ship).await.unwrap();
}

async fn stock(suite: &Suite) -> (i64, i64) {
    let request = inventory::GetAvailabilityRequest { skus: vec!["TEA".into()], ..Default::default() };
    let answer = suite.stock().get_availability(request).await.unwrap().into_inner();
    let level = &answer.availabilities[0].locations[0];
    (level.on_hand, level.reserved)
}

#[sqlx::test(migrations = false)]
async fn nobody_looks_for_what_a_count_did_not_find(pool: PgPool) {
    let (suite, location, customer) = house(&pool, 9).await;
    let first = suite.place(account_order(&customer, &[("TEA", 4)])).await.unwrap();
    let last = suite.place(account_order(&customer, &[("TEA", 5)])).await.unwrap();
    let refuses = order::ReservationPolicy::AllOrNothing.into();
    quiet(&suite).await;
    count(&suite, &location, 7).await;
    assert_eq!(stands(&suite, &first.id).await, [4, 0, 0, 0]);
    assert_eq!(stands(&suite, &last.id).await, [3, 2, 0, 0]);
    let open = work(&suite, &last.id).await;
    assert_eq!((open[0].lines[0].allocated, open[0].lines[0].short, open[0].state()), (5, 2, State::Open));
    assert_eq!(stock(&suite).await, (7, 7));

    // What comes for it is work anew; both parts leave.
    suite.receive("TEA", &location, 2).await.unwrap();
    quiet(&suite).await;
    let both = work(&suite, &last.id).await;
    assert_eq!(both.iter().map(|o| o.lines[0].allocated - o.lines[0].short).collect::<Vec<_>>(), [3, 2]);
    for part in &both {
        pick(&suite, &part.number).await;
        ship(&suite, &part.number).await;
    }
    quiet(&suite).await;
    assert_eq!(stands(&suite, &last.id).await, [0, 0, 0, 5]);

    // An order that does not wait loses it, and with the last piece its work.
    let new = order::NewOrder { reservation_policy: refuses, ..account_order(&customer, &[("TEA", 2)]) };
    suite.receive("TEA", &location, 2).await.unwrap();
    let strict = suite.place(new).await.unwrap();
    quiet(&suite).await;
    count(&suite, &location, 4).await;
    assert_eq!(stands(&suite, &strict.id).await, [0, 0, 2, 0]);
    assert_eq!(suite.order(&strict.id).await.unwrap().state(), OrderState::Cancelled);
    assert_eq!(work(&suite, &strict.id).await[0].state(), State::Cancelled);
    suite.end().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn what_is_in_the_packers_hands_is_found_again(pool: PgPool) {
    let (suite, location, customer) = house(&pool, 5).await;
    let placed = suite.place(account_order(&customer, &[("TEA", 5)])).await.unwrap();
    quiet(&suite).await;
    let name = work(&suite, &placed.id).await[0].number.clone();
    pick(&suite, &name).await;
    count(&suite, &location, 0).await;
    assert_eq!((stands(&suite, &placed.id).await, stock(&suite).await), ([5, 0, 0, 0], (0, 0)));
    ship(&suite, &name).await;
    quiet(&suite).await;
    assert_eq!((stands(&suite, &placed.id).await, stock(&suite).await), ([0, 0, 0, 5], (0, 0)));
    verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn an_order_that_ships_complete_waits_again_for_what_a_count_did_not_find(pool: PgPool) {
    let (suite, location, customer) = house(&pool, 3).await;
    let delivery = Some(NewDelivery { mode: DeliveryMode::ShipComplete.into(), ..Default::default() });
    let new = order::NewOrder { delivery, ..account_order(&customer, &[("TEA", 5)]) };
    let placed = suite.place(new).await.unwrap();
    quiet(&suite).await;
    let there = stock(&suite).await.1;
    count(&suite, &location, 1).await;
    let [reserved, waits, ..] = stands(&suite, &placed.id).await;
    assert_eq!((there, reserved, waits, work(&suite, &placed.id).await), (3, 1, 4, vec![]));
    suite.receive("TEA", &location, 4).await.unwrap();
    quiet(&suite).await;
    let all = work(&suite, &placed.id).await;
    assert_eq!((all.len(), all[0].lines[0].allocated), (1, 5), "in one piece");
    verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}
