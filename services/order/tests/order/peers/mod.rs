//! Peers of the order service: each a fake of its generated trait on a port of its own, with a feed of scripted facts.

mod billing;

pub use billing::FakeBilling;
use pesan_api::billing::v1::account_service_server::AccountServiceServer;
use pesan_api::billing::v1::payment_service_server::PaymentServiceServer;
use pesan_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use pesan_api::feed::v1::{self as feed};
use pesan_api::fulfilment::v1::fulfilment_service_server::{FulfilmentService, FulfilmentServiceServer};
use pesan_api::fulfilment::v1::return_receipt_service_server::{ReturnReceiptService, ReturnReceiptServiceServer};
use pesan_api::fulfilment::v1::{self as fulfilment};
use pesan_api::inventory::v1::reservation_service_server::{ReservationService, ReservationServiceServer};
use pesan_api::inventory::v1::{self as inventory};
use pesan_api::r#type::v1::{FieldViolation, Problem};
use prost::{Message, Name};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Where the fakes say that goods are.
pub const HALL: &str = "018f0000-0000-7000-8000-000000000001";
pub const ANNEX: &str = "018f0000-0000-7000-8000-000000000002";

/// A fake feed: its cursor is how many events were read.
#[derive(Clone, Default)]
pub struct FakeFeed {
    events: Arc<Mutex<Vec<feed::Event>>>,
    wake: Arc<Notify>,
}

impl FakeFeed {
    /// Tells a fact about an order, as the next one of an aggregate.
    pub fn tell_of<M: Message + Name>(&self, aggregate_id: Uuid, order_id: Uuid, fact: &M) {
        let mut events = self.events.lock().unwrap();
        let version = 1 + events.iter().filter(|e| e.aggregate_id == aggregate_id.to_string()).count() as i64;
        let now = Some(pesan_grpc::parse::to_timestamp(pesan_host::Clock::System.now()));
        events.push(feed::Event {
            event_id: Uuid::now_v7().to_string(),
            aggregate_id: aggregate_id.to_string(),
            version,
            r#type: M::full_name(),
            payload: fact.encode_to_vec().into(),
            correlation_id: order_id.to_string(),
            traceparent: String::new(),
            effective_at: now,
            recorded_at: now,
        });
        self.wake.notify_waiters();
    }

    /// As above, about the order itself.
    pub fn tell<M: Message + Name>(&self, order_id: &str, fact: &M) {
        let order_id = order_id.parse().unwrap();
        self.tell_of(order_id, order_id, fact);
    }
}

#[tonic::async_trait]
impl FeedService for FakeFeed {
    async fn pull(&self, request: Request<feed::PullRequest>) -> Result<Response<feed::PullResponse>, Status> {
        let request = request.into_inner();
        let from: usize = request.cursor.parse().unwrap_or(0);
        let woken = self.wake.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let waits = self.events.lock().unwrap().len() <= from;
        if waits {
            let wait = Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
            let _ = tokio::time::timeout(wait, woken).await;
        }
        let all = self.events.lock().unwrap();
        let events: Vec<_> =
            all.iter().skip(from).take(usize::try_from(request.max_events).unwrap()).cloned().collect();
        let cursor = (from + events.len()).to_string();
        Ok(Response::new(feed::PullResponse { events, cursor, caught_up: true }))
    }

    type TailStream = ReceiverStream<Result<feed::TailResponse, Status>>;

    async fn tail(&self, _: Request<feed::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_position(
        &self,
        _: Request<feed::GetPositionRequest>,
    ) -> Result<Response<feed::GetPositionResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

/// Inventory with a stock of units for each sku; what has no entry is there without end.
#[derive(Clone, Default)]
pub struct FakeInventory {
    pub feed: FakeFeed,
    pub stock: Arc<Mutex<HashMap<String, i64>>>,
    /// Answers nothing but UNAVAILABLE.
    pub is_down: Arc<Mutex<bool>>,
    pub reservations: Arc<Mutex<HashMap<String, inventory::Reservation>>>,
    /// Answers UNAVAILABLE when it is asked for dates.
    pub tells_no_dates: Arc<Mutex<bool>>,
    /// The demands of every call.
    pub calls: Arc<Mutex<Vec<Vec<inventory::OrderDemand>>>>,
}

/// So many days into 2030.
pub fn day(days: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: 1_893_456_000 + days * 86_400, nanos: 0 })
}

