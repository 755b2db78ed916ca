//! Carriers that are slow, away or different, and goods issue all the same once.

use crate::house::{House, id, refusal, says};
use crate::order_feed::OrderFeed;
use crate::orders::{NORTH, Order, allocation};
use futures::future::BoxFuture;
use pesan_api::fulfilment::v1 as pb;
use pesan_fulfilment::carrier::{Carrier, CarrierError, Consignment, Simulated};
use sqlx::PgPool;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tonic::Code;

/// A carrier that answers as it is told and remembers what it was asked. When told nothing it gives labels.
#[derive(Default)]
struct Told {
    answers: Mutex<VecDeque<CarrierError>>,
    asked: Mutex<Vec<Consignment>>,
}

impl Carrier for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn book<'a>(&'a self, consignment: &'a Consignment) -> BoxFuture<'a, Result<Vec<String>, CarrierError>> {
        self.asked.lock().unwrap().push(consignment.clone());
        let answer = self.answers.lock().unwrap().pop_front();
        let labels = || (1..=consignment.weights.len()).map(|no| format!("{}-{no}", consignment.key.0)).collect();
        Box::pin(std::future::ready(answer.map_or_else(|| Ok(labels()), Err)))
    }
}

async fn packed(house: &mut House) -> String {
    let order = Order::standard();
    house.feed.apply(vec![order.confirmed(vec![allocation(1, NORTH, 2)])]).await;
    let name = house.of_order(order.id).await[0].number.clone();
    house.pick(&name, &[]).await.unwrap();
    house.pack(&name, &[700, 300]).await.unwrap();
    name
}

#[sqlx::test(migrations = false)]
async fn labels_come_from_the_carrier_the_service_is_built_with(pool: PgPool) {
    let carrier = Arc::new(Told::default());
    let mut house = House::start_with(pool, carrier.clone()).await;
    let name = packed(&mut house).await;
    let shipped = house.ship(&name).await.unwrap();
    let asked = carrier.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].key.0.to_string(), &asked[0].weights), (shipped.id.clone(), &vec![700, 300]));
    let labels: Vec<_> = shipped.parcels.iter().map(|p| (p.carrier.as_str(), p.tracking_number.clone())).collect();
    assert_eq!(labels, [("told", format!("{}-1", shipped.id)), ("told", format!("{}-2", shipped.id))]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn a_carrier_that_does_not_answer_is_asked_again_with_the_same_key(pool: PgPool) {
    let carrier = Arc::new(Told::default());
    carrier.answers.lock().unwrap().push_back(CarrierError::Unavailable("timeout".into()));
    let mut house = House::start_with(pool, carrier.clone()).await;
    let name = packed(&mut house).await;
    let ship = pb::ShipRequest { request_id: id(), name: name.clone(), effective_at: None };
    let refused = house.orders.ship(ship.clone()).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Unavailable, "CARRIER_UNAVAILABLE".into()));
    let waiting = house.get(&name).await;
    assert_eq!(waiting.state(), pb::FulfilmentState::Packed);
    assert!(waiting.parcels.iter().all(|p| p.carrier == "told" && p.tracking_number.is_empty()), "asked, not answered");

    let shipped = house.orders.ship(ship).await.unwrap().into_inner().fulfilment_order.unwrap();
    assert_eq!(shipped.state(), pb::FulfilmentState::Shipped);
    let keys: Vec<_> = carrier.asked.lock().unwrap().iter().map(|consignment| consignment.key).collect();
    assert_eq!((keys.len(), keys[0]), (2, keys[1]));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn a_carrier_that_refuses_ships_nothing(pool: PgPool) {
    let carrier = Arc::new(Told::default());
    carrier.answers.lock().unwrap().push_back(CarrierError::Refused("too heavy".into()));
    let mut house = House::start_with(pool, carrier).await;
    let name = packed(&mut house).await;
    let refused = house.ship(&name).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "CARRIER_REFUSED".into()));
    assert!(refused.message().contains("too heavy"));
    assert_eq!(house.get(&name).await.lines[0].shipped, 0);
    assert!(!house.event_names().await.contains(&"GoodsIssued".to_owned()));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn what_one_carrier_was_asked_for_is_not_booked_with_another(pool: PgPool) {
    let (feed, endpoint) = OrderFeed::serve().await;
    let carrier = Arc::new(Told::default());
    carrier.answers.lock().unwrap().push_back(CarrierError::Unavailable("timeout".into()));
    let mut first = House::start_on(pool.clone(), carrier, feed.clone(), endpoint.clone()).await;
    let name = packed(&mut first).await;
    first.ship(&name).await.unwrap_err();
    first.close().await;

    let mut second = House::start_on(pool, Arc::new(Simulated), feed, endpoint).await;
    let refused = second.ship(&name).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "CARRIER_NOT_CONNECTED".into()));
    assert_eq!(says(&refused, "carrier"), "told");
    second.close().await;
}

#[sqlx::test(migrations = false)]
async fn shipping_many_times_at_once_issues_goods_once(pool: PgPool) {
    let mut house = House::start(pool).await;
    let name = packed(&mut house).await;
    let same = pb::ShipRequest { request_id: id(), name: name.clone(), effective_at: None };
    let calls = (0..10).map(|i| {
        let (mut orders, mut request) = (house.orders.clone(), same.clone());
        if i % 2 == 1 {
            request.request_id = id();
        }
        tokio::spawn(async move { orders.ship(request).await.map(|answer| answer.into_inner()) })
    });
    let outcomes = futures::future::join_all(calls.collect::<Vec<_>>()).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(refusal(refused).1, "NOT_ALLOWED");
    }
    let answers: Vec<_> = outcomes.into_iter().flatten().collect();
    assert!(!answers.is_empty() && answers.windows(2).all(|pair| pair[0] == pair[1]));
    let issues = house.event_names().await.iter().filter(|name| *name == "GoodsIssued").count();
    assert_eq!(issues, 1);
    house.close().await;
}
