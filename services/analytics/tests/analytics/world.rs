//! The real application between four feeds that a test writes.

use crate::script::SOURCES;
use pesan_analytics::{Application, Config};
use pesan_api::analytics::v1 as pb;
use pesan_api::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use pesan_api::feed::v1::{
    Event, GetPositionRequest, GetPositionResponse, PullRequest, PullResponse, TailRequest, TailResponse,
};
use pesan_api::proof::v1::proof_service_client::ProofServiceClient;
use pesan_grpc::parse::to_timestamp;
use sqlx::{ConnectOptions as _, PgPool};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// A feed whose events a test appends. The cursor is the number of events before it.
#[derive(Clone)]
pub struct FakeFeed {
    events: Arc<Mutex<Vec<Event>>>,
    /// How many events there are.
    length: watch::Sender<usize>,
    /// The cursor of the last pull: everything before it is applied.
    pulled: watch::Sender<usize>,
    /// Pulls that found nothing.
    empty: watch::Sender<usize>,
}

impl FakeFeed {
    fn new() -> Self {
        Self {
            events: Arc::default(),
            length: watch::channel(0).0,
            pulled: watch::channel(0).0,
            empty: watch::channel(0).0,
        }
    }

    pub fn append(&self, event: Event) {
        let mut events = self.events.lock().unwrap();
        events.push(event);
        self.length.send_replace(events.len());
    }

    /// Waits until the reader has looked for more and taken note that there is none: a second look shows that the first
    /// one's answer has come.
    pub async fn idle(&self) {
        self.drained().await;
        let mut empty = self.empty.subscribe();
        let before = *empty.borrow_and_update();
        let twice = empty.wait_for(|pulls| *pulls >= before + 2);
        tokio::time::timeout(std::time::Duration::from_secs(60), twice).await.expect("the feed is not read").unwrap();
    }

    /// Waits until every event is applied.
    pub async fn drained(&self) {
        let length = *self.length.borrow();
        let mut pulled = self.pulled.subscribe();
        let all = pulled.wait_for(|cursor| *cursor >= length);
        tokio::time::timeout(std::time::Duration::from_secs(60), all).await.expect("the feed is not read").unwrap();
    }
}

#[tonic::async_trait]
impl FeedService for FakeFeed {
    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        let request = request.into_inner();
        let cursor: usize = if request.cursor.is_empty() { 0 } else { request.cursor.parse().unwrap() };
        self.pulled.send_replace(cursor);
        let mut length = self.length.subscribe();
        let wait = std::time::Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let _ = tokio::time::timeout(wait, length.wait_for(|length| *length > cursor)).await;
        let events = self.events.lock().unwrap();
        if cursor == events.len() {
            self.empty.send_modify(|pulls| *pulls += 1);
        }
        let end = events.len().min(cursor + request.max_events.unsigned_abs() as usize);
        Ok(Response::new(PullResponse {
            events: events[cursor..end].to_vec(),
            cursor: end.to_string(),
            caught_up: end == events.len(),
        }))
    }

    type TailStream = ReceiverStream<Result<TailResponse, Status>>;

    async fn tail(&self, _: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("nobody tails in these tests"))
    }

    async fn get_position(&self, _: Request<GetPositionRequest>) -> Result<Response<GetPositionResponse>, Status> {
        Err(Status::unimplemented("nobody asks in these tests"))
    }
}

pub struct World {
    pub analytics: AnalyticsServiceClient<Channel>,
    pub proof: ProofServiceClient<Channel>,
    pub feed: FeedServiceClient<Channel>,
    pub dashboard: SocketAddr,
    pub feeds: Vec<FakeFeed>,
    pub pool: PgPool,
    _stop: DropGuard,
}

/// Starts the application on the test's database.
pub async fn start(pool: &PgPool) -> World {
    start_in(pool, "public").await
}

