//! Puts the service together and runs it.

use crate::config::Config;
use crate::dashboard;
use crate::follow::Follow;
use crate::lag::{Lag, SOURCES};
use crate::rpc::{AnalyticsRpc, ProofRpc};
use anyhow::Context as _;
use pesan_api::analytics::v1::analytics_service_server::AnalyticsServiceServer;
use pesan_api::feed::v1::feed_service_server::FeedServiceServer;
use pesan_api::proof::v1::proof_service_server::ProofServiceServer;
use pesan_feed::{Feed, Follower, FollowerOptions};
use pesan_grpc::channel;
use pesan_host::server::{MAX_MESSAGE, bind};
use pesan_host::{Server, database};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a peer may take to answer a pull; the wait for events is shorter.
const PULL_TIMEOUT: Duration = Duration::from_secs(30);

/// The service, ready to run.
pub struct Application {
    config: Config,
    pool: PgPool,
    feed: Feed,
    lag: Arc<Lag>,
    server: Server,
    address: SocketAddr,
    dashboard: TcpListener,
    dashboard_address: SocketAddr,
}

impl Application {
    /// Listens where the configuration says, and brings the database up to date.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let listener = bind(config.listen).await?;
        Self::build_on(config, listener).await
    }

    /// The same, serving gRPC on a listener that is bound already.
    pub async fn build_on(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        let dashboard = bind(config.dashboard_listen).await.context("the dashboard")?;
        let dashboard_address = dashboard.local_addr()?;
        let pool = database::connect("analytics", config.database_url.expose(), config.connections).await?;
        database::migrate(&pool, &crate::MIGRATOR).await?;
        let feed = Feed::new(pool.clone()).await?;
        let lag = Arc::new(Lag::default());
        let analytics =
            AnalyticsRpc { pool: pool.clone(), clock: config.clock.clone(), feed: feed.clone(), lag: lag.clone() };
        let server = Server::new("analytics", listener, config.server)?
            .add(
                AnalyticsServiceServer::new(analytics)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(FeedServiceServer::new(feed.clone()).max_encoding_message_size(MAX_MESSAGE))
            .add(
                ProofServiceServer::new(ProofRpc { pool: pool.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            );
        let address = server.address()?;
        Ok(Self { config, pool, feed, lag, server, address, dashboard, dashboard_address })
    }

    /// Where gRPC is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the dashboard is served.
    pub fn dashboard_address(&self) -> SocketAddr {
        self.dashboard_address
    }

    /// Serves and follows until `stop`, then lets what runs come to its end.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let drain = Duration::from_secs(self.config.server.drain_seconds);
        let mut workers: JoinSet<anyhow::Result<()>> = JoinSet::new();
        for follower in self.followers()? {
            let stop = stop.clone();
            workers.spawn(async move {
                follower.run(stop).await;
                Ok(())
            });
        }
        let (pool, stopped) = (self.pool.clone(), stop.clone());
        workers.spawn(async move {
            database::housekeeping(pool, stopped).await;
            Ok(())
        });
        workers.spawn(dashboard::serve(self.dashboard, self.pool.clone(), stop.clone(), drain));
        let (feed, stopped) = (self.feed, stop.clone());
        workers.spawn(async move {
            stopped.cancelled().await;
            feed.close();
            Ok(())
        });
        workers.spawn(self.server.serve(stop.clone()));
        // The first to fail ends all, and is what is told.
        let mut outcome = Ok(());
        while let Some(ended) = workers.join_next().await {
            let ended = ended.context("a worker panicked").flatten();
            if let Err(error) = &ended {
                tracing::error!(error = format!("{error:#}"), "a worker failed");
            } else if !stop.is_cancelled() {
                tracing::error!("a worker ended by itself");
            }
            stop.cancel();
            outcome = outcome.and(ended);
        }
        self.pool.close().await;
        outcome
    }

    fn followers(&self) -> anyhow::Result<Vec<Follower<Follow>>> {
        let endpoints = [
            &self.config.order_endpoint,
            &self.config.inventory_endpoint,
            &self.config.fulfilment_endpoint,
            &self.config.billing_endpoint,
        ];
        // Nobody follows what this service makes of the feeds, and a crash takes back tables and cursors together.
        // The wait is short, so that a rebuild begins soon.
        let options =
            FollowerOptions { durable: false, max_wait: Duration::from_secs(1), ..FollowerOptions::default() };
        SOURCES
            .into_iter()
            .zip(endpoints)
            .map(|(source, endpoint)| {
                let channel =
                    channel::lazy(endpoint, PULL_TIMEOUT).with_context(|| format!("the endpoint of {source}"))?;
                let handler =
                    Follow { source, clock: self.config.clock.clone(), feed: self.feed.clone(), lag: self.lag.clone() };
                Ok(Follower::new("analytics", source, channel, self.pool.clone(), handler, options))
            })
            .collect()
    }
}
