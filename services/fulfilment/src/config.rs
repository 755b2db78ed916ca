//! Flags and environment of the fulfilment service.

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The fulfilment service: picks, packs, ships and takes back.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "pesan-fulfilment", version)]
pub struct Config {
    /// Where it listens; port 0 takes a free one
    #[arg(long, env = "PESAN_FULFILMENT_LISTEN", default_value_t = default_listen())]
    pub listen: SocketAddr,
    /// Its own database: postgres://user:password@host:port/database
    #[arg(long, env = "PESAN_FULFILMENT_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,
    /// Most connections to the database
    #[arg(long, env = "PESAN_FULFILMENT_CONNECTIONS", default_value_t = 12)]
    pub connections: u32,
    /// The order service, whose feed is followed
    #[arg(long, env = "PESAN_ORDER_ENDPOINT", default_value = "http://127.0.0.1:50051")]
    pub order_endpoint: String,
    /// What bounds the server
    #[command(flatten)]
    pub server: pesan_host::ServerConfig,
    /// Logs and traces
    #[command(flatten)]
    pub telemetry: pesan_telemetry::TelemetryConfig,
    /// The time; the machine's unless a test turns it
    #[arg(skip)]
    pub clock: pesan_host::Clock,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 50053))
}

impl Config {
    /// Listens on `listen` with its tables at `database_url`; everything else as without flags and environment.
    pub fn for_database(listen: SocketAddr, database_url: impl Into<String>) -> Self {
        Self {
            listen,
            database_url: DatabaseUrl(database_url.into()),
            connections: 12,
            order_endpoint: "http://127.0.0.1:50051".to_owned(),
            server: pesan_host::ServerConfig::default(),
            telemetry: pesan_telemetry::TelemetryConfig::default(),
            clock: pesan_host::Clock::default(),
        }
    }
}

/// A database URL, which may hold a password: shown by no formatter.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with everything in it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_password_is_not_shown() {
        let config = Config::for_database(default_listen(), "postgres://pesan:secret@db/fulfilment");
        assert!(!format!("{config:?}").contains("secret"));
        assert!(config.database_url.expose().contains("secret"));
    }

    #[test]
    fn flags_are_well_formed() {
        Config::command().debug_assert();
    }
}
