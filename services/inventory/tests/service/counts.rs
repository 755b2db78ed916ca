//! Cycle counts.

use crate::goods::{line, tell_issued, tell_short};
use crate::lots;
use crate::purchasing::id;
use crate::testing::{NOW, Service, backorder, item, receipt, start};
use crate::transfers::plan;
use pesan_api::inventory::v1 as pb;
use pesan_api::order::v1 as order;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse;
use sqlx::PgPool;
use std::time::Duration;
use tonic::Status;

pub fn entry(sku: &str, quantity: i64) -> pb::CountEntry {
    pb::CountEntry { sku: sku.into(), quantity, ..Default::default() }
}

impl Service {
    pub async fn count(&mut self, location: &str, threshold: Option<pb::ApprovalThreshold>) -> pb::Count {
        let request =
            pb::CreateCountRequest { request_id: id(), location_id: location.into(), threshold, ..Default::default() };
        self.counts.create_count(request).await.unwrap().into_inner().count.unwrap()
    }

    pub async fn enter(
        &mut self,
        name: &str,
        entries: Vec<pb::CountEntry>,
        complete: bool,
    ) -> Result<pb::Count, Status> {
        let request = pb::EnterCountRequest { request_id: id(), name: name.into(), entries, complete };
        Ok(self.counts.enter_count(request).await?.into_inner().count.unwrap())
    }

    pub async fn approve(&mut self, count: &pb::Count) -> Result<pb::Count, Status> {
        let request = pb::ApproveCountRequest {
            request_id: id(),
            name: count.number.clone(),
            version: count.version,
            approved_by: "kim".into(),
        };
        Ok(self.counts.approve_count(request).await?.into_inner().count.unwrap())
    }
}

impl Service {
    /// A purchase order, transfers, one of a lot, and a count of what there is.
    pub async fn with_documents(&mut self) {
        let main = self.location("MAIN", 0).await;
        let shop = self.location("SHOP", 1).await;
        self.supplied(&[("MUG", 2)]).await;
        self.bought(&main, &[("MUG", 5)]).await;
        self.planned(plan(&main, &shop, &[("MUG", 1)])).await;
        self.upsert_items(vec![pb::Item { tracking: pb::Tracking::Lot.into(), ..item("MILK") }]).await;
        lots::receive(self, "MILK", &main, 2, vec![lots::lot("A", 2, "")]).await.unwrap();
        let of_a_lot = self.planned(plan(&main, &shop, &[("MILK", 1)])).await;
        self.ship(&of_a_lot.number).await.unwrap();
        self.count(&main, None).await;
    }
}

async fn confirmed(service: &mut Service, sku: &str, quantity: i64) -> String {
    let demand = backorder(&[(sku, quantity)]);
    service.reserve(&demand).await.unwrap();
    let fact = order::OrderConfirmed { order_id: demand.order_id.clone(), ..Default::default() };
    service.orders.tell(&demand.order_id, &[fact]).await;
    demand.order_id
}

