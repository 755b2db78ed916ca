//! The pool of a service's own database, and its migrations.

use anyhow::Context as _;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool};
use std::str::FromStr as _;
use std::time::Duration;

/// A pool of at most `connections`, in the name of `service`. Waits up to 30 seconds for the server to come up.
pub async fn connect(service: &str, url: &str, connections: u32) -> anyhow::Result<PgPool> {
    let options = PgConnectOptions::from_str(url)
        .context("the database URL cannot be read: postgres://user:password@host:port/database")?
        .application_name(&format!("pesan-{service}"))
        // A statement or an idle transaction that hangs must not hold locks for ever.
        .options([("statement_timeout", "60s"), ("idle_in_transaction_session_timeout", "60s"), ("timezone", "UTC")])
        .log_statements(log::LevelFilter::Trace)
        .log_slow_statements(log::LevelFilter::Debug, Duration::from_secs(1));
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        // A dead connection shows when it is used, and what failed is tried again: no round trip for each acquire.
        .test_before_acquire(false)
        .connect_lazy_with(options);
    let mut failures = 0;
    loop {
        match pool.acquire().await {
            Ok(_) => return Ok(pool),
            Err(error) if failures < 3 => {
                failures += 1;
                tracing::warn!(service, %error, "the database does not answer yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error).context("the database does not answer"),
        }
    }
}

/// Brings the schema up to date: the feed's tables, the requests' table, then the service's own. Replicas that start
/// together wait for each other.
pub async fn migrate(pool: &PgPool, own: &Migrator) -> anyhow::Result<()> {
    for migrator in [&pesan_feed::migrator(), &pesan_grpc::idempotency::migrator(), own] {
        migrator.run(pool).await.with_context(|| format!("migrations of {} failed", migrator.table_name))?;
    }
    let mut conn = pool.acquire().await?;
    pesan_feed::ensure_partitions(&mut conn).await?;
    Ok(())
}

/// Housekeeping every service needs, until `stop`: room in the outbox, old request ids forgotten.
pub async fn housekeeping(pool: PgPool, stop: tokio_util::sync::CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
        }
        let done = async {
            let mut conn = pool.acquire().await?;
            pesan_feed::ensure_partitions(&mut conn).await?;
            pesan_grpc::idempotency::purge(&mut conn).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "housekeeping failed; trying again in a minute");
        }
    }
}
