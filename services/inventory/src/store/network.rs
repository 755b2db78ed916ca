use sqlx::PgConnection;

/// The rules as they are kept.
pub struct KeptRules {
    /// 0: the defaults.
    pub version: i64,
    /// Encoded `pesan.inventory.v1.SourcingRules`; none: the defaults.
    pub bytes: Option<Vec<u8>>,
}

/// The version of locations and rules.
pub async fn version(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select version from network where id = 1").fetch_one(conn).await
}

/// Counts a change of a location or of the rules.
pub async fn changed(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("update network set version = version + 1 where id = 1").execute(conn).await?;
    Ok(())
}

/// The rules in force.
pub async fn rules(conn: &mut PgConnection) -> sqlx::Result<KeptRules> {
    let (version, bytes) =
        sqlx::query_as("select rules_version, rules from network where id = 1").fetch_one(conn).await?;
    Ok(KeptRules { version, bytes })
}

/// The version of the rules in force, locked until the end of the transaction.
pub async fn lock_rules(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select rules_version from network where id = 1 for update").fetch_one(conn).await
}

/// Replaces the rules.
pub async fn write_rules(conn: &mut PgConnection, version: i64, rules: &[u8]) -> sqlx::Result<()> {
    sqlx::query("update network set version = version + 1, rules_version = $1, rules = $2 where id = 1")
        .bind(version)
        .bind(rules)
        .execute(conn)
        .await?;
    Ok(())
}