/// The same in a schema of its own, so that one test can have several.
pub async fn start_in(pool: &PgPool, schema: &str) -> World {
    let options = pool.connect_options().as_ref().clone().options([("search_path", schema)]);
    let url = format!("{}?options[search_path]={schema}", options.to_url_lossy().as_str().split('?').next().unwrap());
    let own = PgPool::connect_lazy_with(options);
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create schema if not exists {schema}"))).execute(pool).await.unwrap();
    let stop = CancellationToken::new();
    let mut feeds = Vec::new();
    let mut endpoints = Vec::new();
    for _ in SOURCES {
        let feed = FakeFeed::new();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        endpoints.push(format!("http://{}", listener.local_addr().unwrap()));
        let serving = tonic::transport::Server::builder()
            .add_service(FeedServiceServer::new(feed.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        feeds.push(feed);
    }
    let mut endpoints = endpoints.into_iter();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config {
        dashboard_listen: any_port,
        order_endpoint: endpoints.next().unwrap(),
        inventory_endpoint: endpoints.next().unwrap(),
        fulfilment_endpoint: endpoints.next().unwrap(),
        billing_endpoint: endpoints.next().unwrap(),
        ..Config::for_database(any_port, &url)
    };
    let application = Application::build(config).await.unwrap();
    let endpoint = format!("http://{}", application.address());
    let dashboard = application.dashboard_address();
    tokio::spawn(application.run_until_stopped(stop.clone()));
    let channel = Channel::from_shared(endpoint).unwrap().connect_lazy();
    World {
        analytics: AnalyticsServiceClient::new(channel.clone()),
        proof: ProofServiceClient::new(channel.clone()),
        feed: FeedServiceClient::new(channel),
        dashboard,
        feeds,
        pool: own,
        _stop: stop.drop_guard(),
    }
}

impl World {
    /// Appends events to their feeds, all at once, and waits until they are applied.
    pub async fn play(&self, events: &[(usize, Event)]) {
        for (source, event) in events {
            self.feeds[*source].append(event.clone());
        }
        for feed in &self.feeds {
            feed.drained().await;
        }
    }

    /// Plays events strictly one after the other.
    pub async fn play_one_by_one(&self, events: &[(usize, Event)]) {
        for (source, event) in events {
            self.feeds[*source].append(event.clone());
            self.feeds[*source].drained().await;
        }
    }

    pub async fn kpis(&self, request: pb::QueryKpisRequest) -> Vec<pb::KpiValue> {
        self.analytics.clone().query_kpis(request).await.unwrap().into_inner().values
    }

    /// The value of one KPI by bucket and segment: "2011-01-01 edi=100.00/1" or "…=3/0" where there is none.
    pub async fn told(&self, request: pb::QueryKpisRequest) -> Vec<String> {
        self.kpis(request).await.iter().map(tell).collect()
    }

    /// All rows of all tables that are made of the feeds, as sorted text.
    pub async fn rows(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut rows = Vec::new();
        for table in TABLES {
            let statement = format!("select to_jsonb(t)::text from {table} t order by 1");
            rows.push((table, sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await.unwrap()));
        }
        rows
    }

    /// The invariants that are broken, with the ids.
    pub async fn broken(&self) -> Vec<(String, Vec<String>)> {
        let request = pesan_api::proof::v1::CheckInvariantsRequest {};
        let results = self.proof.clone().check_invariants(request).await.unwrap().into_inner().results;
        let broken = results.into_iter().filter(|result| !result.violations.is_empty());
        broken.map(|r| (r.name, r.violations.into_iter().map(|v| format!("{}: {}", v.id, v.what)).collect())).collect()
    }
}

pub const TABLES: [&str; 14] = [
    "dims",
    "order_fact",
    "order_name",
    "order_lines",
    "customer_fact",
    "shipment_fact",
    "return_fact",
    "hold_fact",
    "document_fact",
    "sales_slot",
    "product_slot",
    "document_slot",
    "journey_entry",
    "feed_progress",
];

fn tell(value: &pb::KpiValue) -> String {
    let start = value.bucket_start.unwrap();
    let start = OffsetDateTime::from_unix_timestamp(start.seconds).unwrap();
    let (date, time) = (start.date(), start.time());
    let time = if time == time::Time::MIDNIGHT { String::new() } else { format!("T{:02}", time.hour()) };
    let segment = if value.segment.is_empty() { String::new() } else { format!(" {}", value.segment) };
    let value_text = value.value.clone().unwrap_or("none".into());
    match value.denominator.as_str() {
        "1" => format!("{date}{time}{segment} {}", value_text),
        _ => format!("{date}{time}{segment} {} ({}/{})", value_text, value.numerator, value.denominator),
    }
}

/// A question about a period in UTC, without buckets.
pub fn ask(kpis: &[&str], from: OffsetDateTime, to: OffsetDateTime) -> pb::QueryKpisRequest {
    pb::QueryKpisRequest {
        kpis: kpis.iter().map(ToString::to_string).collect(),
        from: Some(to_timestamp(from)),
        to: Some(to_timestamp(to)),
        ..Default::default()
    }
}
