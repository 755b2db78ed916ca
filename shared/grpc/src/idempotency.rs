//! The same request again gets the same answer. A request's id is claimed in the transaction of its effect: the insert
//! is the lock, so of two at once the second waits for the first to commit and then finds its answer.

use crate::json;
use sqlx::migrate::Migrator;
use sqlx::{PgConnection, Row as _};
use std::borrow::Cow;
use std::collections::HashMap;
use uuid::Uuid;

/// The `request` table, for a service's schema.
pub fn migrator() -> Migrator {
    Migrator { table_name: Cow::Borrowed("_request_migrations"), ..sqlx::migrate!() }
}

/// A request that wants to take effect.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// Full name of the message in `body`: `pesan.order.v1.CancelOrderRequest`.
    pub method: &'static str,
    /// The encoded request.
    pub body: Vec<u8>,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq)]
pub enum Claimed {
    /// Nobody had it: carry it out, and write its [`answer`] in the same transaction.
    New,
    /// It was carried out: the encoded answer.
    Answered(Vec<u8>),
    /// An earlier claim of the same call, at this place in the list, is the same request.
    SameAs(usize),
    /// The id was used for another request, which differs in these fields.
    Reused(Vec<String>),
}

/// Claims the ids of a list of requests; one outcome for each, in order. Call it after the aggregates are locked.
pub async fn claim(conn: &mut PgConnection, claims: &[Claim]) -> sqlx::Result<Vec<Claimed>> {
    let mut first: HashMap<Uuid, usize> = HashMap::with_capacity(claims.len());
    let mut order: Vec<usize> = Vec::with_capacity(claims.len());
    for (i, claim) in claims.iter().enumerate() {
        if let std::collections::hash_map::Entry::Vacant(entry) = first.entry(claim.request_id) {
            entry.insert(i);
            order.push(i);
        }
    }
    // In the order of the ids, so that two lists that share some cannot deadlock.
    order.sort_by_key(|i| claims[*i].request_id);
    let ids: Vec<Uuid> = order.iter().map(|i| claims[*i].request_id).collect();
    let methods: Vec<&str> = order.iter().map(|i| claims[*i].method).collect();
    let bodies: Vec<&[u8]> = order.iter().map(|i| claims[*i].body.as_slice()).collect();
    let inserted: Vec<Uuid> = sqlx::query_scalar(
        "insert into request (request_id, method, body)
         select * from unnest($1::uuid[], $2::text[], $3::bytea[])
         on conflict (request_id) do nothing
         returning request_id",
    )
    .bind(&ids)
    .bind(&methods)
    .bind(&bodies)
    .fetch_all(&mut *conn)
    .await?;
    let inserted: std::collections::HashSet<Uuid> = inserted.into_iter().collect();

    let known: Vec<Uuid> = ids.into_iter().filter(|id| !inserted.contains(id)).collect();
    let mut earlier = HashMap::new();
    if !known.is_empty() {
        let rows = sqlx::query("select request_id, method, body, answer from request where request_id = any($1)")
            .bind(&known)
            .fetch_all(&mut *conn)
            .await?;
        for row in rows {
            let stored: (String, Vec<u8>, Option<Vec<u8>>) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            earlier.insert(row.try_get::<Uuid, _>(0)?, stored);
        }
    }

    let compare = |claim: &Claim, method: &str, body: &[u8], same: Claimed| {
        if claim.method != method {
            Claimed::Reused(vec![format!("(was a {method})")])
        } else if claim.body != body {
            Claimed::Reused(json::differing_fields(method, body, &claim.body))
        } else {
            same
        }
    };
    Ok(claims
        .iter()
        .enumerate()
        .map(|(i, claim)| match (first[&claim.request_id], earlier.get(&claim.request_id)) {
            (_, Some((method, body, answer))) => {
                compare(claim, method, body, Claimed::Answered(answer.clone().unwrap_or_default()))
            }
            (at, None) if at == i => Claimed::New,
            (at, None) => compare(claim, claims[at].method, &claims[at].body, Claimed::SameAs(at)),
        })
        .collect())
}

/// Writes the answers of claims that were [`Claimed::New`], in the transaction of their effect.
pub async fn answer(conn: &mut PgConnection, answers: &[(Uuid, Vec<u8>)]) -> sqlx::Result<()> {
    let (ids, bodies): (Vec<Uuid>, Vec<&[u8]>) = answers.iter().map(|(id, body)| (*id, body.as_slice())).unzip();
    sqlx::query(
        "update request set answer = a.answer
           from unnest($1::uuid[], $2::bytea[]) a (request_id, answer)
          where request.request_id = a.request_id",
    )
    .bind(&ids)
    .bind(&bodies)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives up claims that were [`Claimed::New`] but refused without an effect: the same id may be tried again.
pub async fn give_up(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query("delete from request where request_id = any($1)").bind(ids).execute(conn).await?;
    Ok(())
}

/// Forgets up to 10,000 requests that are older than 30 days; how many they were.
pub async fn purge(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "delete from request where request_id in (
             select request_id from request where recorded_at < now() - interval '30 days' order by recorded_at limit 10000)",
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
