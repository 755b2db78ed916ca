//! The house that the tests live in.

use pesan_api::feed::v1 as feed;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::backorder_service_client::BackorderServiceClient;
use pesan_api::inventory::v1::count_service_client::CountServiceClient;
use pesan_api::inventory::v1::item_service_client::ItemServiceClient;
use pesan_api::inventory::v1::lot_service_client::LotServiceClient;
use pesan_api::inventory::v1::placement_service_client::PlacementServiceClient;
use pesan_api::inventory::v1::planning_service_client::PlanningServiceClient;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_api::inventory::v1::sourcing_service_client::SourcingServiceClient;
use pesan_api::inventory::v1::stock_service_client::StockServiceClient;
use pesan_api::inventory::v1::supply_service_client::SupplyServiceClient;
use pesan_api::inventory::v1::transfer_service_client::TransferServiceClient;
use pesan_api::inventory::v1::valuation_service_client::ValuationServiceClient;
use pesan_api::proof::v1 as proof;
use pesan_api::proof::v1::proof_service_client::ProofServiceClient;
use pesan_api::r#type::v1::{Money, Problem};
use pesan_grpc::parse::to_timestamp;
use pesan_host::Clock;
use pesan_inventory::ops::{Inventory, fill};
use pesan_inventory::{Application, Config};
use prost::{Message, Name};
use sqlx::{ConnectOptions as _, PgPool};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// When the tests take place, unless they turn the clock.
pub const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

/// A running service with its clients, and the feeds it follows.
pub struct Service {
    pub items: ItemServiceClient<Channel>,
    pub stock: StockServiceClient<Channel>,
    pub reservations: ReservationServiceClient<Channel>,
    pub sourcing: SourcingServiceClient<Channel>,
    pub lots: LotServiceClient<Channel>,
    pub valuation: ValuationServiceClient<Channel>,
    pub supply: SupplyServiceClient<Channel>,
    pub transfers: TransferServiceClient<Channel>,
    pub counts: CountServiceClient<Channel>,
    pub planning: PlanningServiceClient<Channel>,
    pub backorders: BackorderServiceClient<Channel>,
    pub placement: PlacementServiceClient<Channel>,
    pub feed: FeedServiceClient<Channel>,
    pub proof: ProofServiceClient<Channel>,
    pub orders: FakeFeed,
    pub fulfilment: FakeFeed,
    pub clock: Clock,
    pub inventory: Inventory,
    _stop: DropGuard,
}

/// Starts the application on the test's own database.
pub async fn start(pool: &PgPool) -> Service {
    let orders = FakeFeed::start().await;
    let fulfilment = FakeFeed::start().await;
    let clock = Clock::manual(NOW);
    let url = pool.connect_options().to_url_lossy();
    let mut config = Config::for_database(([127, 0, 0, 1], 0).into(), url);
    config.order_endpoint = orders.endpoint.clone();
    config.fulfilment_endpoint = fulfilment.endpoint.clone();
    config.clock = clock.clone();
    let application = Application::build(config).await.unwrap();
    let endpoint = format!("http://{}", application.address());
    let inventory = application.inventory().clone();
    let stop = CancellationToken::new();
    tokio::spawn(application.run_until_stopped(stop.clone()));
    let channel = Channel::from_shared(endpoint).unwrap().connect().await.unwrap();
    Service {
        items: ItemServiceClient::new(channel.clone()),
        stock: StockServiceClient::new(channel.clone()),
        reservations: ReservationServiceClient::new(channel.clone()),
        sourcing: SourcingServiceClient::new(channel.clone()),
        lots: LotServiceClient::new(channel.clone()),
        valuation: ValuationServiceClient::new(channel.clone()),
        supply: SupplyServiceClient::new(channel.clone()),
        transfers: TransferServiceClient::new(channel.clone()),
        counts: CountServiceClient::new(channel.clone()),
        planning: PlanningServiceClient::new(channel.clone()),
        backorders: BackorderServiceClient::new(channel.clone()),
        placement: PlacementServiceClient::new(channel.clone()),
        feed: FeedServiceClient::new(channel.clone()),
        proof: ProofServiceClient::new(channel),
        orders,
        fulfilment,
        clock,
        inventory,
        _stop: stop.drop_guard(),
    }
}

pub fn gbp(units: i64, nanos: i32) -> Money {
    Money { currency_code: "GBP".into(), units, nanos }
}

pub fn item(sku: &str) -> pb::Item {
    pb::Item { sku: sku.into(), name: sku.to_lowercase(), ..pb::Item::default() }
}

pub fn service_item(sku: &str) -> pb::Item {
    pb::Item { kind: pb::ItemKind::Service.into(), ..item(sku) }
}

