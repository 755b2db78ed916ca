//! Wishes, orders that ship complete, dates and blocks: what is handed to fulfilment, and when.

use crate::changing::{change, plan};
use crate::following::stock_is_missing;
use crate::peers::{FakeInventory, HALL, day};
use crate::proving::{broken, digests, value};
use crate::suite::{Suite, order, parts, reason, start, start_at};
use pesan_api::inventory::v1::{BackordersFilled, FilledLine, ShortageBooked};
use pesan_api::order::v1::change::Kind;
use pesan_api::order::v1::*;
use pesan_grpc::parse::to_timestamp;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

pub fn with(delivery: NewDelivery, lines: &[(&str, i64)]) -> NewOrder {
    NewOrder { delivery: Some(delivery), ..order(lines) }
}

pub fn complete() -> NewDelivery {
    NewDelivery { mode: DeliveryMode::ShipComplete.into(), ..Default::default() }
}

pub fn blocked() -> NewDelivery {
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

pub fn withheld(order: &Order) -> i64 {
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
async fn what_a_count_did_not_find_of_what_is_kept_back_is_given_up(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite.peers.inventory, "TEA", 3);
    let placed = suite.place(with(complete(), &[("TEA", 5)])).await;
    assert_eq!(withheld(&placed), 3);
    stock_is_missing(&suite, &placed, HALL, 2);
    let less = suite.until_it(&placed.id, |order| withheld(order) == 1).await;
    assert_eq!(parts(&less.quantities), [("ordered", 5), ("reserved", 3), ("backordered", 2)]);
    let fact: OrderStockMissing = suite.fact(&placed.id).await;
    assert_eq!(fact.lines, [MissingLine { line_no: 1, location_id: HALL.into(), quantity: 0, withheld: 2 }]);
    suite.assert_proven().await;

    // Inventory books the shortage, and what comes then is kept back with the rest until all is there.
    let short = ShortageBooked {
        order_id: placed.id.clone(),
        line_no: 1,
        sku: "TEA".into(),
        location_id: HALL.into(),
        quantity: 2,
        backordered: 2,
    };
    suite.peers.inventory.feed.tell(&placed.id, &short);
    let waits = suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().backordered == 4).await;
    assert_eq!((parts(&waits.quantities)[1], withheld(&waits)), (("reserved", 1), 1));
    suite.assert_proven().await;
    fill(&suite, &placed, 1, 4);
    let all = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!((parts(&all.quantities), withheld(&all)), (vec![("ordered", 5), ("reserved", 5)], 0));
    assert_eq!(given(&suite, &placed).await, [(1, "TEA".into(), 5)]);
    suite.assert_proven().await;
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

type Lines = Vec<(i32, i64)>;

/// What a plan tells of parcels: what each gets, what it loses, what keeps it back.
fn told(plan: &ChangePlan) -> Vec<(Lines, Lines, Option<KeptBack>)> {
    let lines = |lines: &[CancelLine]| lines.iter().map(|line| (line.line_no, line.quantity)).collect();
    plan.parcels.iter().map(|p| (lines(&p.gets), lines(&p.loses), p.kept_back.clone())).collect()
}

#[sqlx::test(migrations = false)]
async fn a_plan_tells_what_becomes_of_goods_that_are_kept_back(pool: PgPool) {
    let suite = start(pool).await;
    stock(&suite.peers.inventory, "TEA", 2);
    let placed = suite.place(with(complete(), &[("TEA", 5), ("CUP", 3)])).await;
    assert_eq!(withheld(&placed), 5);
    let quantity = |line_no, quantity| Kind::SetQuantity(SetQuantity { line_no, quantity });
    let mug = || Kind::AddLine(AddLine { line: Some(crate::suite::line("MUG", 1)) });
    let asked = async |changes| told(&plan(&suite, &placed.id, changes).await.unwrap());
    let waits = |waits_for| Some(KeptBack { waits_for, ..Default::default() });

    // It still waits for TEA: what is added waits with it, what goes of it is in no parcel yet.
    assert_eq!(asked(vec![mug()]).await, [(vec![(3, 1)], vec![], waits(3))]);
    assert_eq!(asked(vec![quantity(2, 1), quantity(1, 4)]).await, [(vec![], vec![(2, 2)], waits(2))]);
    assert_eq!(asked(vec![quantity(1, 4)]).await, [], "what waits for stock is nowhere");
    let elsewhere = plan(&suite, &placed.id, vec![crate::changing::address()]).await.unwrap();
    assert_eq!(told(&elsewhere), [(vec![], vec![], waits(3))]);
    assert_eq!(elsewhere.parcels[0].ship_to, Some(crate::changing::elsewhere()), "it goes there when it goes");
    let later = Kind::SetShipDate(SetShipDate { not_before: day(9) });
    let both = KeptBack { until: day(9), waits_for: 3, ..Default::default() };
    assert_eq!(asked(vec![later]).await, [(vec![], vec![], Some(both))]);
    assert!(suite.peers.fulfilment.asked.lock().unwrap().is_empty());

    // Without what is missing it is complete: all of it goes, together with what is added.
    let whole = plan(&suite, &placed.id, vec![quantity(1, 2), mug()]).await.unwrap();
    assert_eq!(told(&whole), [(vec![(1, 2), (2, 3), (3, 1)], vec![], None)]);
    crate::changing::commit(&suite, crate::changing::commit_of(&whole)).await.unwrap();
    let amended: OrderAmended = suite.fact(&placed.id).await;
    let mut given: Vec<_> = amended.allocations.iter().map(|a| (a.line_no, a.quantity)).collect();
    given.sort_unstable();
    assert_eq!(given, [(1, 2), (2, 3), (3, 1)], "as it was told");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_plan_tells_when_a_date_or_a_block_lets_goods_go(pool: PgPool) {
    let suite = start(pool).await;
    let dated = NewDelivery { not_before: day(9), ..Default::default() };
    let placed = suite.place(with(dated, &[("TEA", 5)])).await;
    let date = |not_before| Kind::SetShipDate(SetShipDate { not_before });
    let until = |until| Some(KeptBack { until, ..Default::default() });
    let now = plan(&suite, &placed.id, vec![date(None)]).await.unwrap();
    assert_eq!(told(&now), [(vec![(1, 5)], vec![], None)], "nothing keeps it then");
    let later = plan(&suite, &placed.id, vec![date(day(12))]).await.unwrap();
    assert_eq!(told(&later), [(vec![], vec![], until(day(12)))]);
    let dates = later.dates.unwrap();
    assert_eq!((dates.old_not_before, dates.new_not_before), (day(9), day(12)));
    // Blocked, the date alone does not let it go.
    block(&suite, &placed.id).await.unwrap();
    let blocked = plan(&suite, &placed.id, vec![date(None)]).await.unwrap();
    let by_hand = KeptBack { block: "STOCKTAKING".into(), ..Default::default() };
    assert_eq!(told(&blocked), [(vec![], vec![], Some(by_hand))]);

    // What fulfilment has is withdrawn and kept back until the new date.
    let going = suite.place(order(&[("CUP", 2)])).await;
    let later = plan(&suite, &going.id, vec![date(day(12))]).await.unwrap();
    assert_eq!(told(&later), [(vec![(1, 2)], vec![], until(day(12)))]);
    crate::changing::commit(&suite, crate::changing::commit_of(&later)).await.unwrap();
    assert_eq!(withheld(&suite.get(&going.id).await), 2, "as it was told");
    suite.assert_proven().await;
}
