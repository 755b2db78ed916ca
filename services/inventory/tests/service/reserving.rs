//! Reserving.

use crate::testing::{NOW, all_or_nothing, backorder, demand, item, service_item, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse::reason;
use sqlx::PgPool;
use std::time::Duration;
use tonic::Code;
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn fifty_buyers_of_ten_units_get_exactly_ten(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let buyers: Vec<_> = (0..50)
        .map(|_| {
            let mut client = service.reservations.clone();
            let demands = vec![all_or_nothing(&[("MUG", 1)])];
            tokio::spawn(async move { client.reserve(pb::ReserveRequest { demands }).await.unwrap().into_inner() })
        })
        .collect();
    let mut granted = 0;
    for buyer in buyers {
        match buyer.await.unwrap().results[0].outcome.clone().unwrap() {
            pb::reserve_result::Outcome::Reservation(_) => granted += 1,
            pb::reserve_result::Outcome::Problem(problem) => {
                assert_eq!(problem.reason, "OUT_OF_STOCK");
                assert_eq!(problem.violations[0].field, "lines[0].quantity");
            }
        }
    }
    assert_eq!(granted, 10);
    assert_eq!(service.levels("MUG").await, (10, 10, 0));
    assert_eq!(service.facts::<pb::StockReserved>().await.len(), 10);
    assert_eq!(service.facts::<pb::StockRefused>().await.len(), 40);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn sixty_four_clients_of_a_hundred_units_get_exactly_a_hundred(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 100)]).await;
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let mut client = service.reservations.clone();
            tokio::spawn(async move {
                let mut granted = 0;
                for _ in 0..10 {
                    let demands = vec![all_or_nothing(&[("MUG", 1)]), all_or_nothing(&[("MUG", 1)])];
                    let response = client.reserve(pb::ReserveRequest { demands }).await.unwrap().into_inner();
                    let got = |result: &&pb::ReserveResult| {
                        matches!(result.outcome, Some(pb::reserve_result::Outcome::Reservation(_)))
                    };
                    granted += response.results.iter().filter(got).count();
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for client in clients {
        granted += client.await.unwrap();
    }
    assert_eq!(granted, 100);
    assert_eq!(service.levels("MUG").await, (100, 100, 0));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_order_again_gets_the_same_and_lives_longer(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 10)]).await;
    let order = demand(pb::ShortagePolicy::WhatIsThere, &[("MUG", 12)]);
    let first = service.reserve(&order).await.unwrap();
    assert_eq!(first.version, 1);
    assert_eq!(first.expires_at, Some(to_timestamp(NOW + Duration::from_secs(900))));
    let line = pb::ReservationLine {
        line_no: 1,
        sku: "MUG".into(),
        quantity: 12,
        allocations: vec![pb::LineAllocation { location_id: location, reserved: 10, issued: 0 }],
        backordered: 0,
        refused: 2,
        stocked: true,
    };
    assert_eq!(first.lines, [line]);

    service.clock.advance(Duration::from_secs(60));
    let again = service.reserve_all(vec![order.clone(), order.clone()]).await;
    let expected = pb::Reservation { expires_at: Some(to_timestamp(NOW + Duration::from_secs(960))), ..first };
    assert_eq!(again, [Ok(expected.clone()), Ok(expected.clone())]);
    assert_eq!(service.reservation(&order.order_id).await, expected);
    assert_eq!(service.levels("MUG").await, (10, 10, 0));
    assert_eq!(service.facts::<pb::StockReserved>().await.len(), 1);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_that_comes_twice_in_one_call_is_reserved_once(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let order = all_or_nothing(&[("MUG", 4)]);
    let outcomes = service.reserve_all(vec![order.clone(), order]).await;
    assert_eq!(outcomes[0].clone().unwrap(), outcomes[1].clone().unwrap());
    assert_eq!(service.levels("MUG").await, (10, 4, 0));
}

#[sqlx::test(migrations = false)]
async fn locations_are_asked_by_rank_and_one_that_has_it_all_is_preferred(pool: PgPool) {
    let mut service = start(&pool).await;
    service.upsert_items(vec![item("MUG"), service_item("POSTAGE")]).await;
    let last = service.location("A-LAST", 9).await;
    let second = service.location("B", 1).await;
    let first = service.location("A", 1).await;
    for (location, quantity) in [(&last, 50), (&second, 10), (&first, 10)] {
        service.receive("MUG", location, quantity).await;
    }
    let at = |reservation: &pb::Reservation, line: usize| -> Vec<(String, i64)> {
        reservation.lines[line].allocations.iter().map(|a| (a.location_id.clone(), a.reserved)).collect()
    };
    let small = service.reserve(&all_or_nothing(&[("MUG", 4)])).await.unwrap();
    assert_eq!(at(&small, 0), [(first.clone(), 4)], "by rank, then code");
    let whole = service.reserve(&all_or_nothing(&[("POSTAGE", 1), ("MUG", 8)])).await.unwrap();
    assert_eq!(at(&whole, 1), [(second.clone(), 8)], "the first that has it all");
    assert_eq!(at(&whole, 0), [(second.clone(), 1)], "a service goes with the goods");
    assert!(!whole.lines[0].stocked && whole.lines[1].stocked);
    let split = service.reserve(&all_or_nothing(&[("MUG", 55)])).await.unwrap();
    let mut parts = at(&split, 0);
    parts.sort_by_key(|(_, quantity)| *quantity);
    assert_eq!(parts, [(second, 2), (first.clone(), 6), (last, 47)]);
    let alone = service.reserve(&all_or_nothing(&[("POSTAGE", 3)])).await.unwrap();
    assert_eq!(at(&alone, 0), [(first, 3)], "a service alone goes from the location asked first");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn each_demand_of_a_list_stands_by_itself(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 3)]).await;
    let nameless = pb::OrderDemand { order_id: String::new(), ..all_or_nothing(&[("MUG", 1)]) };
    let outcomes = service
        .reserve_all(vec![
            all_or_nothing(&[("MUG", 2)]),
            all_or_nothing(&[("MUG", 1), ("NONE", 1), ("NIX", 1)]),
            nameless,
            all_or_nothing(&[("MUG", 2)]),
            demand(pb::ShortagePolicy::WhatIsThere, &[("MUG", 2)]),
            demand(pb::ShortagePolicy::WhatIsThere, &[("MUG", 2)]),
            backorder(&[("MUG", 2)]),
        ])
        .await;
    let shown: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(reservation) => {
                let line = &reservation.lines[0];
                let reserved: i64 = line.allocations.iter().map(|a| a.reserved).sum();
                format!("{reserved} {} {}", line.backordered, line.refused)
            }
            Err(problem) => {
                let fields: Vec<_> = problem.violations.iter().map(|v| v.field.as_str()).collect();
                format!("{} {}", problem.reason, fields.join(" "))
            }
        })
        .collect();
    assert_eq!(
        shown,
        [
            "2 0 0",
            "UNKNOWN_SKU lines[1].sku lines[2].sku",
            "INVALID_ARGUMENT order_id",
            "OUT_OF_STOCK lines[0].quantity",
            "1 0 1",
            "OUT_OF_STOCK lines[0].quantity",
            "0 2 0"
        ]
    );
    assert_eq!(service.availability("MUG").await.backordered, 2);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_refused_order_may_be_asked_for_again(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 1)]).await;
    let order = all_or_nothing(&[("MUG", 2)]);
    assert_eq!(service.reserve(&order).await.unwrap_err().reason, "OUT_OF_STOCK");
    let refused = &service.facts::<pb::StockRefused>().await[0].1.lines[0];
    assert_eq!((refused.wanted, refused.available), (2, 1));
    let request = pb::GetReservationRequest { order_id: order.order_id.clone() };
    let status = service.reservations.get_reservation(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESERVATION_NOT_FOUND"));

    service.receive("MUG", &location, 1).await;
    assert_eq!(service.reserve(&order).await.unwrap().version, 2);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn lists_and_ids_are_checked(pool: PgPool) {
    let mut service = start(&pool).await;
    let many = pb::ReserveRequest { demands: vec![all_or_nothing(&[("MUG", 1)]); 1001] };
    assert_eq!(service.reservations.reserve(many).await.unwrap_err().code(), Code::InvalidArgument);
    let long = all_or_nothing(&vec![("MUG", 1); 10_000]);
    let long = pb::ReserveRequest { demands: vec![long; 6] };
    assert_eq!(service.reservations.reserve(long).await.unwrap_err().code(), Code::InvalidArgument);
    let nothing = service.reservations.reserve(pb::ReserveRequest::default()).await.unwrap().into_inner();
    assert!(nothing.results.is_empty());
    let request = pb::GetReservationRequest { order_id: "x".into() };
    assert_eq!(service.reservations.get_reservation(request).await.unwrap_err().code(), Code::InvalidArgument);
    let without_location = all_or_nothing(&[("POSTAGE", 1)]);
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let problem = service.reserve(&without_location).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.retryable), ("NO_LOCATION", true));
    service.location("MAIN", 0).await;
    assert!(service.reserve(&without_location).await.is_ok());
}

#[sqlx::test(migrations = false)]
async fn the_facts_go_on_in_the_orders_own_trace(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 10)]).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let order = pb::OrderDemand { traceparent: traceparent.into(), ..all_or_nothing(&[("MUG", 1)]) };
    service.reserve(&order).await.unwrap();
    let (event, fact) = service.facts::<pb::StockReserved>().await.remove(0);
    assert_eq!(&event.traceparent[..35], &traceparent[..35]);
    assert_eq!((&event.aggregate_id, &event.correlation_id), (&order.order_id, &order.order_id));
    assert_eq!((event.effective_at, fact.order_id), (order.placed_at, order.order_id));
    assert!(Uuid::try_parse(&fact.lines[0].allocations[0].location_id).is_ok());
}

#[sqlx::test(migrations = false)]
async fn another_process_answers_with_the_same_promise(pool: PgPool) {
    let mut first = start(&pool).await;
    first.stocked(&[("CHAIR", 5)]).await;
    let demand = backorder(&[("CHAIR", 2)]);
    let promised = first.reserve(&demand).await.unwrap();

    // It has not yet heard of the item, nor of the location where it is held.
    let mut second = start(&pool).await;
    assert_eq!(second.reserve(&demand).await.unwrap().lines, promised.lines);
}
