//! Bundles: sold as one, held as parts.

use crate::testing::{Service, all_or_nothing, backorder, gbp, item, receipt, start};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use pesan_api::order::v1 as order;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

pub fn kit(sku: &str, components: &[(&str, i64)]) -> pb::Item {
    let component = |(sku, quantity): &(&str, i64)| pb::KitComponent { sku: (*sku).into(), quantity: *quantity };
    let components = components.iter().map(component).collect();
    pb::Item { kind: pb::ItemKind::Kit.into(), components, ..item(sku) }
}

/// A tea set of two mugs and a pot, with stock for three.
async fn tea_sets(service: &mut Service) -> String {
    let location = service.stocked(&[("MUG", 7), ("POT", 3)]).await;
    let made = service.upsert_items(vec![kit("SET", &[("MUG", 2), ("POT", 1)])]).await.remove(0).unwrap();
    assert_eq!(made.components.len(), 2);
    location
}

/// (on hand, reserved) of mugs and pots.
async fn parts(service: &mut Service) -> [(i64, i64); 2] {
    let mugs = service.levels("MUG").await;
    let pots = service.levels("POT").await;
    [(mugs.0, mugs.1), (pots.0, pots.1)]
}

fn shipment(line_no: i32, quantity: i64) -> fulfilment::ShipmentLine {
    fulfilment::ShipmentLine { line_no, sku: "SET".into(), quantity, stocked: true }
}

async fn issue(service: &Service, order_id: &str, location: &str, quantity: i64) {
    let fulfilment_order_id = Uuid::now_v7().to_string();
    let fact = fulfilment::GoodsIssued {
        fulfilment_order_id: fulfilment_order_id.clone(),
        order_id: order_id.into(),
        location_id: location.into(),
        lines: vec![shipment(1, quantity)],
        ..Default::default()
    };
    service.fulfilment.tell_of(&fulfilment_order_id, order_id, &[fact]);
    service.fulfilment.applied().await;
}

