//! What reserving costs where every request is a transaction of its own that locks its item by `SELECT … FOR UPDATE`: the
//! usual handler, without even a gRPC call around it, on the yardstick's tables.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::task::JoinSet;

use super::yardstick::admin_url;

/// Connections of the handler's pool.
const CONNECTIONS: u32 = 32;

/// Reservations of one item a second, by so many callers for so long. The yardstick's schema must be there.
pub async fn per_second(data: &Path, callers: u32, duration: Duration) -> Result<f64> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(&admin_url(data)?).await?;
    let started = Instant::now();
    let deadline = started + duration;
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut done = 0_u32;
            while Instant::now() < deadline {
                reserve(&pool).await?;
                done += 1;
            }
            anyhow::Ok(done)
        });
    }
    let mut done = 0.0;
    while let Some(task) = tasks.join_next().await {
        done += f64::from(task??);
    }
    let seconds = started.elapsed().as_secs_f64();
    pool.close().await;
    Ok(done / seconds)
}

async fn reserve(pool: &PgPool) -> Result<()> {
    let mut tx = pool.begin().await?;
    let available: i32 =
        sqlx::query_scalar("select available from lim.stock where sku_id = 1 for update").fetch_one(&mut *tx).await?;
    anyhow::ensure!(available > 0, "the handler's stock is used up");
    sqlx::query("insert into lim.reservation (order_id, sku_id, qty) values (1, 1, 1)").execute(&mut *tx).await?;
    sqlx::query(
        "insert into lim.outbox (topic, key, payload) values ('stock.reserved', 1, '{\"sku\": 1, \"qty\": 1}')",
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query("update lim.stock set available = available - 1, reserved = reserved + 1 where sku_id = 1")
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}