pub fn demand(policy: pb::ShortagePolicy, lines: &[(&str, i64)]) -> pb::OrderDemand {
    let line = |(line_no, (sku, quantity)): (i32, &(&str, i64))| pb::DemandLine {
        line_no,
        sku: (*sku).into(),
        quantity: *quantity,
    };
    pb::OrderDemand {
        order_id: Uuid::now_v7().to_string(),
        lines: (1..).zip(lines).map(line).collect(),
        policy: policy.into(),
        placed_at: Some(to_timestamp(NOW)),
        ..pb::OrderDemand::default()
    }
}

pub fn all_or_nothing(lines: &[(&str, i64)]) -> pb::OrderDemand {
    demand(pb::ShortagePolicy::AllOrNothing, lines)
}

pub fn backorder(lines: &[(&str, i64)]) -> pb::OrderDemand {
    demand(pb::ShortagePolicy::Backorder, lines)
}

impl Service {
    pub async fn upsert_items(&mut self, items: Vec<pb::Item>) -> Vec<Result<pb::Item, Problem>> {
        let response = self.items.upsert_items(pb::UpsertItemsRequest { items }).await.unwrap().into_inner();
        let outcome = |result: pb::UpsertItemResult| match result.outcome.unwrap() {
            pb::upsert_item_result::Outcome::Item(item) => Ok(item),
            pb::upsert_item_result::Outcome::Problem(problem) => Err(problem),
        };
        response.results.into_iter().map(outcome).collect()
    }

    /// Makes a location and gives its id.
    pub async fn location(&mut self, code: &str, rank: i32) -> String {
        let location = pb::Location { code: code.into(), rank, ..pb::Location::default() };
        let request = pb::UpsertLocationsRequest { locations: vec![location] };
        let response = self.items.upsert_locations(request).await.unwrap().into_inner();
        match response.results[0].outcome.clone().unwrap() {
            pb::upsert_location_result::Outcome::Location(location) => location.id,
            pb::upsert_location_result::Outcome::Problem(problem) => panic!("{problem:?}"),
        }
    }

    /// Makes or changes locations; the problem's reason and fields where one is refused.
    pub async fn upsert_locations(&mut self, locations: Vec<pb::Location>) -> Vec<Result<pb::Location, Problem>> {
        let request = pb::UpsertLocationsRequest { locations };
        let response = self.items.upsert_locations(request).await.unwrap().into_inner();
        let outcome = |result: pb::UpsertLocationResult| match result.outcome.unwrap() {
            pb::upsert_location_result::Outcome::Location(location) => Ok(location),
            pb::upsert_location_result::Outcome::Problem(problem) => Err(problem),
        };
        response.results.into_iter().map(outcome).collect()
    }

    /// Makes or changes one.
    pub async fn place(&mut self, location: pb::Location) -> String {
        self.upsert_locations(vec![location]).await.remove(0).unwrap().id
    }

    /// What would be promised to one order.
    pub async fn promise(&mut self, demand: &pb::OrderDemand) -> Result<pb::OrderPromise, Problem> {
        let request = pb::PromiseRequest { demands: vec![demand.clone()] };
        let mut response = self.reservations.promise(request).await.unwrap().into_inner();
        match response.results.remove(0).outcome.unwrap() {
            pb::promise_result::Outcome::Promise(promise) => Ok(promise),
            pb::promise_result::Outcome::Problem(problem) => Err(problem),
        }
    }

    /// Makes one location and stocks it.
    pub async fn stocked(&mut self, stock: &[(&str, i64)]) -> String {
        let items = stock.iter().map(|(sku, _)| item(sku)).collect();
        self.upsert_items(items).await;
        let location = self.location("MAIN", 0).await;
        for (sku, quantity) in stock.iter().filter(|(_, quantity)| *quantity > 0) {
            self.receive(sku, &location, *quantity).await;
        }
        location
    }

    pub async fn receive_all(&mut self, receipts: Vec<pb::Receipt>) -> Vec<Result<pb::StockLevel, Problem>> {
        let response = self.stock.receive_stock(pb::ReceiveStockRequest { receipts }).await.unwrap().into_inner();
        response.results.into_iter().map(stock_outcome).collect()
    }

    pub async fn receive(&mut self, sku: &str, location: &str, quantity: i64) -> pb::StockLevel {
        let receipt = receipt(sku, location, quantity);
        self.receive_all(vec![receipt]).await.remove(0).unwrap()
    }

    pub async fn adjust(&mut self, adjustment: pb::Adjustment) -> Result<pb::StockLevel, Problem> {
        let request = pb::AdjustStockRequest { adjustments: vec![adjustment] };
        let mut response = self.stock.adjust_stock(request).await.unwrap().into_inner();
        stock_outcome(response.results.remove(0))
    }

