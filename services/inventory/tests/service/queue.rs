//! The backorder queue as people see and change it, and what wakes those who serve it.

use crate::buckets::set_safety;
use crate::counts::entry;
use crate::kits::kit;
use crate::purchasing::{arrived, id};
use crate::testing::{NOW, Service, adjustment, all_or_nothing, backorder, item, start};
use crate::transfers::{self, plan};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use pesan_api::order::v1 as order;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse;
use pesan_inventory::ops::expire;
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;
use tonic::{Code, Status};
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

fn promised(lines: &[(&str, i64)], at: OffsetDateTime) -> pb::OrderDemand {
    pb::OrderDemand { promised_at: Some(to_timestamp(at)), ..backorder(lines) }
}

fn complete(lines: &[(&str, i64)]) -> pb::OrderDemand {
    pb::OrderDemand { ship_complete: true, ..backorder(lines) }
}

impl Service {
    async fn queue(&mut self, request: pb::ListBackordersRequest) -> Vec<pb::Backorder> {
        self.backorders.list_backorders(request).await.unwrap().into_inner().backorders
    }

    async fn waiting(&mut self, order: &pb::OrderDemand) -> i64 {
        self.reservation(&order.order_id).await.lines.iter().map(|line| line.backordered).sum()
    }

    async fn move_to(&mut self, request: pb::ReprioritiseBackorderRequest) -> Result<Vec<pb::Backorder>, Status> {
        Ok(self.backorders.reprioritise_backorder(request).await?.into_inner().backorders)
    }

    /// Does something that frees stock: the filler hears of it, and who waited has got it.
    async fn frees(&mut self, what: &str, waits: &pb::OrderDemand, does: impl AsyncFnOnce(&mut Service)) {
        assert!(self.waiting(waits).await > 0, "{what}: somebody waits");
        let rings = self.inventory.filler.listen();
        does(self).await;
        assert!(rings.has_changed().unwrap(), "{what} wakes the filler");
        self.fill().await;
        assert_eq!(self.waiting(waits).await, 0, "{what} serves who waited");
    }
}

fn fields(status: &Status) -> Vec<String> {
    let details = tonic_types::StatusExt::get_details_bad_request(status).unwrap();
    let mut fields: Vec<String> = details.field_violations.into_iter().map(|violation| violation.field).collect();
    fields.sort_unstable();
    fields
}

fn to_priority(order: &pb::OrderDemand, priority: i32) -> pb::ReprioritiseBackorderRequest {
    pb::ReprioritiseBackorderRequest {
        request_id: id(),
        order_id: order.order_id.clone(),
        priority: Some(priority),
        ..Default::default()
    }
}

