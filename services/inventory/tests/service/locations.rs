//! How locations work: kind, hours, capacity, channels.

use crate::testing::{Service, all_or_nothing, backorder, item, start};
use pesan_api::inventory::v1 as pb;
use pesan_api::order::v1 as order;
use sqlx::PgPool;

fn shop(code: &str, rank: i32) -> pb::Location {
    pb::Location { code: code.into(), rank, ..pb::Location::default() }
}

/// Where a reservation is held: location and quantity.
async fn held(service: &mut Service, demand: &pb::OrderDemand) -> Vec<(String, i64)> {
    let reservation = service.reserve(demand).await.unwrap();
    let allocations = reservation.lines.into_iter().flat_map(|line| line.allocations);
    allocations.map(|at| (at.location_id, at.reserved)).collect()
}

#[sqlx::test(migrations = false)]
async fn how_a_location_works_is_kept_and_shown(pool: PgPool) {
    let mut service = start(&pool).await;
    let wanted = pb::Location {
        name: "Shop".into(),
        latitude: -6.2,
        longitude: 106.8,
        kind: pb::LocationKind::Store.into(),
        daily_capacity: 20,
        cut_off: "15:30".into(),
        time_zone: "Asia/Jakarta".into(),
        working_days: vec![1, 2, 3, 4, 5],
        holidays: vec!["2026-12-25".into(), "2027-01-01".into()],
        channels: vec!["pos".into(), "say \"web\" \\ x".into()],
        ..shop("JKT", 3)
    };
    let made = service.upsert_locations(vec![wanted.clone()]).await.remove(0).unwrap();
    assert_eq!(made, pb::Location { id: made.id.clone(), version: 1, ..wanted.clone() });
    let again = service.upsert_locations(vec![wanted.clone()]).await.remove(0).unwrap();
    assert_eq!(again.version, 1, "the same again changes nothing");
    let shown = service.items.list_locations(pb::ListLocationsRequest {}).await.unwrap().into_inner().locations;
    assert_eq!(shown, [made]);
    let plain = service.upsert_locations(vec![shop("PLAIN", 0)]).await.remove(0).unwrap();
    assert_eq!((plain.kind(), plain.time_zone.as_str()), (pb::LocationKind::Warehouse, "UTC"));
    assert_eq!(plain.working_days, [1, 2, 3, 4, 5, 6, 7]);

    let wrong = pb::Location {
        kind: 9,
        daily_capacity: -1,
        cut_off: "24:00".into(),
        time_zone: "Mars/Olympus".into(),
        working_days: vec![1, 8],
        holidays: vec!["25.12.2026".into()],
        channels: vec![String::new()],
        ..shop("X", 0)
    };
    let problem = service.upsert_locations(vec![wrong]).await.remove(0).unwrap_err();
    let mut fields: Vec<_> = problem.violations.iter().map(|v| v.field.as_str()).collect();
    fields.sort_unstable();
    let expected = ["channels[0]", "cut_off", "daily_capacity", "holidays[0]", "kind", "time_zone", "working_days[1]"];
    assert_eq!(fields, expected);
}

