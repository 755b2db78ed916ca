//! The real application on a free port, its peers, and orders to place.

use crate::peers::{self, Peers};
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::feed::v1::{Event, PullRequest};
use pesan_api::order::v1::change_service_client::ChangeServiceClient;
use pesan_api::order::v1::channel_service_client::ChannelServiceClient;
use pesan_api::order::v1::customer_service_client::CustomerServiceClient;
use pesan_api::order::v1::goodwill_service_client::GoodwillServiceClient;
use pesan_api::order::v1::import_service_client::ImportServiceClient;
use pesan_api::order::v1::inquiry_service_client::InquiryServiceClient;
use pesan_api::order::v1::order_service_client::OrderServiceClient;
use pesan_api::order::v1::price_service_client::PriceServiceClient;
use pesan_api::order::v1::promise_service_client::PromiseServiceClient;
use pesan_api::order::v1::quotation_service_client::QuotationServiceClient;
use pesan_api::order::v1::return_policy_service_client::ReturnPolicyServiceClient;
use pesan_api::order::v1::return_service_client::ReturnServiceClient;
use pesan_api::order::v1::schedule_service_client::ScheduleServiceClient;
use pesan_api::order::v1::search_service_client::SearchServiceClient;
use pesan_api::order::v1::*;
use pesan_api::proof::v1::proof_service_client::ProofServiceClient;
use pesan_api::proof::v1::{CheckInvariantsRequest, InvariantResult};
use pesan_api::r#type::v1::{Address, Money};
use pesan_host::Clock;
use pesan_order::backoff::Backoff;
use pesan_order::config::Patience;
use pesan_order::{Application, Config};
use prost::{Message, Name};
use sqlx::{ConnectOptions, PgPool};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

pub struct Suite {
    pub pool: PgPool,
    pub peers: Peers,
    pub orders: OrderServiceClient<Channel>,
    pub customers: CustomerServiceClient<Channel>,
    pub changes: ChangeServiceClient<Channel>,
    pub channels: ChannelServiceClient<Channel>,
    pub prices: PriceServiceClient<Channel>,
    pub imports: ImportServiceClient<Channel>,
    pub returns: ReturnServiceClient<Channel>,
    pub policies: ReturnPolicyServiceClient<Channel>,
    pub goodwill: GoodwillServiceClient<Channel>,
    pub inquiries: InquiryServiceClient<Channel>,
    pub promises: PromiseServiceClient<Channel>,
    pub schedules: ScheduleServiceClient<Channel>,
    pub quotations: QuotationServiceClient<Channel>,
    pub search: SearchServiceClient<Channel>,
    pub proof: ProofServiceClient<Channel>,
    pub channel: Channel,
    feed: FeedServiceClient<Channel>,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

/// Long enough for anything that should happen; a test that waits so long has failed.
pub const LONG: Duration = Duration::from_secs(20);

pub async fn start(pool: PgPool) -> Suite {
    let peers = peers::start().await;
    start_with(pool, peers).await
}

/// Another process on the same database and with the same peers.
pub async fn start_with(pool: PgPool, peers: Peers) -> Suite {
    start_at(pool, peers, Clock::default()).await
}

/// As [`start_with`], by a clock that the test turns.
pub async fn start_at(pool: PgPool, peers: Peers, clock: Clock) -> Suite {
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut config = Config::for_database("127.0.0.1:0".parse().unwrap(), &url);
    [config.inventory_endpoint, config.fulfilment_endpoint, config.billing_endpoint] = peers.endpoints.clone();
    config.connections = 6;
    config.clock = clock;
    config.server.drain_seconds = 2;
    config.patience = Patience {
        backoff: Backoff { first: Duration::from_millis(5), most: Duration::from_millis(50) },
        call: Duration::from_secs(5),
        lease: Duration::from_secs(3),
        look: Duration::from_millis(50),
        wait: LONG,
    };
    let application = Application::build(config).await.unwrap();
    let endpoint = format!("http://{}", application.address());
    let stop = CancellationToken::new();
    let running = tokio::spawn(application.run_until_stopped(stop.clone()));
    let channel = Channel::from_shared(endpoint).unwrap().connect().await.unwrap();
    let most = 32 * 1024 * 1024;
    Suite {
        pool,
        peers,
        orders: OrderServiceClient::new(channel.clone())
            .max_decoding_message_size(most)
            .max_encoding_message_size(most),
        customers: CustomerServiceClient::new(channel.clone()),
        changes: ChangeServiceClient::new(channel.clone()),
        channels: ChannelServiceClient::new(channel.clone()),
        prices: PriceServiceClient::new(channel.clone()),
        imports: ImportServiceClient::new(channel.clone()),
        returns: ReturnServiceClient::new(channel.clone()),
        policies: ReturnPolicyServiceClient::new(channel.clone()),
        goodwill: GoodwillServiceClient::new(channel.clone()),
        inquiries: InquiryServiceClient::new(channel.clone()),
        promises: PromiseServiceClient::new(channel.clone()),
        schedules: ScheduleServiceClient::new(channel.clone()),
        quotations: QuotationServiceClient::new(channel.clone()),
        search: SearchServiceClient::new(channel.clone()),
        proof: ProofServiceClient::new(channel.clone()).max_decoding_message_size(most),
        channel: channel.clone(),
        feed: FeedServiceClient::new(channel).max_decoding_message_size(most),
        stop,
        running,
    }
}

impl Suite {
    /// Stops it as SIGTERM would, and gives back what another one can go on with.
    pub async fn stop(self) -> (PgPool, Peers) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        (self.pool, self.peers)
    }

