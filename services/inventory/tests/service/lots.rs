//! Lots and serial numbers.

use crate::testing::{NOW, Service, adjustment, all_or_nothing, item, receipt, start};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use pesan_inventory::ops::expire_lots;
use sqlx::PgPool;
use std::time::Duration;
use time::macros::datetime;
use uuid::Uuid;

pub fn lot(code: &str, quantity: i64, expires_on: &str) -> pb::LotQuantity {
    pb::LotQuantity { lot: code.into(), quantity, expires_on: expires_on.into() }
}

pub async fn started(pool: &PgPool) -> (Service, String) {
    let mut service = start(pool).await;
    let tracked = |sku: &str, tracking: pb::Tracking| pb::Item { tracking: tracking.into(), ..item(sku) };
    let items = vec![tracked("MILK", pb::Tracking::Lot), tracked("PHONE", pb::Tracking::Serial), item("MUG")];
    service.upsert_items(items).await;
    let location = service.location("MAIN", 0).await;
    (service, location)
}

pub async fn receive(
    service: &mut Service,
    sku: &str,
    location: &str,
    quantity: i64,
    lots: Vec<pb::LotQuantity>,
) -> Result<pb::StockLevel, String> {
    let receipt = pb::Receipt { lots, reference: "PO-1".into(), ..receipt(sku, location, quantity) };
    service.receive_all(vec![receipt]).await.remove(0).map_err(|problem| problem.reason)
}

/// Lot, on hand, damaged, quality hold.
pub async fn shown(service: &mut Service, sku: &str) -> Vec<(String, i64, i64, i64)> {
    let request = pb::ListLotsRequest { sku: sku.into(), ..Default::default() };
    let lots = service.lots.list_lots(request).await.unwrap().into_inner().lots;
    lots.into_iter().map(|lot| (lot.lot, lot.on_hand, lot.damaged, lot.quality_hold)).collect()
}

pub async fn ship(service: &Service, order_id: &str, location: &str, sku: &str, quantity: i64) {
    let id = Uuid::now_v7().to_string();
    let line = fulfilment::ShipmentLine { line_no: 1, sku: sku.into(), quantity, stocked: true };
    let fact = fulfilment::GoodsIssued {
        fulfilment_order_id: id.clone(),
        order_id: order_id.into(),
        location_id: location.into(),
        lines: vec![line],
        parcels: Vec::new(),
    };
    service.fulfilment.tell_of(&id, order_id, &[fact]);
    service.fulfilment.applied().await;
}

async fn send_back(service: &Service, order_id: &str, location: &str, sku: &str, sellable: i64, damaged: i64) {
    let id = Uuid::now_v7().to_string();
    let line = fulfilment::ReturnReceivedLine {
        line_no: 1,
        sku: sku.into(),
        location_id: location.into(),
        sellable,
        damaged,
        stocked: true,
        ..Default::default()
    };
    let fact = fulfilment::ReturnReceived {
        return_id: id.clone(),
        order_id: order_id.into(),
        lines: vec![line],
        ..Default::default()
    };
    service.fulfilment.tell_of(&id, order_id, &[fact]);
    service.fulfilment.applied().await;
}

