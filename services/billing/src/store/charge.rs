//! Charges, and the orders that are closed for ever.

use crate::charge::{Charge, Method, PATIENCE, State};
use crate::store::{currency, unknown};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

fn method_word(method: Method) -> &'static str {
    match method {
        Method::OnAccount => "on_account",
        Method::Provider => "provider",
    }
}

fn state_word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Authorised => "authorised",
        State::Refused => "refused",
    }
}

fn read(row: &PgRow) -> sqlx::Result<Charge> {
    Ok(Charge {
        order_id: row.try_get("order_id")?,
        order_number: row.try_get("order_number")?,
        customer_id: row.try_get("customer_id")?,
        currency: currency(row, "currency")?,
        method: match row.try_get("method")? {
            "on_account" => Method::OnAccount,
            "provider" => Method::Provider,
            word => return Err(unknown(word)),
        },
        state: match row.try_get("state")? {
            "pending" => State::Pending,
            "authorised" => State::Authorised,
            "refused" => State::Refused,
            word => return Err(unknown(word)),
        },
        amount: row.try_get("amount")?,
        voided: row.try_get("voided")?,
        invoiced: row.try_get("invoiced")?,
        captured: row.try_get("captured")?,
        credited: row.try_get("credited")?,
        refunded: row.try_get("refunded")?,
        provider_reference: row.try_get("provider_reference")?,
        attempt: row.try_get("attempt")?,
        order_version: row.try_get("order_version")?,
        promise_version: row.try_get("promise_version")?,
        asked_at: row.try_get("asked_at")?,
        placed_at: row.try_get("placed_at")?,
        version: row.try_get("version")?,
    })
}

