//! The service as a whole: built, then run until it is told to stop.

use crate::carrier::{Carrier, Simulated};
use crate::config::Config;
use crate::follow::{ORDER, OrderFacts};
use crate::ops::Ops;
use crate::rpc::{FulfilmentRpc, ProofRpc, ReturnReceiptRpc};
use anyhow::Context as _;
use pesan_api::feed::v1::feed_service_server::FeedServiceServer;
use pesan_api::fulfilment::v1::fulfilment_service_server::FulfilmentServiceServer;
use pesan_api::fulfilment::v1::return_receipt_service_server::ReturnReceiptServiceServer;
use pesan_api::proof::v1::proof_service_server::ProofServiceServer;
use pesan_feed::{Feed, Follower, FollowerOptions};
use pesan_grpc::channel;
use pesan_host::server::MAX_MESSAGE;
use pesan_host::{Server, database, server};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "fulfilment";

/// How long a page of a feed may take, beyond the wait for its first event.
const PULL_TIMEOUT: Duration = Duration::from_secs(60);

/// The service, bound and migrated.
pub struct Application {
    server: Server,
    address: SocketAddr,
    pool: PgPool,
    feed: Feed,
    follower: Follower<OrderFacts>,
    drain: Duration,
}

impl Application {
    /// On `config.listen`, with the simulated carrier.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let listener = server::bind(config.listen).await?;
        Self::build_on(config, listener).await
    }

    /// On a listener that is bound already, with the simulated carrier.
    pub async fn build_on(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        Self::build_with(config, listener, Arc::new(Simulated)).await
    }

    /// On a listener that is bound already, with this carrier.
    pub async fn build_with(config: Config, listener: TcpListener, carrier: Arc<dyn Carrier>) -> anyhow::Result<Self> {
        let pool = database::connect(SERVICE, config.database_url.expose(), config.connections).await?;
        database::migrate(&pool, &crate::MIGRATOR).await?;
        let feed = Feed::new(pool.clone()).await?;
        let order = channel::lazy(&config.order_endpoint, PULL_TIMEOUT).context("PESAN_ORDER_ENDPOINT")?;
        let follower = Follower::new(
            SERVICE,
            ORDER,
            order,
            pool.clone(),
            OrderFacts::new(feed.clone()),
            FollowerOptions::default(),
        );
        let ops = Ops { pool: pool.clone(), feed: feed.clone(), clock: config.clock, carrier };
        let server = Server::new(SERVICE, listener, config.server)?
            .add(
                FulfilmentServiceServer::new(FulfilmentRpc(ops.clone()))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                ReturnReceiptServiceServer::new(ReturnReceiptRpc(ops))
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(FeedServiceServer::new(feed.clone()).max_encoding_message_size(MAX_MESSAGE))
            .add(ProofServiceServer::new(ProofRpc(pool.clone())).max_encoding_message_size(MAX_MESSAGE));
        let address = server.address()?;
        let drain = Duration::from_secs(config.server.drain_seconds);
        Ok(Self { server, address, pool, feed, follower, drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves and follows until `stop`, then lets calls and workers end for a bounded time. A worker that ends before is a
    /// fault, and ends the service.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let stop = stop.child_token(); // a fault here is no reason to stop others who share the token
        let mut workers = JoinSet::new();
        workers.spawn(self.follower.run(stop.clone()));
        workers.spawn(database::housekeeping(self.pool.clone(), stop.clone()));
        let (feed, closing) = (self.feed, stop.clone());
        workers.spawn(async move {
            closing.cancelled().await;
            feed.close();
        });

        let serving = self.server.serve(stop.clone());
        tokio::pin!(serving);
        let mut result = loop {
            tokio::select! {
                served = &mut serving => break served,
                Some(ended) = workers.join_next() => {
                    if let Err(fault) = ended_well(ended, &stop) {
                        stop.cancel();
                        let served = (&mut serving).await;
                        break served.and(Err(fault));
                    }
                }
            }
        };
        stop.cancel();
        let drained = tokio::time::timeout(self.drain, async {
            while let Some(ended) = workers.join_next().await {
                if let Err(fault) = ended_well(ended, &stop) {
                    result = Err(fault);
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!("workers still ran at the end of the drain and were cut off");
            workers.shutdown().await;
        }
        // Bounded as well: a request that was cut off may still hold a connection.
        if tokio::time::timeout(self.drain, self.pool.close()).await.is_err() {
            tracing::warn!("connections were still in use and were cut off");
        }
        result
    }
}

/// A worker ends when it is told to, and not otherwise.
fn ended_well(ended: Result<(), JoinError>, stop: &CancellationToken) -> anyhow::Result<()> {
    if let Err(error) = ended {
        tracing::error!(%error, "a worker failed");
        return Err(error).context("a worker failed");
    }
    if !stop.is_cancelled() {
        tracing::error!("a worker ended by itself");
        anyhow::bail!("a worker ended by itself");
    }
    Ok(())
}
