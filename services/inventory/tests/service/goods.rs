//! What fulfilment does to stock.

use crate::testing::{Service, all_or_nothing, backorder, demand, gbp, receipt, service_item, start};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use sqlx::PgPool;
use uuid::Uuid;

pub fn line(line_no: i32, sku: &str, quantity: i64) -> fulfilment::ShipmentLine {
    fulfilment::ShipmentLine { line_no, sku: sku.into(), quantity, stocked: sku != "POSTAGE" }
}

fn issued(order_id: &str, location: &str, lines: Vec<fulfilment::ShipmentLine>) -> fulfilment::GoodsIssued {
    fulfilment::GoodsIssued {
        fulfilment_order_id: Uuid::now_v7().to_string(),
        order_id: order_id.into(),
        location_id: location.into(),
        lines,
        parcels: Vec::new(),
    }
}

pub async fn tell_issued(service: &Service, order_id: &str, location: &str, lines: Vec<fulfilment::ShipmentLine>) {
    let fact = issued(order_id, location, lines);
    service.fulfilment.tell_of(&fact.fulfilment_order_id.clone(), order_id, &[fact]);
    service.fulfilment.applied().await;
}

pub async fn tell_short(service: &Service, order_id: &str, location: &str, lines: Vec<fulfilment::ShipmentLine>) {
    let fulfilment_order_id = Uuid::now_v7().to_string();
    let fact = fulfilment::ShortPicked {
        fulfilment_order_id: fulfilment_order_id.clone(),
        order_id: order_id.into(),
        location_id: location.into(),
        lines,
    };
    service.fulfilment.tell_of(&fulfilment_order_id, order_id, &[fact]);
    service.fulfilment.applied().await;
}

