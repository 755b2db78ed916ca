//! Accounts are created and changed.

use crate::account::Account;
use crate::error::{Error, Refusal};
use crate::store;
use sqlx::PgPool;
use std::collections::HashSet;
use uuid::Uuid;

/// Creates or changes accounts, each by itself; one result for each, in order.
pub async fn upsert(pool: &PgPool, wanted: &[Account]) -> Result<Vec<Result<Account, Refusal>>, Error> {
    let ids: Vec<Uuid> = wanted.iter().map(|a| a.customer_id).collect();
    let mut tx = pesan_feed::begin(pool, ids.iter().copied()).await?;
    let known = store::account::lock(&mut tx, &ids).await?;
    let changing: Vec<Uuid> = wanted
        .iter()
        .filter(|w| known.get(&w.customer_id).is_some_and(|k| k.currency != w.currency))
        .map(|w| w.customer_id)
        .collect();
    let with_documents: HashSet<Uuid> = store::account::with_documents(&mut tx, &changing).await?.into_iter().collect();
    let mut seen = HashSet::new();
    let refusals: Vec<Option<Refusal>> = wanted
        .iter()
        .map(|w| {
            if !seen.insert(w.customer_id) {
                let description = "appears twice in this request".to_owned();
                return Some(Refusal::Invalid { field: "customer_id", description });
            }
            let known = known.get(&w.customer_id).filter(|k| k.currency != w.currency)?;
            let used = !known.authorised.is_zero() || !known.receivable.is_zero();
            (used || with_documents.contains(&w.customer_id))
                .then_some(Refusal::AccountInUse { currency: known.currency })
        })
        .collect();
    let accepted: Vec<&Account> =
        wanted.iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none()).map(|(w, _)| w).collect();
    let put = store::account::put(&mut tx, &accepted).await?;
    tx.commit().await?;
    wanted
        .iter()
        .zip(refusals)
        .map(|(w, refusal)| match refusal {
            Some(refusal) => Ok(Err(refusal)),
            None => Ok(Ok(put.get(&w.customer_id).cloned().ok_or(sqlx::Error::RowNotFound)?)),
        })
        .collect()
}

/// One account.
pub async fn get(pool: &PgPool, customer_id: Uuid) -> Result<Account, Error> {
    let mut conn = pool.acquire().await?;
    store::account::get(&mut conn, customer_id).await?.ok_or(Error::AccountNotFound(customer_id))
}
