//! A collector: an OTLP server on a free port that hands on what it is sent.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

pub struct OtlpReceiver {
    pub address: SocketAddr,
    received: mpsc::UnboundedReceiver<Vec<ResourceSpans>>,
}

impl OtlpReceiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(Forward(sender)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, received }
    }

    /// Everything received so far.
    pub fn drain(&mut self) -> Vec<ResourceSpans> {
        std::iter::from_fn(|| self.received.try_recv().ok()).flatten().collect()
    }
}

struct Forward(mpsc::UnboundedSender<Vec<ResourceSpans>>);

#[tonic::async_trait]
impl TraceService for Forward {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner().resource_spans).map_err(|_| Status::unavailable("receiver is gone"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