#[sqlx::test(migrations = false)]
async fn a_kit_is_described_by_its_components(pool: PgPool) {
    let mut service = start(&pool).await;
    tea_sets(&mut service).await;
    let shown = service.items.get_item(pb::GetItemRequest { sku: "SET".into() }).await.unwrap().into_inner().item;
    let mut expected = kit("SET", &[("MUG", 2), ("POT", 1)]);
    expected.version = 1;
    expected.base_unit = pb::BaseUnit::Each.into();
    expected.tracking = pb::Tracking::None.into();
    expected.valuation = pb::ValuationMethod::MovingAverage.into();
    assert_eq!(shown, Some(expected));
    let same = service.upsert_items(vec![kit("SET", &[("POT", 1), ("MUG", 2)])]).await.remove(0).unwrap();
    assert_eq!(same.version, 1, "the same again, in whatever order");
    let changed = service.upsert_items(vec![kit("SET", &[("MUG", 4)])]).await.remove(0).unwrap();
    assert_eq!((changed.version, changed.components.len()), (2, 1));

    for (wrong, reason, field) in [
        (kit("X", &[]), "INVALID_ARGUMENT", "components"),
        (kit("X", &[("MUG", 0)]), "INVALID_ARGUMENT", "components[0].quantity"),
        (kit("X", &[("MUG", 1), ("MUG", 1)]), "INVALID_ARGUMENT", "components[1].sku"),
        (pb::Item { components: kit("X", &[("MUG", 1)]).components, ..item("X") }, "INVALID_ARGUMENT", "components"),
        (kit("X", &[("NOPE", 1)]), "UNKNOWN_COMPONENT", "components[0].sku"),
        (kit("X", &[("SET", 1)]), "UNKNOWN_COMPONENT", "components[0].sku"),
        (kit("X", &[("X", 1)]), "UNKNOWN_COMPONENT", "components[0].sku"),
    ] {
        let problem = service.upsert_items(vec![wrong]).await.remove(0).unwrap_err();
        assert_eq!((problem.reason.as_str(), problem.violations[0].field.as_str()), (reason, field));
    }
    // A component may come in the same list, and stays stocked from then on.
    let both = service.upsert_items(vec![item("LID"), kit("LIDDED", &[("LID", 1)])]).await;
    assert!(both.iter().all(Result::is_ok));
    let service_now = pb::Item { kind: pb::ItemKind::Service.into(), ..item("LID") };
    assert_eq!(service.upsert_items(vec![service_now]).await.remove(0).unwrap_err().reason, "ITEM_IN_USE");
    let location = service.location("MAIN", 0).await;
    let refused = service.receive_all(vec![receipt("SET", &location, 1)]).await.remove(0).unwrap_err();
    assert_eq!(refused.reason, "NOT_STOCKED", "kits have no stock of their own");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn kits_hold_their_parts_from_reservation_to_return(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = tea_sets(&mut service).await;
    let costly = [("MUG", 1, gbp(2, 0)), ("POT", 1, gbp(10, 0))];
    let receipts = costly.map(|(sku, q, cost)| pb::Receipt { unit_cost: Some(cost), ..receipt(sku, &location, q) });
    service.receive_all(receipts.to_vec()).await;
    assert_eq!(parts(&mut service).await, [(8, 0), (4, 0)]);
    assert_eq!(service.availability("SET").await.available, 4, "as many as the pots allow, or the mugs");

    let sets = all_or_nothing(&[("SET", 3), ("MUG", 1)]);
    let line = service.reserve(&sets).await.unwrap().lines.remove(0);
    assert_eq!((line.quantity, line.stocked, line.allocations[0].reserved), (3, true, 3), "outside it counts kits");
    assert_eq!(parts(&mut service).await, [(8, 7), (4, 3)]);
    assert_eq!(service.reserve(&all_or_nothing(&[("SET", 1)])).await.unwrap_err().reason, "OUT_OF_STOCK");
    service.assert_proven().await;

    // The proof explodes kits: one mug more that nobody holds is found.
    sqlx::query("update stock set reserved = reserved + 1 where item = (select id from item where sku = 'MUG')")
        .execute(&pool)
        .await
        .unwrap();
    let broken = service.check().await.into_iter().find(|r| r.name == "reserved_is_sum_of_open_reservations").unwrap();
    assert_eq!(broken.violations[0].what, "8 reserved, but open reservations hold 7");
    sqlx::query("update stock set reserved = reserved - 1 where item = (select id from item where sku = 'MUG')")
        .execute(&pool)
        .await
        .unwrap();

    // The kit changes; what was promised stays as it was composed then.
    service.upsert_items(vec![kit("SET", &[("POT", 5)])]).await.remove(0).unwrap();
    issue(&service, &sets.order_id, &location, 2).await;
    assert_eq!(parts(&mut service).await, [(4, 3), (2, 1)]);
    let told = service.facts::<pb::StockIssued>().await.remove(0).1;
    assert_eq!((told.lines[0].sku.as_str(), told.lines[0].quantity), ("SET", 2));
    assert_eq!(told.cost, Some(gbp(28, 0)), "four mugs and two pots");

    let cancelled = order::CancelledLine {
        line_no: 1,
        reserved: vec![order::LocationQuantity { location_id: location.clone(), quantity: 1 }],
        ..Default::default()
    };
    let fact = order::OrderCancelled { order_id: sets.order_id.clone(), lines: vec![cancelled], ..Default::default() };
    service.orders.tell(&sets.order_id, &[fact]).await;
    assert_eq!(parts(&mut service).await, [(4, 1), (2, 0)]);

    let back = fulfilment::ReturnReceivedLine {
        line_no: 1,
        sku: "SET".into(),
        location_id: location.clone(),
        stocked: true,
        sellable: 1,
        damaged: 1,
        ..Default::default()
    };
    let return_id = Uuid::now_v7().to_string();
    let fact = fulfilment::ReturnReceived {
        return_id: return_id.clone(),
        order_id: sets.order_id.clone(),
        lines: vec![back],
        ..Default::default()
    };
    service.fulfilment.tell_of(&return_id, &sets.order_id, &[fact]);
    service.fulfilment.applied().await;
    assert_eq!(service.levels("MUG").await, (6, 1, 2));
    assert_eq!(service.levels("POT").await, (3, 0, 1));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn kits_wait_in_one_line_with_their_parts(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = tea_sets(&mut service).await;
    let waits = backorder(&[("SET", 5)]);
    let line = service.reserve(&waits).await.unwrap().lines.remove(0);
    assert_eq!((line.allocations[0].reserved, line.backordered), (3, 2));
    assert_eq!(parts(&mut service).await, [(7, 6), (3, 3)]);
    // The seventh mug completes no set: who wants just a mug gets it.
    assert!(service.reserve(&all_or_nothing(&[("MUG", 1)])).await.is_ok());
    // A pot and three mugs make one more set; the mug that is left is free again.
    service.receive("POT", &location, 1).await;
    service.receive("MUG", &location, 3).await;
    service.fill().await;
    let line = service.reservation(&waits.order_id).await.lines.remove(0);
    assert_eq!((line.allocations[0].reserved, line.backordered), (4, 1));
    assert!(service.reserve(&all_or_nothing(&[("MUG", 1)])).await.is_ok());
    service.assert_proven().await;

    // A short pick puts a whole set back into the queue, and off the books.
    let fulfilment_order_id = Uuid::now_v7().to_string();
    let short = fulfilment::ShortPicked {
        fulfilment_order_id: fulfilment_order_id.clone(),
        order_id: waits.order_id.clone(),
        location_id: location.clone(),
        lines: vec![shipment(1, 1)],
    };
    service.fulfilment.tell_of(&fulfilment_order_id, &waits.order_id, &[short]);
    service.fulfilment.applied().await;
    let line = service.reservation(&waits.order_id).await.lines.remove(0);
    assert_eq!((line.allocations[0].reserved, line.backordered), (3, 2));
    assert_eq!(parts(&mut service).await, [(8, 8), (3, 3)]);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_kit_is_reserved_where_all_its_parts_stand_and_lapses_whole(pool: PgPool) {
    let mut service = start(&pool).await;
    tea_sets(&mut service).await;
    let mugs_only = service.location("MUGS", 1).await;
    service.receive("MUG", &mugs_only, 100).await;
    let order = all_or_nothing(&[("SET", 3)]);
    let line = service.reserve(&order).await.unwrap().lines.remove(0);
    assert_eq!(line.allocations.len(), 1, "mugs elsewhere make no set");
    let told = service.promise(&backorder(&[("SET", 1)])).await.unwrap();
    assert_eq!((told.lines[0].sources.len(), told.lines[0].undated), (0, 1));
    service.clock.advance(Duration::from_secs(16 * 60));
    service.orders.nothing_new();
    service.next_fact::<pb::ReservationExpired>().await;
    assert_eq!(parts(&mut service).await, [(107, 0), (3, 0)]);
    assert!(service.reserve(&order).await.is_ok());
    service.assert_proven().await;
}
