//! The application: everything put together, and run until it is told to stop.

use crate::config::Config;
use crate::follow::Follow;
use crate::ops;
use crate::ops::Books;
use crate::ops::accept::Acceptor;
use crate::ops::cancel::Canceller;
use crate::ops::change::Changer;
use crate::ops::goodwill::Grantor;
use crate::ops::handover;
use crate::ops::place;
use crate::ops::promise::Promiser;
use crate::ops::purge;
use crate::ops::return_steps::Clerk;
use crate::ops::review::Reviewer;
use crate::ops::saga::Saga;
use crate::ops::settings::Cache;
use crate::ops::settle::Settler;
use crate::ops::wakes::Wakes;
use crate::rpc::changes::Changes;
use crate::rpc::channels::Channels;
use crate::rpc::customers::Customers;
use crate::rpc::goodwill::Goodwill;
use crate::rpc::holds::Holds;
use crate::rpc::imports::Imports;
use crate::rpc::inquiries::Inquiries;
use crate::rpc::orders::Orders;
use crate::rpc::prices::Prices;
use crate::rpc::promises::Promises;
use crate::rpc::proof::Proof;
use crate::rpc::quotations::Quotations;
use crate::rpc::return_policies::ReturnPolicies;
use crate::rpc::returns::Returns;
use crate::rpc::rules::Rules;
use crate::rpc::schedules::Schedules;
use crate::rpc::search::Search;
use crate::rpc::watch::Watchers;
use anyhow::Context as _;
use pesan_api::billing::v1::account_service_client::AccountServiceClient;
use pesan_api::billing::v1::payment_service_client::PaymentServiceClient;
use pesan_api::feed::v1::feed_service_server::FeedServiceServer;
use pesan_api::fulfilment::v1::fulfilment_service_client::FulfilmentServiceClient;
use pesan_api::fulfilment::v1::return_receipt_service_client::ReturnReceiptServiceClient;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_api::order::v1::change_service_server::ChangeServiceServer;
use pesan_api::order::v1::channel_service_server::ChannelServiceServer;
use pesan_api::order::v1::customer_service_server::CustomerServiceServer;
use pesan_api::order::v1::goodwill_service_server::GoodwillServiceServer;
use pesan_api::order::v1::hold_service_server::HoldServiceServer;
use pesan_api::order::v1::import_service_server::ImportServiceServer;
use pesan_api::order::v1::inquiry_service_server::InquiryServiceServer;
use pesan_api::order::v1::order_service_server::OrderServiceServer;
use pesan_api::order::v1::price_service_server::PriceServiceServer;
use pesan_api::order::v1::promise_service_server::PromiseServiceServer;
use pesan_api::order::v1::quotation_service_server::QuotationServiceServer;
use pesan_api::order::v1::return_policy_service_server::ReturnPolicyServiceServer;
use pesan_api::order::v1::return_service_server::ReturnServiceServer;
use pesan_api::order::v1::rule_service_server::RuleServiceServer;
use pesan_api::order::v1::schedule_service_server::ScheduleServiceServer;
use pesan_api::order::v1::search_service_server::SearchServiceServer;
use pesan_api::proof::v1::proof_service_server::ProofServiceServer;
use pesan_feed::{Feed, Follower, FollowerOptions};
use pesan_grpc::channel::{self, MAX_MESSAGE_BYTES, PeerChannel};
use pesan_host::server::MAX_MESSAGE;
use pesan_host::{Server, database, server};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a peer may take to answer a pull of its feed.
const PULL: Duration = Duration::from_secs(30);

/// The order service, ready to run.
pub struct Application {
    address: SocketAddr,
    config: Config,
    books: Books,
    server: Server,
    saga: Saga,
    canceller: Canceller,
    reviewer: Reviewer,
    changer: Changer,
    acceptor: Acceptor,
    promiser: Promiser,
    /// Rounds and batches under way.
    running: TaskTracker,
    /// Cancelled when it stops: lets go of watchers.
    stopping: CancellationToken,
    followers: Vec<Follower<Follow>>,
}

