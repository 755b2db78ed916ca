//! How the service is configured: flags, or the environment.

use clap::Parser;
use pesan_host::{Clock, ServerConfig};
use pesan_telemetry::TelemetryConfig;
use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The billing service: accounts, payments, invoices, credit notes, the ledger.
#[derive(Parser, Clone, Debug)]
#[command(name = "pesan-billing", version)]
pub struct Config {
    /// Where to listen
    #[arg(long, env = "PESAN_BILLING_LISTEN", default_value = "127.0.0.1:50054")]
    pub listen: SocketAddr,
    /// Postgres: postgres://user:password@host:port/database
    #[arg(long, env = "PESAN_BILLING_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// Most connections to the database
    #[arg(long, env = "PESAN_BILLING_CONNECTIONS", default_value_t = 12)]
    pub connections: u32,
    /// The order service, whose cancellations are followed
    #[arg(long, env = "PESAN_ORDER_ENDPOINT", default_value = "http://127.0.0.1:50051")]
    pub order_endpoint: String,
    /// The inventory service, whose costs are followed
    #[arg(long, env = "PESAN_INVENTORY_ENDPOINT", default_value = "http://127.0.0.1:50052")]
    pub inventory_endpoint: String,
    /// The fulfilment service, whose shipments and returns are followed
    #[arg(long, env = "PESAN_FULFILMENT_ENDPOINT", default_value = "http://127.0.0.1:50053")]
    pub fulfilment_endpoint: String,
    /// Milliseconds to wait for the payment provider before asking what became of a call
    #[arg(long, env = "PESAN_BILLING_PROVIDER_TIMEOUT_MS", default_value_t = 2000)]
    pub provider_timeout_ms: u64,
    /// Milliseconds that the simulated payment provider thinks about a token tok_late
    #[arg(long, env = "PESAN_BILLING_PROVIDER_LATE_MS", default_value_t = 3000)]
    pub provider_late_ms: u64,
    /// What bounds the server
    #[command(flatten)]
    pub server: ServerConfig,
    /// What is logged, and how
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// Where the time comes from
    #[arg(skip)]
    pub clock: Clock,
}

impl Config {
    /// Defaults for all but where to listen and which database.
    pub fn for_database(listen: SocketAddr, database_url: impl Into<String>) -> Self {
        let peer = |port: u16| format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            listen,
            database_url: DatabaseUrl(database_url.into()),
            connections: 12,
            order_endpoint: peer(50051),
            inventory_endpoint: peer(50052),
            fulfilment_endpoint: peer(50053),
            provider_timeout_ms: 2000,
            provider_late_ms: 3000,
            server: ServerConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: Clock::System,
        }
    }

    /// How long to wait for the payment provider.
    pub fn provider_timeout(&self) -> Duration {
        Duration::from_millis(self.provider_timeout_ms)
    }

    /// How long the simulated provider thinks about a `tok_late`.
    pub fn provider_late(&self) -> Duration {
        Duration::from_millis(self.provider_late_ms)
    }
}

/// A database's URL, which may hold a password: it does not show.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL itself, to connect with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_code_agree_and_the_password_does_not_show() {
        let url = "postgres://billing:secret@db/billing";
        let parsed = Config::try_parse_from(["pesan-billing", "--database-url", url]).unwrap();
        let made = Config::for_database("127.0.0.1:50054".parse().unwrap(), url);
        assert_eq!(format!("{parsed:?}"), format!("{made:?}"));
        assert!(!format!("{parsed:?}").contains("secret"));
        assert_eq!(parsed.database_url.reveal(), url);
    }
}
