//! Every SQL statement of this service, as functions over a connection; the caller's transaction is theirs.

pub mod expected_return;
pub mod followed_order;
pub mod fulfilment_order;
pub mod proof;

use sqlx::{PgPool, Postgres, Transaction};

/// A read-only transaction in which every statement sees the same state.
pub async fn snapshot(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with("begin isolation level repeatable read read only").await
}