#[sqlx::test(migrations = false)]
async fn of_one_priority_the_earliest_promise_is_served_first(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    let old = pb::OrderDemand { placed_at: Some(to_timestamp(NOW - DAY)), ..backorder(&[("MUG", 2)]) };
    let later = promised(&[("MUG", 2)], NOW + 9 * DAY);
    let sooner = promised(&[("MUG", 2)], NOW + 3 * DAY);
    let urgent = pb::OrderDemand { priority: 0, ..backorder(&[("MUG", 2)]) };
    for order in [&old, &later, &sooner] {
        service.reserve(&pb::OrderDemand { priority: 4, ..order.clone() }).await.unwrap();
    }
    service.reserve(&urgent).await.unwrap();
    let expected = [&urgent, &sooner, &later, &old];
    let queue = service.queue(pb::ListBackordersRequest::default()).await;
    let told: Vec<_> = queue.iter().map(|line| (line.order_id.as_str(), line.position, line.quantity_up_to)).collect();
    let positions = (1..).zip(expected).map(|(place, order)| (order.order_id.as_str(), place, 2 * place));
    assert_eq!(told, positions.collect::<Vec<_>>());
    for order in expected {
        service.receive("MUG", &location, 2).await;
        service.fill().await;
        assert_eq!(service.waiting(order).await, 0);
    }
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_ships_complete_waits_for_all_of_it_and_blocks_nobody(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0), ("POT", 0)]).await;
    service.upsert_items(vec![kit("SET", &[("MUG", 2), ("POT", 1)])]).await;
    let whole = complete(&[("MUG", 4), ("POT", 1), ("SET", 1)]);
    let behind = backorder(&[("MUG", 3)]);
    service.reserve_all(vec![whole.clone(), behind.clone()]).await;
    // One more than the one behind needs: it is nobody's, and who comes now may have it.
    service.receive("MUG", &location, 4).await;
    service.fill().await;
    assert_eq!((service.waiting(&whole).await, service.waiting(&behind).await), (6, 0));
    service.reserve(&all_or_nothing(&[("MUG", 1)])).await.unwrap();

    // All but the pot of its set: still nothing.
    service.receive("MUG", &location, 6).await;
    service.receive("POT", &location, 1).await;
    service.fill().await;
    assert_eq!(service.waiting(&whole).await, 6);
    service.receive("POT", &location, 1).await;
    service.fill().await;
    assert_eq!(service.waiting(&whole).await, 0);
    let filled = service.facts::<pb::BackordersFilled>().await;
    let of_whole: Vec<_> = filled.iter().filter(|(_, fact)| fact.order_id == whole.order_id).collect();
    assert_eq!((of_whole.len(), of_whole[0].1.lines.len()), (1, 3), "all of it at once");
    assert_eq!(service.levels("MUG").await, (10, 10, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn any_number_of_those_passed_over_hides_nobody(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0), ("POT", 0)]).await;
    // More than the filler looks at together; whether their sets can be completed it only sees when it serves them.
    service.upsert_items(vec![kit("SET", &[("POT", 1)])]).await;
    let wholes: Vec<_> = (0..230).map(|_| complete(&[("MUG", 1), ("SET", 1)])).collect();
    service.reserve_all(wholes).await;
    let behind = pb::OrderDemand { priority: 9, ..backorder(&[("MUG", 1)]) };
    service.reserve(&behind).await.unwrap();
    service.receive("MUG", &location, 1).await;
    service.fill().await;
    assert_eq!(service.waiting(&behind).await, 0);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn once_its_promise_has_passed_what_is_there_is_kept_for_it(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0), ("POT", 0)]).await;
    let whole = pb::OrderDemand { ship_complete: true, ..promised(&[("MUG", 4), ("POT", 1)], NOW + DAY) };
    service.reserve(&whole).await.unwrap();
    let fact = order::OrderConfirmed { order_id: whole.order_id.clone(), ..Default::default() };
    service.orders.tell(&whole.order_id, &[fact]).await;
    service.clock.advance(2 * DAY);
    let behind = backorder(&[("MUG", 3)]);
    service.reserve(&behind).await.unwrap();
    service.receive("MUG", &location, 5).await;
    service.fill().await;
    assert_eq!((service.waiting(&whole).await, service.waiting(&behind).await), (5, 2), "4 are kept, 1 is not");
    assert!(service.reserve(&all_or_nothing(&[("MUG", 1)])).await.is_err());

    // Promised for later: it lets go again.
    let later = pb::ReprioritiseBackorderRequest {
        priority: None,
        promised_at: Some(to_timestamp(NOW + 9 * DAY)),
        ..to_priority(&whole, 0)
    };
    service.frees("a later promise", &behind, async |service| drop(service.move_to(later).await.unwrap())).await;
    assert_eq!(service.waiting(&whole).await, 5);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_work_list_tells_what_is_on_its_way(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 0), ("CUP", 20), ("POT", 0)]).await;
    let shop = service.location("SHOP", 1).await;
    service.upsert_items(vec![kit("SET", &[("MUG", 1), ("POT", 2)])]).await;
    service.supplied(&[("MUG", 2), ("POT", 5)]).await;
    let bought = service.bought(&main, &[("MUG", 6), ("POT", 3)]).await;
    let moved = service.planned(plan(&main, &shop, &[("CUP", 20)])).await;
    service.ship(&moved.number).await.unwrap();

    let first = backorder(&[("MUG", 4), ("CUP", 2)]);
    let second = backorder(&[("MUG", 5), ("SET", 1)]);
    service.reserve_all(vec![first.clone(), second.clone()]).await;
    let fact = order::OrderConfirmed { order_id: first.order_id.clone(), ..Default::default() };
    service.orders.tell(&first.order_id, &[fact]).await;

    let queue = service.queue(pb::ListBackordersRequest::default()).await;
    let told: Vec<_> = queue
        .iter()
        .map(|line| {
            let supplies: Vec<_> = line.supplies.iter().map(|s| (s.number.as_str(), s.quantity)).collect();
            (line.sku.as_str(), line.position, line.quantity, line.quantity_up_to, line.confirmed, supplies)
        })
        .collect();
    let (po, transfer) = (bought.number.as_str(), moved.number.as_str());
    let expected = [
        ("CUP", 1, 2, 2, true, vec![(transfer, 2)]),
        ("MUG", 1, 4, 4, true, vec![(po, 4)]),
        ("MUG", 2, 5, 9, false, vec![(po, 2)]),
        ("SET", 1, 1, 1, false, vec![(po, 1)]),
    ];
    assert_eq!(told, expected);
    let supply = &queue[0].supplies[0];
    assert_eq!((supply.kind(), supply.location_id.as_str()), (pb::SupplyKind::Transfer, shop.as_str()));
    assert_eq!((supply.document_id.as_str(), supply.expected_at), (moved.id.as_str(), moved.expected_at));

    // A page after another, and what is asked for alone.
    let mut paged = Vec::new();
    let mut request = pb::ListBackordersRequest { page_size: 1, ..Default::default() };
    loop {
        let page = service.backorders.list_backorders(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.backorders.len(), 1);
        paged.extend(page.backorders);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(paged, queue);
    let skus = |queue: Vec<pb::Backorder>| queue.into_iter().map(|line| line.sku).collect::<Vec<_>>();
    let of_sku = service.queue(pb::ListBackordersRequest { sku: "MUG".into(), ..Default::default() }).await;
    assert_eq!(of_sku, queue[1..3]);
    let here = pb::ListBackordersRequest { location_id: shop, ..Default::default() };
    assert_eq!(skus(service.queue(here).await), ["CUP"]);
    let here = pb::ListBackordersRequest { location_id: main, ..Default::default() };
    assert_eq!(skus(service.queue(here).await), ["MUG", "MUG", "SET"]);
    let mine = pb::ListBackordersRequest { order_id: second.order_id, ..Default::default() };
    assert_eq!(service.queue(mine).await, queue[2..]);

    let wrong = pb::ListBackordersRequest {
        page_size: -1,
        page_token: "x".into(),
        location_id: "x".into(),
        order_id: "x".into(),
        ..Default::default()
    };
    let refused = service.backorders.list_backorders(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["location_id", "order_id", "page_size", "page_token"]);
}

