//! The proof: it holds on a busy house, and each invariant finds the violation that is planted for it.

use crate::testing::{Service, all_or_nothing, backorder, gbp, item, receipt, start};
use pesan_api::inventory::v1 as pb_inventory;
use pesan_api::order::v1 as order;
use pesan_api::proof::v1 as pb;
use sqlx::PgPool;
use std::collections::HashMap;
use tokio_stream::StreamExt as _;
use tonic::Code;
use uuid::Uuid;

async fn busy(pool: &PgPool) -> (Service, String) {
    let mut service = start(pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let tracking = pb_inventory::Tracking::Lot.into();
    service.upsert_items(vec![pb_inventory::Item { tracking, ..item("MILK") }]).await;
    let lot = pb_inventory::LotQuantity { lot: "L1".into(), quantity: 4, ..Default::default() };
    let milk = pb_inventory::Receipt { unit_cost: Some(gbp(1, 0)), lots: vec![lot], ..receipt("MILK", &location, 4) };
    service.receive_all(vec![milk]).await.remove(0).unwrap();
    let held = backorder(&[("MUG", 6)]);
    let closed = backorder(&[("MUG", 6)]);
    service.reserve_all(vec![held.clone(), closed.clone()]).await;
    let fact = order::OrderRejected { order_id: closed.order_id.clone(), ..Default::default() };
    service.orders.tell(&closed.order_id, &[fact]).await;
    service.assert_proven().await;
    (service, closed.order_id)
}

/// The names of the invariants that are violated.
async fn violated(service: &mut Service) -> Vec<(String, String)> {
    let results = service.check().await;
    let first = |result: &pb::InvariantResult| Some((result.name.clone(), result.violations.first()?.id.clone()));
    results.iter().filter_map(first).collect()
}

async fn run(pool: &PgPool, statements: &[&'static str]) {
    for statement in statements {
        sqlx::query(*statement).execute(pool).await.unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn every_invariant_looks_at_rows(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    service.with_documents().await;
    let response = service.proof.check_invariants(pb::CheckInvariantsRequest {}).await.unwrap().into_inner();
    let checked: HashMap<String, i64> = response.results.into_iter().map(|r| (r.name, r.rows_checked)).collect();
    let names = [
        "no_location_oversold",
        "stock_is_sum_of_movements",
        "reserved_is_sum_of_open_reservations",
        "reservation_lines_conserved",
        "nothing_reserved_for_closed_orders",
        "versions_match_events",
        "lots_sum_to_stock",
        "values_sum_to_inventory",
        "supply_is_what_is_to_come",
        "purchases_are_their_movements",
        "transfers_are_their_movements",
        "counts_are_their_movements",
        "document_lots_are_their_movements",
        "document_versions_match_events",
        "events_contiguous",
    ];
    assert_eq!(checked.len(), names.len());
    for name in names {
        assert!(checked[name] > 0, "{name}");
    }
    let sources: Vec<_> = response.followers.iter().map(|f| f.source.as_str()).collect();
    assert_eq!(sources, ["fulfilment", "order"]);
}

#[sqlx::test(migrations = false)]
async fn a_lot_that_a_document_never_moved_is_found(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    service.with_documents().await;
    run(&pool, &["update transfer_lot set code = 'OTHER'"]).await;
    let found: Vec<String> = violated(&mut service).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["document_lots_are_their_movements"]);
}

#[sqlx::test(migrations = false)]
async fn an_oversold_location_is_found(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    run(
        &pool,
        &[
            "alter table stock drop constraint stock_not_oversold",
            "update stock set on_hand = 3 where reserved > 0",
            "insert into movement (id, item, location, quantity, damaged, kind, reason, reference, effective_at)
             select gen_random_uuid(), item, location, -7, 0, 2, 'X', '', now() from stock where reserved > 0",
        ],
    )
    .await;
    assert_eq!(violated(&mut service).await, [("no_location_oversold".into(), "MUG@MAIN".into())]);
}

#[sqlx::test(migrations = false)]
async fn stock_without_a_movement_is_found(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    run(&pool, &["update stock set damaged = 1 where reserved > 0"]).await;
    assert_eq!(violated(&mut service).await, [("stock_is_sum_of_movements".into(), "MUG@MAIN".into())]);
    run(
        &pool,
        &[
            "update stock set damaged = 0",
            "alter table movement disable trigger movement_append_only",
            "update movement set quantity = quantity - 1 where quantity = 10",
        ],
    )
    .await;
    assert_eq!(violated(&mut service).await, [("stock_is_sum_of_movements".into(), "MUG@MAIN".into())]);
}

#[sqlx::test(migrations = false)]
async fn reserved_stock_that_no_reservation_holds_is_found(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    run(&pool, &["update stock set reserved = reserved + 1 where reserved > 0"]).await;
    assert_eq!(violated(&mut service).await, [("reserved_is_sum_of_open_reservations".into(), "MUG@MAIN".into())]);
}

#[sqlx::test(migrations = false)]
async fn a_line_that_lost_units_is_found(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    run(
        &pool,
        &[
            "alter table reservation_part drop constraint part_conserved",
            "update reservation_part set released = released - 1 where released > 0 and location > 0",
        ],
    )
    .await;
    let found = violated(&mut service).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "reservation_lines_conserved");
    // Both sides of the law wrong alike, and the sum of the order betrays it.
    run(&pool, &["update reservation_part set quantity = quantity - 1 where quantity <> reserved + issued + backordered + refused + released"]).await;
    assert_eq!(violated(&mut service).await[0].0, "reservation_lines_conserved");
    run(&pool, &["update reservation r set units = (select sum(quantity) from reservation_part p where p.order_id = r.order_id)"]).await;
    assert_eq!(violated(&mut service).await, []);
    run(&pool, &["update reservation_part set returned = 1 where reserved > 0"]).await;
    assert_eq!(violated(&mut service).await[0].0, "reservation_lines_conserved");
}

#[sqlx::test(migrations = false)]
async fn stock_held_for_a_closed_order_is_found(pool: PgPool) {
    let (mut service, closed) = busy(&pool).await;
    run(
        &pool,
        &["update reservation_part p set backordered = backordered + released, released = 0
               from reservation r where r.order_id = p.order_id and r.state = 4 and p.location = 0"],
    )
    .await;
    assert_eq!(violated(&mut service).await, [("nothing_reserved_for_closed_orders".into(), closed)]);
}

#[sqlx::test(migrations = false)]
async fn versions_and_events_that_disagree_are_found(pool: PgPool) {
    let (mut service, closed) = busy(&pool).await;
    run(&pool, &["update reservation set version = version + 1 where state = 4"]).await;
    assert_eq!(violated(&mut service).await, [("versions_match_events".into(), format!("order {closed}"))]);
    run(
        &pool,
        &[
            "update reservation set version = version - 1 where state = 4",
            "update item set version = 7 where sku = 'MUG'",
        ],
    )
    .await;
    assert_eq!(violated(&mut service).await, [("versions_match_events".into(), "item MUG".into())]);
    run(&pool, &["update item set version = 1", "update location set version = 7"]).await;
    assert_eq!(violated(&mut service).await, [("versions_match_events".into(), "location MAIN".into())]);
    run(
        &pool,
        &["update location set version = 1", "delete from outbox where version = 1 and type like '%StockReserved'"],
    )
    .await;
    let names: Vec<_> = violated(&mut service).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["versions_match_events", "events_contiguous"]);
}

#[sqlx::test(migrations = false)]
async fn lots_and_values_that_do_not_sum_up_are_found(pool: PgPool) {
    let (mut service, _) = busy(&pool).await;
    run(&pool, &["update stock_lot set on_hand = on_hand + 1"]).await;
    let found = violated(&mut service).await;
    assert_eq!(found, [("lots_sum_to_stock".to_owned(), "MILK@MAIN".to_owned())]);
    run(&pool, &["update stock_lot set on_hand = on_hand - 1", "update item_cost set average = average + 1"]).await;
    assert_eq!(violated(&mut service).await, [("values_sum_to_inventory".into(), "MILK".into())]);
    run(&pool, &["update item_cost set average = average - 1", "update item_cost set quantity = quantity - 1"]).await;
    assert_eq!(violated(&mut service).await, [("values_sum_to_inventory".into(), "MILK".into())]);
}

#[sqlx::test(migrations = false)]
async fn digests_come_in_order_and_only_those_asked_for(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10_000)]).await;
    service.upsert_items(vec![item("CUP")]).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let demands: Vec<_> = (0..400).map(|_| backorder(&[("MUG", 2), ("CUP", 1)])).collect();
        orders.extend(demands.iter().map(|demand| demand.order_id.clone()));
        service.reserve_all(demands).await;
    }
    orders.sort_unstable();
    let mut stream = service.proof.stream_digests(pb::StreamDigestsRequest::default()).await.unwrap().into_inner();
    let mut subjects = Vec::new();
    while let Some(message) = stream.next().await {
        let message = message.unwrap();
        assert!(message.digests.len() <= 500);
        for digest in message.digests {
            let values: Vec<_> = digest.parts.iter().map(|part| part.values.clone()).collect();
            assert_eq!(values, [[2, 0, 0, 0], [0, 1, 0, 0]]);
            subjects.push(digest.subject);
        }
    }
    assert_eq!(subjects, orders);

    let some =
        pb::StreamDigestsRequest { subjects: vec![orders[7].clone(), Uuid::now_v7().to_string(), orders[3].clone()] };
    let message = service.proof.stream_digests(some).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let subjects: Vec<_> = message.digests.into_iter().map(|digest| digest.subject).collect();
    assert_eq!(subjects, [orders[3].clone(), orders[7].clone()]);
    let nonsense = pb::StreamDigestsRequest { subjects: vec!["x".into()] };
    assert_eq!(service.proof.stream_digests(nonsense).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(service.reserve(&all_or_nothing(&[("MUG", 1)])).await.is_ok());
}
