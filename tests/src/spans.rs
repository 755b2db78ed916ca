//! An OTLP receiver that keeps what it gets.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A span and the service (`service.name` of its resource) that sent it.
#[derive(Clone, Debug)]
pub struct Received {
    /// "order", …
    pub service: String,
    /// As it came.
    pub span: Span,
}

/// All spans received so far.
#[derive(Clone, Default)]
pub struct Receiver(Arc<Mutex<Vec<Received>>>);

impl Receiver {
    /// Starts one on a free port; its endpoint for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub async fn start() -> anyhow::Result<(Self, String)> {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let service = TraceServiceServer::new(receiver.clone());
        tokio::spawn(
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)),
        );
        Ok((receiver, endpoint))
    }

    /// The spans of one trace.
    pub fn trace(&self, trace_id: &[u8]) -> Vec<Received> {
        self.all().into_iter().filter(|r| r.span.trace_id == trace_id).collect()
    }

    /// All spans.
    pub fn all(&self) -> Vec<Received> {
        self.0.lock().map(|spans| spans.clone()).unwrap_or_default()
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut kept = self.0.lock().map_err(|_| Status::internal("poisoned"))?;
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|r| r.attributes).unwrap_or_default();
            let service = attributes
                .into_iter()
                .find(|a| a.key == "service.name")
                .and_then(|a| a.value.and_then(|v| v.value))
                .and_then(|v| if let Value::StringValue(name) = v { Some(name) } else { None })
                .unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.extend(spans.map(|span| Received { service: service.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
