//! Peers that are away, crowds that want the last piece, and orders that go on by themselves.

use e2e::*;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1::{self as order, OrderState};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn orders_are_accepted_while_a_peer_is_away_and_go_on_when_it_is_back(pool: PgPool) {
    let mut suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 100))).await.unwrap();
    for service in ["inventory", "billing", "fulfilment", "analytics"] {
        suite.stop(service).await.unwrap();
        let request = order::PlaceOrderRequest {
            order: Some(straight_through(card_order(&[("CHAIR", 1)]))),
            wait: order::PlaceWait::Durable.into(),
        };
        let placed = suite.orders().place_order(request).await.unwrap().into_inner().order.unwrap();
        assert_eq!(placed.state(), OrderState::Accepted);
        suite.start_again(service).await.unwrap();
        suite.order_in(&placed.number, OrderState::Completed).await.unwrap();
    }
    e2e::verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn of_the_last_pieces_exactly_so_many_are_granted(pool: PgPool) {
    let suite = Arc::new(Suite::start(&pool).await.unwrap());
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("LAST", Some((&location, 1000))).await.unwrap();
    let (sent, granted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (suite, sent, granted) = (suite.clone(), sent.clone(), granted.clone());
            tokio::spawn(async move {
                let mut client = suite.reservations();
                while sent.fetch_add(1, Ordering::SeqCst) < 5000 {
                    let demand = inventory::OrderDemand {
                        order_id: Uuid::now_v7().to_string(),
                        lines: vec![inventory::DemandLine { line_no: 1, sku: "LAST".into(), quantity: 1 }],
                        policy: inventory::ShortagePolicy::AllOrNothing.into(),
                        ..Default::default()
                    };
                    let answer = client.reserve(inventory::ReserveRequest { demands: vec![demand] }).await.unwrap();
                    match answer.into_inner().results.remove(0).outcome.unwrap() {
                        inventory::reserve_result::Outcome::Reservation(_) => {
                            granted.fetch_add(1, Ordering::SeqCst);
                        }
                        inventory::reserve_result::Outcome::Problem(problem) => {
                            assert_eq!(problem.reason, "OUT_OF_STOCK");
                        }
                    }
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(granted.load(Ordering::SeqCst), 1000);
    let request = inventory::GetAvailabilityRequest { skus: vec!["LAST".into()], ..Default::default() };
    let left = suite.stock().get_availability(request).await.unwrap().into_inner().availabilities.remove(0);
    assert_eq!((left.available, left.locations[0].reserved), (0, 1000));
}

#[sqlx::test(migrations = false)]
async fn the_same_order_sent_by_many_at_once_is_one_order(pool: PgPool) {
    let suite = Arc::new(Suite::start(&pool).await.unwrap());
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 100))).await.unwrap();
    let mut new = straight_through(card_order(&[("CHAIR", 3)]));
    new.request_id = String::new();
    new.external_id = "A-1".into();
    let senders: Vec<_> = (0..16)
        .map(|_| {
            let (suite, new) = (suite.clone(), new.clone());
            tokio::spawn(async move { suite.place(new).await.unwrap().id })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for sender in senders {
        ids.insert(sender.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    suite.order_in("web/A-1", OrderState::Completed).await.unwrap();
    e2e::verify(&suite, true).await.unwrap();
}
