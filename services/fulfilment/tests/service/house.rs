//! The application under test and what can be asked of it.

use crate::order_feed::OrderFeed;
use pesan_api::fulfilment::v1 as pb;
use pesan_api::fulfilment::v1::fulfilment_service_client::FulfilmentServiceClient;
use pesan_api::fulfilment::v1::return_receipt_service_client::ReturnReceiptServiceClient;
use pesan_api::proof::v1::proof_service_client::ProofServiceClient;
use pesan_api::proof::v1::{CheckInvariantsRequest, CheckInvariantsResponse};
use pesan_fulfilment::app::Application;
use pesan_fulfilment::carrier::{Carrier, Simulated};
use pesan_fulfilment::config::Config;
use pesan_host::Clock;
use prost::{Message, Name};
use sqlx::{ConnectOptions as _, PgPool};
use std::sync::Arc;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

/// When tests begin.
pub const NOW: OffsetDateTime = datetime!(2026-03-02 09:00 UTC);

pub struct House {
    pub pool: PgPool,
    pub feed: OrderFeed,
    pub clock: Clock,
    pub orders: FulfilmentServiceClient<Channel>,
    pub returns: ReturnReceiptServiceClient<Channel>,
    pub proof: ProofServiceClient<Channel>,
    pub channel: Channel,
    running: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
}

/// An event of this service, as the outbox holds it.
#[derive(Debug)]
pub struct Told {
    pub aggregate_id: Uuid,
    pub version: i64,
    pub kind: String,
    pub payload: Vec<u8>,
    pub correlation_id: Option<Uuid>,
    pub traceparent: Option<String>,
    pub effective_at: OffsetDateTime,
}

impl Told {
    /// The payload, which must be an `M`.
    pub fn read<M: Message + Name + Default>(&self) -> M {
        assert_eq!(self.kind, M::full_name());
        M::decode(self.payload.as_slice()).unwrap()
    }

    /// The type without its package.
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap()
    }
}

impl House {
    pub async fn start(pool: PgPool) -> Self {
        Self::start_with(pool, Arc::new(Simulated)).await
    }

    pub async fn start_with(pool: PgPool, carrier: Arc<dyn Carrier>) -> Self {
        let (feed, endpoint) = OrderFeed::serve().await;
        Self::start_on(pool, carrier, feed, endpoint).await
    }

    /// On an order feed that may have been read by an earlier house on the same database.
    pub async fn start_on(pool: PgPool, carrier: Arc<dyn Carrier>, feed: OrderFeed, endpoint: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = pool.connect_options().to_url_lossy().to_string();
        let clock = Clock::manual(NOW);
        let mut config = Config::for_database(listener.local_addr().unwrap(), url);
        config.order_endpoint = endpoint;
        config.clock = clock.clone();
        let application = Application::build_with(config, listener, carrier).await.unwrap();
        let endpoint = format!("http://{}", application.address());
        let stop = CancellationToken::new();
        let running = tokio::spawn(application.run_until_stopped(stop.clone()));
        let channel = Channel::from_shared(endpoint).unwrap().connect().await.unwrap();
        Self {
            pool,
            feed,
            clock,
            orders: FulfilmentServiceClient::new(channel.clone()),
            returns: ReturnReceiptServiceClient::new(channel.clone()),
            proof: ProofServiceClient::new(channel.clone()),
            channel,
            running,
            stop,
        }
    }

    /// Proves that the house is in order, and stops it.
    pub async fn close(mut self) {
        let proof = self.check().await;
        for result in proof.results {
            assert_eq!(result.violations, vec![], "{}", result.name);
        }
        self.stop().await;
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }

    pub async fn check(&mut self) -> CheckInvariantsResponse {
        self.proof.check_invariants(CheckInvariantsRequest {}).await.unwrap().into_inner()
    }

    /// All events, in the order of the feed.
    pub async fn events(&self) -> Vec<Told> {
        type Row = (Uuid, i64, String, Vec<u8>, Option<Uuid>, Option<String>, OffsetDateTime);
        let rows: Vec<Row> = sqlx::query_as(
            "select aggregate_id, version, type, payload, correlation_id, traceparent, effective_at
               from outbox order by xid, seq",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let told = |(aggregate_id, version, kind, payload, correlation_id, traceparent, effective_at): Row| Told {
            aggregate_id,
            version,
            kind,
            payload,
            correlation_id,
            traceparent,
            effective_at,
        };
        rows.into_iter().map(told).collect()
    }

    /// Names of all events, in the order of the feed.
    pub async fn event_names(&self) -> Vec<String> {
        self.events().await.iter().map(|event| event.name().to_owned()).collect()
    }

