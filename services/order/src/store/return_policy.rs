//! Return policies.

use crate::error::Error;
use pesan_api::order::v1::ReturnPolicy;
use prost::Message as _;
use sqlx::PgConnection;

/// All policies, by rank and name.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<ReturnPolicy>, Error> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("select policy from return_policy order by rank, name collate \"C\"")
        .fetch_all(conn)
        .await?;
    let read = |bytes: &Vec<u8>| ReturnPolicy::decode(bytes.as_slice());
    rows.iter().map(|bytes| read(bytes).map_err(|_| Error::Broken("a stored return policy"))).collect()
}

/// Creates or replaces policies, each name once. How many there are then.
pub async fn write(conn: &mut PgConnection, policies: &[ReturnPolicy]) -> Result<i64, Error> {
    sqlx::query(
        "insert into return_policy (name, rank, policy)
         select * from unnest($1::text[], $2::int4[], $3::bytea[]) n (name, rank, policy) order by name
         on conflict (name) do update set rank = excluded.rank, policy = excluded.policy",
    )
    .bind(policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>())
    .bind(policies.iter().map(|policy| policy.rank).collect::<Vec<_>>())
    .bind(policies.iter().map(|policy| policy.encode_to_vec()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    Ok(sqlx::query_scalar("select count(*) from return_policy").fetch_one(conn).await?)
}

/// Makes others who change policies wait until the end of the transaction.
pub async fn lock(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("lock table return_policy in share row exclusive mode").execute(conn).await?;
    Ok(())
}

/// Removes a policy. False where there is none.
pub async fn delete(conn: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let done = sqlx::query("delete from return_policy where name = $1").bind(name).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}