    pub async fn reserve_all(&mut self, demands: Vec<pb::OrderDemand>) -> Vec<Result<pb::Reservation, Problem>> {
        let response = self.reservations.reserve(pb::ReserveRequest { demands }).await.unwrap().into_inner();
        let outcome = |result: pb::ReserveResult| match result.outcome.unwrap() {
            pb::reserve_result::Outcome::Reservation(reservation) => Ok(reservation),
            pb::reserve_result::Outcome::Problem(problem) => Err(problem),
        };
        response.results.into_iter().map(outcome).collect()
    }

    pub async fn reserve(&mut self, demand: &pb::OrderDemand) -> Result<pb::Reservation, Problem> {
        self.reserve_all(vec![demand.clone()]).await.remove(0)
    }

    pub async fn reservation(&mut self, order_id: &str) -> pb::Reservation {
        let request = pb::GetReservationRequest { order_id: order_id.into() };
        self.reservations.get_reservation(request).await.unwrap().into_inner().reservation.unwrap()
    }

    /// Serves the backorder queue to its end; the application's own worker may have done it already.
    pub async fn fill(&self) {
        fill::run_to_the_end(&self.inventory).await.unwrap();
    }

    pub async fn availability(&mut self, sku: &str) -> pb::Availability {
        let request = pb::GetAvailabilityRequest { skus: vec![sku.into()], ..Default::default() };
        self.stock.get_availability(request).await.unwrap().into_inner().availabilities.remove(0)
    }

    /// (on hand, reserved, damaged) over all locations.
    pub async fn levels(&mut self, sku: &str) -> (i64, i64, i64) {
        let levels = self.availability(sku).await.locations;
        let sum = |value: fn(&pb::StockLevel) -> i64| levels.iter().map(value).sum();
        (sum(|l| l.on_hand), sum(|l| l.reserved), sum(|l| l.damaged))
    }

    pub async fn movements(&mut self, sku: &str) -> Vec<pb::Movement> {
        let request = pb::ListMovementsRequest { sku: sku.into(), ..pb::ListMovementsRequest::default() };
        self.stock.list_movements(request).await.unwrap().into_inner().movements
    }

