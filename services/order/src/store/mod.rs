//! Every SQL statement. Free functions over a connection, each for a batch of any size in a constant number of
//! statements; the caller has locked what it writes.

pub mod cancellation;
pub mod change;
pub mod channel;
pub mod customer;
pub mod delivery;
pub mod goodwill;
pub mod hold;
pub mod inquiry;
pub mod job;
pub mod line;
pub mod linked;
pub mod listing;
pub mod order;
pub mod place;
pub mod price;
pub mod promise;
pub mod proof;
pub mod quotation;
pub mod read;
pub mod return_policy;
pub mod rma;
pub mod rule;
pub mod search;
pub mod setting;

use crate::error::Error;
use pesan_api::r#type::v1::Address;
use pesan_money::Currency;
use prost::Message as _;
use sqlx::{PgPool, Postgres, Transaction};

/// Begins a transaction that writes; the caller locks what it shares with others.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    Ok(pesan_feed::begin(pool, []).await?)
}

/// Begins a transaction that sees one moment and reads whole tables, however long it takes.
pub async fn begin_proof(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    let begin = "begin isolation level repeatable read read only; set local enable_nestloop = off; set local jit = off;
                 set local work_mem = '64MB'; set local statement_timeout = '15min'";
    Ok(pool.begin_with(begin).await?)
}

/// A currency that we wrote.
pub(crate) fn currency(code: &str) -> Result<Currency, Error> {
    code.parse().map_err(|_| Error::Broken("a stored currency"))
}

/// An address that we wrote.
pub(crate) fn address(bytes: &[u8]) -> Result<Address, Error> {
    Address::decode(bytes).map_err(|_| Error::Broken("a stored address"))
}

/// An enum that we wrote.
pub(crate) fn stored_enum<E: TryFrom<i32>>(number: i16) -> Result<E, Error> {
    E::try_from(i32::from(number)).map_err(|_| Error::Broken("a stored enum"))
}

/// A quantity of a line as its column holds it: at most 1,000,000,000 are ordered, and no part is more.
pub(crate) fn column(quantity: i64) -> Result<i32, Error> {
    i32::try_from(quantity).map_err(|_| Error::Broken("a quantity beyond its column"))
}

/// A number of a proto enum as its column holds it.
pub(crate) fn small(number: i32) -> i16 {
    i16::try_from(number).unwrap_or(0)
}
