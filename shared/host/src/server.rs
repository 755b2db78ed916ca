//! The server stack: tracing, limits, health, reflection, and a drain that ends.

use anyhow::Context as _;
use pesan_grpc::channel::MAX_MESSAGE_BYTES;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tower_http::trace::TraceLayer;
use tracing::Span;

/// What bounds a server.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct ServerConfig {
    /// Calls of one connection that run at the same time.
    #[arg(long, env = "PESAN_MAX_STREAMS", default_value_t = 1024)]
    pub max_streams: u32,
    /// Seconds that calls may still take after a stop.
    #[arg(long, env = "PESAN_DRAIN_SECONDS", default_value_t = 10)]
    pub drain_seconds: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { max_streams: 1024, drain_seconds: 10 }
    }
}

/// A server that is put together from gRPC services and then run.
pub struct Server {
    service: &'static str,
    listener: TcpListener,
    routes: RoutesBuilder,
    health: tonic_health::server::HealthReporter,
    names: Vec<&'static str>,
    config: ServerConfig,
}

/// Largest message a service takes or gives: set it on every generated server and client.
pub const MAX_MESSAGE: usize = MAX_MESSAGE_BYTES;

impl Server {
    /// For `service` ("order"), on a listener that is bound already; port 0 works.
    pub fn new(service: &'static str, listener: TcpListener, config: ServerConfig) -> anyhow::Result<Self> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let mut routes = Routes::builder();
        routes.add_service(health_service);
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(pesan_api::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Older clients ask the alpha version.
        routes.add_service(reflection().build_v1().context("reflection")?);
        routes.add_service(reflection().build_v1alpha().context("reflection")?);
        Ok(Self { service, listener, routes, health, names: Vec::new(), config })
    }

    /// Adds a generated gRPC service.
    #[expect(clippy::should_implement_trait, reason = "services are added to a server, not numbers")]
    pub fn add<S>(mut self, service: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes.add_service(service);
        self
    }

    /// Where it listens.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until `stop`, then lets running calls end for a bounded time.
    pub async fn serve(self, stop: CancellationToken) -> anyhow::Result<()> {
        for name in &self.names {
            self.health.set_service_status(*name, tonic_health::ServingStatus::Serving).await;
        }
        self.health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let health = self.health.clone();
        let names = self.names.clone();
        let asked = stop.clone();
        let shutdown = async move {
            asked.cancelled().await;
            for name in names.into_iter().chain([""]) {
                health.set_service_status(name, tonic_health::ServingStatus::NotServing).await;
            }
        };
        let service = self.service;
        let trace = TraceLayer::new_for_grpc()
            .make_span_with(move |request: &http::Request<Body>| span(service, request))
            .on_request(())
            .on_response(())
            .on_body_chunk(())
            .on_eos(())
            .on_failure(());
        let incoming = tonic::transport::server::TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let serving = tonic::transport::Server::builder()
            .layer(trace)
            .max_concurrent_streams(self.config.max_streams)
            .initial_stream_window_size(4 * 1024 * 1024)
            .initial_connection_window_size(16 * 1024 * 1024)
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .add_routes(self.routes.routes())
            .serve_with_incoming_shutdown(incoming, shutdown);
        let drain = Duration::from_secs(self.config.drain_seconds);
        let expired = async move {
            stop.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            served = serving => served.context("serving failed"),
            () = expired => {
                tracing::warn!(service, "calls still ran at the end of the drain and were cut off");
                Ok(())
            }
        }
    }
}

/// The span of a call, child of the caller's trace. Health checks and reflection get none.
fn span(service: &'static str, request: &http::Request<Body>) -> Span {
    let path = request.uri().path().trim_start_matches('/');
    if path.starts_with("grpc.") || path.starts_with("pesan.feed.") {
        return Span::none();
    }
    let span = tracing::info_span!(
        "rpc",
        otel.name = path,
        otel.kind = "server",
        pesan.service = service,
        rpc.system = "grpc"
    );
    pesan_telemetry::set_parent_from_headers(&span, request.headers());
    span
}

/// Binds a listener for [`Server::new`].
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"))
}
