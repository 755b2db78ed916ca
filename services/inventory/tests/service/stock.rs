//! Receipts, adjustments, and what is shown of stock.

use crate::testing::{adjustment, all_or_nothing, gbp, item, receipt, service_item, start};
use pesan_api::inventory::v1 as pb;
use sqlx::PgPool;
use std::collections::HashSet;
use tonic::Code;
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn a_receipt_is_booked_once(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    let mug = pb::Receipt { unit_cost: Some(gbp(2, 0)), reference: "PO-7".into(), ..receipt("MUG", &location, 10) };
    let level = service.receive_all(vec![mug.clone()]).await.remove(0).unwrap();
    assert_eq!((level.on_hand, level.reserved, level.damaged), (10, 0, 0));
    // In the same call, in another one, and with another body.
    let other = pb::Receipt { quantity: 11, ..mug.clone() };
    let again = service.receive_all(vec![mug.clone(), mug.clone(), other]).await;
    assert_eq!(again[..2], [Ok(level.clone()), Ok(level)]);
    let problem = again[2].clone().unwrap_err();
    assert_eq!(problem.reason, "REQUEST_ID_REUSED");
    assert!(problem.message.contains("quantity"), "{}", problem.message);

    let movements = service.movements("MUG").await;
    assert_eq!(movements.len(), 1);
    assert_eq!((movements[0].quantity, movements[0].reference.as_str()), (10, "PO-7"));
    assert_eq!((movements[0].kind(), movements[0].unit_cost.clone()), (pb::MovementKind::Receipt, Some(gbp(2, 0))));
    let told = service.facts::<pb::StockMoved>().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0.aggregate_id.as_str(), told[0].0.version), (movements[0].id.as_str(), 1));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn each_receipt_of_a_list_stands_by_itself(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let nowhere = Uuid::now_v7().to_string();
    let outcomes = service
        .receive_all(vec![
            receipt("MUG", &location, 1),
            receipt("NONE", &location, 1),
            receipt("MUG", &nowhere, 1),
            receipt("POSTAGE", &location, 1),
            receipt("MUG", &location, 0),
            pb::Receipt { unit_cost: Some(gbp(1, 0)), ..receipt("MUG", &location, 1) },
            pb::Receipt {
                unit_cost: Some(pesan_api::r#type::v1::Money { currency_code: "EUR".into(), units: 1, nanos: 0 }),
                ..receipt("MUG", &location, 1)
            },
        ])
        .await;
    let shown: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(level) => level.on_hand.to_string(),
            Err(problem) => format!("{} {}", problem.reason, problem.violations[0].field),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "1",
            "UNKNOWN_SKU sku",
            "UNKNOWN_LOCATION location_id",
            "NOT_STOCKED sku",
            "INVALID_ARGUMENT quantity",
            "2",
            "COST_CURRENCY unit_cost.currency_code"
        ]
    );
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_reserved_cannot_be_adjusted_away(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    service.reserve(&all_or_nothing(&[("MUG", 6)])).await.unwrap();
    let too_much = adjustment("MUG", &location, -5, 0);
    let problem = service.adjust(too_much.clone()).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.violations[0].field.as_str()), ("INSUFFICIENT_STOCK", "quantity"));
    let problem = service.adjust(adjustment("MUG", &location, 0, -1)).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.violations[0].field.as_str()), ("INSUFFICIENT_STOCK", "damaged"));
    let level = service.adjust(adjustment("MUG", &location, -3, 3)).await.unwrap();
    assert_eq!((level.on_hand, level.reserved, level.damaged), (7, 6, 3));
    // What was refused had no effect, and its id may be used again once there is enough.
    service.receive("MUG", &location, 4).await;
    let level = service.adjust(too_much).await.unwrap();
    assert_eq!((level.on_hand, level.reserved, level.damaged), (6, 6, 3));
    let kinds: Vec<_> =
        service.movements("MUG").await.iter().map(|m| (m.quantity, m.damaged, m.reason.clone())).collect();
    assert_eq!(
        kinds,
        [(-5, 0, "COUNT".into()), (4, 0, String::new()), (-3, 3, "COUNT".into()), (10, 0, String::new())]
    );
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn availability_tells_of_every_sku_asked_for(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 10)]).await;
    let other = service.location("OTHER", 1).await;
    service.receive("MUG", &other, 5).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    service.reserve(&all_or_nothing(&[("MUG", 12)])).await.unwrap();

    let skus = ["POSTAGE", "NONE", "MUG"].map(str::to_owned).to_vec();
    let request = pb::GetAvailabilityRequest { skus, ..Default::default() };
    let found = service.stock.get_availability(request).await.unwrap().into_inner().availabilities;
    let shown: Vec<_> = found.iter().map(|a| (a.sku.as_str(), a.known, a.available, a.locations.len())).collect();
    assert_eq!(shown, [("POSTAGE", true, i64::MAX, 0), ("NONE", false, 0, 0), ("MUG", true, 3, 2)]);
    let at = |id: &str| found[2].locations.iter().find(|l| l.location_id == id).unwrap().clone();
    assert_eq!((at(&main).reserved, at(&other).reserved), (10, 2));
    let many = pb::GetAvailabilityRequest { skus: vec!["A".into(); 1001], ..Default::default() };
    assert_eq!(service.stock.get_availability(many).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn stock_and_movements_are_listed_page_by_page(pool: PgPool) {
    let mut service = start(&pool).await;
    let first = service.stocked(&[("A", 1), ("B", 2)]).await;
    let second = service.location("SECOND", 0).await;
    service.receive("A", &second, 3).await;
    let twice = pb::Receipt { reference: "PO-1".into(), ..receipt("A", &second, 4) };
    service.receive_all(vec![twice]).await;

    let mut seen = HashSet::new();
    let mut request = pb::ListStockRequest { page_size: 2, ..pb::ListStockRequest::default() };
    loop {
        let page = service.stock.list_stock(request.clone()).await.unwrap().into_inner();
        assert!(page.stock.len() <= 2);
        for level in page.stock {
            assert!(seen.insert((level.sku, level.location_id, level.on_hand)), "nothing comes twice");
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let expected = [("A", &first, 1), ("A", &second, 7), ("B", &first, 2)];
    assert_eq!(seen, expected.map(|(sku, location, on_hand)| (sku.into(), location.clone(), on_hand)).into());
    let request = pb::ListStockRequest { location_id: second.clone(), ..pb::ListStockRequest::default() };
    assert_eq!(service.stock.list_stock(request).await.unwrap().into_inner().stock.len(), 1);

    let mut request = pb::ListMovementsRequest { page_size: 3, ..pb::ListMovementsRequest::default() };
    let page = service.stock.list_movements(request.clone()).await.unwrap().into_inner();
    let quantities: Vec<i64> = page.movements.iter().map(|m| m.quantity).collect();
    assert_eq!(quantities, [4, 3, 2], "newest first");
    request.page_token = page.next_page_token;
    let page = service.stock.list_movements(request).await.unwrap().into_inner();
    assert_eq!((page.movements[0].quantity, page.next_page_token.as_str()), (1, ""));
    let request = pb::ListMovementsRequest { reference: "PO-1".into(), ..pb::ListMovementsRequest::default() };
    assert_eq!(service.stock.list_movements(request).await.unwrap().into_inner().movements.len(), 1);
    let request = pb::ListMovementsRequest { page_token: "x".into(), ..pb::ListMovementsRequest::default() };
    assert_eq!(service.stock.list_movements(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn the_ledger_is_only_added_to(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("A", 1)]).await;
    for statement in ["update movement set quantity = 2", "delete from movement", "truncate movement"] {
        let refused = sqlx::query(statement).execute(&pool).await.unwrap_err();
        assert!(refused.to_string().contains("only ever added to"), "{statement}: {refused}");
    }
    assert_eq!(service.upsert_items(vec![item("A")]).await.len(), 1);
}
