//! The order service takes quantities back, as long as they have not been picked.

use crate::house::{House, id, refusal, says};
use crate::orders::{NORTH, Order, SOUTH, allocation};
use pesan_api::fulfilment::v1 as pb;
use sqlx::PgPool;
use tonic::Code;
use tonic_types::StatusExt as _;

#[sqlx::test(migrations = false)]
async fn what_is_not_picked_is_given_back(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let allocations = vec![allocation(1, NORTH, 5), allocation(2, NORTH, 1), allocation(1, SOUTH, 4)];
    let version = house.feed.apply(vec![order.accepted(), order.confirmed(allocations)]).await;

    house.withdraw(order.id, version, &[(1, NORTH, 2), (1, SOUTH, 4)]).await.unwrap();
    let orders = house.of_order(order.id).await;
    let lines: Vec<_> = orders[0].lines.iter().map(|l| (l.line_no, l.withdrawn)).collect();
    assert_eq!((lines, orders[0].state()), (vec![(1, 2), (2, 0)], pb::FulfilmentState::Open));
    assert_eq!(orders[1].state(), pb::FulfilmentState::Cancelled, "nothing is left of it");
    let events = house.events().await;
    let told: Vec<_> = events[2..].iter().map(|e| (e.name(), e.version, e.correlation_id)).collect();
    assert_eq!(told, [("LinesWithdrawn", 2, Some(order.id)); 2]);
    let fact: pb::LinesWithdrawn = events[2].read();
    assert_eq!(fact.lines.iter().map(|l| (l.line_no, l.quantity)).collect::<Vec<_>>(), [(1, 2)]);

    // The rest is picked as if there had never been more.
    let picked = house.pick(&orders[0].number, &[]).await.unwrap();
    assert_eq!(picked.lines.iter().map(|l| (l.picked, l.short)).collect::<Vec<_>>(), [(3, 0), (1, 0)]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_picked_stays_and_nothing_is_given_back_in_part(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let allocations = vec![allocation(1, NORTH, 5), allocation(2, SOUTH, 3), allocation(3, SOUTH, 1)];
    let version = house.feed.apply(vec![order.confirmed(allocations)]).await;
    house.pick("FO-000001", &[]).await.unwrap();

    let refused = house.withdraw(order.id, version, &[(1, NORTH, 1), (2, SOUTH, 3)]).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "ALREADY_PICKED".into()));
    assert_eq!(says(&refused, "lines"), "1");
    let refused = house.withdraw(order.id, version, &[(2, SOUTH, 4), (3, SOUTH, 1)]).await.unwrap_err();
    assert_eq!(says(&refused, "lines"), "2", "more than is open");
    let refused = house.withdraw(order.id, version, &[(3, NORTH, 1)]).await.unwrap_err();
    assert_eq!(says(&refused, "lines"), "3", "not at this location");
    assert!(house.of_order(order.id).await.iter().flat_map(|o| &o.lines).all(|line| line.withdrawn == 0));
    assert!(!house.event_names().await.contains(&"LinesWithdrawn".to_owned()));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_that_is_not_followed_far_enough_is_to_be_asked_for_again(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let version = house.feed.apply(vec![order.accepted(), order.confirmed(vec![allocation(1, NORTH, 5)])]).await;

    let request = pb::WithdrawLinesRequest {
        request_id: id(),
        order_id: order.id.to_string(),
        order_version: version + 1,
        lines: vec![pb::WithdrawnLine { line_no: 1, location_id: NORTH.to_string(), quantity: 5 }],
    };
    let refused = house.orders.withdraw_lines(request.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Aborted, "NOT_FOLLOWED_YET".into()));
    assert!(refused.get_details_retry_info().is_some());
    assert_eq!((says(&refused, "followed"), says(&refused, "wanted")), ("2".into(), "3".into()));
    let unknown = house.withdraw(Order::standard().id, 1, &[(1, NORTH, 1)]).await.unwrap_err();
    assert_eq!(refusal(&unknown).1, "NOT_FOLLOWED_YET", "an order nothing was read of");

    // Any fact of the order will do, and the same request is carried out then.
    house.feed.apply(vec![order.progressed()]).await;
    house.orders.withdraw_lines(request).await.unwrap();
    assert_eq!(house.of_order(order.id).await[0].state(), pb::FulfilmentState::Cancelled);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_request_withdraws_once(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let version = house.feed.apply(vec![order.confirmed(vec![allocation(1, NORTH, 5)])]).await;
    let mut request = pb::WithdrawLinesRequest {
        request_id: id(),
        order_id: order.id.to_string(),
        order_version: version,
        lines: vec![pb::WithdrawnLine { line_no: 1, location_id: NORTH.to_string(), quantity: 2 }],
    };
    for _ in 0..3 {
        house.orders.withdraw_lines(request.clone()).await.unwrap();
    }
    assert_eq!(house.of_order(order.id).await[0].lines[0].withdrawn, 2);
    request.lines[0].quantity = 3;
    let refused = house.orders.withdraw_lines(request).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    assert_eq!(says(&refused, "fields"), "lines[0].quantity");
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn picking_and_withdrawing_at_once_share_every_unit(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    let version = house.feed.apply(vec![order.confirmed(vec![allocation(1, NORTH, 10)])]).await;
    let withdrawals = (0..12).map(|i| {
        let mut orders = house.orders.clone();
        let line = pb::WithdrawnLine { line_no: 1, location_id: NORTH.to_string(), quantity: 2 };
        tokio::spawn(async move {
            if i == 5 {
                let pick = pb::PickRequest { request_id: id(), name: "FO-000001".into(), ..Default::default() };
                orders.pick(pick).await.map(|_| 0)
            } else {
                let request = pb::WithdrawLinesRequest {
                    request_id: id(),
                    order_id: order.id.to_string(),
                    order_version: version,
                    lines: vec![line],
                };
                orders.withdraw_lines(request).await.map(|_| 2)
            }
        })
    });
    let outcomes = futures::future::join_all(withdrawals.collect::<Vec<_>>()).await;
    let granted: i64 = outcomes.into_iter().filter_map(|outcome| outcome.unwrap().ok()).sum();
    let line = house.get("FO-000001").await.lines[0].clone();
    assert_eq!((line.withdrawn, line.picked), (granted, 10 - granted));
    house.close().await;
}
