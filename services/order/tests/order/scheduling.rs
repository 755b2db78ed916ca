//! Wishes, orders that ship complete, dates and blocks: what is handed to fulfilment, and when.

use crate::changing::change;
use crate::peers::{FakeInventory, HALL, day};
use crate::proving::{broken, digests, value};
use crate::suite::{Suite, order, parts, reason, start, start_at};
use pesan_api::inventory::v1::{BackordersFilled, FilledLine};
use pesan_api::order::v1::change::Kind;
use pesan_api::order::v1::*;
use pesan_grpc::parse::to_timestamp;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

fn with(delivery: NewDelivery, lines: &[(&str, i64)]) -> NewOrder {
    NewOrder { delivery: Some(delivery), ..order(lines) }
}

fn complete() -> NewDelivery {
    NewDelivery { mode: DeliveryMode::ShipComplete.into(), ..Default::default() }
}

fn blocked() -> NewDelivery {
    NewDelivery { block: "CUSTOMER_MOVES".into(), ..Default::default() }
}

fn stock(inventory: &FakeInventory, sku: &str, quantity: i64) {
    inventory.stock.lock().unwrap().insert(sku.into(), quantity);
}

fn fill(suite: &Suite, placed: &Order, line_no: i32, quantity: i64) {
    let line = FilledLine { line_no, sku: "TEA".into(), location_id: HALL.into(), quantity };
    let fact = BackordersFilled { order_id: placed.id.clone(), lines: vec![line] };
    suite.peers.inventory.feed.tell(&placed.id, &fact);
}

/// What fulfilment was last given: line, quantity.
async fn given(suite: &Suite, placed: &Order) -> Vec<(i32, String, i64)> {
    let ready: OrderLinesReady = suite.fact(&placed.id).await;
    ready.allocations.into_iter().map(|a| (a.line_no, a.sku, a.quantity)).collect()
}

fn withheld(order: &Order) -> i64 {
    order.delivery.as_ref().map_or(0, |delivery| delivery.withheld)
}

async fn cancel(suite: &Suite, placed: &Order, lines: &[(i32, i64)]) -> Order {
    let request = CancelOrderRequest {
        request_id: Uuid::now_v7().to_string(),
        name: placed.id.clone(),
        lines: lines.iter().map(|(line_no, quantity)| CancelLine { line_no: *line_no, quantity: *quantity }).collect(),
        ..Default::default()
    };
    suite.orders.clone().cancel_order(request).await.unwrap().into_inner().order.unwrap()
}

async fn block(suite: &Suite, name: &str) -> Result<Order, tonic::Status> {
    let request_id = Uuid::now_v7().to_string();
    let request = BlockDeliveryRequest { request_id, name: name.into(), reason: "STOCKTAKING".into() };
    Ok(suite.schedules.clone().block_delivery(request).await?.into_inner().order.unwrap())
}

async fn release(suite: &Suite, name: &str) -> Order {
    let request = ReleaseDeliveryRequest { request_id: Uuid::now_v7().to_string(), name: name.into() };
    let first = suite.schedules.clone().release_delivery(request.clone()).await.unwrap().into_inner().order.unwrap();
    let again = suite.schedules.clone().release_delivery(request).await.unwrap().into_inner().order.unwrap();
    assert_eq!(first, again, "the same request has the same answer");
    first
}

