//! Customers, as a CRM tells of them.

use crate::convert;
use crate::customer::{Customer, Details, lock_id};
use crate::error::Error;
use crate::ops::{Books, page};
use crate::store;
use pesan_feed::NewEvent;
use std::collections::HashMap;
use uuid::Uuid;

/// Creates or updates customers, matched by external id; one outcome for each, in order. Those that are the same already
/// stay as they are.
pub async fn upsert(books: &Books, customers: Vec<Details>) -> Result<Vec<Customer>, Error> {
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    // By external id, because a new customer has no id yet that two callers would share.
    pesan_feed::lock(&mut tx, customers.iter().map(|details| lock_id(&details.external_id))).await?;
    let external_ids: Vec<&str> = customers.iter().map(|details| details.external_id.as_str()).collect();
    let found = store::customer::find(&mut tx, &[], &external_ids).await?;
    let mut known: HashMap<String, Customer> =
        found.into_iter().map(|customer| (customer.details.external_id.clone(), customer)).collect();
    let mut events = Vec::new();
    let mut results = Vec::with_capacity(customers.len());
    let mut changed: HashMap<Uuid, Customer> = HashMap::new();
    for details in customers {
        let customer = match known.get(&details.external_id) {
            Some(same) if same.details == details => same.clone(),
            Some(earlier) => Customer { customer_id: earlier.customer_id, version: earlier.version + 1, details },
            None => Customer { customer_id: Uuid::now_v7(), version: 1, details },
        };
        let before = known.insert(customer.details.external_id.clone(), customer.clone());
        if before.as_ref() != Some(&customer) {
            let fact = convert::customers::changed(&customer);
            events.push(NewEvent::new(customer.customer_id, customer.version, &fact, now));
            changed.insert(customer.customer_id, customer.clone());
        }
        results.push(customer);
    }
    store::customer::write(&mut tx, &changed.values().collect::<Vec<_>>()).await?;
    let known_before: Vec<Uuid> = changed.values().filter(|c| c.version > 1).map(|c| c.customer_id).collect();
    if !known_before.is_empty() {
        // What their rules said about their orders may be otherwise now.
        store::hold::review_customers(&mut tx, &known_before, now).await?;
    }
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    books.feed.wake();
    Ok(results)
}

/// A customer by Pesan's id or the CRM's.
pub async fn get(books: &Books, id: Option<Uuid>, external_id: &str) -> Result<Customer, Error> {
    let mut conn = books.pool.acquire().await?;
    let ids: Vec<Uuid> = id.into_iter().collect();
    let externals: Vec<&str> = Some(external_id).filter(|text| !text.is_empty()).into_iter().collect();
    let found = store::customer::find(&mut conn, &ids, &externals).await?.pop();
    found.ok_or_else(|| Error::CustomerNotFound(id.map_or_else(|| external_id.to_owned(), |id| id.to_string())))
}

/// A page of customers.
pub async fn list(books: &Books, after: Option<&str>, size: i64) -> Result<(Vec<Customer>, bool), Error> {
    let mut conn = books.pool.acquire().await?;
    Ok(page(store::customer::page(&mut conn, after, size + 1).await?, size))
}
