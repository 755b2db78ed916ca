//! Channels to peers: connect when first used and again after a failure, carry the trace, bound the wait.

use std::time::Duration;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Largest message in either direction, in bytes. Lists are bounded by rows; this bounds what a row can hold.
pub const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// A channel that puts the current trace context into each call.
pub type PeerChannel = InterceptedService<Channel, fn(Request<()>) -> Result<Request<()>, Status>>;

/// A channel to `endpoint` (`http://host:port`), connected when it is first used. Each call waits at most `timeout`.
pub fn lazy(endpoint: &str, timeout: Duration) -> Result<PeerChannel, tonic::transport::Error> {
    let channel = Endpoint::from_shared(endpoint.to_owned())?
        .connect_timeout(Duration::from_secs(2))
        .timeout(timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .initial_stream_window_size(4 * 1024 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .connect_lazy();
    Ok(InterceptedService::new(channel, trace as fn(Request<()>) -> Result<Request<()>, Status>))
}

fn trace(mut request: Request<()>) -> Result<Request<()>, Status> {
    pesan_telemetry::inject(request.metadata_mut());
    Ok(request)
}
