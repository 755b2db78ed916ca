//! Return policies.

use crate::convert;
use crate::error::Error;
use crate::return_policy::Policy;
use pesan_api::order::v1::ReturnPolicy;
use prost::Message as _;
use sqlx::PgConnection;

/// All policies, by rank and name.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Policy>, Error> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("select policy from return_policy order by rank, name collate \"C\"")
        .fetch_all(conn)
        .await?;
    let read = |bytes: &Vec<u8>| {
        let policy = ReturnPolicy::decode(bytes.as_slice()).ok()?;
        convert::return_policies::policy(policy).ok()
    };
    rows.iter().map(|bytes| read(bytes).ok_or(Error::Broken("a stored return policy"))).collect()
}

/// Creates or replaces policies, each name once. How many there are then.
pub async fn write(conn: &mut PgConnection, policies: &[&Policy]) -> Result<i64, Error> {
    let shown: Vec<Vec<u8>> =
        policies.iter().map(|policy| convert::return_policies::shown(policy).encode_to_vec()).collect();
    sqlx::query(
        "insert into return_policy (name, rank, policy)
         select * from unnest($1::text[], $2::int4[], $3::bytea[]) n (name, rank, policy) order by name
         on conflict (name) do update set rank = excluded.rank, policy = excluded.policy",
    )
    .bind(policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>())
    .bind(policies.iter().map(|policy| policy.rank).collect::<Vec<_>>())
    .bind(shown)
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