#[sqlx::test(migrations = false)]
async fn an_order_that_ships_complete_is_handed_over_in_one_piece(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite.peers.inventory, "TEA", 2);
    let placed = suite.place(with(complete(), &[("TEA", 5), ("CUP", 1)])).await;
    assert_eq!(placed.state(), OrderState::Backordered);
    assert!(suite.peers.inventory.calls.lock().unwrap()[0][0].ship_complete, "inventory is told");
    let confirmed: OrderConfirmed = suite.fact(&placed.id).await;
    assert_eq!(confirmed.allocations, [], "fulfilment gets nothing yet");
    assert_eq!(withheld(&placed), 3);
    let (measures, all) = digests(&suite, vec![]).await;
    let of = |measure| value(&measures, &all[0], 1, measure);
    assert_eq!([of("reserved"), of("allocated"), of("backordered")], [2, 0, 3]);
    suite.assert_proven().await;

    fill(&suite, &placed, 1, 1);
    let some = suite.until_it(&placed.id, |order| withheld(order) == 4).await;
    assert_eq!(some.state(), OrderState::Backordered);
    assert_eq!(suite.fact_names(&placed.id).await.last().unwrap(), "OrderProgressed");
    suite.assert_proven().await;

    fill(&suite, &placed, 1, 2);
    let all = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!(withheld(&all), 0);
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 5), (2, "CUP".into(), 1)]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn without_what_was_cancelled_it_is_complete(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite.peers.inventory, "TEA", 2);
    let placed = suite.place(with(complete(), &[("TEA", 5), ("CUP", 3)])).await;
    // Of what is kept back, fulfilment has nothing to let go of.
    let less = cancel(&suite, &placed, &[(2, 1)]).await;
    assert_eq!((withheld(&less), less.state()), (4, OrderState::Backordered));
    let done = cancel(&suite, &placed, &[(1, 3)]).await;
    assert_eq!((withheld(&done), done.state()), (0, OrderState::Confirmed));
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 2), (2, "CUP".into(), 2)]);
    assert!(suite.peers.fulfilment.asked.lock().unwrap().is_empty());
    // Now it has.
    cancel(&suite, &placed, &[(1, 1)]).await;
    assert_eq!(suite.peers.fulfilment.asked.lock().unwrap().len(), 1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn nothing_is_handed_over_before_its_date(pool: PgPool) {
    let now = Clock::System.now();
    let clock = Clock::manual(now);
    let suite = start_at(pool, crate::peers::start().await, clock.clone()).await;
    let not_before = Some(to_timestamp(now + time::Duration::hours(2)));
    let placed = suite.place(with(NewDelivery { not_before, ..Default::default() }, &[("TEA", 5)])).await;
    assert_eq!((placed.state(), placed.not_before, withheld(&placed)), (OrderState::Confirmed, not_before, 5));
    assert_eq!(suite.peers.inventory.calls.lock().unwrap()[0][0].not_before, not_before);
    let confirmed: OrderConfirmed = suite.fact(&placed.id).await;
    assert_eq!((confirmed.allocations.len(), confirmed.not_before), (0, not_before));
    clock.advance(Duration::from_secs(2 * 3600 - 1));
    // One whose date has come meanwhile overtakes it: the worker has looked.
    let soon = Some(to_timestamp(clock.now() + time::Duration::milliseconds(500)));
    let other = suite.place(with(NewDelivery { not_before: soon, ..Default::default() }, &[("CUP", 1)])).await;
    clock.advance(Duration::from_millis(600));
    suite.until_it(&other.id, |order| withheld(order) == 0).await;
    assert_eq!(withheld(&suite.get(&placed.id).await), 5);
    suite.assert_proven().await;
    clock.advance(Duration::from_secs(1));
    suite.until_it(&placed.id, |order| withheld(order) == 0).await;
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 5)]);
    assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderConfirmed", "OrderLinesReady"]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_block_is_lifted_by_hand(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(with(blocked(), &[("TEA", 5)])).await;
    assert_eq!(placed.delivery.as_ref().unwrap().block, "CUSTOMER_MOVES");
    assert_eq!((placed.state(), withheld(&placed)), (OrderState::Confirmed, 5));
    suite.assert_proven().await;
    let free = release(&suite, &placed.id).await;
    assert_eq!(free.delivery, None);
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 5)]);
    let names = suite.fact_names(&placed.id).await;
    assert_eq!(names, ["OrderAccepted", "OrderConfirmed", "OrderDeliveryChanged", "OrderLinesReady"]);
    assert_eq!(release(&suite, &placed.id).await.version, free.version, "there is nothing left to lift");

    let status = block(&suite, &placed.id).await.unwrap_err();
    assert_eq!(reason(&status), "ALREADY_HANDED_OVER");
    let status = block(&suite, "SO-999999").await.unwrap_err();
    assert_eq!(reason(&status), "ORDER_NOT_FOUND");
    cancel(&suite, &placed, &[]).await;
    assert_eq!(reason(&block(&suite, &placed.id).await.unwrap_err()), "ORDER_CLOSED");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_comes_while_it_is_blocked_is_kept_back(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite.peers.inventory, "TEA", 2);
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let held = block(&suite, &placed.number).await.unwrap();
    assert_eq!((held.delivery.as_ref().unwrap().block.as_str(), withheld(&held)), ("STOCKTAKING", 0));
    fill(&suite, &placed, 1, 3);
    let all = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!((parts(&all.quantities), withheld(&all)), (vec![("ordered", 5), ("reserved", 5)], 3));
    let (measures, digest) = digests(&suite, vec![]).await;
    assert_eq!(value(&measures, &digest[0], 1, "allocated"), 2);
    release(&suite, &placed.id).await;
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 3)]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_change_takes_what_is_kept_back_without_asking(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(with(blocked(), &[("TEA", 5)])).await;
    let less = Kind::SetQuantity(SetQuantity { line_no: 1, quantity: 2 });
    let more = Kind::AddLine(AddLine { line: Some(crate::suite::line("CUP", 1)) });
    let changed = change(&suite, &placed.id, vec![less, more]).await;
    assert_eq!(
        (parts(&changed.quantities), withheld(&changed)),
        (vec![("ordered", 6), ("reserved", 3), ("cancelled", 3)], 3)
    );
    let amended: OrderAmended = suite.fact(&placed.id).await;
    assert_eq!(amended.allocations, []);
    assert!(suite.peers.fulfilment.asked.lock().unwrap().is_empty());
    suite.assert_proven().await;
    release(&suite, &placed.id).await;
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 2), (2, "CUP".into(), 1)]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn wishes_are_kept_and_keep_nothing_back(pool: PgPool) {
    let suite = start(pool).await;
    let wish = NewDelivery { requested_delivery_at: day(5), ..Default::default() };
    let mut new = with(wish, &[("TEA", 5), ("CUP", 1)]);
    new.lines[1].requested_ship_at = day(2);
    let placed = suite.place(new.clone()).await;
    let delivery = placed.delivery.clone().unwrap();
    assert_eq!((delivery.requested_delivery_at, delivery.withheld), (day(5), 0));
    assert_eq!(placed.lines[0].dates, None);
    assert_eq!(placed.lines[1].dates.as_ref().unwrap().requested_ship_at, day(2));
    assert_eq!(suite.place(new.clone()).await.id, placed.id);
    // The same request with another wish is another order.
    new.delivery.as_mut().unwrap().requested_delivery_at = day(6);
    let request = PlaceOrderRequest { order: Some(new), wait: PlaceWait::Durable.into() };
    let status = suite.orders.clone().place_order(request).await.unwrap_err();
    assert_eq!(reason(&status), "REQUEST_ID_REUSED");

    let mut nonsense = with(NewDelivery { block: "lower".into(), ..Default::default() }, &[("TEA", 1)]);
    nonsense.lines[0].requested_ship_at = day(9);
    nonsense.lines[0].requested_delivery_at = day(8);
    let request = PlaceOrderRequest { order: Some(nonsense), wait: PlaceWait::Durable.into() };
    let status = suite.orders.clone().place_order(request).await.unwrap_err();
    let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["order.delivery.block", "order.lines[0].requested_delivery_at"]);
}

#[sqlx::test(migrations = false)]
async fn what_is_kept_back_for_no_reason_is_found(pool: PgPool) {
    let suite = start(pool).await;
    suite.place(with(blocked(), &[("TEA", 5)])).await;
    suite.assert_proven().await;
    for (plant, undo) in [
        ("update orders set delivery_block = null", "update orders set delivery_block = 'B'"),
        ("update orders set withheld = 4", "update orders set withheld = 5"),
        (
            "update withheld set quantity = 6; update orders set withheld = 6",
            "update withheld set quantity = 5; update orders set withheld = 5",
        ),
    ] {
        sqlx::raw_sql(plant).execute(&suite.pool).await.unwrap();
        assert_eq!(broken(&suite).await, ["withheld_is_reserved_and_waits_for_something_named"], "{plant}");
        sqlx::raw_sql(undo).execute(&suite.pool).await.unwrap();
        suite.assert_proven().await;
    }
}
