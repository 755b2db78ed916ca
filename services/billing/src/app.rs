//! The service put together: server, followers, workers.

use crate::MIGRATOR;
use crate::config::Config;
use crate::follow::{Follow, OfFulfilment, OfInventory, OfOrder};
use crate::ops;
use crate::ops::authoriser::Authoriser;
use crate::ops::provider::{PaymentProvider, Simulated};
use crate::rpc::{Accounts, Documents, Payments, Proof};
use anyhow::Context as _;
use pesan_api::billing::v1::account_service_server::AccountServiceServer;
use pesan_api::billing::v1::document_service_server::DocumentServiceServer;
use pesan_api::billing::v1::payment_service_server::PaymentServiceServer;
use pesan_api::feed::v1::feed_service_server::FeedServiceServer;
use pesan_api::proof::v1::proof_service_server::ProofServiceServer;
use pesan_feed::{Feed, Follower, FollowerOptions, Handle};
use pesan_grpc::channel;
use pesan_host::server::{MAX_MESSAGE, bind};
use pesan_host::{Clock, Server, database};
use sqlx::PgPool;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "billing";
/// A pull waits up to ten seconds for events; this is longer.
const FEED_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an idle worker waits for a wake-up before it looks by itself: another replica may have left work.
const IDLE: Duration = Duration::from_millis(500);

/// The billing service, ready to run.
pub struct Application {
    server: Server,
    address: SocketAddr,
    pool: PgPool,
    feed: Feed,
    jobs: Arc<Notify>,
    provider: Arc<dyn PaymentProvider>,
    config: Config,
}

impl Application {
    /// Connects, migrates and binds.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let listener = bind(config.listen).await?;
        Self::build_on(config, listener).await
    }

    /// As [`Application::build`], on a listener that is bound already, with the simulated payment provider.
    pub async fn build_on(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        // The provider is elsewhere: it shares no connection, and so no transaction, with billing.
        let elsewhere = database::connect("provider", config.database_url.reveal(), 4).await?;
        let provider = Simulated::new(elsewhere, config.provider_late());
        Self::build_with(config, listener, Arc::new(provider)).await
    }

    /// As [`Application::build_on`], with another payment provider.
    pub async fn build_with(
        config: Config,
        listener: TcpListener,
        provider: Arc<dyn PaymentProvider>,
    ) -> anyhow::Result<Self> {
        let pool = database::connect(SERVICE, config.database_url.reveal(), config.connections).await?;
        database::migrate(&pool, &MIGRATOR).await?;
        let feed = Feed::new(pool.clone()).await?;
        let jobs = Arc::new(Notify::new());
        let clock = config.clock.clone();
        let authoriser = Authoriser::spawn(
            pool.clone(),
            clock.clone(),
            feed.clone(),
            jobs.clone(),
            provider.clone(),
            config.provider_timeout(),
        );
        let accounts = Accounts { pool: pool.clone() };
        let payments = Payments { pool: pool.clone(), clock: clock.clone(), feed: feed.clone(), authoriser };
        let documents = Documents { pool: pool.clone(), clock: clock.clone(), feed: feed.clone() };
        let proof = Proof { pool: pool.clone(), clock };
        let server = Server::new(SERVICE, listener, config.server)?
            .add(
                AccountServiceServer::new(accounts)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                PaymentServiceServer::new(payments)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                DocumentServiceServer::new(documents)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                FeedServiceServer::new(feed.clone())
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                ProofServiceServer::new(proof)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            );
        let address = server.address()?;
        Ok(Self { server, address, pool, feed, jobs, provider, config })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves and works until `stop`; then calls and workers end what they have begun. An error where a worker failed.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        // Apart from the caller's: a worker that fails stops the others, not those who share the process.
        let stop = stop.child_token();
        let mut tasks = JoinSet::new();
        let follow = Follow { clock: self.config.clock.clone(), feed: self.feed.clone(), jobs: self.jobs.clone() };
        let fulfilment = self.follower("fulfilment", &self.config.fulfilment_endpoint, OfFulfilment(follow.clone()))?;
        let order = self.follower("order", &self.config.order_endpoint, OfOrder(follow.clone()))?;
        let inventory = self.follower("inventory", &self.config.inventory_endpoint, OfInventory(follow))?;
        tasks.spawn(fulfilment.run(stop.clone()));
        tasks.spawn(order.run(stop.clone()));
        tasks.spawn(inventory.run(stop.clone()));
        tasks.spawn(database::housekeeping(self.pool.clone(), stop.clone()));
        let worker = Worker {
            pool: self.pool.clone(),
            provider: self.provider.clone(),
            timeout: self.config.provider_timeout(),
            clock: self.config.clock.clone(),
            feed: self.feed.clone(),
        };
        tasks.spawn(work(worker, self.jobs.clone(), stop.clone()));
        let (feed, closing) = (self.feed.clone(), stop.clone());
        tasks.spawn(async move {
            closing.cancelled().await;
            feed.close();
        });

        let server = self.server.serve(stop.clone());
        tokio::pin!(server);
        let mut failure = None;
        let mut served = None;
        loop {
            tokio::select! {
                result = &mut server, if served.is_none() => {
                    served = Some(result);
                    stop.cancel();
                }
                Some(ended) = tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a worker of billing failed");
                        failure = Some(error);
                        stop.cancel();
                    }
                }
                else => break,
            }
        }
        served.unwrap_or(Ok(()))?;
        match failure {
            Some(error) => Err(error).context("a worker of billing failed"),
            None => Ok(()),
        }
    }

    fn follower<H: Handle>(&self, source: &'static str, endpoint: &str, handler: H) -> anyhow::Result<Follower<H>> {
        let channel = channel::lazy(endpoint, FEED_TIMEOUT).with_context(|| format!("the endpoint of {source}"))?;
        Ok(Follower::new(SERVICE, source, channel, self.pool.clone(), handler, FollowerOptions::default()))
    }
}

/// What asks the provider for what is due.
struct Worker {
    pool: PgPool,
    provider: Arc<dyn PaymentProvider>,
    timeout: Duration,
    clock: Clock,
    feed: Feed,
}

impl Worker {
    /// Does what is due; whether there was anything.
    async fn run_once(&self) -> Result<bool, crate::error::Error> {
        let provider = self.provider.as_ref();
        let jobs = ops::jobs::run_once(&self.pool, provider, self.timeout, self.clock.now()).await?;
        let settled = ops::settle::unanswered(&self.pool, provider, self.timeout, self.clock.now()).await?;
        if jobs + settled > 0 {
            self.feed.wake();
        }
        Ok(jobs + settled > 0)
    }
}

async fn work(worker: Worker, jobs: Arc<Notify>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match worker.run_once().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "asking the provider failed; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = jobs.notified() => {}
            () = tokio::time::sleep(IDLE) => {}
        }
    }
}
