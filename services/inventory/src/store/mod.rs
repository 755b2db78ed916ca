//! Every SQL statement of the service.

pub mod backorder;
pub mod capacity;
pub mod change;
pub mod cost;
pub mod count;
pub mod digest;
pub mod document;
pub mod item;
pub mod kit;
pub mod location;
pub mod lot;
pub mod movement;
pub mod network;
pub mod placement;
pub mod planning;
pub mod proof;
pub mod proof_supply;
pub mod purchase;
pub mod reservation;
pub mod sourcing;
pub mod stock;
pub mod supplier;
pub mod supply;
pub mod transfer;
pub mod unit;
pub mod value;

use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction that writes; the caller locks what it shares with others.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pesan_feed::begin(pool, []).await
}

/// Begins a transaction that sees the database as it is now, until its end, and writes nothing.
pub async fn begin_snapshot(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with("begin isolation level repeatable read read only").await
}

/// Begins a transaction that sees the database as it is now and reads whole tables: joined by hash, whether or not the
/// database has had a look at how large they have become, and for as long as it takes.
pub async fn begin_proof(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    pool.begin_with(
        "begin isolation level repeatable read read only; set local enable_nestloop = off; set local jit = off;
         set local work_mem = '64MB'; set local statement_timeout = '15min'",
    )
    .await
}

/// A value that this version of the service does not know, in a column whose values it writes itself.
fn unexpected(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unexpected {what}").into())
}

/// Money from its two columns.
fn money(amount: Option<Decimal>, currency: Option<String>) -> sqlx::Result<Option<Money>> {
    let (Some(amount), Some(code)) = (amount, currency) else { return Ok(None) };
    let currency: Currency = code.parse().map_err(|_| unexpected("currency"))?;
    Ok(Some(Money::new(currency, amount.normalize())))
}
