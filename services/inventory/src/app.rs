//! The service as a whole: what it is made of, and how it starts and stops.

use crate::config::Config;
use crate::follow::{FollowFulfilment, FollowOrder};
use crate::ops::expire::CaughtUp;
use crate::ops::{Inventory, expire, expire_lots, fill, reserve};
use crate::rpc::{
    BackorderRpc, CountRpc, ItemRpc, LotRpc, PlacementRpc, PlanningRpc, ProofRpc, ReservationRpc, SourcingRpc,
    StockRpc, SupplyRpc, TransferRpc, ValuationRpc,
};
use anyhow::Context as _;
use pesan_api::feed::v1::feed_service_server::FeedServiceServer;
use pesan_api::inventory::v1::backorder_service_server::BackorderServiceServer;
use pesan_api::inventory::v1::count_service_server::CountServiceServer;
use pesan_api::inventory::v1::item_service_server::ItemServiceServer;
use pesan_api::inventory::v1::lot_service_server::LotServiceServer;
use pesan_api::inventory::v1::placement_service_server::PlacementServiceServer;
use pesan_api::inventory::v1::planning_service_server::PlanningServiceServer;
use pesan_api::inventory::v1::reservation_service_server::ReservationServiceServer;
use pesan_api::inventory::v1::sourcing_service_server::SourcingServiceServer;
use pesan_api::inventory::v1::stock_service_server::StockServiceServer;
use pesan_api::inventory::v1::supply_service_server::SupplyServiceServer;
use pesan_api::inventory::v1::transfer_service_server::TransferServiceServer;
use pesan_api::inventory::v1::valuation_service_server::ValuationServiceServer;
use pesan_api::proof::v1::proof_service_server::ProofServiceServer;
use pesan_feed::{Feed, Follower, FollowerOptions};
use pesan_grpc::channel;
use pesan_host::server::MAX_MESSAGE;
use pesan_host::{Server, database, server};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a pull of a peer's feed may take: it waits up to 5 seconds for events.
const PULL: Duration = Duration::from_secs(20);

/// The inventory service, ready to run.
pub struct Application {
    config: Config,
    inventory: Inventory,
    listener: TcpListener,
    address: SocketAddr,
}