#[sqlx::test(migrations = false)]
async fn an_order_is_moved_in_the_queue_once(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    let first = pb::OrderDemand { priority: 5, ..backorder(&[("MUG", 4)]) };
    let second = pb::OrderDemand { priority: 5, ..backorder(&[("MUG", 4), ("MUG", 1)]) };
    service.reserve_all(vec![first.clone(), second.clone()]).await;
    let sooner =
        pb::ReprioritiseBackorderRequest { promised_at: Some(to_timestamp(NOW + DAY)), ..to_priority(&second, 2) };
    let moved = service.move_to(sooner.clone()).await.unwrap();
    let told: Vec<_> = moved.iter().map(|line| (line.position, line.priority, line.promised_at)).collect();
    assert_eq!(told, [(1, 2, sooner.promised_at), (2, 2, sooner.promised_at)]);
    assert_eq!(service.move_to(sooner.clone()).await.unwrap(), moved, "once");
    let (event, fact) = service.facts::<pb::BackorderReprioritised>().await.remove(0);
    assert_eq!((event.aggregate_id.as_str(), event.version), (second.order_id.as_str(), 2));
    assert_eq!((fact.priority, fact.former_priority, fact.promised_at), (2, 5, sooner.promised_at));
    assert_eq!(fact.former_promised_at, None);

    service.receive("MUG", &location, 5).await;
    service.fill().await;
    assert_eq!((service.waiting(&first).await, service.waiting(&second).await), (4, 0));
    // Short of it again, it waits where it was moved to.
    let fact = fulfilment::ShortPicked {
        fulfilment_order_id: id(),
        order_id: second.order_id.clone(),
        location_id: location.clone(),
        lines: vec![fulfilment::ShipmentLine { line_no: 1, sku: "MUG".into(), quantity: 4, stocked: true }],
    };
    service.fulfilment.tell_of(&fact.fulfilment_order_id.clone(), &second.order_id, &[fact]);
    service.fulfilment.applied().await;
    let queue = service.queue(pb::ListBackordersRequest::default()).await;
    assert_eq!((queue[0].order_id.as_str(), queue[0].quantity), (second.order_id.as_str(), 4));
    let nothing =
        pb::ReprioritiseBackorderRequest { priority: None, clear_promised_at: true, ..to_priority(&second, 0) };
    assert_eq!(service.move_to(nothing).await.unwrap()[0].promised_at, None);
    assert_eq!(service.facts::<pb::BackorderReprioritised>().await.len(), 2);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_moved_is_refused(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 1)]).await;
    let held = backorder(&[("MUG", 1)]);
    let waits = backorder(&[("MUG", 1)]);
    service.reserve_all(vec![held.clone(), waits.clone()]).await;
    let unknown = service.move_to(to_priority(&backorder(&[("MUG", 1)]), 1)).await.unwrap_err();
    assert_eq!((unknown.code(), refuse::reason(&unknown).as_str()), (Code::NotFound, "RESERVATION_NOT_FOUND"));
    let nothing = service.move_to(to_priority(&held, 1)).await.unwrap_err();
    assert_eq!((nothing.code(), refuse::reason(&nothing).as_str()), (Code::FailedPrecondition, "NOTHING_WAITS"));
    let request = to_priority(&waits, 1);
    service.move_to(request.clone()).await.unwrap();
    let reused = service.move_to(pb::ReprioritiseBackorderRequest { priority: Some(2), ..request }).await.unwrap_err();
    assert_eq!((reused.code(), refuse::reason(&reused).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    let empty = service.move_to(pb::ReprioritiseBackorderRequest::default()).await.unwrap_err();
    assert_eq!(fields(&empty), ["order_id", "priority", "request_id"]);
    let both = pb::ReprioritiseBackorderRequest {
        promised_at: Some(to_timestamp(NOW)),
        clear_promised_at: true,
        ..to_priority(&waits, 10)
    };
    assert_eq!(fields(&service.move_to(both).await.unwrap_err()), ["clear_promised_at", "priority"]);
    assert_eq!(service.facts::<pb::BackorderReprioritised>().await.len(), 1);
}

#[sqlx::test(migrations = false)]
async fn whatever_comes_or_is_set_free_serves_who_waits(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 0)]).await;
    let shop = service.location("SHOP", 1).await;
    service.supplied(&[("MUG", 2)]).await;
    let waits = || backorder(&[("MUG", 1)]);
    let held = |quantity, quality_hold| pb::Adjustment { quality_hold, ..adjustment("MUG", &main, quantity, 0) };

    let order = waits();
    service.reserve(&order).await.unwrap();
    service.frees("a receipt", &order, async |service| drop(service.receive("MUG", &main, 1).await)).await;
    let order = waits();
    service.reserve(&order).await.unwrap();
    service.frees("a find", &order, async |service| drop(service.adjust(held(1, 0)).await.unwrap())).await;

    let order = waits();
    service.reserve(&order).await.unwrap();
    service.adjust(held(0, 1)).await.unwrap();
    service.frees("a good quality", &order, async |service| drop(service.adjust(held(1, -1)).await.unwrap())).await;

    let order = waits();
    set_safety(&mut service, &[("MUG", &main, 1)]).await[0].as_ref().unwrap();
    service.receive("MUG", &main, 1).await;
    service.reserve(&order).await.unwrap();
    service
        .frees("less kept back", &order, async |service| drop(set_safety(service, &[("MUG", &main, 0)]).await))
        .await;

    let order = waits();
    service.reserve(&order).await.unwrap();
    let bought = service.bought(&main, &[("MUG", 1)]).await;
    let line = arrived(1, 1, 0, 0, "");
    service
        .frees("a purchase", &order, async |service| drop(service.arrive(&bought.number, vec![line]).await.unwrap()))
        .await;

    let order = waits();
    service.receive("MUG", &main, 1).await;
    let moved = service.planned(plan(&main, &shop, &[("MUG", 1)])).await;
    service.ship(&moved.number).await.unwrap();
    service.reserve(&order).await.unwrap();
    let line = transfers::arrived(1, 0, 0, "");
    service.frees("a transfer", &order, async |service| drop(service.unload(&moved.number, line).await.unwrap())).await;

    let order = waits();
    service.reserve(&order).await.unwrap();
    let count = service.count(&shop, None).await;
    let counted = service.enter(&count.number, vec![entry("MUG", 2)], true).await.unwrap();
    service.frees("a count", &order, async |service| drop(service.approve(&counted).await.unwrap())).await;

    // Closed, a location promises nothing.
    let closed = pb::Location { code: "ATTIC".into(), rank: 9, closed: true, ..Default::default() };
    let attic = service.place(closed.clone()).await;
    service.receive("MUG", &attic, 1).await;
    let order = waits();
    service.reserve(&order).await.unwrap();
    service.fill().await;
    let open = pb::Location { closed: false, ..closed };
    service.frees("an opening", &order, async |service| drop(service.place(open).await)).await;
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn whatever_is_let_go_serves_who_waits(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 5)]).await;
    service.upsert_items(vec![item("CUP")]).await;
    let orders: Vec<_> = (0..5).map(|_| backorder(&[("MUG", 1)])).collect();
    service.reserve_all(orders.clone()).await;
    let [cancelled, rejected, amended, changed, ships] = &orders[..] else { unreachable!() };
    let waits = backorder(&[("MUG", 1)]);
    service.reserve(&waits).await.unwrap();

    let id_of = |order: &pb::OrderDemand| order.order_id.clone();
    let fact = order::OrderCancelled { order_id: id_of(cancelled), whole: true, ..Default::default() };
    service.frees("a cancellation", &waits, async |s| s.orders.tell(&cancelled.order_id, &[fact]).await).await;

    let waits = backorder(&[("MUG", 1)]);
    service.reserve(&waits).await.unwrap();
    let fact = order::OrderRejected { order_id: id_of(rejected), ..Default::default() };
    service.frees("a rejection", &waits, async |s| s.orders.tell(&rejected.order_id, &[fact]).await).await;

    let waits = backorder(&[("MUG", 1)]);
    service.reserve(&waits).await.unwrap();
    let fact = order::OrderAmended { order_id: id_of(amended), revision: 1, ..Default::default() };
    service.frees("an amendment", &waits, async |s| s.orders.tell(&amended.order_id, &[fact]).await).await;

    let waits = backorder(&[("MUG", 1)]);
    service.reserve(&waits).await.unwrap();
    let dropped = order::OrderChangeDropped { order_id: id_of(changed), revision: 1, line_nos: vec![1] };
    service.frees("a dropped change", &waits, async |s| s.orders.tell(&changed.order_id, &[dropped]).await).await;

    // Asked for anew before the promise, with less than it held.
    let waits = backorder(&[("MUG", 1)]);
    service.reserve(&waits).await.unwrap();
    let asks = pb::OrderDemand { order_id: id_of(ships), revision: 1, ..backorder(&[("CUP", 1)]) };
    service.frees("another demand", &waits, async |s| drop(s.reserve(&asks).await.unwrap())).await;

    let again = backorder(&[("MUG", 1)]);
    service.reserve(&again).await.unwrap();
    let back = fulfilment::ReturnReceivedLine {
        line_no: 1,
        sku: "MUG".into(),
        location_id: main.clone(),
        sellable: 1,
        stocked: true,
        ..Default::default()
    };
    let return_id = id();
    let fact = fulfilment::ReturnReceived {
        return_id: return_id.clone(),
        order_id: Uuid::now_v7().to_string(),
        lines: vec![back],
        ..Default::default()
    };
    let returns = async |service: &mut Service| {
        service.fulfilment.tell_of(&return_id, &fact.order_id.clone(), &[fact]);
        service.fulfilment.applied().await;
    };
    service.frees("a return", &again, returns).await;
}

