//! What the callers do.

use anyhow::Result;
use pesan_api::inventory::v1::reserve_result::Outcome as ReserveOutcome;
use pesan_api::inventory::v1::{DemandLine, OrderDemand, ReserveRequest, ShortagePolicy};
use pesan_api::order::v1::place_order_result::Outcome as PlaceOutcome;
use pesan_api::order::v1::{NewOrder, NewOrderLine, OrderView, PaymentMethod, PlaceOrdersRequest, PlaceWait};
use pesan_api::r#type::v1::{Address, Money, Problem};
use pesan_grpc::channel;
use rand::Rng as _;
use tonic::Status;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use super::load::{self, Bounds, Done, Measured};
use super::prepare::{CURRENCY, CUSTOMERS, customer, sku};
use super::{CALL, CONNECTIONS};
use crate::endpoints::{Endpoints, Service, Suite};
use crate::instant;

/// What an order, or a reservation, looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Items to choose from.
    pub skus: u32,
    pub lines: u32,
    /// Orders in a call.
    pub batch: u32,
    /// A call waits until its orders are settled.
    pub settled: bool,
}

/// Places orders that are durable when they are answered. Also the channel that they came by, new in every run.
pub async fn place(suites: &[Suite], shape: Shape, bounds: Bounds) -> Result<(Measured, String)> {
    let channel = format!("bench-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let measured = load::run(bounds, |number| {
        let orders = suites[number % suites.len()].orders();
        let channel = channel.clone();
        move || {
            let mut orders = orders.clone();
            let request = PlaceOrdersRequest {
                orders: (0..shape.batch).map(|_| new_order(shape, &channel)).collect(),
                wait: if shape.settled { PlaceWait::Settled } else { PlaceWait::Durable }.into(),
                view: OrderView::Basic.into(),
            };
            async move {
                match orders.place_orders(request).await {
                    Ok(answer) => tally(answer.into_inner().results.into_iter().map(|result| match result.outcome {
                        Some(PlaceOutcome::Order(_)) => Ok(()),
                        Some(PlaceOutcome::Problem(problem)) => Err(Some(problem)),
                        None => Err(None),
                    })),
                    Err(status) => failed(&status, shape.batch),
                }
            }
        }
    })
    .await?;
    Ok((measured, channel))
}

fn new_order(shape: Shape, channel: &str) -> NewOrder {
    let price = Money { currency_code: CURRENCY.to_owned(), units: 2, nanos: 550_000_000 };
    let lines = choose(shape).into_iter().map(|number| NewOrderLine {
        sku: sku(number),
        quantity: 1,
        unit_price: Some(price.clone()),
        ..NewOrderLine::default()
    });
    NewOrder {
        request_id: Uuid::now_v7().to_string(),
        channel: channel.to_owned(),
        customer_external_id: customer(rand::rng().random_range(0..CUSTOMERS)),
        currency_code: CURRENCY.to_owned(),
        lines: lines.collect(),
        ship_to: Some(Address { country: "GB".to_owned(), ..Address::default() }),
        payment_method: PaymentMethod::OnAccount.into(),
        ..NewOrder::default()
    }
}

/// Items for the lines of one order.
fn choose(shape: Shape) -> Vec<u32> {
    let mut random = rand::rng();
    if shape.lines == shape.skus {
        return (0..shape.lines).collect();
    }
    (0..shape.lines).map(|_| random.random_range(0..shape.skus)).collect()
}

/// Reserves single pieces for orders that nobody has placed: they lapse by themselves.
pub async fn reserve(suites: &[Suite], shape: Shape, bounds: Bounds) -> Result<Measured> {
    load::run(bounds, |number| {
        let reservations = suites[number % suites.len()].reservations();
        move || {
            let mut reservations = reservations.clone();
            let demands = (0..shape.batch).map(|_| demand(Shape { lines: 1, ..shape })).collect();
            async move {
                match reservations.reserve(ReserveRequest { demands }).await {
                    Ok(answer) => tally(answer.into_inner().results.into_iter().map(|result| match result.outcome {
                        Some(ReserveOutcome::Reservation(_)) => Ok(()),
                        Some(ReserveOutcome::Problem(problem)) => Err(Some(problem)),
                        None => Err(None),
                    })),
                    Err(status) => failed(&status, shape.batch),
                }
            }
        }
    })
    .await
}

fn demand(shape: Shape) -> OrderDemand {
    let lines = (1..).zip(choose(shape)).map(|(line_no, number)| DemandLine { line_no, sku: sku(number), quantity: 1 });
    OrderDemand {
        order_id: Uuid::now_v7().to_string(),
        lines: lines.collect(),
        policy: ShortagePolicy::AllOrNothing.into(),
        priority: 5,
        placed_at: Some(instant::now()),
        ..OrderDemand::default()
    }
}

/// Asks the order service whether it is well: the way there and back, and no work.
pub async fn rpc(endpoints: &Endpoints, bounds: Bounds) -> Result<Measured> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(HealthClient::new(channel::lazy(&endpoints.of(Service::Order), CALL)?));
    }
    load::run(bounds, |number| {
        let client = clients[number % clients.len()].clone();
        move || {
            let mut client = client.clone();
            async move {
                match client.check(HealthCheckRequest::default()).await {
                    Ok(_) => Done { done: 1, ..Done::default() },
                    Err(status) => failed(&status, 1),
                }
            }
        }
    })
    .await
}

fn tally(results: impl Iterator<Item = Result<(), Option<Problem>>>) -> Done {
    let mut done = Done::default();
    for result in results {
        match result {
            Ok(()) => done.done += 1,
            Err(problem) => {
                done.errors += 1;
                done.error = problem.map(|problem| format!("{}: {}", problem.reason, problem.message));
            }
        }
    }
    done
}

fn failed(status: &Status, items: u32) -> Done {
    let error = Some(format!("{:?}: {}", status.code(), status.message()));
    Done { done: 0, errors: u64::from(items), error }
}