#[sqlx::test(migrations = false)]
async fn issued_goods_leave_stock_at_their_cost(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0), ("CUP", 5)]).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let costs = [(10, gbp(2, 0)), (30, gbp(3, 0))];
    let receipts = costs.map(|(q, cost)| pb::Receipt { unit_cost: Some(cost), ..receipt("MUG", &location, q) });
    service.receive_all(receipts.to_vec()).await;
    let order = all_or_nothing(&[("MUG", 7), ("CUP", 1), ("POSTAGE", 1)]);
    service.reserve(&order).await.unwrap();

    tell_issued(&service, &order.order_id, &location, vec![line(1, "MUG", 5), line(3, "POSTAGE", 1)]).await;
    tell_issued(&service, &order.order_id, &location, vec![line(1, "MUG", 2), line(2, "CUP", 1)]).await;
    assert_eq!(service.levels("MUG").await, (33, 0, 0));
    assert_eq!(service.levels("CUP").await, (4, 0, 0));
    let told = service.facts::<pb::StockIssued>().await;
    let costs: Vec<_> = told.iter().map(|(_, fact)| fact.cost.clone()).collect();
    assert_eq!(costs, [Some(gbp(13, 750_000_000)), Some(gbp(5, 500_000_000))], "2.75 on average");
    let postage = &told[0].1.lines[1];
    assert_eq!((postage.sku.as_str(), postage.quantity, postage.cost.clone()), ("POSTAGE", 1, None));
    assert_eq!(told[1].1.lines[1].cost, None, "no cost of cups is known");
    let versions: Vec<i64> = told.iter().map(|(event, _)| event.version).collect();
    assert_eq!(versions, [2, 3]);

    let shown = service.reservation(&order.order_id).await;
    let moved = |line: usize| {
        let allocation = &shown.lines[line].allocations[0];
        (allocation.reserved, allocation.issued)
    };
    assert_eq!([moved(0), moved(1), moved(2)], [(0, 7), (0, 1), (0, 1)]);
    let movement = &service.movements("MUG").await[0];
    assert_eq!((movement.kind(), movement.quantity), (pb::MovementKind::Issue, -2));
    assert_eq!((&movement.reference, movement.unit_cost.clone()), (&order.order_id, Some(gbp(2, 750_000_000))));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_short_pick_goes_back_into_the_queue_or_is_refused(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let waits = backorder(&[("MUG", 4)]);
    let refuses = demand(pb::ShortagePolicy::WhatIsThere, &[("MUG", 6)]);
    service.reserve_all(vec![waits.clone(), refuses.clone()]).await;
    tell_short(&service, &waits.order_id, &location, vec![line(1, "MUG", 3)]).await;
    tell_short(&service, &refuses.order_id, &location, vec![line(1, "MUG", 2)]).await;
    assert_eq!(service.levels("MUG").await, (5, 5, 0));
    let booked: Vec<_> = service
        .facts::<pb::ShortageBooked>()
        .await
        .into_iter()
        .map(|(event, fact)| (fact.order_id, fact.quantity, fact.backordered, event.version))
        .collect();
    assert_eq!(booked, [(waits.order_id.clone(), 3, 3, 2), (refuses.order_id.clone(), 2, 0, 2)]);
    let line = &service.reservation(&waits.order_id).await.lines[0];
    assert_eq!((line.allocations[0].reserved, line.backordered, line.refused, line.quantity), (1, 3, 0, 4));
    let line = &service.reservation(&refuses.order_id).await.lines[0];
    assert_eq!((line.allocations[0].reserved, line.backordered, line.refused, line.quantity), (4, 0, 2, 6));
    let movements = service.movements("MUG").await;
    assert_eq!((movements[0].kind(), movements[0].quantity), (pb::MovementKind::ShortPick, -2));
    let told = service.facts::<pb::StockMoved>().await;
    assert_eq!(told.len(), 3, "the receipt and what was not found");

    // Elsewhere there is some: whoever waits gets it.
    let other = service.location("OTHER", 1).await;
    service.receive("MUG", &other, 3).await;
    service.fill().await;
    let line = &service.reservation(&waits.order_id).await.lines[0];
    assert_eq!((line.allocations[1].location_id.as_str(), line.allocations[1].reserved), (other.as_str(), 3));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_short_pick_is_filled_from_other_free_stock(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 4)]).await;
    let other = service.location("OTHER", 1).await;
    service.receive("MUG", &other, 4).await;
    let order = backorder(&[("MUG", 4)]);
    service.reserve(&order).await.unwrap();
    tell_short(&service, &order.order_id, &location, vec![line(1, "MUG", 3)]).await;
    let filled = service.next_fact::<pb::BackordersFilled>().await;
    assert_eq!((filled.lines[0].location_id.as_str(), filled.lines[0].quantity), (other.as_str(), 3));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn returned_goods_come_back_into_stock(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let bought = pb::Receipt { unit_cost: Some(gbp(2, 0)), ..receipt("MUG", &location, 10) };
    service.receive_all(vec![bought]).await;
    let order = all_or_nothing(&[("MUG", 6), ("POSTAGE", 1)]);
    service.reserve(&order).await.unwrap();
    tell_issued(&service, &order.order_id, &location, vec![line(1, "MUG", 6), line(2, "POSTAGE", 1)]).await;

    // To a location where the item never stood.
    let counter = service.location("RETURNS", 9).await;
    let return_id = Uuid::now_v7().to_string();
    let back = |line_no: i32, sku: &str, sellable: i64, damaged: i64| fulfilment::ReturnReceivedLine {
        line_no,
        sku: sku.into(),
        location_id: counter.clone(),
        sellable,
        damaged,
        stocked: sku != "POSTAGE",
        ..Default::default()
    };
    let fact = fulfilment::ReturnReceived {
        return_id: return_id.clone(),
        order_id: order.order_id.clone(),
        lines: vec![back(1, "MUG", 3, 2), back(2, "POSTAGE", 1, 0)],
        ..Default::default()
    };
    service.fulfilment.tell_of(&return_id, &order.order_id, &[fact]);
    service.fulfilment.applied().await;
    assert_eq!(service.levels("MUG").await, (7, 0, 2));
    let (event, told) = service.facts::<pb::StockReturned>().await.remove(0);
    assert_eq!((event.version, told.return_id.as_str(), told.cost), (3, return_id.as_str(), Some(gbp(6, 0))));
    let movement = &service.movements("MUG").await[0];
    assert_eq!((movement.quantity, movement.damaged, movement.kind()), (3, 2, pb::MovementKind::Return));
    assert_eq!((movement.reference.as_str(), movement.location_id.as_str()), (return_id.as_str(), counter.as_str()));
    service.assert_proven().await;

    let request = pesan_api::proof::v1::StreamDigestsRequest { subjects: vec![order.order_id.clone()] };
    let digests = service.proof.stream_digests(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert_eq!(digests.measures, ["reserved", "backordered", "shipped", "returned"]);
    let values: Vec<_> = digests.digests[0].parts.iter().map(|part| (part.part, part.values.clone())).collect();
    assert_eq!(values, [(1, vec![0, 0, 6, 5]), (2, vec![0, 0, 1, 1])]);
}

#[sqlx::test(migrations = false)]
async fn goods_that_the_books_did_not_know_of_are_found_when_they_leave(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 5)]).await;
    service.reserve(&all_or_nothing(&[("MUG", 4)])).await.unwrap();
    // An order of which nothing is known here ships 3: 1 is free, 2 were never booked.
    let unknown = Uuid::now_v7().to_string();
    tell_issued(&service, &unknown, &location, vec![line(1, "MUG", 3)]).await;
    assert_eq!(service.levels("MUG").await, (4, 4, 0));
    let movements: Vec<_> = service.movements("MUG").await.iter().map(|m| (m.quantity, m.reason.clone())).collect();
    assert_eq!(movements, [(-3, String::new()), (2, "UNBOOKED".into()), (5, String::new())]);
    assert_eq!(service.reservation(&unknown).await.lines[0].allocations[0].issued, 3);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_batch_of_shipments_is_one_write(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 1000), ("CUP", 1000)]).await;
    let orders: Vec<_> = (0..100).map(|_| all_or_nothing(&[("MUG", 2), ("CUP", 3)])).collect();
    service.reserve_all(orders.clone()).await;
    for order in &orders {
        let fact = issued(&order.order_id, &location, vec![line(1, "MUG", 2), line(2, "CUP", 3)]);
        service.fulfilment.tell_of(&fact.fulfilment_order_id.clone(), &order.order_id, &[fact]);
    }
    service.fulfilment.applied().await;
    assert_eq!(service.levels("MUG").await, (800, 0, 0));
    assert_eq!(service.levels("CUP").await, (700, 0, 0));
    assert_eq!(service.facts::<pb::StockIssued>().await.len(), 100);
    service.assert_proven().await;
}
