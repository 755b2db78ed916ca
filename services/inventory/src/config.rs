//! What can be set, by flag or environment.

use pesan_host::{Clock, ServerConfig};
use pesan_telemetry::TelemetryConfig;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The inventory service: items, stock and reservations over gRPC.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "pesan-inventory", version, about)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "PESAN_INVENTORY_LISTEN", default_value = "127.0.0.1:50052")]
    pub listen: SocketAddr,

    /// Postgres of this service: postgres://user:password@host:port/database
    #[arg(long, env = "PESAN_INVENTORY_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

    /// Most connections to Postgres
    #[arg(long, env = "PESAN_INVENTORY_CONNECTIONS", default_value_t = 12)]
    pub connections: u32,

    /// Where the order service answers
    #[arg(long, env = "PESAN_ORDER_ENDPOINT", default_value = "http://127.0.0.1:50051")]
    pub order_endpoint: String,

    /// Where the fulfilment service answers
    #[arg(long, env = "PESAN_FULFILMENT_ENDPOINT", default_value = "http://127.0.0.1:50053")]
    pub fulfilment_endpoint: String,

    /// Seconds after which a reservation lapses unless its order was confirmed
    #[arg(long, env = "PESAN_INVENTORY_RESERVATION_SECONDS", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub reservation_seconds: u64,

    #[command(flatten)]
    pub server: ServerConfig,

    #[command(flatten)]
    pub telemetry: TelemetryConfig,

    /// Where the time comes from; tests turn it by hand.
    #[arg(skip)]
    pub clock: Clock,
}

impl Config {
    /// With the defaults for everything else.
    pub fn for_database(listen: SocketAddr, database_url: impl Into<String>) -> Self {
        let peer = |port: u16| format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            listen,
            database_url: DatabaseUrl(database_url.into()),
            connections: 12,
            order_endpoint: peer(50051),
            fulfilment_endpoint: peer(50053),
            reservation_seconds: 900,
            server: ServerConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: Clock::System,
        }
    }

    /// How long a reservation waits for its order's confirmation.
    pub fn reservation_lives(&self) -> Duration {
        Duration::from_secs(self.reservation_seconds)
    }
}

/// A database URL, which may hold a password and so is not shown.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Ok(Self(url.to_owned()))
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
    use clap::Parser as _;

    #[test]
    fn flags_are_read_and_the_password_is_not_shown() {
        let url = "postgres://inventory:secret@db/pesan";
        let parsed = Config::parse_from(["pesan-inventory", "--database-url", url, "--reservation-seconds", "60"]);
        assert_eq!(parsed.reservation_lives(), Duration::from_secs(60));
        assert_eq!(parsed.database_url.reveal(), url);
        assert!(!format!("{parsed:?}").contains("secret"));
        let made = Config::for_database(parsed.listen, url);
        assert_eq!((made.connections, made.order_endpoint), (parsed.connections, parsed.order_endpoint));
    }
}
