//! Return policies.

use crate::convert;
use crate::error::Error;
use crate::ops::Books;
use crate::return_policy::Policy;
use crate::store;
use pesan_api::order::v1 as pb;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Most policies there can be.
const MOST: i64 = 200;

/// Creates or replaces policies; of two with one name the later counts.
pub async fn upsert(books: &Books, policies: &[Policy]) -> Result<(), Error> {
    let shown = |policy: &Policy| (policy.name.clone(), convert::return_policies::shown(policy));
    let by_name: BTreeMap<String, pb::ReturnPolicy> = policies.iter().map(shown).collect();
    let mut tx = store::begin(&books.pool).await?;
    store::return_policy::lock(&mut tx).await?;
    if store::return_policy::write(&mut tx, &by_name.into_values().collect::<Vec<_>>()).await? > MOST {
        return Err(Error::TooManyPolicies(MOST));
    }
    Ok(tx.commit().await?)
}

/// All of them, by rank and name.
pub async fn list(books: &Books) -> Result<Vec<pb::ReturnPolicy>, Error> {
    let mut conn = books.pool.acquire().await?;
    store::return_policy::all(&mut conn).await
}

/// All of them, by rank and name, to judge by.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Policy>, Error> {
    let stored = store::return_policy::all(conn).await?.into_iter();
    let policies: Result<_, _> = stored.map(convert::return_policies::policy).collect();
    policies.map_err(|_| Error::Broken("a stored return policy"))
}

/// Removes one.
pub async fn delete(books: &Books, name: &str) -> Result<(), Error> {
    let mut conn = books.pool.acquire().await?;
    match store::return_policy::delete(&mut conn, name).await? {
        true => Ok(()),
        false => Err(Error::ReturnPolicyNotFound(name.to_owned())),
    }
}