    pub async fn get(&mut self, name: &str) -> pb::FulfilmentOrder {
        let request = pb::GetFulfilmentOrderRequest { name: name.to_owned() };
        self.orders.get_fulfilment_order(request).await.unwrap().into_inner().fulfilment_order.unwrap()
    }

    pub async fn list(&mut self, request: pb::ListFulfilmentOrdersRequest) -> Vec<pb::FulfilmentOrder> {
        self.orders.list_fulfilment_orders(request).await.unwrap().into_inner().fulfilment_orders
    }

    /// All fulfilment orders of an order, oldest first.
    pub async fn of_order(&mut self, order_id: Uuid) -> Vec<pb::FulfilmentOrder> {
        self.list(pb::ListFulfilmentOrdersRequest { order_id: order_id.to_string(), ..Default::default() }).await
    }

    pub async fn pick(&mut self, name: &str, lines: &[(i32, i64)]) -> Result<pb::FulfilmentOrder, Status> {
        let lines = lines.iter().map(|(line_no, quantity)| pb::PickedLine { line_no: *line_no, quantity: *quantity });
        let request =
            pb::PickRequest { request_id: id(), name: name.to_owned(), lines: lines.collect(), effective_at: None };
        Ok(self.orders.pick(request).await?.into_inner().fulfilment_order.unwrap())
    }

    pub async fn pack(&mut self, name: &str, weights: &[i64]) -> Result<pb::FulfilmentOrder, Status> {
        let parcels = weights.iter().map(|weight_grams| pb::PackedParcel { weight_grams: *weight_grams }).collect();
        let request = pb::PackRequest { request_id: id(), name: name.to_owned(), parcels, effective_at: None };
        Ok(self.orders.pack(request).await?.into_inner().fulfilment_order.unwrap())
    }

    pub async fn ship(&mut self, name: &str) -> Result<pb::FulfilmentOrder, Status> {
        let request = pb::ShipRequest { request_id: id(), name: name.to_owned(), effective_at: None };
        Ok(self.orders.ship(request).await?.into_inner().fulfilment_order.unwrap())
    }

    pub async fn deliver(&mut self, name: &str) -> Result<pb::FulfilmentOrder, Status> {
        let request = pb::ConfirmDeliveryRequest { request_id: id(), name: name.to_owned(), effective_at: None };
        Ok(self.orders.confirm_delivery(request).await?.into_inner().fulfilment_order.unwrap())
    }

    /// Withdraws (line, location, quantity) of an order seen at `version`.
    pub async fn withdraw(
        &mut self,
        order_id: Uuid,
        version: i64,
        lines: &[(i32, Uuid, i64)],
    ) -> Result<pb::WithdrawLinesResponse, Status> {
        let line = |(line_no, location, quantity): &(i32, Uuid, i64)| pb::WithdrawnLine {
            line_no: *line_no,
            location_id: location.to_string(),
            quantity: *quantity,
        };
        let request = pb::WithdrawLinesRequest {
            request_id: id(),
            order_id: order_id.to_string(),
            order_version: version,
            lines: lines.iter().map(line).collect(),
        };
        Ok(self.orders.withdraw_lines(request).await?.into_inner())
    }

    /// Receives (line, sellable, damaged) of a return.
    pub async fn receive(&mut self, name: &str, lines: &[(i32, i64, i64)]) -> Result<pb::ExpectedReturn, Status> {
        let request = receive(name, lines);
        Ok(self.returns.receive_return(request).await?.into_inner().expected_return.unwrap())
    }
}

/// A request that receives (line, sellable, damaged) of a return.
pub fn receive(name: &str, lines: &[(i32, i64, i64)]) -> pb::ReceiveReturnRequest {
    let line = |(line_no, sellable, damaged): &(i32, i64, i64)| pb::InspectedLine {
        line_no: *line_no,
        sellable: *sellable,
        damaged: *damaged,
        note: String::new(),
    };
    pb::ReceiveReturnRequest {
        request_id: id(),
        name: name.to_owned(),
        lines: lines.iter().map(line).collect(),
        ..Default::default()
    }
}

/// A new request id.
pub fn id() -> String {
    Uuid::now_v7().to_string()
}

/// Code and reason of a refusal.
pub fn refusal(status: &Status) -> (tonic::Code, String) {
    (status.code(), pesan_grpc::refuse::reason(status))
}

/// What a refusal says under `key` in its `ErrorInfo`.
pub fn says(status: &Status, key: &str) -> String {
    use tonic_types::StatusExt as _;
    status.get_details_error_info().unwrap().metadata.get(key).cloned().unwrap_or_default()
}

/// The fields that a refusal names.
pub fn fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    let request = status.get_details_bad_request().unwrap();
    request.field_violations.into_iter().map(|violation| violation.field).collect()
}
