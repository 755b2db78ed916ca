//! Reading everything as of one moment.

use sqlx::{PgPool, Postgres, Transaction};

/// A read-only transaction that sees one moment.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = pool.begin_with("begin isolation level repeatable read read only").await?;
    // A rebuild empties the tables, first of all this one: whoever reads several must have begun before it or after it.
    // Taken before the snapshot is, so that nobody looks at emptied tables with old eyes.
    sqlx::query("lock table dims in access share mode").execute(&mut *tx).await?;
    // Compiling a statement takes longer here than running it, and sums over many products should not go to disk.
    sqlx::query("select set_config('jit', 'off', true), set_config('work_mem', '64MB', true)")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}
