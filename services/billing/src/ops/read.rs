//! What people look at.

use crate::charge::Charge;
use crate::document::{Document, Filter};
use crate::error::Error;
use crate::ledger::{Posting, TrialBalanceRow};
use crate::payment::DocumentName;
use crate::store;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// Lines of one page of documents, which bounds its size; a document with more is alone on its page.
const PAGE_LINES: i64 = 50_000;

/// What is held about an order.
pub async fn order_billing(pool: &PgPool, order_id: Uuid) -> Result<Charge, Error> {
    let mut conn = pool.acquire().await?;
    store::charge::find(&mut conn, &[order_id]).await?.remove(&order_id).ok_or(Error::OrderNotFound(order_id))
}

/// One document; `text` is how it was asked for.
pub async fn document(pool: &PgPool, text: &str, name: Option<DocumentName>) -> Result<Document, Error> {
    let unknown = || Error::DocumentNotFound(text.to_owned());
    let name = name.ok_or_else(unknown)?;
    let mut conn = pool.acquire().await?;
    store::document::get(&mut conn, &name).await?.ok_or_else(unknown)
}

/// A page of documents, and whether there are more.
pub async fn documents(pool: &PgPool, filter: &Filter, limit: i64) -> Result<(Vec<Document>, bool), Error> {
    let mut conn = pool.acquire().await?;
    Ok(store::document::list(&mut conn, filter, limit, PAGE_LINES).await?)
}

/// A page of postings after `after`, and whether there are more.
pub async fn postings(
    pool: &PgPool,
    after: Uuid,
    reference: Option<Uuid>,
    limit: i64,
) -> Result<(Vec<Posting>, bool), Error> {
    let mut conn = pool.acquire().await?;
    let mut postings = store::ledger::list(&mut conn, after, reference, limit + 1).await?;
    let more = postings.len() as i64 > limit;
    postings.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((postings, more))
}

/// Debits and credits by account and currency over [from, to).
pub async fn trial_balance(
    pool: &PgPool,
    from: Option<OffsetDateTime>,
    to: Option<OffsetDateTime>,
) -> Result<Vec<TrialBalanceRow>, Error> {
    let mut conn = pool.acquire().await?;
    Ok(store::ledger::trial_balance(&mut conn, from, to).await?)
}