    /// Ends it as a crash would.
    pub async fn crash(self) -> (PgPool, Peers) {
        self.running.abort();
        let _ = self.running.await;
        (self.pool, self.peers)
    }

    pub async fn place(&self, order: NewOrder) -> Order {
        let request = PlaceOrderRequest { order: Some(order), wait: PlaceWait::Settled.into() };
        self.orders.clone().place_order(request).await.unwrap().into_inner().order.unwrap()
    }

    pub async fn get(&self, name: &str) -> Order {
        let request = GetOrderRequest { name: name.into(), view: OrderView::Full.into() };
        self.orders.clone().get_order(request).await.unwrap().into_inner().order.unwrap()
    }

    /// The order as soon as it is in a state.
    pub async fn until(&self, order_id: &str, state: OrderState) -> Order {
        self.until_it(order_id, |order| order.state() == state).await
    }

    /// The order as soon as it is as wished.
    pub async fn until_it(&self, order_id: &str, is: impl Fn(&Order) -> bool) -> Order {
        let request = WatchOrderRequest { name: order_id.into(), after_version: 0 };
        let mut states = self.orders.clone().watch_order(request).await.unwrap().into_inner();
        let mut last = None;
        let wait = async {
            while let Some(state) = states.message().await.unwrap() {
                let order = state.order.unwrap();
                if is(&order) {
                    return order;
                }
                last = Some(order);
            }
            panic!("the watch ended");
        };
        match tokio::time::timeout(LONG, wait).await {
            Ok(order) => order,
            Err(_) => panic!("it stays as it is: {last:#?}"),
        }
    }

    pub async fn customer(&self, external_id: &str) -> Customer {
        let customer = Customer {
            external_id: external_id.into(),
            name: "Budi".into(),
            segment: "wholesale".into(),
            sales_rep: "Siti".into(),
            addresses: vec![address()],
            ..Default::default()
        };
        let request = UpsertCustomersRequest { customers: vec![customer] };
        let mut results = self.customers.clone().upsert_customers(request).await.unwrap().into_inner().results;
        match results.remove(0).outcome.unwrap() {
            upsert_customer_result::Outcome::Customer(customer) => customer,
            upsert_customer_result::Outcome::Problem(problem) => panic!("{problem:?}"),
        }
    }