#[sqlx::test(migrations = false)]
async fn a_blind_count_books_the_difference_of_its_moment(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 20), ("CUP", 10)]).await;
    service.upsert_items(vec![item("POT")]).await;
    let count = service.count(&location, None).await;
    assert_eq!((count.number.as_str(), count.state(), count.lines.len()), ("CC-000001", pb::CountState::Counting, 2));
    let counting = service.enter("CC-000001", vec![entry("MUG", 18)], false).await.unwrap();
    let mug = |count: &pb::Count| count.lines.iter().find(|line| line.sku == "MUG").unwrap().clone();
    assert_eq!((mug(&counting).counted, mug(&counting).book), (Some(18), None), "counted blind");
    let incomplete = service.enter("CC-000001", vec![], true).await.unwrap_err();
    assert_eq!(refuse::reason(&incomplete), "COUNT_INCOMPLETE");

    // Goods come after the counting, and before it is told of: the cups were counted an hour ago.
    service.clock.advance(Duration::from_secs(3600));
    service.receive("MUG", &location, 5).await;
    service.receive("CUP", &location, 4).await;
    let cups = pb::CountEntry { counted_at: Some(to_timestamp(NOW)), ..entry("CUP", 11) };
    let counted = service.enter("CC-000001", vec![cups, entry("POT", 2)], true).await.unwrap();
    assert_eq!(counted.state(), pb::CountState::Counted);
    let shown: Vec<_> = counted.lines.iter().map(|line| (line.sku.as_str(), line.book, line.difference)).collect();
    let expected = [("CUP", Some(10), Some(1)), ("MUG", Some(20), Some(-2)), ("POT", Some(0), Some(2))];
    assert_eq!(shown, expected);
    assert_eq!(service.levels("MUG").await.0, 25, "nothing is booked before it is approved");

    let stale = pb::Count { version: 1, ..counted.clone() };
    assert_eq!(refuse::reason(&service.approve(&stale).await.unwrap_err()), "VERSION_CONFLICT");
    let approved = service.approve(&counted).await.unwrap();
    assert_eq!((approved.state(), approved.decided_by.as_str()), (pb::CountState::Approved, "kim"));
    assert_eq!(
        (service.levels("MUG").await.0, service.levels("CUP").await.0, service.levels("POT").await.0),
        (23, 15, 2)
    );
    let movement = service.movements("MUG").await.remove(0);
    assert_eq!((movement.kind(), movement.quantity), (pb::MovementKind::Count, -2));
    assert_eq!((movement.reason.as_str(), movement.reference.as_str()), ("COUNT", "CC-000001"));
    assert_eq!(refuse::reason(&service.approve(&approved).await.unwrap_err()), "WRONG_STATE");
    let (_, fact) = service.facts::<pb::StockCounted>().await.remove(0);
    assert_eq!(fact.lines.iter().map(|line| line.booked).sum::<i64>(), 1);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn small_differences_need_nobody_and_large_ones_can_be_rejected(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 100)]).await;
    let threshold = Some(pb::ApprovalThreshold { units: 3, percent: 2 });
    let small = service.count(&location, threshold).await;
    let done = service.enter(&small.id, vec![entry("MUG", 98)], true).await.unwrap();
    assert_eq!((done.state(), done.decided_by.as_str()), (pb::CountState::Approved, "threshold"));
    assert_eq!(service.levels("MUG").await.0, 98);

    let large = service.count(&location, threshold).await;
    let counted = service.enter(&large.id, vec![entry("MUG", 95)], true).await.unwrap();
    assert_eq!(counted.state(), pb::CountState::Counted, "three are more than two percent");
    let reject = |count: &pb::Count, recount| pb::RejectCountRequest {
        request_id: id(),
        name: count.number.clone(),
        version: count.version,
        rejected_by: "kim".into(),
        recount,
    };
    let again = service.counts.reject_count(reject(&counted, true)).await.unwrap().into_inner().count.unwrap();
    assert_eq!((again.state(), again.lines[0].counted), (pb::CountState::Counting, None));
    let counted = service.enter(&large.id, vec![entry("MUG", 50)], true).await.unwrap();
    let over = service.counts.reject_count(reject(&counted, false)).await.unwrap().into_inner().count.unwrap();
    assert_eq!(over.state(), pb::CountState::Rejected);
    assert_eq!(service.levels("MUG").await.0, 98);
    let list = pb::ListCountsRequest { state: pb::CountState::Rejected.into(), ..Default::default() };
    assert_eq!(service.counts.list_counts(list).await.unwrap().into_inner().counts.len(), 1);
    let get = pb::GetCountRequest { name: "CC-000009".into() };
    assert_eq!(refuse::reason(&service.counts.get_count(get).await.unwrap_err()), "COUNT_NOT_FOUND");
    let empty = service.location("EMPTY", 5).await;
    let nothing = pb::CreateCountRequest { request_id: id(), location_id: empty, ..Default::default() };
    assert_eq!(refuse::reason(&service.counts.create_count(nothing).await.unwrap_err()), "NOTHING_TO_COUNT");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn reserved_stock_that_is_not_there_makes_the_last_in_the_queue_fall_short(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 12)]).await;
    let first = confirmed(&mut service, "MUG", 4).await;
    let last = confirmed(&mut service, "MUG", 6).await;
    // Twelve on the books, ten of them promised, seven there: two free ones and three promised ones are missing.
    let count = service.count(&location, Some(pb::ApprovalThreshold { units: 50, percent: 100 })).await;
    let counted = service.enter(&count.id, vec![entry("MUG", 7)], true).await.unwrap();
    assert_eq!(counted.state(), pb::CountState::Counted, "an order falls short: somebody has to approve");
    let approved = service.approve(&counted).await.unwrap();
    let counted = &approved.lines[0];
    assert_eq!((counted.booked, counted.short, counted.moot), (-2, 3, 0));
    assert_eq!((service.levels("MUG").await.0, service.levels("MUG").await.1), (7, 7));
    assert_eq!(service.reservation(&first).await.lines[0].backordered, 0);
    let missing = service.reservation(&last).await;
    assert_eq!((missing.lines[0].allocations[0].reserved, missing.lines[0].backordered), (6, 0), "not taken yet");
    let (event, fact) = service.facts::<pb::ReservedStockMissing>().await.remove(0);
    assert_eq!((event.aggregate_id, event.version), (last.clone(), 2));
    assert_eq!((fact.line_no, fact.location_id.as_str(), fact.quantity), (1, location.as_str(), 3));
    assert!(service.facts::<pb::ShortageBooked>().await.is_empty());
    service.assert_proven().await;

    // The warehouse lets go of it: nothing more goes off the books.
    tell_short(&service, &last, &location, vec![line(1, "MUG", 3)]).await;
    assert_eq!(service.levels("MUG").await, (7, 7, 0));
    let short = service.reservation(&last).await;
    assert_eq!((short.lines[0].allocations[0].reserved, short.lines[0].backordered), (3, 3));
    let (event, fact) = service.facts::<pb::ShortageBooked>().await.remove(0);
    assert_eq!((event.aggregate_id, fact.quantity, fact.backordered), (last.clone(), 3, 3));
    service.assert_proven().await;
    // What is found again goes to who waits.
    service.receive_all(vec![receipt("MUG", &location, 3)]).await;
    service.fill().await;
    assert_eq!(service.reservation(&last).await.lines[0].backordered, 0);
    service.assert_proven().await;
}

