//! Reorder policies, purchase suggestions and the export of requirements.

use crate::purchasing::{id, offer};
use crate::testing::{Service, all_or_nothing, gbp, item, service_item, start};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::refuse;
use sqlx::PgPool;
use std::time::Duration;
use tokio_stream::StreamExt as _;

fn policy(sku: &str, location: &str, rule: pb::ReorderRule) -> pb::ReorderPolicy {
    pb::ReorderPolicy {
        sku: sku.into(),
        location_id: location.into(),
        rule: rule.into(),
        min: 5,
        max: 20,
        days_of_cover: 14,
        window_days: 10,
        order_cost: Some(gbp(20, 0)),
        ..Default::default()
    }
}

impl Service {
    async fn policies(&mut self, policies: Vec<pb::ReorderPolicy>) -> Vec<String> {
        let request = pb::SetReorderPoliciesRequest { policies };
        let results = self.planning.set_reorder_policies(request).await.unwrap().into_inner().results;
        let outcome = |result: pb::SetReorderPolicyResult| match result.outcome.unwrap() {
            pb::set_reorder_policy_result::Outcome::Policy(policy) => policy.sku,
            pb::set_reorder_policy_result::Outcome::Problem(problem) => problem.reason,
        };
        results.into_iter().map(outcome).collect()
    }

    async fn suggestions(&mut self) -> Vec<pb::PurchaseSuggestion> {
        let request = pb::SuggestPurchasesRequest::default();
        self.planning.suggest_purchases(request).await.unwrap().into_inner().suggestions
    }
}

/// A hundred mugs, of which thirty leave on one day of the ten before today.
async fn sold(pool: &PgPool) -> (Service, String) {
    let mut service = start(pool).await;
    let location = service.stocked(&[("MUG", 100), ("CUP", 0)]).await;
    service.supplied(&[("MUG", 2), ("CUP", 3)]).await;
    let items = vec![pb::SupplierItem { pack_size: 12, ..offer("ACME", "MUG", 2) }];
    service.supply.upsert_supplier_items(pb::UpsertSupplierItemsRequest { items }).await.unwrap();
    let order = all_or_nothing(&[("MUG", 30)]);
    service.reserve(&order).await.unwrap();
    let line = fulfilment::ShipmentLine { line_no: 1, sku: "MUG".into(), quantity: 30, stocked: true };
    let fact = fulfilment::GoodsIssued {
        fulfilment_order_id: id(),
        order_id: order.order_id.clone(),
        location_id: location.clone(),
        lines: vec![line],
        parcels: Vec::new(),
    };
    service.fulfilment.tell(&order.order_id, &[fact]).await;
    service.clock.advance(Duration::from_secs(24 * 3600));
    (service, location)
}

fn figure(suggestion: &pb::PurchaseSuggestion, name: &str) -> f64 {
    suggestion.arithmetic.iter().find(|figure| figure.name == name).unwrap().value
}

#[sqlx::test(migrations = false)]
async fn policies_are_set_each_by_itself_and_listed(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    service.upsert_items(vec![item("CUP"), service_item("POSTAGE")]).await;
    let min_max = pb::ReorderRule::MinMax;
    let outcomes = service
        .policies(vec![
            policy("MUG", &location, min_max),
            policy("NONE", &location, min_max),
            policy("POSTAGE", &location, min_max),
            policy("MUG", &id(), min_max),
            pb::ReorderPolicy { supplier_code: "NOBODY".into(), ..policy("MUG", &location, min_max) },
            pb::ReorderPolicy { max: 5, ..policy("MUG", &location, min_max) },
            policy("MUG", &location, pb::ReorderRule::Unspecified),
            pb::ReorderPolicy { service_level: 1.0, ..policy("CUP", &location, pb::ReorderRule::DaysOfCover) },
            policy("CUP", &location, pb::ReorderRule::DaysOfCover),
        ])
        .await;
    let wrong = "INVALID_ARGUMENT";
    let expected =
        ["MUG", "UNKNOWN_SKU", "NOT_STOCKED", "UNKNOWN_LOCATION", "UNKNOWN_SUPPLIER", wrong, wrong, wrong, "CUP"];
    assert_eq!(outcomes, expected);
    let list = pb::ListReorderPoliciesRequest { page_size: 1, ..Default::default() };
    let first = service.planning.list_reorder_policies(list.clone()).await.unwrap().into_inner();
    let next = pb::ListReorderPoliciesRequest { page_token: first.next_page_token, ..list };
    let second = service.planning.list_reorder_policies(next).await.unwrap().into_inner();
    let listed: Vec<_> = first.policies.iter().chain(&second.policies).map(|p| (p.sku.as_str(), p.max)).collect();
    assert_eq!(listed, [("CUP", 0), ("MUG", 20)], "a rule keeps only its own figures");
    assert_eq!((first.policies[0].service_level, second.next_page_token.as_str()), (0.95, ""));
}