#[sqlx::test(migrations = false)]
async fn what_comes_of_a_tracked_item_must_be_named(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    for (sku, quantity, lots, expected) in [
        ("MILK", 1, vec![], Err("LOT_REQUIRED")),
        ("PHONE", 1, vec![], Err("SERIAL_REQUIRED")),
        ("MUG", 1, vec![lot("A", 1, "")], Err("NOT_TRACKED")),
        ("MILK", 3, vec![lot("A", 2, "")], Err("LOT_QUANTITY")),
        ("PHONE", 2, vec![lot("S1", 2, "")], Err("LOT_QUANTITY")),
        ("MILK", 5, vec![lot("A", 3, "2027-01-31"), lot("B", 2, "")], Ok(5)),
        ("MILK", 1, vec![lot("A", 1, "2027-02-01")], Err("LOT_EXPIRY")),
        ("MILK", 1, vec![lot("A", 1, "31.1.2027")], Err("INVALID_ARGUMENT")),
        ("PHONE", 2, vec![lot("S1", 0, ""), lot("S2", 1, "")], Ok(2)),
        ("PHONE", 1, vec![lot("S1", 1, "")], Err("SERIAL_IN_STOCK")),
    ] {
        let outcome = receive(&mut service, sku, &main, quantity, lots).await.map(|level| level.on_hand);
        assert_eq!(outcome, expected.map_err(str::to_owned), "{sku} {quantity}");
    }
    let other = service.location("OTHER", 1).await;
    let elsewhere = receive(&mut service, "PHONE", &other, 1, vec![lot("S2", 1, "")]).await;
    assert_eq!(elsewhere.unwrap_err(), "SERIAL_IN_STOCK");
    assert_eq!(shown(&mut service, "MILK").await, [("A".to_owned(), 3, 0, 0), ("B".to_owned(), 2, 0, 0)]);
    let change = pb::Item { tracking: pb::Tracking::None.into(), ..item("MILK") };
    assert_eq!(service.upsert_items(vec![change]).await[0].as_ref().unwrap_err().reason, "ITEM_IN_USE");
    // Without a name what expires first goes; a named one goes as it is named.
    service.adjust(adjustment("MILK", &main, -1, 1)).await.unwrap();
    let named = pb::Adjustment { lots: vec![lot("B", 1, "")], quality_hold: 1, ..adjustment("MILK", &main, -1, 0) };
    service.adjust(named).await.unwrap();
    assert_eq!(shown(&mut service, "MILK").await, [("A".to_owned(), 2, 1, 0), ("B".to_owned(), 1, 0, 1)]);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_expires_first_is_shipped_first_and_can_be_recalled(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    let lots = vec![lot("LATE", 5, "2027-03-01"), lot("SOON", 5, "2027-01-01")];
    receive(&mut service, "MILK", &main, 10, lots).await.unwrap();
    let orders = [all_or_nothing(&[("MILK", 4)]), all_or_nothing(&[("MILK", 3)])];
    service.reserve_all(orders.to_vec()).await;
    ship(&service, &orders[0].order_id, &main, "MILK", 4).await;
    ship(&service, &orders[1].order_id, &main, "MILK", 3).await;
    let told: Vec<Vec<(String, i64)>> = service
        .facts::<pb::StockIssued>()
        .await
        .into_iter()
        .map(|(_, fact)| fact.lines[0].lots.iter().map(|lot| (lot.lot.clone(), lot.quantity)).collect())
        .collect();
    let of = |lots: &[(&str, i64)]| -> Vec<(String, i64)> { lots.iter().map(|(l, q)| ((*l).into(), *q)).collect() };
    assert_eq!(told, [of(&[("SOON", 4)]), of(&[("SOON", 1), ("LATE", 2)])]);

    // What comes back is what the order got last.
    send_back(&service, &orders[1].order_id, &main, "MILK", 1, 1).await;
    let back = service.facts::<pb::StockReturned>().await.remove(0).1;
    let back: Vec<_> = back.lines[0].lots.iter().map(|lot| (lot.lot.as_str(), lot.quantity)).collect();
    assert_eq!(back.iter().map(|(_, quantity)| quantity).sum::<i64>(), 2);

    let request =
        pb::ListLotOrdersRequest { sku: "MILK".into(), lot: "SOON".into(), page_size: 1, ..Default::default() };
    let first = service.lots.list_lot_orders(request.clone()).await.unwrap().into_inner();
    let request = pb::ListLotOrdersRequest { page_token: first.next_page_token.clone(), ..request };
    let second = service.lots.list_lot_orders(request).await.unwrap().into_inner();
    let mut recalled = [first.orders[0].clone(), second.orders[0].clone()];
    recalled.sort_by_key(|order| order.shipped);
    let shipped: Vec<_> = recalled.iter().map(|order| (order.order_id.clone(), order.shipped)).collect();
    assert_eq!(shipped, [(orders[1].order_id.clone(), 1), (orders[0].order_id.clone(), 4)]);

    let request = pb::TraceLotRequest { sku: "MILK".into(), lot: "SOON".into(), ..Default::default() };
    let trace = service.lots.trace_lot(request).await.unwrap().into_inner();
    assert_eq!((trace.movements[0].kind(), trace.movements[0].reference.as_str()), (pb::MovementKind::Receipt, "PO-1"));
    assert_eq!(trace.movements[1].order_id, orders[0].order_id);
    let request = pb::TraceLotRequest { sku: "MILK".into(), lot: "NONE".into(), ..Default::default() };
    assert_eq!(service.lots.trace_lot(request).await.unwrap_err().code(), tonic::Code::NotFound);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_serial_number_leaves_and_comes_back(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    receive(&mut service, "PHONE", &main, 2, vec![lot("S1", 1, ""), lot("S2", 1, "")]).await.unwrap();
    let order = all_or_nothing(&[("PHONE", 1)]);
    service.reserve(&order).await.unwrap();
    ship(&service, &order.order_id, &main, "PHONE", 1).await;
    assert_eq!(shown(&mut service, "PHONE").await, [("S2".to_owned(), 1, 0, 0)]);
    let other = service.location("RETURNS", 1).await;
    send_back(&service, &order.order_id, &other, "PHONE", 0, 1).await;
    assert_eq!(shown(&mut service, "PHONE").await, [("S1".to_owned(), 0, 1, 0), ("S2".to_owned(), 1, 0, 0)]);
    let again = receive(&mut service, "PHONE", &main, 1, vec![lot("S1", 1, "")]).await;
    assert_eq!(again.unwrap_err(), "SERIAL_IN_STOCK");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn expired_lots_leave_sale_but_for_what_is_promised(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    assert_eq!(NOW, datetime!(2026-11-22 12:00 UTC));
    let lots = vec![lot("OLD", 5, "2026-11-22"), lot("NEW", 2, "2026-12-31")];
    receive(&mut service, "MILK", &main, 7, lots).await.unwrap();
    let order = all_or_nothing(&[("MILK", 4)]);
    service.reserve(&order).await.unwrap();
    let fact = pesan_api::order::v1::OrderConfirmed { order_id: order.order_id.clone(), ..Default::default() };
    service.orders.tell(&order.order_id, &[fact]).await;
    assert_eq!(expire_lots::run_once(&service.inventory).await.unwrap(), 0, "today it may still be sold");
    service.clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(expire_lots::run_once(&service.inventory).await.unwrap(), 1);
    assert_eq!(expire_lots::run_once(&service.inventory).await.unwrap(), 0);
    assert_eq!(shown(&mut service, "MILK").await, [("NEW".to_owned(), 2, 0, 0), ("OLD".to_owned(), 2, 0, 3)]);
    let level = service.availability("MILK").await.locations.remove(0);
    assert_eq!((level.on_hand, level.reserved, level.quality_hold, level.free), (4, 4, 3, 0));
    let movement = &service.movements("MILK").await[0];
    assert_eq!((movement.kind(), movement.quantity, movement.quality_hold), (pb::MovementKind::Expired, -3, 3));
    let request = pb::ListLotsRequest { expires_by: "2026-11-22".into(), ..Default::default() };
    let left = service.lots.list_lots(request).await.unwrap().into_inner().lots;
    assert_eq!((left.len(), left[0].on_hand), (1, 2), "promised, and shown to whoever looks for it");
    // What is not expired is shipped before it.
    ship(&service, &order.order_id, &main, "MILK", 2).await;
    assert_eq!(shown(&mut service, "MILK").await, [("OLD".to_owned(), 2, 0, 3)]);
    service.assert_proven().await;
}