#[sqlx::test(migrations = false)]
async fn closed_locations_and_other_channels_give_nothing(pool: PgPool) {
    let mut service = start(&pool).await;
    service.upsert_items(vec![item("MUG")]).await;
    let store = service.place(pb::Location { channels: vec!["pos".into()], ..shop("STORE", 0) }).await;
    let closed = service.place(pb::Location { closed: true, ..shop("CLOSED", 1) }).await;
    for location in [&store, &closed] {
        service.receive("MUG", location, 5).await;
    }
    let of =
        |channel: &str, quantity| pb::OrderDemand { channel: channel.into(), ..all_or_nothing(&[("MUG", quantity)]) };
    assert_eq!(service.reserve(&of("web", 1)).await.unwrap_err().reason, "OUT_OF_STOCK");
    assert_eq!(held(&mut service, &of("pos", 2)).await, [(store.clone(), 2)]);

    // Who waits on the web neither gets the store's stock nor keeps it from the store's customers.
    let waits = pb::OrderDemand { channel: "web".into(), ..backorder(&[("MUG", 3)]) };
    assert_eq!(held(&mut service, &waits).await, []);
    service.fill().await;
    assert_eq!(held(&mut service, &of("pos", 3)).await, [(store.clone(), 3)]);
    // Opened again, the other one serves the queue first.
    service.place(shop("CLOSED", 1)).await;
    assert_eq!(service.reserve(&of("web", 3)).await.unwrap_err().reason, "OUT_OF_STOCK");
    service.fill().await;
    let line = service.reservation(&waits.order_id).await.lines.remove(0);
    assert_eq!((line.backordered, line.allocations[0].location_id.clone()), (0, closed));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_full_day_sends_orders_elsewhere_until_one_lets_go(pool: PgPool) {
    let mut service = start(&pool).await;
    service.upsert_items(vec![item("MUG")]).await;
    let small = service.place(pb::Location { daily_capacity: 2, ..shop("SMALL", 0) }).await;
    let large = service.place(shop("LARGE", 1)).await;
    service.receive("MUG", &small, 100).await;
    service.receive("MUG", &large, 2).await;
    let orders: Vec<_> = (0..4).map(|_| all_or_nothing(&[("MUG", 1)])).collect();
    let mut from = Vec::new();
    for reservation in service.reserve_all(orders.clone()).await {
        from.push(reservation.unwrap().lines[0].allocations[0].location_id.clone());
    }
    assert_eq!(from, [&small, &small, &large, &large].map(String::clone));
    let decision = pb::GetSourcingDecisionRequest { order_id: orders[2].order_id.clone() };
    let decision = service.sourcing.get_sourcing_decision(decision).await.unwrap().into_inner().decision.unwrap();
    let verdicts: Vec<_> = decision.candidates.iter().map(|c| (c.code.as_str(), c.verdict())).collect();
    assert_eq!(verdicts, [("LARGE", pb::SourcingVerdict::Chosen), ("SMALL", pb::SourcingVerdict::NoCapacity)]);
    // Nobody else has it: it ships from the full one on its next day.
    assert_eq!(held(&mut service, &all_or_nothing(&[("MUG", 1)])).await, [(small.clone(), 1)]);
    let days = "select orders from capacity_day order by day";
    assert_eq!(sqlx::query_scalar::<_, i32>(days).fetch_all(&pool).await.unwrap(), [2, 1]);

    // One of today's is rejected: its place is free again.
    let rejected = pesan_api::order::v1::OrderRejected { order_id: orders[0].order_id.clone(), ..Default::default() };
    service.orders.tell(&orders[0].order_id, &[rejected]).await;
    assert_eq!(sqlx::query_scalar::<_, i32>(days).fetch_all(&pool).await.unwrap(), [1, 1]);
    assert_eq!(held(&mut service, &all_or_nothing(&[("MUG", 1)])).await, [(small, 1)]);
    assert_eq!(sqlx::query_scalar::<_, i32>(days).fetch_all(&pool).await.unwrap(), [2, 1]);
}

/// How many orders ship from locations with a capacity, day by day.
async fn days(pool: &PgPool) -> Vec<i32> {
    sqlx::query_scalar("select orders from capacity_day order by location, day").fetch_all(pool).await.unwrap()
}

fn cancelled(demand: &pb::OrderDemand, location: &str, line_no: i32, reserved: i64) -> order::OrderCancelled {
    let reserved = vec![order::LocationQuantity { location_id: location.into(), quantity: reserved }];
    let line = order::CancelledLine { line_no, reserved, ..Default::default() };
    order::OrderCancelled { order_id: demand.order_id.clone(), lines: vec![line], whole: false, ..Default::default() }
}

#[sqlx::test(migrations = false)]
async fn who_lets_go_of_everything_gives_the_place_back_and_who_waited_takes_one(pool: PgPool) {
    let mut service = start(&pool).await;
    service.upsert_items(vec![item("MUG"), item("CUP")]).await;
    let small = service.place(pb::Location { code: "SMALL".into(), daily_capacity: 1, ..Default::default() }).await;
    service.receive("MUG", &small, 5).await;
    service.receive("CUP", &small, 5).await;
    let first = backorder(&[("MUG", 2), ("CUP", 1)]);
    service.reserve(&first).await.unwrap();
    assert_eq!(days(&pool).await, [1]);
    service.orders.tell(&first.order_id, &[cancelled(&first, &small, 1, 1)]).await;
    service.orders.tell(&first.order_id, &[cancelled(&first, &small, 2, 1)]).await;
    assert_eq!(days(&pool).await, [1], "one mug of it still ships");
    service.orders.tell(&first.order_id, &[cancelled(&first, &small, 1, 1)]).await;
    assert_eq!(days(&pool).await, [0]);

    // Who waits takes no place until there is something to ship.
    let waits = backorder(&[("MUG", 7)]);
    service.reserve(&waits).await.unwrap();
    assert_eq!(days(&pool).await, [1]);
    let waits_too = backorder(&[("MUG", 2)]);
    service.reserve(&waits_too).await.unwrap();
    assert_eq!(days(&pool).await, [1], "nothing to ship: no place");
    service.receive("MUG", &small, 4).await;
    service.fill().await;
    assert_eq!(service.reservation(&waits_too.order_id).await.lines[0].backordered, 0);
    assert_eq!(days(&pool).await, [2], "the day was full: it ships on it all the same");
    service.orders.tell(&waits_too.order_id, &[cancelled(&waits_too, &small, 1, 2)]).await;
    assert_eq!(days(&pool).await, [1]);
    service.assert_proven().await;
}
