//! The dashboard: read-only pages for people, made on the server, without scripts and without anything from elsewhere.

mod chart;
mod frame;
mod journey;
mod overview;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::routing::get;
use sqlx::PgPool;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

/// Pages that are made at the same time: the pool is there for the followers first.
const MOST_AT_ONCE: usize = 4;

/// What every answer says to browsers: run nothing, load nothing from elsewhere, keep nothing.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// Serves the pages until `stop`, then lets those that are being made come to their end for a bounded time.
pub async fn serve(
    listener: TcpListener,
    pool: PgPool,
    stop: CancellationToken,
    drain: Duration,
) -> anyhow::Result<()> {
    let stopped = stop.clone();
    let serving = axum::serve(listener, router(pool))
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

fn router(pool: PgPool) -> Router {
    let mut router = Router::new()
        .route("/", get(overview::show))
        .route("/journey", get(journey::show))
        .layer(GlobalConcurrencyLimitLayer::new(MOST_AT_ONCE))
        .route("/style.css", get(frame::style))
        .fallback(frame::not_found)
        .with_state(pool);
    for (name, value) in HEADERS {
        router = router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)));
    }
    router
}
