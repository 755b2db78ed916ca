//! How the service is told what to do: flags and environment.

use crate::backoff::Backoff;
use pesan_host::{Clock, ServerConfig};
use pesan_telemetry::TelemetryConfig;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// The order service: captures orders, promises them, and keeps track of them until they are complete.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "pesan-order", version)]
pub struct Config {
    /// Where it listens.
    #[arg(long, env = "PESAN_ORDER_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Its own database: postgres://user:password@host:port/database.
    #[arg(long, env = "PESAN_ORDER_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// Most connections to the database.
    #[arg(long, env = "PESAN_ORDER_CONNECTIONS", default_value_t = 12)]
    pub connections: u32,
    /// The inventory service.
    #[arg(long, env = "PESAN_INVENTORY_ENDPOINT", default_value = "http://127.0.0.1:50052")]
    pub inventory_endpoint: String,
    /// The fulfilment service.
    #[arg(long, env = "PESAN_FULFILMENT_ENDPOINT", default_value = "http://127.0.0.1:50053")]
    pub fulfilment_endpoint: String,
    /// The billing service.
    #[arg(long, env = "PESAN_BILLING_ENDPOINT", default_value = "http://127.0.0.1:50054")]
    pub billing_endpoint: String,
    #[command(flatten)]
    pub server: ServerConfig,
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// The time.
    #[arg(skip)]
    pub clock: Clock,
    /// How work that waits for a peer is tried again.
    #[arg(skip)]
    pub patience: Patience,
}

impl Config {
    /// With defaults for everything but where it listens and its database.
    pub fn for_database(listen: SocketAddr, database_url: &str) -> Self {
        Self {
            listen,
            database_url: DatabaseUrl(database_url.to_owned()),
            connections: 12,
            inventory_endpoint: "http://127.0.0.1:50052".to_owned(),
            fulfilment_endpoint: "http://127.0.0.1:50053".to_owned(),
            billing_endpoint: "http://127.0.0.1:50054".to_owned(),
            server: ServerConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: Clock::default(),
            patience: Patience::default(),
        }
    }
}

/// How long things may take, and when they are tried again.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Pauses between tries of work that waits for a peer.
    pub backoff: Backoff,
    /// The longest answer of a peer.
    pub call: Duration,
    /// How long a worker has a job to itself.
    pub lease: Duration,
    /// How often a worker looks for jobs that nobody told it of.
    pub look: Duration,
    /// How long a call without a deadline waits for its outcome.
    pub wait: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            backoff: Backoff { first: Duration::from_millis(50), most: Duration::from_secs(30) },
            call: Duration::from_secs(8),
            lease: Duration::from_secs(30),
            look: Duration::from_secs(1),
            wait: Duration::from_secs(10),
        }
    }
}

/// A database URL; its password is never shown.
#[derive(Clone)]
pub struct DatabaseUrl(pub String);

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = match self.0.rsplit_once('@') {
            Some((_, place)) => place,
            None => self.0.split_once("://").map_or("", |(_, place)| place),
        };
        write!(f, "DatabaseUrl({shown})")
    }
}