impl Application {
    /// Connects, migrates and listens on `config.listen`; port 0 takes a free one.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let listener = server::bind(config.listen).await?;
        Self::build_on(config, listener).await
    }

    /// The same on a listener that is bound already.
    pub async fn build_on(config: Config, listener: TcpListener) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let pool = database::connect("inventory", config.database_url.reveal(), config.connections).await?;
        database::migrate(&pool, &crate::MIGRATOR).await?;
        let feed = Feed::new(pool.clone()).await?;
        let inventory = Inventory::new(pool, config.clock.clone(), feed, config.reservation_lives());
        Ok(Self { config, inventory, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its use cases work on, for those who run them without gRPC.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Serves, follows and works until `stop`, then drains. Ends early, with an error, when a part of it fails.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { config, inventory, listener, .. } = self;
        let ending = stop.child_token();
        let mut parts: JoinSet<(&'static str, anyhow::Result<()>)> = JoinSet::new();

        let caught_up = Arc::new(CaughtUp::default());
        let order = follower(
            "order",
            &config.order_endpoint,
            &inventory,
            FollowOrder::new(inventory.clone(), caught_up.clone()),
        )?;
        let fulfilment =
            follower("fulfilment", &config.fulfilment_endpoint, &inventory, FollowFulfilment::new(inventory.clone()))?;
        let token = ending.clone();
        parts.spawn(async move {
            ("the follower of order", {
                order.run(token).await;
                Ok(())
            })
        });
        let token = ending.clone();
        parts.spawn(async move {
            ("the follower of fulfilment", {
                fulfilment.run(token).await;
                Ok(())
            })
        });
        let (work, token) = (inventory.clone(), ending.clone());
        parts.spawn(async move {
            ("the filler", {
                fill::run(work, token).await;
                Ok(())
            })
        });
        let (work, token) = (inventory.clone(), ending.clone());
        parts.spawn(async move {
            ("the expiry", {
                expire::run(work, caught_up, token).await;
                Ok(())
            })
        });
        let (work, token) = (inventory.clone(), ending.clone());
        parts.spawn(async move {
            ("the sweep of expired lots", {
                expire_lots::run(work, token).await;
                Ok(())
            })
        });
        let (pool, token) = (inventory.pool.clone(), ending.clone());
        parts.spawn(async move {
            ("housekeeping", {
                database::housekeeping(pool, token).await;
                Ok(())
            })
        });

        let server = server(&config, listener, &inventory)?;
        let token = ending.clone();
        parts.spawn(async move { ("the server", server.serve(token).await) });
        tracing::info!(address = %self.address, "inventory is serving");

        let mut outcome = Ok(());
        let early = tokio::select! {
            biased; // parts that end because of the stop do not end early
            () = stop.cancelled() => None,
            ended = parts.join_next() => ended,
        };
        if let Some(ended) = early {
            outcome = ended.context("a part of the service panicked").and_then(|(name, result)| {
                result.with_context(|| format!("{name} failed"))?;
                anyhow::bail!("{name} ended by itself")
            });
            if let Err(error) = &outcome {
                tracing::error!(error = format!("{error:#}"), "the service stops");
            }
        }
        inventory.feed.close();
        ending.cancel();
        let drained = async {
            while let Some(ended) = parts.join_next().await {
                match ended {
                    Ok((_, Ok(()))) => {}
                    Ok((name, Err(error))) => tracing::error!(error = format!("{error:#}"), "{name} failed"),
                    Err(error) => tracing::error!(%error, "a part of the service panicked"),
                }
            }
        };
        let patience = Duration::from_secs(config.server.drain_seconds + 5);
        if tokio::time::timeout(patience, drained).await.is_err() {
            tracing::warn!("parts of the service still ran at the end of the drain and were cut off");
        }
        inventory.pool.close().await;
        outcome
    }
}

fn follower<H: pesan_feed::Handle>(
    source: &'static str,
    endpoint: &str,
    inventory: &Inventory,
    handler: H,
) -> anyhow::Result<Follower<H>> {
    let channel = channel::lazy(endpoint, PULL).with_context(|| format!("the endpoint of {source}"))?;
    let pool = inventory.pool.clone();
    Ok(Follower::new("inventory", source, channel, pool, handler, FollowerOptions::default()))
}

fn server(config: &Config, listener: TcpListener, inventory: &Inventory) -> anyhow::Result<Server> {
    let reserver = reserve::start(inventory.clone());
    let items = ItemServiceServer::new(ItemRpc::new(inventory.clone()));
    let stock = StockServiceServer::new(StockRpc::new(inventory.clone()));
    let reservations = ReservationServiceServer::new(ReservationRpc::new(inventory.clone(), reserver));
    let sourcing = SourcingServiceServer::new(SourcingRpc::new(inventory.clone()));
    let lots = LotServiceServer::new(LotRpc::new(inventory.clone()));
    let valuation = ValuationServiceServer::new(ValuationRpc::new(inventory.clone()));
    let supply = SupplyServiceServer::new(SupplyRpc::new(inventory.clone()));
    let transfers = TransferServiceServer::new(TransferRpc::new(inventory.clone()));
    let counts = CountServiceServer::new(CountRpc::new(inventory.clone()));
    let planning = PlanningServiceServer::new(PlanningRpc::new(inventory.clone()));
    let backorders = BackorderServiceServer::new(BackorderRpc::new(inventory.clone()));
    let placement = PlacementServiceServer::new(PlacementRpc::new(inventory.clone()));
    let feed = FeedServiceServer::new(inventory.feed.clone());
    let proof = ProofServiceServer::new(ProofRpc::new(inventory.clone()));
    Ok(Server::new("inventory", listener, config.server)?
        .add(items.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(stock.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(reservations.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(sourcing.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(lots.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(valuation.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(supply.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(transfers.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(counts.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(planning.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(backorders.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(placement.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(feed.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        .add(proof.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE)))
}
