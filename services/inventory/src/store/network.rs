use super::unexpected;
use crate::convert::sourcing::{rules_from, rules_to};
use crate::network::Network;
use crate::sourcing::Rules;
use pesan_api::inventory::v1 as pb;
use prost::Message as _;
use sqlx::PgConnection;

/// The version of locations and rules.
pub async fn version(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select version from network where id = 1").fetch_one(conn).await
}

/// Locations and rules as they are. The version is read first: what changes meanwhile is read again for the next one.
pub async fn read(conn: &mut PgConnection) -> sqlx::Result<Network> {
    let version = version(&mut *conn).await?;
    let rules = rules(&mut *conn).await?;
    let locations = super::location::by_rank(conn).await?;
    Ok(Network::new(version, rules, locations))
}

/// Counts a change of a location or of the rules.
pub async fn changed(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("update network set version = version + 1 where id = 1").execute(conn).await?;
    Ok(())
}

/// The rules in force.
pub async fn rules(conn: &mut PgConnection) -> sqlx::Result<Rules> {
    let (version, bytes): (i64, Option<Vec<u8>>) =
        sqlx::query_as("select rules_version, rules from network where id = 1").fetch_one(conn).await?;
    stored(version, bytes)
}

/// The same, locked until the end of the transaction.
pub async fn lock_rules(conn: &mut PgConnection) -> sqlx::Result<Rules> {
    let (version, bytes): (i64, Option<Vec<u8>>) =
        sqlx::query_as("select rules_version, rules from network where id = 1 for update").fetch_one(conn).await?;
    stored(version, bytes)
}

fn stored(version: i64, bytes: Option<Vec<u8>>) -> sqlx::Result<Rules> {
    let Some(bytes) = bytes else { return Ok(Rules::default()) };
    let rules = pb::SourcingRules::decode(bytes.as_slice()).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let rules = rules_from(&rules).map_err(|_| unexpected("sourcing rules"))?;
    Ok(Rules { version, ..rules })
}

/// Replaces the rules.
pub async fn write_rules(conn: &mut PgConnection, rules: &Rules) -> sqlx::Result<()> {
    sqlx::query("update network set version = version + 1, rules_version = $1, rules = $2 where id = 1")
        .bind(rules.version)
        .bind(rules_to(rules).encode_to_vec())
        .execute(conn)
        .await?;
    Ok(())
}
