//! Versions of what people configure.

use crate::error::Error;
use sqlx::PgConnection;
use std::collections::HashMap;

/// The versions of all parts, by their keys.
pub async fn versions(conn: &mut PgConnection) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as("select part, version from setting").fetch_all(conn).await?;
    Ok(rows.into_iter().collect())
}

/// Counts a change of a part, and makes others who change it wait until the end of the transaction.
pub async fn count(conn: &mut PgConnection, part: &str) -> Result<(), Error> {
    let done = sqlx::query("update setting set version = version + 1 where part = $1").bind(part).execute(conn).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::Broken("a setting that is not there")) }
}

/// Makes others who change a part wait until the end of the transaction.
pub async fn lock(conn: &mut PgConnection, part: &str) -> Result<(), Error> {
    sqlx::query("select 1 from setting where part = $1 for update").bind(part).execute(conn).await?;
    Ok(())
}
