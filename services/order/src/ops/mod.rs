//! What the service does, one file per use case: lock, decide, write, publish.

pub mod accept;
pub mod cancel;
pub mod change;
pub mod channels;
pub mod customers;
pub mod goodwill;
pub mod handover;
pub mod hold;
pub mod inquiries;
pub mod linked;
pub mod place;
pub mod prices;
pub mod promise;
pub mod proof;
pub mod purge;
pub mod quotations;
pub mod read;
pub mod ready;
mod redeem;
pub mod return_policies;
pub mod return_steps;
pub mod returns;
pub mod review;
pub mod rules;
pub mod saga;
pub mod schedule;
pub mod search;
pub mod settings;
pub mod settle;
mod verify;
pub mod wait;
pub mod wakes;

use crate::config::Patience;
use crate::convert;
use crate::error::Error;
use crate::name::OrderName;
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_feed::Feed;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use pesan_host::Clock;
use prost::{Message, Name};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use uuid::Uuid;
use wakes::Wakes;

/// What every use case works with.
#[derive(Clone)]
pub struct Books {
    /// The service's own database.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// Told after each commit that published.
    pub feed: Feed,
    /// Those who wait for an order.
    pub wakes: Wakes,
    /// How long things may take.
    pub patience: Patience,
    /// What people configured.
    pub settings: settings::Cache,
}

impl Books {
    /// Tells everybody who waits that these orders changed. After the commit.
    pub fn changed(&self, order_ids: impl IntoIterator<Item = Uuid>) {
        self.feed.wake();
        self.wakes.wake(order_ids);
    }

    /// The id of the order that has this name.
    pub async fn find(&self, name: &OrderName, text: &str) -> Result<Uuid, Error> {
        let mut conn = self.pool.acquire().await?;
        let mut found = store::order::find(&mut conn, std::slice::from_ref(name)).await?;
        found.remove(name).ok_or_else(|| Error::OrderNotFound(text.to_owned()))
    }
}

/// Claims a request's id in the transaction of its effect. The answer, where it was carried out before.
async fn claim<Q, A>(
    conn: &mut PgConnection,
    request_id: Uuid,
    method: &'static str,
    request: &Q,
) -> Result<Option<A>, Error>
where
    Q: Message + Name,
    A: Message + Default,
{
    let claims = [Claim { request_id, method, body: request.encode_to_vec() }];
    match idempotency::claim(conn, &claims).await?.pop() {
        Some(Claimed::Answered(bytes)) => {
            let answer = A::decode(bytes.as_slice()).map_err(|_| Error::Broken("a stored answer"))?;
            Ok(Some(answer))
        }
        Some(Claimed::Reused(fields)) => Err(Error::RequestIdReused(fields)),
        Some(Claimed::New | Claimed::SameAs(_)) | None => Ok(None),
    }
}

/// Writes the answer of a claim.
async fn answer<A: Message>(conn: &mut PgConnection, request_id: Uuid, answer: &A) -> Result<(), Error> {
    Ok(idempotency::answer(conn, &[(request_id, answer.encode_to_vec())]).await?)
}

/// An order that is known to be there, as clients see it.
async fn whole_order(conn: &mut PgConnection, order_id: Uuid) -> Result<pb::Order, Error> {
    let order = store::read::orders(conn, &[order_id], true).await?.remove(&order_id);
    order.as_ref().map(convert::orders::order).ok_or(Error::Broken("an order that was just written"))
}

/// A page of rows of which one more than `size` was asked for, and whether it is the last one.
fn page<T>(mut rows: Vec<T>, size: i64) -> (Vec<T>, bool) {
    let is_last = rows.len() as i64 <= size;
    rows.truncate(usize::try_from(size).unwrap_or(0));
    (rows, is_last)
}

/// Whether the caller knows the newest version; 0: whatever it is.
fn at_version(actual: i64, expected: i64) -> Result<(), Error> {
    if expected == 0 || expected == actual { Ok(()) } else { Err(Error::VersionMismatch { expected, actual }) }
}

/// Begins a change of something by its id, locked: the transaction, or the answer where the request was carried out before.
async fn begin<Q, A>(
    books: &Books,
    id: Uuid,
    request_id: Uuid,
    method: &'static str,
    request: &Q,
) -> Result<Result<Transaction<'static, Postgres>, A>, Error>
where
    Q: Message + Name,
    A: Message + Default,
{
    let mut tx = store::begin(&books.pool).await?;
    pesan_feed::lock(&mut tx, [id]).await?;
    let earlier = claim(&mut tx, request_id, method, request).await?;
    Ok(earlier.map_or(Ok(tx), Err))
}