    /// All facts of one kind that are written, oldest first, with their events.
    pub async fn facts<M: Message + Name + Default>(&mut self) -> Vec<(feed::Event, M)> {
        // The feed holds a fact back while older transactions run, of whatever test: wait until it has told of all.
        let written: i64 =
            sqlx::query_scalar("select count(*) from outbox").fetch_one(&self.inventory.pool).await.unwrap();
        let mut told = 0;
        let mut found = Vec::new();
        let mut cursor = String::new();
        while told < written {
            let request = feed::PullRequest { cursor, max_events: 5000, max_wait_ms: 30_000, ..Default::default() };
            let page = self.feed.pull(request).await.unwrap().into_inner();
            assert!(!page.events.is_empty(), "the feed tells of {told} of {written} facts");
            told += i64::try_from(page.events.len()).unwrap();
            let of_kind = page.events.into_iter().filter(|event| event.r#type == M::full_name());
            found.extend(of_kind.map(|event| (event.clone(), M::decode(event.payload).unwrap())));
            cursor = page.cursor;
        }
        found
    }

    /// Waits until a fact of one kind is told of; for what workers do on their own.
    pub async fn next_fact<M: Message + Name + Default>(&mut self) -> M {
        let tail = feed::TailRequest { cursor: "start".into() };
        let mut events = self.feed.tail(tail).await.unwrap().into_inner();
        let wait = async {
            while let Some(next) = events.next().await {
                let event = next.unwrap().event.unwrap();
                if event.r#type == M::full_name() {
                    return M::decode(event.payload).unwrap();
                }
            }
            panic!("the feed ended");
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap()
    }

    /// Every invariant holds, and each looked at something or had nothing to look at.
    pub async fn assert_proven(&mut self) {
        for result in self.check().await {
            assert_eq!(result.violations, [], "{}", result.name);
        }
    }

    pub async fn check(&mut self) -> Vec<proof::InvariantResult> {
        self.proof.check_invariants(proof::CheckInvariantsRequest {}).await.unwrap().into_inner().results
    }
}

fn stock_outcome(result: pb::StockChangeResult) -> Result<pb::StockLevel, Problem> {
    match result.outcome.unwrap() {
        pb::stock_change_result::Outcome::Stock(stock) => Ok(stock),
        pb::stock_change_result::Outcome::Problem(problem) => Err(problem),
    }
}

pub fn receipt(sku: &str, location: &str, quantity: i64) -> pb::Receipt {
    pb::Receipt {
        request_id: Uuid::now_v7().to_string(),
        sku: sku.into(),
        location_id: location.into(),
        quantity,
        ..pb::Receipt::default()
    }
}

pub fn adjustment(sku: &str, location: &str, quantity: i64, damaged: i64) -> pb::Adjustment {
    pb::Adjustment {
        request_id: Uuid::now_v7().to_string(),
        sku: sku.into(),
        location_id: location.into(),
        quantity,
        damaged,
        reason: "COUNT".into(),
        ..pb::Adjustment::default()
    }
}

/// A peer's feed of scripted events.
#[derive(Clone)]
pub struct FakeFeed {
    pub endpoint: String,
    state: Arc<Mutex<Vec<feed::Event>>>,
    /// Counts what changed here: events, or answers that are not to wait.
    changed: watch::Sender<u64>,
    down: watch::Sender<bool>,
    /// The furthest cursor a follower came with: what is before it, it has applied.
    applied: watch::Sender<usize>,
}

impl FakeFeed {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let fake = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
            changed: watch::Sender::new(0),
            down: watch::Sender::new(false),
            applied: watch::Sender::new(0),
        };
        let server = tonic::transport::Server::builder().add_service(FeedServiceServer::new(fake.clone()));
        tokio::spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
        fake
    }

    /// Tells of facts about an order, all at once, and waits until the follower has applied them.
    pub async fn tell<M: Message + Name>(&self, order_id: &str, facts: &[M]) {
        self.tell_later(order_id, facts);
        self.applied().await;
    }

    /// Tells of facts without waiting.
    pub fn tell_later<M: Message + Name>(&self, order_id: &str, facts: &[M]) {
        self.tell_of(order_id, order_id, facts);
    }

    /// Tells of facts about something of an order: a shipment, a return.
    pub fn tell_of<M: Message + Name>(&self, aggregate_id: &str, order_id: &str, facts: &[M]) {
        {
            let mut events = self.state.lock().unwrap();
            let mut versions: HashMap<String, i64> = HashMap::new();
            for event in events.iter() {
                versions.insert(event.aggregate_id.clone(), event.version);
            }
            for fact in facts {
                let version = versions.entry(aggregate_id.to_owned()).or_default();
                *version += 1;
                events.push(feed::Event {
                    event_id: Uuid::now_v7().to_string(),
                    aggregate_id: aggregate_id.into(),
                    version: *version,
                    r#type: M::full_name(),
                    payload: fact.encode_to_vec().into(),
                    correlation_id: order_id.into(),
                    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
                    effective_at: Some(to_timestamp(NOW)),
                    recorded_at: Some(to_timestamp(NOW)),
                });
            }
        }
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Waits until the follower has applied everything.
    pub async fn applied(&self) {
        let all = self.state.lock().unwrap().len();
        let mut applied = self.applied.subscribe();
        let wait = applied.wait_for(|applied| *applied >= all);
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap().unwrap();
    }

    /// Answers a waiting follower at once that there is nothing.
    pub fn nothing_new(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Refuses every call until it is up again.
    pub fn set_down(&self, down: bool) {
        self.down.send_replace(down);
    }
}

#[tonic::async_trait]
impl FeedService for FakeFeed {
    async fn pull(&self, request: Request<feed::PullRequest>) -> Result<Response<feed::PullResponse>, Status> {
        let request = request.into_inner();
        let cursor: usize = request.cursor.parse().unwrap_or(0);
        let mut changed = self.changed.subscribe();
        self.applied.send_modify(|applied| *applied = cursor.max(*applied));
        let mut down = self.down.subscribe();
        if *down.borrow_and_update() {
            return Err(Status::unavailable("down"));
        }
        if self.state.lock().unwrap().len() == cursor {
            tokio::select! {
                _ = changed.changed() => {}
                _ = down.changed() => return Err(Status::unavailable("down")),
                () = tokio::time::sleep(Duration::from_millis(request.max_wait_ms.unsigned_abs().into())) => {}
            }
        }
        let events: Vec<feed::Event> = self.state.lock().unwrap()[cursor..].iter().take(500).cloned().collect();
        let caught_up = cursor + events.len() == self.state.lock().unwrap().len();
        let cursor = (cursor + events.len()).to_string();
        Ok(Response::new(feed::PullResponse { events, cursor, caught_up }))
    }

    type TailStream = Pin<Box<dyn Stream<Item = Result<feed::TailResponse, Status>> + Send>>;

    async fn tail(&self, _: Request<feed::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_position(
        &self,
        _: Request<feed::GetPositionRequest>,
    ) -> Result<Response<feed::GetPositionResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}
