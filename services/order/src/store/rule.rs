//! Rules, and what rules did to new orders.

use crate::draft::Ready;
use crate::error::Error;
use crate::rule::duplicate::Twin;
use crate::store::{column, small};
use pesan_api::order::v1 as pb;
use prost::Message as _;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A version of a rule.
#[derive(Clone, Debug)]
pub struct StoredRule {
    /// Counts the changes.
    pub version: i64,
    /// When it was written.
    pub changed_at: OffsetDateTime,
    /// As it was written, without the two above.
    pub rule: pb::Rule,
}

fn rule(row: &PgRow) -> Result<StoredRule, Error> {
    let body: Vec<u8> = row.try_get(2)?;
    Ok(StoredRule {
        version: row.try_get(0)?,
        changed_at: row.try_get(1)?,
        rule: pb::Rule::decode(body.as_slice()).map_err(|_| Error::Broken("a stored rule"))?,
    })
}

/// All rules: at most 200.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<StoredRule>, Error> {
    page(conn, None, i64::MAX).await
}

/// Up to `limit` rules after (rank, name), in the order of evaluation.
pub async fn page(conn: &mut PgConnection, after: Option<(i32, &str)>, limit: i64) -> Result<Vec<StoredRule>, Error> {
    let (rank, name) = after.unzip();
    let rows = sqlx::query(
        "select version, changed_at, body
           from rule
          where $1::int4 is null or (rank, name collate \"C\") > ($1, $2)
          order by rank, name collate \"C\"
          limit $3",
    )
    .bind(rank)
    .bind(name)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(rule).collect()
}

/// A rule: its newest version, or a version of it, also where it was deleted.
pub async fn get(conn: &mut PgConnection, name: &str, version: Option<i64>) -> Result<Option<StoredRule>, Error> {
    let row = match version {
        None => {
            let query = sqlx::query("select version, changed_at, body from rule where name = $1").bind(name);
            query.fetch_optional(conn).await?
        }
        Some(version) => {
            let query =
                sqlx::query("select version, changed_at, body from rule_version where name = $1 and version = $2");
            query.bind(name).bind(version).fetch_optional(conn).await?
        }
    };
    row.as_ref().map(rule).transpose()
}

/// The newest version there ever was of each of some names.
pub async fn newest(conn: &mut PgConnection, names: &[&str]) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("select name, max(version) from rule_version where name = any($1) group by name")
            .bind(names)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Writes versions of rules, and keeps them.
pub async fn write(conn: &mut PgConnection, rules: &[&StoredRule]) -> Result<(), Error> {
    if rules.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with written as (
             insert into rule (name, version, rank, body, changed_at)
             select * from unnest($1::text[], $2::int8[], $3::int4[], $4::bytea[], $5::timestamptz[])
             on conflict (name) do update
                set version = excluded.version, rank = excluded.rank, body = excluded.body,
                    changed_at = excluded.changed_at
             returning name, version, body, changed_at)
         insert into rule_version (name, version, body, changed_at) select * from written",
    )
    .bind(rules.iter().map(|r| r.rule.name.as_str()).collect::<Vec<_>>())
    .bind(rules.iter().map(|r| r.version).collect::<Vec<_>>())
    .bind(rules.iter().map(|r| r.rule.rank).collect::<Vec<_>>())
    .bind(rules.iter().map(|r| r.rule.encode_to_vec()).collect::<Vec<_>>())
    .bind(rules.iter().map(|r| r.changed_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a rule; false where there is none. Its versions stay.
pub async fn delete(conn: &mut PgConnection, name: &str) -> Result<bool, Error> {
    let done = sqlx::query("delete from rule where name = $1").bind(name).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// What is asked about orders that are to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// The order itself, which is not its own twin.
    pub order_id: Uuid,
    /// Who ordered what.
    pub fingerprint: Uuid,
    /// When it was placed.
    pub placed_at: OffsetDateTime,
    /// How far from that another one may be.
    pub window: time::Duration,
}

/// For each order the nearest other one that is the same and stands.
pub async fn twins(conn: &mut PgConnection, compared: &[Compared]) -> Result<HashMap<Uuid, Twin>, Error> {
    if compared.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "select c.order_id, twin.number, twin.placed_at
           from unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
                as c (order_id, fingerprint, placed_at, earliest, latest)
          cross join lateral (
                select o.number, f.placed_at
                  from order_fingerprint f
                  join orders o using (order_id)
                 where f.fingerprint = c.fingerprint and f.placed_at between c.earliest and c.latest
                   and f.order_id <> c.order_id and not o.rejected and o.cancelled < o.ordered
                 order by greatest(f.placed_at - c.placed_at, c.placed_at - f.placed_at), o.number
                 limit 1) twin",
    )
    .bind(compared.iter().map(|c| c.order_id).collect::<Vec<_>>())
    .bind(compared.iter().map(|c| c.fingerprint).collect::<Vec<_>>())
    .bind(compared.iter().map(|c| c.placed_at).collect::<Vec<_>>())
    .bind(compared.iter().map(|c| c.placed_at.saturating_sub(c.window)).collect::<Vec<_>>())
    .bind(compared.iter().map(|c| c.placed_at.saturating_add(c.window)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Twin { number: row.try_get(1)?, placed_at: row.try_get(2)? }))).collect()
}

/// Remembers orders for the next ones to be compared with.
pub async fn remember(conn: &mut PgConnection, compared: &[Compared]) -> Result<(), Error> {
    sqlx::query(
        "insert into order_fingerprint (order_id, fingerprint, placed_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::timestamptz[])",
    )
    .bind(compared.iter().map(|c| c.order_id).collect::<Vec<_>>())
    .bind(compared.iter().map(|c| c.fingerprint).collect::<Vec<_>>())
    .bind(compared.iter().map(|c| c.placed_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Most that are forgotten at once.
pub const MOST: u64 = 10_000;

/// Forgets what orders placed before `before` are compared by, the oldest; how many.
pub async fn forget(conn: &mut PgConnection, before: OffsetDateTime) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from order_fingerprint
          where order_id in (select order_id from order_fingerprint where placed_at < $1 order by placed_at limit $2)",
    )
    .bind(before)
    .bind(MOST as i64)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Writes what rules did to orders that were just inserted.
pub async fn apply(conn: &mut PgConnection, judged: &[&Ready<'_>]) -> Result<(), Error> {
    if judged.is_empty() {
        return Ok(());
    }
    let done = sqlx::query(
        "update orders o
            set version = v.version, holds = v.holds, rejected = v.rejected, route = v.route,
                tags = case when v.tags = '' then '{}' else string_to_array(v.tags, ' ') end,
                preferred_location_id = v.location, fulfilment_policy = v.fulfilment,
                payment_token = case when not v.rejected then o.payment_token end
           from unnest($1::uuid[], $2::int8[], $3::int4[], $4::bool[], $5::text[], $6::text[], $7::uuid[], $8::int2[])
                as v (order_id, version, holds, rejected, tags, route, location, fulfilment)
          where o.order_id = v.order_id",
    )
    .bind(judged.iter().map(|r| r.draft.order_id).collect::<Vec<_>>())
    .bind(judged.iter().map(|r| r.version()).collect::<Vec<_>>())
    .bind(judged.iter().map(|r| column(r.holds.len() as i64)).collect::<Result<Vec<_>, _>>()?)
    .bind(judged.iter().map(|r| r.verdict.rejection.is_some()).collect::<Vec<_>>())
    // Tags have no spaces: arrays of arrays cannot be given.
    .bind(judged.iter().map(|r| r.verdict.tags.iter().cloned().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>())
    .bind(judged.iter().map(|r| r.verdict.route.as_ref().map_or("", |route| &route.name)).collect::<Vec<_>>())
    .bind(judged.iter().map(|r| r.preferred_location_id).collect::<Vec<_>>())
    .bind(judged.iter().map(|r| small(r.fulfilment_policy.into())).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    if done.rows_affected() == judged.len() as u64 {
        Ok(())
    } else {
        Err(Error::Broken("a new order that is not there"))
    }
}
