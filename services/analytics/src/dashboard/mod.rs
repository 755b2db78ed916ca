//! The dashboard: read-only pages for people, made on the server, without scripts and without anything from elsewhere.

use axum::Router;
use sqlx::PgPool;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves the pages until `stop`, then lets those that are being made come to their end for a bounded time.
pub async fn serve(
    listener: TcpListener,
    _pool: PgPool,
    stop: CancellationToken,
    drain: Duration,
) -> anyhow::Result<()> {
    let stopped = stop.clone();
    let serving = axum::serve(listener, Router::new())
        .with_graceful_shutdown(async move { stopped.cancelled().await })
        .into_future();
    let expired = async move {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        served = serving => Ok(served?),
        () = expired => Ok(()),
    }
}
