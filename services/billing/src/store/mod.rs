//! Every SQL statement. Lists go in as arrays, so that a batch of any size takes the same few statements.

pub mod account;
pub mod amendment;
pub mod charge;
pub mod charge_line;
pub mod digest;
pub mod document;
pub mod job;
pub mod ledger;
pub mod payment;
pub mod proof;
pub mod provider_book;

use pesan_money::Currency;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// A read-only transaction that sees one moment throughout.
pub async fn one_moment(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "set transaction isolation level repeatable read, read only; set local statement_timeout = '10min';
         set local idle_in_transaction_session_timeout = '10min'",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Joins whole tables by hash in this transaction, whether or not the database has had a look at how large they became.
pub async fn plan_whole_tables(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("set local enable_nestloop = off; set local jit = off; set local work_mem = '64MB'")
        .execute(conn)
        .await?;
    Ok(())
}

fn currency(row: &PgRow, column: &str) -> sqlx::Result<Currency> {
    row.try_get::<&str, _>(column)?.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// A word in a column that is none of those its constraint allows.
fn unknown(word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("unexpected word {word:?}").into())
}