/// Ten promised to one order, of which a count does not find so many.
async fn missing(service: &mut Service, quantity: i64) -> (String, String) {
    let location = service.stocked(&[("MUG", 10)]).await;
    let order = confirmed(service, "MUG", 10).await;
    let count = service.count(&location, None).await;
    let counted = service.enter(&count.id, vec![entry("MUG", 10 - quantity)], true).await.unwrap();
    service.approve(&counted).await.unwrap();
    assert_eq!(service.levels("MUG").await, (10 - quantity, 10 - quantity, 0));
    service.assert_proven().await;
    (location, order)
}

#[sqlx::test(migrations = false)]
async fn what_leaves_though_a_count_missed_it_is_found_again(pool: PgPool) {
    let mut service = start(&pool).await;
    let (location, order) = missing(&mut service, 4).await;
    tell_issued(&service, &order, &location, vec![line(1, "MUG", 8)]).await;
    assert_eq!(service.levels("MUG").await, (0, 0, 0), "six were there, two are found");
    let found = service.movements("MUG").await.into_iter().find(|movement| movement.reason == "UNBOOKED").unwrap();
    assert_eq!((found.kind(), found.quantity), (pb::MovementKind::Adjustment, 2));
    service.assert_proven().await;
    // The other two are still not there.
    tell_short(&service, &order, &location, vec![line(1, "MUG", 2)]).await;
    assert_eq!(service.levels("MUG").await, (0, 0, 0));
    let shown = service.reservation(&order).await;
    assert_eq!((shown.lines[0].allocations[0].issued, shown.lines[0].backordered), (8, 2));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_picker_who_misses_more_than_a_count_takes_the_rest_off_the_books(pool: PgPool) {
    let mut service = start(&pool).await;
    let (location, order) = missing(&mut service, 2).await;
    tell_short(&service, &order, &location, vec![line(1, "MUG", 5)]).await;
    assert_eq!(service.levels("MUG").await, (5, 5, 0));
    let off: Vec<i64> = service.movements("MUG").await.iter().map(|movement| movement.quantity).collect();
    assert_eq!(off, [-3, -2, 10]);
    // A second count finds the books right.
    let count = service.count(&location, None).await;
    let done = service.enter(&count.id, vec![entry("MUG", 5)], true).await.unwrap();
    assert_eq!(done.state(), pb::CountState::Approved);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_missing_is_not_free_when_the_order_lets_go(pool: PgPool) {
    let mut service = start(&pool).await;
    let (location, order) = missing(&mut service, 4).await;
    let reserved = vec![order::LocationQuantity { location_id: location.clone(), quantity: 3 }];
    let cancelled = order::CancelledLine { line_no: 1, quantity: 3, reserved, backordered: 0 };
    let fact =
        order::OrderCancelled { order_id: order.clone(), lines: vec![cancelled], whole: false, ..Default::default() };
    service.orders.tell(&order, &[fact]).await;
    assert_eq!(service.levels("MUG").await, (6, 3, 0), "the warehouse may still say that four are not there");
    service.assert_proven().await;
    let fact = order::OrderCancelled { order_id: order.clone(), whole: true, ..Default::default() };
    service.orders.tell(&order, &[fact]).await;
    assert_eq!(service.levels("MUG").await, (6, 0, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_gives_up_what_it_kept_back(pool: PgPool) {
    let mut service = start(&pool).await;
    let (location, order) = missing(&mut service, 4).await;
    let line =
        |quantity, withheld| order::MissingLine { line_no: 1, location_id: location.clone(), quantity, withheld };
    let told = |lines| order::OrderStockMissing { order_id: order.clone(), lines };
    service.orders.tell(&order, &[told(vec![line(1, 3)])]).await;
    assert_eq!(service.levels("MUG").await, (6, 6, 0));
    let shown = service.reservation(&order).await;
    assert_eq!((shown.lines[0].allocations[0].reserved, shown.lines[0].backordered), (7, 3));
    let (_, fact) = service.facts::<pb::ShortageBooked>().await.remove(0);
    assert_eq!((fact.quantity, fact.backordered, fact.location_id.as_str()), (3, 3, location.as_str()));
    service.assert_proven().await;
    // More than is missing any more: the rest is there, and comes back to who waits.
    service.orders.tell(&order, &[told(vec![line(0, 2)])]).await;
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (6, 6, 0));
    let shown = service.reservation(&order).await;
    assert_eq!((shown.lines[0].allocations[0].reserved, shown.lines[0].backordered), (6, 4));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_promised_to_unsettled_orders_is_not_taken_from_them(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 5)]).await;
    let demand = backorder(&[("MUG", 5)]);
    service.reserve(&demand).await.unwrap();
    let count = service.count(&location, None).await;
    let counted = service.enter(&count.id, vec![entry("MUG", 3)], true).await.unwrap();
    assert_eq!(refuse::reason(&service.approve(&counted).await.unwrap_err()), "UNSETTLED");
    let fact = order::OrderRejected { order_id: demand.order_id.clone(), ..Default::default() };
    service.orders.tell(&demand.order_id, &[fact]).await;
    service.approve(&counted).await.unwrap();
    assert_eq!(service.levels("MUG").await, (3, 0, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_count_that_its_movements_contradict_is_found(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let count = service.count(&location, None).await;
    let counted = service.enter(&count.id, vec![entry("MUG", 8)], true).await.unwrap();
    service.approve(&counted).await.unwrap();
    service.assert_proven().await;
    for plant in [
        "update stock_count_line set booked = -1, moot = 1",
        "update stock_count_line set booked = -2, moot = 0, counted = 9",
    ] {
        sqlx::query(plant).execute(&pool).await.unwrap();
        let found: Vec<String> =
            service.check().await.into_iter().filter(|r| !r.violations.is_empty()).map(|r| r.name).collect();
        assert_eq!(found, ["counts_are_their_movements"], "{plant}");
    }
}
