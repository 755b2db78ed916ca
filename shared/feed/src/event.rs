//! An event on its way out and on its way in.

use bytes::Bytes;
use pesan_api::feed::v1 as pb;
use prost::{Message, Name};
use time::OffsetDateTime;
use uuid::Uuid;

/// A fact to be written to the outbox.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(crate) aggregate_id: Uuid,
    pub(crate) version: i64,
    pub(crate) kind: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) traceparent: Option<String>,
    pub(crate) effective_at: OffsetDateTime,
}

impl NewEvent {
    /// The `version`-th fact of an aggregate (1, 2, 3, …), effective at `effective_at`, in the current trace.
    pub fn new<M: Message + Name>(aggregate_id: Uuid, version: i64, fact: &M, effective_at: OffsetDateTime) -> Self {
        Self {
            aggregate_id,
            version,
            kind: M::full_name(),
            payload: fact.encode_to_vec(),
            correlation_id: None,
            traceparent: None,
            effective_at,
        }
    }

    /// Says which journey it belongs to.
    pub fn of_journey(mut self, correlation_id: Uuid) -> Self {
        self.correlation_id = Some(correlation_id);
        self
    }

    /// Puts it into this W3C trace context, not that of the current span: a batch serves many journeys. Empty or none:
    /// the current span's.
    pub fn in_trace(mut self, traceparent: Option<&str>) -> Self {
        self.traceparent = traceparent.filter(|t| !t.is_empty()).map(str::to_owned);
        self
    }
}

/// A fact of another service, as its follower gets it.
#[derive(Clone, Debug)]
pub struct Event {
    /// Unique over all services.
    pub event_id: Uuid,
    /// What it happened to.
    pub aggregate_id: Uuid,
    /// Its place among the facts of the aggregate, from 1.
    pub version: i64,
    /// Full name of the payload's message.
    pub kind: String,
    /// The encoded message.
    pub payload: Bytes,
    /// The journey it belongs to.
    pub correlation_id: Option<Uuid>,
    /// W3C trace context in which its effects belong: a span of this follower, child of the work that wrote the event.
    pub traceparent: String,
    /// When it happened in business.
    pub effective_at: OffsetDateTime,
    /// When its service learned of it.
    pub recorded_at: OffsetDateTime,
}

impl Event {
    /// True when the payload is an `M`.
    pub fn is<M: Name>(&self) -> bool {
        self.kind.strip_prefix(M::PACKAGE).and_then(|rest| rest.strip_prefix('.')) == Some(M::NAME)
    }

    /// The payload, when it is an `M`; an error when it should be but cannot be read.
    pub fn decode<M: Message + Name + Default>(&self) -> Result<Option<M>, prost::DecodeError> {
        if self.is::<M>() { M::decode(self.payload.clone()).map(Some) } else { Ok(None) }
    }

    /// A follow-up of this fact: in the same journey and trace, effective at the same time unless told otherwise.
    pub fn follow_up<M: Message + Name>(&self, aggregate_id: Uuid, version: i64, fact: &M) -> NewEvent {
        NewEvent {
            correlation_id: self.correlation_id,
            traceparent: Some(self.traceparent.clone()).filter(|t| !t.is_empty()),
            ..NewEvent::new(aggregate_id, version, fact, self.effective_at)
        }
    }

    pub(crate) fn from_proto(event: pb::Event) -> Option<Self> {
        Some(Self {
            event_id: event.event_id.parse().ok()?,
            aggregate_id: event.aggregate_id.parse().ok()?,
            version: event.version,
            kind: event.r#type,
            payload: event.payload,
            correlation_id: match event.correlation_id.as_str() {
                "" => None,
                id => Some(id.parse().ok()?),
            },
            traceparent: event.traceparent,
            effective_at: pesan_grpc::parse::from_timestamp(&event.effective_at?)?,
            recorded_at: pesan_grpc::parse::from_timestamp(&event.recorded_at?)?,
        })
    }
}