/// The charges there are of these orders. The orders are locked by the caller.
pub async fn find(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Charge>> {
    let rows = sqlx::query("select * from charge where order_id = any($1)").bind(orders).fetch_all(conn).await?;
    rows.iter().map(|row| read(row).map(|charge| (charge.order_id, charge))).collect()
}

/// Writes charges that were decided, new ones and those decided anew.
pub async fn put(conn: &mut PgConnection, charges: &[&Charge]) -> sqlx::Result<()> {
    if charges.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = charges.iter().map(|c| c.order_id).collect();
    let numbers: Vec<&str> = charges.iter().map(|c| c.order_number.as_str()).collect();
    let customers: Vec<Option<Uuid>> = charges.iter().map(|c| c.customer_id).collect();
    let currencies: Vec<&str> = charges.iter().map(|c| c.currency.code()).collect();
    let methods: Vec<&str> = charges.iter().map(|c| method_word(c.method)).collect();
    let states: Vec<&str> = charges.iter().map(|c| state_word(c.state)).collect();
    let amounts: Vec<Decimal> = charges.iter().map(|c| c.amount).collect();
    let attempts: Vec<i32> = charges.iter().map(|c| c.attempt).collect();
    let order_versions: Vec<i64> = charges.iter().map(|c| c.order_version).collect();
    let promise_versions: Vec<i64> = charges.iter().map(|c| c.promise_version).collect();
    let asked_ats: Vec<OffsetDateTime> = charges.iter().map(|c| c.asked_at).collect();
    let look_ats: Vec<OffsetDateTime> = charges.iter().map(|c| c.asked_at + PATIENCE).collect();
    let placed_ats: Vec<OffsetDateTime> = charges.iter().map(|c| c.placed_at).collect();
    let versions: Vec<i64> = charges.iter().map(|c| c.version).collect();
    sqlx::query(
        "insert into charge (order_id, order_number, customer_id, currency, method, state, amount, attempt, order_version, promise_version,
                             asked_at, look_at, placed_at, version)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::numeric[],
                              $8::int4[], $9::int8[], $10::int8[], $11::timestamptz[], $12::timestamptz[],
                              $13::timestamptz[], $14::int8[])
         on conflict (order_id) do update
            set order_number = excluded.order_number, customer_id = excluded.customer_id, currency = excluded.currency,
                method = excluded.method, state = excluded.state, amount = excluded.amount, voided = 0,
                attempt = excluded.attempt, order_version = excluded.order_version,
                promise_version = excluded.promise_version, provider_reference = null, asked_at = excluded.asked_at,
                look_at = excluded.look_at, placed_at = excluded.placed_at, version = excluded.version",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&customers)
    .bind(&currencies)
    .bind(&methods)
    .bind(&states)
    .bind(&amounts)
    .bind(&attempts)
    .bind(&order_versions)
    .bind(&promise_versions)
    .bind(&asked_ats)
    .bind(&look_ats)
    .bind(&placed_ats)
    .bind(&versions)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes how far charges have come.
pub async fn advance<'a>(conn: &mut PgConnection, charges: impl IntoIterator<Item = &'a Charge>) -> sqlx::Result<()> {
    let charges: Vec<&Charge> = charges.into_iter().collect();
    if charges.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = charges.iter().map(|c| c.order_id).collect();
    let states: Vec<&str> = charges.iter().map(|c| state_word(c.state)).collect();
    let voided: Vec<Decimal> = charges.iter().map(|c| c.voided).collect();
    let invoiced: Vec<Decimal> = charges.iter().map(|c| c.invoiced).collect();
    let captured: Vec<Decimal> = charges.iter().map(|c| c.captured).collect();
    let credited: Vec<Decimal> = charges.iter().map(|c| c.credited).collect();
    let refunded: Vec<Decimal> = charges.iter().map(|c| c.refunded).collect();
    let references: Vec<Option<&str>> = charges.iter().map(|c| c.provider_reference.as_deref()).collect();
    let versions: Vec<i64> = charges.iter().map(|c| c.version).collect();
    let done = sqlx::query(
        "update charge c
            set state = n.state, voided = n.voided, invoiced = n.invoiced, captured = n.captured,
                credited = n.credited, refunded = n.refunded, provider_reference = n.provider_reference,
                version = n.version
           from unnest($1::uuid[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[],
                       $8::text[], $9::int8[])
                n (order_id, state, voided, invoiced, captured, credited, refunded, provider_reference, version)
          where c.order_id = n.order_id",
    )
    .bind(&ids)
    .bind(&states)
    .bind(&voided)
    .bind(&invoiced)
    .bind(&captured)
    .bind(&credited)
    .bind(&refunded)
    .bind(&references)
    .bind(&versions)
    .execute(conn)
    .await?;
    if done.rows_affected() != ids.len() as u64 {
        return Err(sqlx::Error::RowNotFound);
    }
    Ok(())
}

/// Which of these orders will never be charged.
pub async fn closed(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
    let closed: Vec<Uuid> = sqlx::query_scalar("select order_id from closed_order where order_id = any($1)")
        .bind(orders)
        .fetch_all(conn)
        .await?;
    Ok(closed.into_iter().collect())
}

/// Closes orders for ever; (order, reason, when).
pub async fn close(conn: &mut PgConnection, orders: &[(Uuid, &str, OffsetDateTime)]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|o| o.0).collect();
    let reasons: Vec<&str> = orders.iter().map(|o| o.1).collect();
    let times: Vec<OffsetDateTime> = orders.iter().map(|o| o.2).collect();
    sqlx::query(
        "insert into closed_order (order_id, reason, closed_at)
         select * from unnest($1::uuid[], $2::text[], $3::timestamptz[])
         on conflict (order_id) do nothing",
    )
    .bind(&ids)
    .bind(&reasons)
    .bind(&times)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` charges whose provider was asked and never answered, and that are to be looked at by now.
pub async fn unanswered(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> sqlx::Result<Vec<Charge>> {
    let rows = sqlx::query("select * from charge where state = 'pending' and look_at <= $1 order by look_at limit $2")
        .bind(now)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.iter().map(read).collect()
}

/// Notes when to look again at charges that are still without an answer.
pub async fn look_again(conn: &mut PgConnection, orders: &[Uuid], look_at: OffsetDateTime) -> sqlx::Result<()> {
    if !orders.is_empty() {
        sqlx::query("update charge set look_at = $2 where order_id = any($1) and state = 'pending'")
            .bind(orders)
            .bind(look_at)
            .execute(conn)
            .await?;
    }
    Ok(())
}