#[sqlx::test(migrations = false)]
async fn what_lapses_or_waits_anew_is_looked_at(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 3)]).await;
    let main_again = main.clone();
    let lapses = backorder(&[("MUG", 4)]);
    service.reserve(&lapses).await.unwrap();
    service.clock.advance(Duration::from_secs(600));
    let waits = backorder(&[("MUG", 1)]);
    service.reserve(&waits).await.unwrap();
    service.clock.advance(Duration::from_secs(300));
    let expiry = async |service: &mut Service| {
        let due = service.clock.now();
        assert_eq!(expire::run_once(&service.inventory, Some(due)).await.unwrap(), 1);
    };
    service.frees("an expiry", &waits, expiry).await;

    // Confirmed after all: what it waited for has come meanwhile.
    service.receive("MUG", &main, 5).await;
    let allocation =
        order::AllocatedLine { line_no: 1, sku: "MUG".into(), location_id: main, quantity: 3, stocked: true };
    let fact = order::OrderConfirmed {
        order_id: lapses.order_id.clone(),
        allocations: vec![allocation],
        backordered: vec![order::LineQuantity { line_no: 1, quantity: 1 }],
        ..Default::default()
    };
    let rings = service.inventory.filler.listen();
    service.orders.tell(&lapses.order_id, &[fact]).await;
    assert!(rings.has_changed().unwrap(), "it waits anew");
    service.fill().await;
    assert_eq!(service.waiting(&lapses).await, 0);

    // Of one that ships complete, what is not to be had is cancelled: the rest of it is complete.
    service.upsert_items(vec![item("POT")]).await;
    let whole = complete(&[("MUG", 6), ("POT", 1)]);
    service.reserve(&whole).await.unwrap();
    service.receive("MUG", &main_again, 9).await;
    service.fill().await;
    assert!(service.waiting(&whole).await > 1);
    let line = order::CancelledLine { line_no: 2, quantity: 1, reserved: Vec::new(), backordered: 1 };
    let fact = order::OrderCancelled { order_id: whole.order_id.clone(), lines: vec![line], ..Default::default() };
    let cancels = async |service: &mut Service| service.orders.tell(&whole.order_id, &[fact]).await;
    service.frees("a cancelled line", &whole, cancels).await;
    service.assert_proven().await;
}