impl FakeInventory {
    /// What is there leaves on day 1 and arrives on day 3; what waits comes with PO-7 on day 10, leaves on day 11 and
    /// arrives on day 13.
    fn tell(&self, demand: &inventory::OrderDemand) -> inventory::PromiseResult {
        use inventory::promise_result::Outcome as Told;
        use inventory::reserve_result::Outcome;
        let outcome = match self.decide(&inventory::OrderDemand { dry_run: true, ..demand.clone() }).outcome {
            Some(Outcome::Reservation(held)) => {
                let waits = held.lines.iter().any(|line| line.backordered > 0);
                let lines = held.lines.iter().map(|line| inventory::LinePromise {
                    line_no: line.line_no,
                    sku: line.sku.clone(),
                    quantity: line.quantity,
                    sources: line
                        .allocations
                        .iter()
                        .map(|a| inventory::PromisedFrom {
                            location_id: a.location_id.clone(),
                            quantity: a.reserved,
                            ship_at: day(1),
                            deliver_at: day(3),
                        })
                        .collect(),
                    supplies: Some(inventory::PromisedSupply {
                        location_id: HALL.into(),
                        quantity: line.backordered,
                        kind: inventory::SupplyKind::PurchaseOrder.into(),
                        document_id: ANNEX.into(),
                        number: "PO-7".into(),
                        expected_at: day(10),
                        ship_at: day(11),
                        deliver_at: day(13),
                    })
                    .filter(|supply| supply.quantity > 0)
                    .into_iter()
                    .collect(),
                    undated: 0,
                    refused: line.refused,
                    why: vec!["because".into()],
                });
                let (ship_at, deliver_at) = if waits { (day(11), day(13)) } else { (day(1), day(3)) };
                let order_id = held.order_id.clone();
                Told::Promise(inventory::OrderPromise {
                    order_id,
                    lines: lines.collect(),
                    ship_at,
                    deliver_at,
                    refused: false,
                })
            }
            Some(Outcome::Problem(problem)) if problem.reason == "OUT_OF_STOCK" => {
                let lines = demand.lines.iter().map(|line| inventory::LinePromise {
                    line_no: line.line_no,
                    sku: line.sku.clone(),
                    quantity: line.quantity,
                    refused: line.quantity,
                    ..Default::default()
                });
                Told::Promise(inventory::OrderPromise { lines: lines.collect(), refused: true, ..Default::default() })
            }
            Some(Outcome::Problem(problem)) => Told::Problem(problem),
            None => unreachable!("it always answers"),
        };
        inventory::PromiseResult { outcome: Some(outcome) }
    }

    fn decide(&self, demand: &inventory::OrderDemand) -> inventory::ReserveResult {
        use inventory::reserve_result::Outcome;
        let mut reservations = self.reservations.lock().unwrap();
        let held = reservations.get(&demand.order_id).cloned();
        let mut demand = demand.clone();
        if let Some(held) = &held {
            let held_lines: Vec<_> = held.lines.iter().map(|line| (line.line_no, line.quantity)).collect();
            if demand.in_addition {
                demand.lines.retain(|line| held_lines.iter().all(|(line_no, _)| *line_no != line.line_no));
            }
            let asked: Vec<_> = demand.lines.iter().map(|line| (line.line_no, line.quantity)).collect();
            let is_same =
                if demand.in_addition { asked.is_empty() } else { demand.revision == 0 || asked == held_lines };
            if is_same {
                return inventory::ReserveResult { outcome: Some(Outcome::Reservation(held.clone())) };
            }
        }
        let demand = &demand;
        let mut stock = self.stock.lock().unwrap();
        for line in held.iter().flat_map(|held| &held.lines).filter(|_| !demand.in_addition) {
            let here = line.allocations.iter().map(|allocation| allocation.reserved).sum::<i64>();
            stock.entry(line.sku.clone()).and_modify(|there| *there += here);
        }
        let mut left = stock.clone();
        let (mut lines, mut unknown) = (Vec::new(), Vec::new());
        for (i, line) in demand.lines.iter().enumerate() {
            if line.sku.starts_with("UNKNOWN") {
                unknown.push(FieldViolation { field: format!("lines[{i}].sku"), description: "is no item".into() });
            }
            let there = left.entry(line.sku.clone()).or_insert(i64::MAX / 2);
            let reserved = line.quantity.min(*there);
            *there -= reserved;
            let missing = line.quantity - reserved;
            let waits = demand.policy() == inventory::ShortagePolicy::Backorder;
            let allocation = inventory::LineAllocation { location_id: HALL.into(), reserved, ..Default::default() };
            lines.push(inventory::ReservationLine {
                line_no: line.line_no,
                sku: line.sku.clone(),
                quantity: line.quantity,
                allocations: Some(allocation).filter(|a| a.reserved > 0).into_iter().collect(),
                backordered: if waits { missing } else { 0 },
                refused: if waits { 0 } else { missing },
                stocked: !line.sku.starts_with("SERVICE"),
            });
        }
        let refused: i64 = lines.iter().map(|line| line.refused).sum();
        let asked: i64 = lines.iter().map(|line| line.quantity).sum();
        let all_or_nothing = demand.policy() == inventory::ShortagePolicy::AllOrNothing;
        let reason = match () {
            () if !unknown.is_empty() => "UNKNOWN_SKU",
            () if refused == asked || (all_or_nothing && refused > 0) => "OUT_OF_STOCK",
            () => {
                let order_id = demand.order_id.clone();
                let version = held.as_ref().map_or(1, |held| held.version + 1);
                if let Some(held) = held.filter(|_| demand.in_addition) {
                    lines = held.lines.into_iter().chain(lines).collect();
                }
                let placed_at = demand.placed_at.unwrap_or_default();
                let expires_at = Some(prost_types::Timestamp { seconds: placed_at.seconds + 900, nanos: 0 });
                let held = inventory::Reservation { order_id: order_id.clone(), lines, expires_at, version };
                if demand.dry_run {
                    return inventory::ReserveResult { outcome: Some(Outcome::Reservation(held)) };
                }
                reservations.insert(order_id.clone(), held.clone());
                self.feed
                    .tell(&order_id, &inventory::StockReserved { order_id: order_id.clone(), ..Default::default() });
                *stock = left.into_iter().filter(|(sku, _)| stock.contains_key(sku)).collect();
                return inventory::ReserveResult { outcome: Some(Outcome::Reservation(held)) };
            }
        };
        let problem = Problem { reason: reason.into(), message: "no".into(), violations: unknown, retryable: false };
        inventory::ReserveResult { outcome: Some(Outcome::Problem(problem)) }
    }
}

