//! `pesan bench fill`: a suite that already has millions of finished orders, to be measured against an empty one.
//!
//! One order goes the whole way through the services. What it left in their schemas is then multiplied by SQL, which no
//! service would be asked to do: this is the only place that writes into the schemas of several services, and it wants
//! them to be on this machine and without orders.

mod example;
mod schemas;

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr as _;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::endpoints::Service;
use crate::output::{self, Output};
use crate::up::{self, Databases};
use schemas::{Pools, Schemas};

/// What was done.
#[derive(Serialize)]
struct Filled {
    orders: i64,
    seconds: f64,
    /// Of all tables and indexes in the five schemas.
    bytes: i64,
    bytes_per_order: i64,
}

/// Fills the databases of a suite that does not run. Of the newest `events` orders the feeds have the events; none: of all.
pub async fn fill(data: &Path, orders: i64, events: Option<i64>, output: Output) -> Result<()> {
    let started = Instant::now();
    let databases = Databases::start(data).await?;
    let filled = fill_databases(data, &databases, orders, events.unwrap_or(orders)).await;
    databases.stop().await?;
    let bytes = filled?;
    let seconds = started.elapsed().as_secs_f64().round();
    let filled = Filled { orders, seconds, bytes, bytes_per_order: bytes / orders };
    if output == Output::Json {
        return output::json_line(&filled);
    }
    let megabytes = filled.bytes / (1 << 20);
    output::line(&format!("{orders} orders in {seconds} s: {megabytes} MiB, {} bytes an order", filled.bytes_per_order))
}

async fn fill_databases(data: &Path, databases: &Databases, orders: i64, events: i64) -> Result<i64> {
    let mut pools = Pools::new();
    for service in Service::ALL {
        let pool = open(databases.url(service)).await.with_context(|| service.name())?;
        let has_orders = schemas::has_orders(&pool, service).await.with_context(|| service.name())?;
        ensure!(!has_orders, "{} has orders already: only an empty suite is filled", service.name());
        pools.insert(service, pool);
    }
    let known = pools.clone();
    up::beside(databases, data, |endpoints| example::carry_out(endpoints, known)).await.context("the first order")?;
    let schemas = Schemas::begin(pools, orders, events).await?;
    let bar = ProgressBar::new(schemas.rows());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent}% {eta}") {
        bar.set_style(style);
    }
    schemas.multiply(&bar).await?;
    bar.finish_and_clear();
    schemas.end().await
}

/// Only on this machine.
async fn open(url: &str) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?;
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    ensure!(is_here, "{host} is not this machine");
    Ok(PgPoolOptions::new().max_connections(2).connect_with(options).await?)
}
