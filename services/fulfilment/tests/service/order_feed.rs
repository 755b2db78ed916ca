//! The order service's feed, as far as its facts are told here.

use pesan_api::feed::v1 as pb;
use pesan_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
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

#[derive(Default)]
struct Told {
    events: Vec<pb::Event>,
    versions: HashMap<Uuid, i64>,
}

/// Clones are the same feed.
#[derive(Clone)]
pub struct OrderFeed {
    told: Arc<Mutex<Told>>,
    /// How many events there are.
    length: watch::Sender<usize>,
    /// From where the follower last asked: everything before it is applied.
    asked: watch::Sender<usize>,
}

/// A fact of an order, to be told.
pub struct Fact {
    pub order_id: Uuid,
    pub kind: String,
    pub payload: Vec<u8>,
    pub effective_at: OffsetDateTime,
    /// None: of no journey, as the facts of customers.
    pub journey: Option<Uuid>,
    pub traceparent: String,
}

impl Fact {
    pub fn of<M: Message + Name>(order_id: Uuid, fact: &M, effective_at: OffsetDateTime) -> Self {
        let (kind, payload) = (M::full_name(), fact.encode_to_vec());
        Self { order_id, kind, payload, effective_at, journey: Some(order_id), traceparent: String::new() }
    }
}

impl OrderFeed {
    /// Serves an empty feed on a free port: the feed and its endpoint.
    pub async fn serve() -> (Self, String) {
        let feed = Self { told: Arc::default(), length: watch::Sender::new(0), asked: watch::Sender::new(0) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = FeedServiceServer::new(feed.clone()).max_encoding_message_size(usize::MAX);
        tokio::spawn(
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
        );
        (feed, endpoint)
    }

    /// Tells facts, without waiting for anybody to read them. The last one's version.
    pub fn tell(&self, facts: Vec<Fact>) -> i64 {
        let mut told = self.told.lock().unwrap();
        let mut last = 0;
        for fact in facts {
            let version = told.versions.entry(fact.order_id).or_default();
            *version += 1;
            last = *version;
            let at = pesan_grpc::parse::to_timestamp(fact.effective_at);
            told.events.push(pb::Event {
                event_id: Uuid::now_v7().to_string(),
                aggregate_id: fact.order_id.to_string(),
                version: last,
                r#type: fact.kind,
                payload: fact.payload.into(),
                correlation_id: fact.journey.map(|id| id.to_string()).unwrap_or_default(),
                traceparent: fact.traceparent,
                effective_at: Some(at),
                recorded_at: Some(at),
            });
        }
        self.length.send_replace(told.events.len());
        last
    }

    /// Waits until all that was told is applied.
    pub async fn applied(&self) {
        let length = *self.length.borrow();
        let mut asked = self.asked.subscribe();
        let waiting = asked.wait_for(|at| *at >= length);
        tokio::time::timeout(Duration::from_secs(50), waiting).await.expect("the feed is not followed").unwrap();
    }

    /// Tells facts and waits until they are applied. The last one's version.
    pub async fn apply(&self, facts: Vec<Fact>) -> i64 {
        let version = self.tell(facts);
        self.applied().await;
        version
    }
}

#[tonic::async_trait]
impl FeedService for OrderFeed {
    async fn pull(&self, request: Request<pb::PullRequest>) -> Result<Response<pb::PullResponse>, Status> {
        let request = request.into_inner();
        let at: usize = if request.cursor.is_empty() { 0 } else { request.cursor.parse().unwrap() };
        self.asked.send_replace(at);
        let wait = Duration::from_millis(request.max_wait_ms.unsigned_abs().into());
        let mut length = self.length.subscribe();
        let _ = tokio::time::timeout(wait, length.wait_for(|length| *length > at)).await; // in time or not: answer
        let told = self.told.lock().unwrap();
        let events: Vec<_> = told.events.iter().skip(at).take(request.max_events as usize).cloned().collect();
        let after = at + events.len();
        let caught_up = after == told.events.len();
        Ok(Response::new(pb::PullResponse { events, cursor: after.to_string(), caught_up }))
    }

    type TailStream = ReceiverStream<Result<pb::TailResponse, Status>>;

    async fn tail(&self, _: Request<pb::TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("nobody tails this feed"))
    }

    async fn get_position(
        &self,
        _: Request<pb::GetPositionRequest>,
    ) -> Result<Response<pb::GetPositionResponse>, Status> {
        Err(Status::unimplemented("nobody asks for the position of this feed"))
    }
}