#[tonic::async_trait]
impl ReservationService for FakeInventory {
    async fn reserve(
        &self,
        request: Request<inventory::ReserveRequest>,
    ) -> Result<Response<inventory::ReserveResponse>, Status> {
        let demands = request.into_inner().demands;
        self.calls.lock().unwrap().push(demands.clone());
        if *self.is_down.lock().unwrap() {
            return Err(Status::unavailable("down"));
        }
        let results = demands.iter().map(|demand| self.decide(demand)).collect();
        Ok(Response::new(inventory::ReserveResponse { results }))
    }

    async fn get_reservation(
        &self,
        request: Request<inventory::GetReservationRequest>,
    ) -> Result<Response<inventory::GetReservationResponse>, Status> {
        let reservation = self.reservations.lock().unwrap().get(&request.into_inner().order_id).cloned();
        let reservation = reservation.ok_or_else(|| Status::not_found("no reservation"))?;
        Ok(Response::new(inventory::GetReservationResponse { reservation: Some(reservation) }))
    }

    async fn promise(
        &self,
        request: Request<inventory::PromiseRequest>,
    ) -> Result<Response<inventory::PromiseResponse>, Status> {
        if *self.is_down.lock().unwrap() || *self.tells_no_dates.lock().unwrap() {
            return Err(Status::unavailable("down"));
        }
        let results = request.into_inner().demands.iter().map(|demand| self.tell(demand)).collect();
        Ok(Response::new(inventory::PromiseResponse { results }))
    }
}

/// What comes no more of a return, as (line, quantity), or a refusal.
pub type Released = Result<Vec<(i32, i64)>, Status>;

/// Fulfilment that lets go of everything, unless a test has it say something else first.
#[derive(Clone, Default)]
pub struct FakeFulfilment {
    pub feed: FakeFeed,
    /// What it says to the next withdrawals, in order.
    pub answers: Arc<Mutex<VecDeque<Result<(), Status>>>>,
    pub asked: Arc<Mutex<Vec<fulfilment::WithdrawLinesRequest>>>,
    /// Its fulfilment orders, as it lists them.
    pub orders: Arc<Mutex<Vec<fulfilment::FulfilmentOrder>>>,
    /// What it says when it shall close a return; none: it knows of none.
    pub closes: Arc<Mutex<Option<Released>>>,
    /// Taken before each answer: a test that holds it holds fulfilment.
    pub gate: Arc<tokio::sync::Mutex<()>>,
}