impl Application {
    /// Connects, migrates, and binds `config.listen`.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let listener = server::bind(config.listen).await?;
        Self::build_on(config, listener).await
    }

    /// As [`Application::build`], on a listener that is bound already.
    pub async fn build_on(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let pool = database::connect("order", &config.database_url.0, config.connections).await?;
        database::migrate(&pool, &crate::MIGRATOR).await?;
        let feed = Feed::new(pool.clone()).await?;
        let books = Books {
            pool: pool.clone(),
            clock: config.clock.clone(),
            feed: feed.clone(),
            wakes: Wakes::default(),
            patience: config.patience,
            settings: Cache::default(),
        };
        let running = TaskTracker::new();
        let stopping = CancellationToken::new();

        let inventory = peer(&config.inventory_endpoint, config.patience.call)?;
        let billing = peer(&config.billing_endpoint, config.patience.call)?;
        let fulfilment = peer(&config.fulfilment_endpoint, config.patience.call)?;
        let settler = Settler {
            books: books.clone(),
            inventory: ReservationServiceClient::new(inventory)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
            billing: PaymentServiceClient::new(billing)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        };
        let (settler_inventory, settler_billing) = (settler.inventory.clone(), settler.billing.clone());
        let clerk = Clerk { books: books.clone(), fulfilment: ReturnReceiptServiceClient::new(fulfilment.clone()) };
        let grantor = Grantor { books: books.clone(), billing: settler.billing.clone() };
        let canceller = Canceller {
            books: books.clone(),
            fulfilment: FulfilmentServiceClient::new(fulfilment)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        };
        let saga = Saga::start(books.clone(), settler, running.clone());
        ops::rules::make_ready_checks(&books).await.context("the checks that come ready")?;
        let reviewer = Reviewer { books: books.clone(), saga: saga.clone(), canceller: canceller.clone() };
        let intake = place::intake(books.clone(), saga.clone(), running.clone());
        let imports = Imports::new(books.clone(), intake.clone(), stopping.clone());
        let acceptor = Acceptor { books: books.clone(), intake: intake.clone() };
        let balances = AccountServiceClient::new(peer(&config.billing_endpoint, config.patience.call)?);
        let orders = Orders {
            books: books.clone(),
            intake,
            saga: saga.clone(),
            canceller: canceller.clone(),
            watchers: Watchers::new(stopping.clone()),
        };
        let promiser = Promiser { books: books.clone(), inventory: settler_inventory.clone() };
        let changer = Changer {
            books: books.clone(),
            saga: saga.clone(),
            canceller: canceller.clone(),
            inventory: settler_inventory,
            billing: settler_billing,
        };
        let changes = Changes { changer: changer.clone(), wait: config.patience.wait };
        let server = Server::new("order", listener, config.server)?
            .add(
                ChangeServiceServer::new(changes)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                OrderServiceServer::new(orders)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                CustomerServiceServer::new(Customers { books: books.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                ReturnServiceServer::new(Returns { books: books.clone(), clerk })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                RuleServiceServer::new(Rules { books: books.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                ChannelServiceServer::new(Channels { books: books.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                InquiryServiceServer::new(Inquiries { books: books.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                HoldServiceServer::new(Holds { books: books.clone(), saga: saga.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                ReturnPolicyServiceServer::new(ReturnPolicies { books: books.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(GoodwillServiceServer::new(Goodwill(grantor)))
            .add(
                PriceServiceServer::new(Prices { books: books.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                QuotationServiceServer::new(Quotations { acceptor: acceptor.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                ImportServiceServer::new(imports)
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                SearchServiceServer::new(Search { books: books.clone(), billing: balances })
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(
                PromiseServiceServer::new(Promises { promiser: promiser.clone() })
                    .max_decoding_message_size(MAX_MESSAGE)
                    .max_encoding_message_size(MAX_MESSAGE),
            )
            .add(ScheduleServiceServer::new(Schedules { books: books.clone() }).max_encoding_message_size(MAX_MESSAGE))
            .add(FeedServiceServer::new(feed).max_encoding_message_size(MAX_MESSAGE))
            .add(ProofServiceServer::new(Proof { books: books.clone() }).max_encoding_message_size(MAX_MESSAGE));

        let mut followers = Vec::with_capacity(3);
        for (source, endpoint) in [
            ("inventory", &config.inventory_endpoint),
            ("fulfilment", &config.fulfilment_endpoint),
            ("billing", &config.billing_endpoint),
        ] {
            let (channel, handler) = (peer(endpoint, PULL)?, Follow::new(books.clone()));
            let options = FollowerOptions::default();
            followers.push(Follower::new("order", source, channel, pool.clone(), handler, options));
        }
        Ok(Self {
            address,
            config,
            books,
            server,
            saga,
            canceller,
            reviewer,
            changer,
            acceptor,
            promiser,
            running,
            stopping,
            followers,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves, settles, follows and recovers until `stop`; then ends what is under way, for a bounded time.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        // One for all: whoever fails ends the others, and the application with an error.
        let stop = stop.child_token();
        let mut tasks: JoinSet<(&'static str, anyhow::Result<()>)> = JoinSet::new();
        let serving = self.server.serve(stop.clone());
        tasks.spawn(async move { ("serving", serving.await) });
        for follower in self.followers {
            let stop = stop.clone();
            tasks.spawn(async move { ("following", ended(follower.run(stop)).await) });
        }
        let (saga, canceller, reviewer, changer, acceptor) =
            (self.saga, self.canceller, self.reviewer, self.changer, self.acceptor);
        tasks.spawn({
            let stop = stop.clone();
            async move { ("reviewing", ended(reviewer.recover(stop)).await) }
        });
        tasks.spawn({
            let stop = stop.clone();
            async move { ("changing", ended(changer.recover(stop)).await) }
        });
        tasks.spawn({
            let stop = stop.clone();
            async move { ("settling", ended(saga.recover(stop)).await) }
        });
        tasks.spawn({
            let stop = stop.clone();
            async move { ("cancelling", ended(canceller.recover(stop)).await) }
        });
        tasks.spawn({
            let stop = stop.clone();
            async move { ("accepting", ended(acceptor.recover(stop)).await) }
        });
        tasks.spawn({
            let (promiser, stop) = (self.promiser, stop.clone());
            async move { ("tidying promises", ended(promiser.recover(stop)).await) }
        });
        tasks.spawn({
            let (books, stop) = (self.books.clone(), stop.clone());
            async move { ("handing over", ended(handover::recover(books, stop)).await) }
        });
        tasks.spawn({
            let (books, stop) = (self.books.clone(), stop.clone());
            async move { ("purging", ended(purge::recover(books, stop)).await) }
        });
        tasks.spawn({
            let (pool, stop) = (self.books.pool.clone(), stop.clone());
            async move { ("housekeeping", ended(database::housekeeping(pool, stop)).await) }
        });
        tasks.spawn({
            let (feed, stopping, stop) = (self.books.feed.clone(), self.stopping, stop.clone());
            async move {
                stop.cancelled().await;
                feed.close();
                stopping.cancel();
                ("stopping", Ok(()))
            }
        });

        let mut outcome = Ok(());
        while let Some(done) = tasks.join_next().await {
            let result = match done {
                Ok((task, result)) => result.with_context(|| format!("{task} failed")),
                Err(error) => Err(error).context("a worker failed"),
            };
            if let Err(error) = result {
                tracing::error!(error = format!("{error:#}"), "the order service stops");
                outcome = outcome.and(Err(error));
            }
            stop.cancel();
        }
        self.running.close();
        let drain = Duration::from_secs(self.config.server.drain_seconds);
        if tokio::time::timeout(drain, self.running.wait()).await.is_err() {
            tracing::warn!("rounds still ran at the end of the drain; their jobs fall due again");
        }
        self.books.pool.close().await;
        outcome
    }
}

async fn ended(work: impl Future<Output = ()>) -> anyhow::Result<()> {
    work.await;
    Ok(())
}

fn peer(endpoint: &str, timeout: Duration) -> anyhow::Result<PeerChannel> {
    channel::lazy(endpoint, timeout).with_context(|| format!("{endpoint:?} is no endpoint: http://host:port"))
}
