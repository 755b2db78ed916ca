//! The buckets of stock: sellable, damaged, under quality hold, kept back.

use crate::testing::{Service, adjustment, all_or_nothing, backorder, gbp, receipt, service_item, start};
use pesan_api::inventory::v1 as pb;
use sqlx::PgPool;
use uuid::Uuid;

/// Sets safety stocks; the outcome of each.
pub async fn set_safety(service: &mut Service, entries: &[(&str, &str, i64)]) -> Vec<Result<pb::StockLevel, String>> {
    let entry = |(sku, location_id, quantity): &(&str, &str, i64)| pb::SafetyStock {
        sku: (*sku).into(),
        location_id: (*location_id).into(),
        quantity: *quantity,
    };
    let request = pb::SetSafetyStockRequest { safety_stocks: entries.iter().map(entry).collect() };
    let results = service.stock.set_safety_stock(request).await.unwrap().into_inner().results;
    let outcome = |result: pb::StockChangeResult| match result.outcome.unwrap() {
        pb::stock_change_result::Outcome::Stock(level) => Ok(level),
        pb::stock_change_result::Outcome::Problem(p) => Err(format!("{} {}", p.reason, p.violations[0].field)),
    };
    results.into_iter().map(outcome).collect()
}

#[sqlx::test(migrations = false)]
async fn what_is_kept_back_is_never_promised(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let nowhere = Uuid::now_v7().to_string();
    let outcomes = set_safety(
        &mut service,
        &[("MUG", &location, 99), ("MUG", &location, 4), ("NONE", &location, 1), ("POSTAGE", &location, 1)],
    )
    .await;
    let free: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().map(|level| (level.safety, level.free))).collect();
    let (unknown, service_has_none) = ("UNKNOWN_SKU sku".to_owned(), "NOT_STOCKED sku".to_owned());
    assert_eq!(free, [Ok((99, 0)), Ok((4, 6)), Err(&unknown), Err(&service_has_none)]);
    let outcomes = set_safety(&mut service, &[("MUG", &nowhere, 1), ("MUG", &location, -1)]).await;
    assert_eq!(outcomes, [Err("UNKNOWN_LOCATION location_id".to_owned()), Err("INVALID_ARGUMENT quantity".to_owned())]);

    assert_eq!(service.availability("MUG").await.available, 6);
    assert_eq!(service.reserve(&all_or_nothing(&[("MUG", 7)])).await.unwrap_err().reason, "OUT_OF_STOCK");
    service.reserve(&all_or_nothing(&[("MUG", 5)])).await.unwrap();
    let waits = service.reserve(&backorder(&[("MUG", 3)])).await.unwrap();
    assert_eq!((waits.lines[0].allocations[0].reserved, waits.lines[0].backordered), (1, 2));
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (10, 6, 0), "the filler promises it no more than anybody");

    // It may break or be sent elsewhere all the same; more is kept back than there is now.
    let level = service.adjust(adjustment("MUG", &location, -3, 0)).await.unwrap();
    assert_eq!((level.on_hand, level.reserved, level.safety, level.free), (7, 6, 4, 0));
    let second = service.location("SECOND", 1).await;
    service.receive("MUG", &second, 1).await;
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (8, 7, 0), "what lacks here is not taken from there");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn stock_moves_between_sellable_held_and_damaged(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    let bought = pb::Receipt { unit_cost: Some(gbp(2, 0)), ..receipt("MUG", &location, 10) };
    service.receive_all(vec![bought]).await;
    service.reserve(&all_or_nothing(&[("MUG", 6)])).await.unwrap();
    let hold = |quantity: i64, damaged: i64, quality_hold: i64, reason: &str| pb::Adjustment {
        quality_hold,
        reason: reason.into(),
        ..adjustment("MUG", &location, quantity, damaged)
    };
    let problem = service.adjust(hold(-5, 0, 5, "INSPECTION")).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.violations[0].field.as_str()), ("INSUFFICIENT_STOCK", "quantity"));
    let level = service.adjust(hold(-4, 0, 4, "INSPECTION")).await.unwrap();
    assert_eq!((level.on_hand, level.quality_hold, level.damaged, level.free), (6, 4, 0, 0));
    let problem = service.adjust(hold(0, 0, -5, "FOUND")).await.unwrap_err();
    assert_eq!(problem.violations[0].field, "quality_hold");
    let level = service.adjust(hold(0, 1, -1, "FAILED")).await.unwrap();
    assert_eq!((level.on_hand, level.quality_hold, level.damaged), (6, 3, 1));
    let level = service.adjust(hold(3, 0, -3, "PASSED")).await.unwrap();
    assert_eq!((level.on_hand, level.quality_hold, level.damaged, level.free), (9, 0, 1, 3));
    let nothing = service.adjust(hold(0, 0, 0, "NOTHING")).await.unwrap_err();
    assert_eq!(nothing.violations[0].field, "quantity");

    let moved: Vec<_> = service
        .movements("MUG")
        .await
        .iter()
        .map(|m| (m.kind(), m.quantity, m.damaged, m.quality_hold, m.value.as_ref().unwrap().units))
        .collect();
    use pb::MovementKind::{Adjustment, Hold, Receipt};
    assert_eq!(
        moved,
        [(Hold, 3, 0, -3, 0), (Adjustment, 0, 1, -1, -2), (Hold, -4, 0, 4, 0), (Receipt, 10, 0, 0, 20)],
        "held goods keep their value, damaged ones lose it"
    );
    service.assert_proven().await;
}