#[sqlx::test(migrations = false)]
async fn suggestions_show_their_arithmetic_and_become_drafts_once(pool: PgPool) {
    let (mut service, location) = sold(&pool).await;
    let rules = vec![
        policy("MUG", &location, pb::ReorderRule::ReorderPoint),
        policy("CUP", &location, pb::ReorderRule::MinMax),
    ];
    service.policies(rules).await;
    let suggestions = service.suggestions().await;
    assert_eq!(
        suggestions.iter().map(|s| (s.sku.as_str(), s.quantity)).collect::<Vec<_>>(),
        [("CUP", 20), ("MUG", 336)]
    );
    let mug = &suggestions[1];
    // Thirty in ten days: 3 a day, √((900 − 10 × 9) ÷ 9) = 9.487. Safety 1.645 × √(10 × 90 + 9 × 4) = 50.3, so 51; the
    // reorder point 30 + 51 = 81; the lot √(2 × 1,095 × 20 ÷ 0.4) = 330.9, so 331, in packs of 12: 336.
    assert_eq!((figure(mug, "demand_mean"), figure(mug, "position")), (3.0, 70.0));
    assert!((figure(mug, "demand_std") - 9.486_833).abs() < 1e-6);
    assert_eq!((figure(mug, "safety_stock"), figure(mug, "reorder_point")), (51.0, 81.0));
    assert!((figure(mug, "economic_order_quantity") - 330.908).abs() < 0.001);
    assert_eq!(mug.reason, "position 70 is at or below the reorder point 81");
    assert_eq!((mug.cost.clone(), mug.supplier_code.as_str()), (Some(gbp(672, 0)), "ACME"));
    let safety = mug.arithmetic.iter().find(|figure| figure.name == "safety_stock").unwrap();
    assert_eq!(safety.calculation, "1.645 × √(10 × 9.487² + 3.000² × 2²)");
    assert!(!safety.formula.is_empty() && !safety.source.is_empty());

    let drafts = pb::SuggestPurchasesRequest { create_drafts: true, request_id: id(), ..Default::default() };
    let made = service.planning.suggest_purchases(drafts.clone()).await.unwrap().into_inner();
    assert_eq!(made, service.planning.suggest_purchases(drafts).await.unwrap().into_inner(), "made once");
    let listed = service.supply.list_purchase_orders(pb::ListPurchaseOrdersRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().purchase_orders, made.drafts);
    assert_eq!(made.drafts.len(), 1, "one supplier, one location: one order");
    let lines: Vec<_> = made.drafts[0].lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
    assert_eq!(lines, [("CUP", 20), ("MUG", 336)]);
    assert_eq!(service.suggestions().await.len(), 2, "a draft is not on its way");
    service.send(&made.drafts[0].number).await.unwrap();
    assert!(service.suggestions().await.is_empty(), "what is on its way counts");
    let all = pb::SuggestPurchasesRequest { include_satisfied: true, ..Default::default() };
    let satisfied = service.planning.suggest_purchases(all).await.unwrap().into_inner().suggestions;
    assert_eq!(satisfied.iter().map(|s| s.quantity).collect::<Vec<_>>(), [0, 0]);
    let nowhere = pb::SuggestPurchasesRequest { location_id: id(), ..Default::default() };
    let refused = service.planning.suggest_purchases(nowhere).await.unwrap_err();
    assert_eq!(refuse::reason(&refused), "UNKNOWN_LOCATION");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn days_of_cover_order_up_to_what_lasts(pool: PgPool) {
    let (mut service, location) = sold(&pool).await;
    service.policies(vec![policy("MUG", &location, pb::ReorderRule::DaysOfCover)]).await;
    let mug = service.suggestions().await.remove(0);
    // Up to 3 × (10 + 14) + 51 = 123; 53 are missing; five packs of 12.
    assert_eq!((figure(&mug, "order_up_to"), mug.quantity), (123.0, 60));
    service
        .policies(vec![pb::ReorderPolicy { inactive: true, ..policy("MUG", &location, pb::ReorderRule::DaysOfCover) }])
        .await;
    assert!(service.suggestions().await.is_empty());
}

#[sqlx::test(migrations = false)]
async fn requirements_are_exported_as_the_record_has_them(pool: PgPool) {
    let (mut service, location) = sold(&pool).await;
    service.policies(vec![policy("MUG", &location, pb::ReorderRule::ReorderPoint)]).await;
    let request =
        pb::ExportRequirementsRequest { buckets: 4, bucket_size: pb::BucketSize::Week.into(), ..Default::default() };
    let mut stream = service.planning.export_requirements(request).await.unwrap().into_inner();
    let mut records = Vec::new();
    while let Some(message) = stream.next().await {
        records.extend(message.unwrap().records);
    }
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!((record.on_hand, record.safety_stock, record.lead_time_buckets), (70, 51, 2));
    let column = |value: fn(&pb::RequirementsBucket) -> i64| record.buckets.iter().map(value).collect::<Vec<_>>();
    // 21 a week. 70 − 21 = 49, two short of 51: a pack, 61; 40: a pack, 52; 31: two packs, 55; 34: two packs, 58.
    assert_eq!(column(|bucket| bucket.gross_requirements), [21, 21, 21, 21]);
    assert_eq!(column(|bucket| bucket.net_requirements), [2, 11, 20, 17]);
    assert_eq!(column(|bucket| bucket.planned_order_receipts), [12, 12, 24, 24]);
    assert_eq!(column(|bucket| bucket.projected_on_hand), [61, 52, 55, 58]);
    assert_eq!(column(|bucket| bucket.planned_order_releases), [48, 24, 0, 0]);
    assert_eq!(column(|bucket| bucket.overdue_releases), [24, 0, 0, 0]);

    // What is on its way is scheduled, and what is reserved is needed now.
    service.bought(&location, &[("MUG", 24)]).await;
    service.reserve(&all_or_nothing(&[("MUG", 40)])).await.unwrap();
    let request =
        pb::ExportRequirementsRequest { buckets: 2, bucket_size: pb::BucketSize::Week.into(), ..Default::default() };
    let mut stream = service.planning.export_requirements(request).await.unwrap().into_inner();
    let record = stream.next().await.unwrap().unwrap().records.remove(0);
    let shown: Vec<_> = record.buckets.iter().map(|b| (b.gross_requirements, b.scheduled_receipts)).collect();
    assert_eq!(shown, [(40, 0), (21, 24)]);
}