#[tonic::async_trait]
impl FulfilmentService for FakeFulfilment {
    async fn withdraw_lines(
        &self,
        request: Request<fulfilment::WithdrawLinesRequest>,
    ) -> Result<Response<fulfilment::WithdrawLinesResponse>, Status> {
        self.asked.lock().unwrap().push(request.into_inner());
        drop(self.gate.lock().await);
        match self.answers.lock().unwrap().pop_front() {
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(())) | None => Ok(Response::new(fulfilment::WithdrawLinesResponse {})),
        }
    }

    async fn get_fulfilment_order(
        &self,
        _: Request<fulfilment::GetFulfilmentOrderRequest>,
    ) -> Result<Response<fulfilment::GetFulfilmentOrderResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_fulfilment_orders(
        &self,
        request: Request<fulfilment::ListFulfilmentOrdersRequest>,
    ) -> Result<Response<fulfilment::ListFulfilmentOrdersResponse>, Status> {
        let order_id = request.into_inner().order_id;
        let orders = self.orders.lock().unwrap().iter().filter(|order| order.order_id == order_id).cloned().collect();
        let next_page_token = String::new();
        Ok(Response::new(fulfilment::ListFulfilmentOrdersResponse { fulfilment_orders: orders, next_page_token }))
    }

    async fn pick(&self, _: Request<fulfilment::PickRequest>) -> Result<Response<fulfilment::PickResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn pack(&self, _: Request<fulfilment::PackRequest>) -> Result<Response<fulfilment::PackResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn ship(&self, _: Request<fulfilment::ShipRequest>) -> Result<Response<fulfilment::ShipResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn confirm_delivery(
        &self,
        _: Request<fulfilment::ConfirmDeliveryRequest>,
    ) -> Result<Response<fulfilment::ConfirmDeliveryResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

#[tonic::async_trait]
impl ReturnReceiptService for FakeFulfilment {
    async fn close_expected_return(
        &self,
        request: Request<fulfilment::CloseExpectedReturnRequest>,
    ) -> Result<Response<fulfilment::CloseExpectedReturnResponse>, Status> {
        let released = self.closes.lock().unwrap().clone().unwrap_or_else(|| Err(Status::not_found("no return")))?;
        let line = |(line_no, released): (i32, i64)| fulfilment::ExpectedReturnLine {
            line_no,
            released,
            ..Default::default()
        };
        let expected_return = Some(fulfilment::ExpectedReturn {
            return_id: request.into_inner().name,
            lines: released.into_iter().map(line).collect(),
            ..Default::default()
        });
        Ok(Response::new(fulfilment::CloseExpectedReturnResponse { expected_return }))
    }

    async fn get_expected_return(
        &self,
        _: Request<fulfilment::GetExpectedReturnRequest>,
    ) -> Result<Response<fulfilment::GetExpectedReturnResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn list_expected_returns(
        &self,
        _: Request<fulfilment::ListExpectedReturnsRequest>,
    ) -> Result<Response<fulfilment::ListExpectedReturnsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn receive_return(
        &self,
        _: Request<fulfilment::ReceiveReturnRequest>,
    ) -> Result<Response<fulfilment::ReceiveReturnResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

/// All three, and where they listen.
#[derive(Clone)]
pub struct Peers {
    pub inventory: FakeInventory,
    pub billing: FakeBilling,
    pub fulfilment: FakeFulfilment,
    pub endpoints: [String; 3],
}

async fn listen() -> (TcpIncoming, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (TcpIncoming::from(listener), endpoint)
}

const BYTES: usize = 32 * 1024 * 1024;

pub async fn start() -> Peers {
    let (inventory, billing, fulfilment) =
        (FakeInventory::default(), FakeBilling::default(), FakeFulfilment::default());
    let (at_inventory, inventory_endpoint) = listen().await;
    let (at_billing, billing_endpoint) = listen().await;
    let (at_fulfilment, fulfilment_endpoint) = listen().await;
    let server = tonic::transport::Server::builder;
    tokio::spawn(
        server()
            .add_service(ReservationServiceServer::new(inventory.clone()).max_decoding_message_size(BYTES))
            .add_service(FeedServiceServer::new(inventory.feed.clone()))
            .serve_with_incoming(at_inventory),
    );
    tokio::spawn(
        server()
            .add_service(PaymentServiceServer::new(billing.clone()).max_decoding_message_size(BYTES))
            .add_service(AccountServiceServer::new(billing.clone()))
            .add_service(FeedServiceServer::new(billing.feed.clone()))
            .serve_with_incoming(at_billing),
    );
    tokio::spawn(
        server()
            .add_service(FulfilmentServiceServer::new(fulfilment.clone()))
            .add_service(ReturnReceiptServiceServer::new(fulfilment.clone()))
            .add_service(FeedServiceServer::new(fulfilment.feed.clone()))
            .serve_with_incoming(at_fulfilment),
    );
    let endpoints = [inventory_endpoint, fulfilment_endpoint, billing_endpoint];
    Peers { inventory, billing, fulfilment, endpoints }
}
