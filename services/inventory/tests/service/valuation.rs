//! What the inventory is worth.

use crate::testing::{NOW, Service, adjustment, all_or_nothing, gbp, item, receipt, start};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

async fn started(pool: &PgPool) -> (Service, String) {
    let mut service = start(pool).await;
    let fifo = pb::Item { valuation: pb::ValuationMethod::Fifo.into(), ..item("WINE") };
    service.upsert_items(vec![fifo, item("MUG")]).await;
    let location = service.location("MAIN", 0).await;
    (service, location)
}

async fn buy(service: &mut Service, sku: &str, location: &str, quantity: i64, cost: i64, days_ago: u32) {
    let receipt = pb::Receipt {
        unit_cost: Some(gbp(cost, 0)),
        effective_at: Some(to_timestamp(NOW - DAY * days_ago)),
        ..receipt(sku, location, quantity)
    };
    service.receive_all(vec![receipt]).await.remove(0).unwrap();
}

async fn ship(service: &mut Service, sku: &str, location: &str, quantity: i64) -> String {
    let order = all_or_nothing(&[(sku, quantity)]);
    service.reserve(&order).await.unwrap();
    let id = Uuid::now_v7().to_string();
    let fact = fulfilment::GoodsIssued {
        fulfilment_order_id: id.clone(),
        order_id: order.order_id.clone(),
        location_id: location.into(),
        lines: vec![fulfilment::ShipmentLine { line_no: 1, sku: sku.into(), quantity, stocked: true }],
        parcels: Vec::new(),
    };
    service.fulfilment.tell_of(&id, &order.order_id, &[fact]);
    service.fulfilment.applied().await;
    order.order_id
}

/// Pounds and quantity.
async fn value(service: &mut Service, days_ago: u32, sku: &str, location_id: &str) -> (i64, i64) {
    let request = pb::GetInventoryValueRequest {
        as_of: Some(to_timestamp(NOW - DAY * days_ago)),
        sku: sku.into(),
        location_id: location_id.into(),
    };
    let answer = service.valuation.get_inventory_value(request).await.unwrap().into_inner();
    assert!(answer.values.len() <= 1);
    (answer.values.first().map_or(0, |money| money.units), answer.quantity)
}

#[sqlx::test(migrations = false)]
async fn first_in_first_out_costs_what_the_oldest_cost(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    buy(&mut service, "WINE", &main, 10, 2, 3).await;
    buy(&mut service, "WINE", &main, 10, 5, 2).await;
    let order = ship(&mut service, "WINE", &main, 12).await;
    let told = service.facts::<pb::StockIssued>().await.remove(0).1;
    assert_eq!(told.cost, Some(gbp(30, 0)), "ten at 2 and two at 5");
    let request = pb::ListCostLayersRequest { sku: "WINE".into(), ..Default::default() };
    let layers = service.valuation.list_cost_layers(request.clone()).await.unwrap().into_inner().layers;
    let shown: Vec<_> = layers.iter().map(|layer| (layer.quantity, layer.unit_cost.clone().unwrap().units)).collect();
    assert_eq!(shown, [(8, 5)]);

    // They come back at what they cost on their way out: 2.50 each.
    let id = Uuid::now_v7().to_string();
    let line = fulfilment::ReturnReceivedLine {
        line_no: 1,
        sku: "WINE".into(),
        location_id: main.clone(),
        sellable: 4,
        stocked: true,
        ..Default::default()
    };
    let fact = fulfilment::ReturnReceived {
        return_id: id.clone(),
        order_id: order.clone(),
        lines: vec![line],
        ..Default::default()
    };
    service.fulfilment.tell_of(&id, &order, &[fact]);
    service.fulfilment.applied().await;
    let back = service.facts::<pb::StockReturned>().await.remove(0).1;
    assert_eq!(back.cost, Some(gbp(10, 0)));
    let layers = service.valuation.list_cost_layers(request).await.unwrap().into_inner().layers;
    assert_eq!(layers.iter().map(|layer| layer.quantity).collect::<Vec<_>>(), [8, 4]);
    assert_eq!(layers[1].unit_cost, Some(gbp(2, 500_000_000)));
    assert_eq!(value(&mut service, 0, "WINE", "").await, (50, 12));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_inventory_has_a_value_at_any_past_date(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    let other = service.location("OTHER", 1).await;
    buy(&mut service, "MUG", &main, 10, 2, 30).await;
    buy(&mut service, "MUG", &other, 10, 4, 20).await;
    buy(&mut service, "WINE", &main, 3, 7, 10).await;
    ship(&mut service, "MUG", &main, 5).await; // at an average of 3
    assert_eq!(value(&mut service, 31, "", "").await, (0, 0));
    assert_eq!(value(&mut service, 30, "", "").await, (20, 10));
    assert_eq!(value(&mut service, 15, "", "").await, (60, 20));
    assert_eq!(value(&mut service, 5, "", "").await, (81, 23));
    assert_eq!(value(&mut service, 0, "", "").await, (66, 18));
    assert_eq!(value(&mut service, 0, "MUG", "").await, (45, 15));
    assert_eq!(value(&mut service, 0, "MUG", &other).await, (30, 10), "its share by quantity");
    // Damaged goods are worth nothing, held ones what they cost.
    service.adjust(adjustment("MUG", &main, -1, 1)).await.unwrap();
    service.adjust(pb::Adjustment { quality_hold: 1, ..adjustment("MUG", &main, -1, 0) }).await.unwrap();
    assert_eq!(value(&mut service, 0, "MUG", "").await, (42, 14));

    let mut request = pb::ListInventoryValuesRequest { page_size: 1, ..Default::default() };
    let first = service.valuation.list_inventory_values(request.clone()).await.unwrap().into_inner();
    let shown: Vec<_> = first.values.iter().map(|v| (v.sku.as_str(), v.quantity, v.value.clone().unwrap())).collect();
    let mut sorted = shown.clone();
    sorted.sort_by_key(|(_, quantity, _)| *quantity);
    assert_eq!(sorted, [("MUG", 4, gbp(12, 0)), ("MUG", 10, gbp(30, 0))]);
    request.page_token = first.next_page_token;
    let second = service.valuation.list_inventory_values(request).await.unwrap().into_inner();
    assert_eq!((second.values[0].sku.as_str(), second.next_page_token.as_str()), ("WINE", ""));
    service.assert_proven().await;
}