    /// All facts so far.
    pub async fn facts(&self) -> Vec<Event> {
        let count: i64 = sqlx::query_scalar("select count(*) from outbox").fetch_one(&self.pool).await.unwrap();
        let (mut cursor, mut events) = (String::new(), Vec::new());
        while (events.len() as i64) < count {
            let request = PullRequest {
                follower: "test".into(),
                cursor,
                max_events: 5000,
                max_wait_ms: 2000,
                ..PullRequest::default()
            };
            let page = self.feed.clone().pull(request).await.unwrap().into_inner();
            cursor = page.cursor;
            events.extend(page.events);
        }
        events
    }

    /// The names of an order's facts, in order.
    pub async fn fact_names(&self, order_id: &str) -> Vec<String> {
        let facts = self.facts().await;
        let own = facts.iter().filter(|event| event.aggregate_id == order_id);
        own.map(|event| event.r#type.strip_prefix("pesan.order.v1.").unwrap().to_owned()).collect()
    }

    /// The only, or the last, fact of a type about an order.
    pub async fn fact<M: Message + Name + Default>(&self, order_id: &str) -> M {
        let facts = self.facts().await;
        let own = facts.iter().rev().find(|event| event.aggregate_id == order_id && event.r#type == M::full_name());
        M::decode(own.unwrap_or_else(|| panic!("no {}", M::NAME)).payload.clone()).unwrap()
    }

    pub async fn invariants(&self) -> Vec<InvariantResult> {
        self.proof.clone().check_invariants(CheckInvariantsRequest {}).await.unwrap().into_inner().results
    }

    /// The books are right.
    pub async fn assert_proven(&self) {
        for result in self.invariants().await {
            assert_eq!(result.violations, [], "{}", result.name);
        }
    }
}

pub fn address() -> Address {
    Address {
        recipient: "Budi".into(),
        lines: vec!["Jl. Merdeka 1".into()],
        country: "ID".into(),
        ..Default::default()
    }
}

pub fn eur(cents: i64) -> Money {
    let nanos = i32::try_from(cents % 100).unwrap() * 10_000_000;
    Money { currency_code: "EUR".into(), units: cents / 100, nanos }
}

/// An order of a guest who pays by a provider.
pub fn order(lines: &[(&str, i64)]) -> NewOrder {
    NewOrder {
        request_id: Uuid::now_v7().to_string(),
        channel: "web".into(),
        currency_code: "EUR".into(),
        lines: lines.iter().map(|(sku, quantity)| line(sku, *quantity)).collect(),
        ship_to: Some(address()),
        payment_method: PaymentMethod::Provider.into(),
        payment_token: "tok_ok".into(),
        ..Default::default()
    }
}

/// An order of a customer, on account.
pub fn order_of(customer: &Customer, lines: &[(&str, i64)]) -> NewOrder {
    NewOrder {
        customer_id: customer.id.clone(),
        payment_method: PaymentMethod::OnAccount.into(),
        payment_token: String::new(),
        ship_to: None,
        ..order(lines)
    }
}

pub fn line(sku: &str, quantity: i64) -> NewOrderLine {
    NewOrderLine {
        sku: sku.into(),
        description: format!("{sku} in blue"),
        quantity,
        unit_price: Some(eur(1_25)),
        ..Default::default()
    }
}

/// The quantities that are not zero, for short assertions.
pub fn parts(quantities: &Option<Quantities>) -> Vec<(&'static str, i64)> {
    let q = quantities.as_ref().unwrap();
    let all = [
        ("ordered", q.ordered),
        ("reserved", q.reserved),
        ("backordered", q.backordered),
        ("cancelled", q.cancelled),
        ("shipped", q.shipped),
        ("delivered", q.delivered),
        ("returned", q.returned),
        ("invoiced", q.invoiced),
        ("refunded", q.refunded),
    ];
    all.into_iter().filter(|(_, quantity)| *quantity != 0).collect()
}

/// The stable reason of a refusal.
pub fn reason(status: &tonic::Status) -> String {
    pesan_grpc::refuse::reason(status)
}
