//! The feed of another service, written by a test.

use pesan_api::feed::v1 as pb;
use pesan_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use pesan_grpc::parse::to_timestamp;
use prost::{Message, Name};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// A feed whose cursors are plain numbers of events.
#[derive(Clone)]
pub struct FakeFeed {
    address: std::net::SocketAddr,
    events: Arc<Mutex<Vec<pb::Event>>>,
    versions: Arc<Mutex<HashMap<Uuid, i64>>>,
    written: Arc<watch::Sender<usize>>,
    /// The furthest cursor that was pulled with: what is before it was applied.
    read: Arc<watch::Sender<usize>>,
}

impl FakeFeed {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let feed = Self {
            address: listener.local_addr().unwrap(),
            events: Arc::default(),
            versions: Arc::default(),
            written: Arc::new(watch::Sender::new(0)),
            read: Arc::new(watch::Sender::new(0)),
        };
        let server = tonic::transport::Server::builder().add_service(FeedServiceServer::new(feed.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        feed
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a fact of an order without waiting for anybody to read it.
    pub fn write<M: Message + Name>(&self, order: Uuid, fact: &M, effective_at: OffsetDateTime) {
        let version = {
            let mut versions = self.versions.lock().unwrap();
            let version = versions.entry(order).or_default();
            *version += 1;
            *version
        };
        let event = pb::Event {
            event_id: Uuid::now_v7().to_string(),
            aggregate_id: order.to_string(),
            version,
            r#type: M::full_name(),
            payload: fact.encode_to_vec().into(),
            correlation_id: order.to_string(),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            effective_at: Some(to_timestamp(effective_at)),
            recorded_at: Some(to_timestamp(effective_at)),
        };
        let written = {
            let mut events = self.events.lock().unwrap();
            events.push(event);
            events.len()
        };
        self.written.send_replace(written);
    }

    /// Waits until all that was written is applied.
    pub async fn applied(&self) {
        let wanted = self.events.lock().unwrap().len();
        let mut read = self.read.subscribe();
        let waiting = read.wait_for(|read| *read >= wanted);
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the facts are applied").unwrap();
    }

    /// Writes a fact of an order and waits until it is applied.
    pub async fn tell<M: Message + Name>(&self, order: Uuid, fact: &M, effective_at: OffsetDateTime) {
        self.write(order, fact, effective_at);
        self.applied().await;
    }
}

#[tonic::async_trait]
impl FeedService for FakeFeed {
    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<pb::PullResponse>, Status> {
        let request = request.into_inner();
        let after: usize = if request.cursor.is_empty() { 0 } else { request.cursor.parse().unwrap() };
        self.read.send_if_modified(|read| {
            let further = after > *read;
            *read = after.max(*read);
            further
        });
        let mut written = self.written.subscribe();
        let wait = Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let _ = tokio::time::timeout(wait, written.wait_for(|written| *written > after)).await;
        let events: Vec<pb::Event> = self
            .events
            .lock()
            .unwrap()
            .iter()
            .skip(after)
            .take(request.max_events.unsigned_abs() as usize)
            .cloned()
            .collect();
        let cursor = after + events.len();
        let caught_up = cursor == self.events.lock().unwrap().len();
        Ok(Response::new(pb::PullResponse { events, cursor: cursor.to_string(), caught_up }))
    }

    type TailStream = ReceiverStream<Result<pb::TailResponse, Status>>;

    async fn tail(&self, _: Request<pb::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("nobody tails"))
    }

    async fn get_position(
        &self,
        _: Request<pb::GetPositionRequest>,
    ) -> Result<Response<pb::GetPositionResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
