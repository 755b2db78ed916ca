//! Accounts.

use crate::account::{Account, Change};
use crate::store::currency;
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

fn read(row: &PgRow) -> sqlx::Result<Account> {
    Ok(Account {
        customer_id: row.try_get("customer_id")?,
        currency: currency(row, "currency")?,
        credit_limit: row.try_get("credit_limit")?,
        payment_terms_days: row.try_get("payment_terms_days")?,
        receivable: row.try_get("receivable")?,
        authorised: row.try_get("authorised")?,
        version: row.try_get("version")?,
        events: row.try_get("events")?,
    })
}

pub async fn get(conn: &mut PgConnection, customer_id: Uuid) -> sqlx::Result<Option<Account>> {
    let row =
        sqlx::query("select * from account where customer_id = $1").bind(customer_id).fetch_optional(conn).await?;
    row.as_ref().map(read).transpose()
}

/// Locks the accounts there are of these customers. In the order of their ids, so that two batches that share customers
/// cannot deadlock.
pub async fn lock(conn: &mut PgConnection, customers: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Account>> {
    if customers.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("select * from account where customer_id = any($1) order by customer_id for update")
        .bind(customers)
        .fetch_all(conn)
        .await?;
    rows.iter().map(|row| read(row).map(|account| (account.customer_id, account))).collect()
}

/// Which of these customers have documents on account.
pub async fn with_documents(conn: &mut PgConnection, customers: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "select c.id from unnest($1::uuid[]) c (id)
          where exists (select 1 from document d where d.customer_id = c.id and d.on_account)",
    )
    .bind(customers)
    .fetch_all(conn)
    .await
}

/// Creates accounts or sets what people may set of them; gives them back as they are.
pub async fn put(conn: &mut PgConnection, accounts: &[&Account]) -> sqlx::Result<HashMap<Uuid, Account>> {
    let ids: Vec<Uuid> = accounts.iter().map(|a| a.customer_id).collect();
    let currencies: Vec<&str> = accounts.iter().map(|a| a.currency.code()).collect();
    let limits: Vec<Option<Decimal>> = accounts.iter().map(|a| a.credit_limit).collect();
    let terms: Vec<i32> = accounts.iter().map(|a| a.payment_terms_days).collect();
    let rows = sqlx::query(
        "insert into account as a (customer_id, currency, credit_limit, payment_terms_days)
         select * from unnest($1::uuid[], $2::text[], $3::numeric[], $4::int4[]) n order by 1
         on conflict (customer_id) do update
            set currency = excluded.currency, credit_limit = excluded.credit_limit,
                payment_terms_days = excluded.payment_terms_days, version = a.version + 1
         returning *",
    )
    .bind(&ids)
    .bind(&currencies)
    .bind(&limits)
    .bind(&terms)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| read(row).map(|account| (account.customer_id, account))).collect()
}

/// Adds to the figures of accounts that are locked.
pub async fn change(conn: &mut PgConnection, changes: &BTreeMap<Uuid, Change>) -> sqlx::Result<()> {
    let changes: Vec<_> = changes.iter().filter(|(_, change)| **change != Change::default()).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = changes.iter().map(|(id, _)| **id).collect();
    let receivables: Vec<Decimal> = changes.iter().map(|(_, c)| c.receivable).collect();
    let authorised: Vec<Decimal> = changes.iter().map(|(_, c)| c.authorised).collect();
    let events: Vec<i64> = changes.iter().map(|(_, c)| c.events).collect();
    let done = sqlx::query(
        "update account a
            set receivable = a.receivable + c.receivable, authorised = a.authorised + c.authorised,
                events = a.events + c.events
           from unnest($1::uuid[], $2::numeric[], $3::numeric[], $4::int8[]) c (id, receivable, authorised, events)
          where a.customer_id = c.id",
    )
    .bind(&ids)
    .bind(&receivables)
    .bind(&authorised)
    .bind(&events)
    .execute(conn)
    .await?;
    if done.rows_affected() != ids.len() as u64 {
        return Err(sqlx::Error::RowNotFound);
    }
    Ok(())
}
