//! Flags and environment.

use pesan_host::{Clock, ServerConfig};
use pesan_telemetry::TelemetryConfig;
use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// Pesan analytics: KPIs, order journeys and the dashboard, from the feeds of the other services
#[derive(clap::Parser, Clone, Debug)]
#[command(version)]
pub struct Config {
    /// Where gRPC is served
    #[arg(long, env = "PESAN_ANALYTICS_LISTEN", default_value = "127.0.0.1:50055")]
    pub listen: SocketAddr,

    /// Where the dashboard is served, over plain HTTP and without a login: for a trusted network only
    #[arg(long, env = "PESAN_ANALYTICS_DASHBOARD_LISTEN", default_value = "127.0.0.1:8080")]
    pub dashboard_listen: SocketAddr,

    /// This service's own database: postgres://user:password@host:port/database
    #[arg(long, env = "PESAN_ANALYTICS_DATABASE_URL", hide_env_values = true)]
    pub database_url: DatabaseUrl,

    /// Most connections to the database
    #[arg(long, env = "PESAN_ANALYTICS_CONNECTIONS", default_value_t = 12)]
    pub connections: u32,

    /// The order service, whose feed is followed
    #[arg(long, env = "PESAN_ORDER_ENDPOINT", default_value = "http://127.0.0.1:50051")]
    pub order_endpoint: String,

    /// The inventory service, whose feed is followed
    #[arg(long, env = "PESAN_INVENTORY_ENDPOINT", default_value = "http://127.0.0.1:50052")]
    pub inventory_endpoint: String,

    /// The fulfilment service, whose feed is followed
    #[arg(long, env = "PESAN_FULFILMENT_ENDPOINT", default_value = "http://127.0.0.1:50053")]
    pub fulfilment_endpoint: String,

    /// The billing service, whose feed is followed
    #[arg(long, env = "PESAN_BILLING_ENDPOINT", default_value = "http://127.0.0.1:50054")]
    pub billing_endpoint: String,

    #[command(flatten)]
    pub server: ServerConfig,

    #[command(flatten)]
    pub telemetry: TelemetryConfig,

    /// Tells the time; a test turns it.
    #[arg(skip)]
    pub clock: Clock,
}

impl Config {
    /// With the defaults of flags and environment for everything else.
    pub fn for_database(listen: SocketAddr, database_url: &str) -> Self {
        Self {
            listen,
            dashboard_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            database_url: DatabaseUrl(database_url.to_owned()),
            connections: 12,
            order_endpoint: "http://127.0.0.1:50051".to_owned(),
            inventory_endpoint: "http://127.0.0.1:50052".to_owned(),
            fulfilment_endpoint: "http://127.0.0.1:50053".to_owned(),
            billing_endpoint: "http://127.0.0.1:50054".to_owned(),
            server: ServerConfig::default(),
            telemetry: TelemetryConfig::default(),
            clock: Clock::default(),
        }
    }
}

/// Where the database is. Holds a password, and so does not show itself.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// With its password.
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
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn defaults_in_code_and_on_the_command_line_are_the_same() {
        let url = "postgres://me:secret@localhost/x";
        let parsed = Config::parse_from(["pesan-analytics", "--database-url", url]);
        let built = Config::for_database(SocketAddr::from((Ipv4Addr::LOCALHOST, 50055)), url);
        assert_eq!(format!("{parsed:?}"), format!("{built:?}"));
        assert!(!format!("{parsed:?}").contains("secret"));
    }
}
