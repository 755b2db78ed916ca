//! Payments that came in, and the ids of stand-alone credit notes.

use crate::payment::{Application, NewNote, NewPayment};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes a payment and what it paid.
pub async fn add(
    conn: &mut PgConnection,
    id: Uuid,
    payment: &NewPayment,
    applications: &[Application],
    recorded_at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into payment (id, customer_id, currency, amount, reference, effective_at, recorded_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id)
    .bind(payment.customer_id)
    .bind(payment.amount.currency.code())
    .bind(payment.amount.amount)
    .bind(&payment.reference)
    .bind(payment.effective_at)
    .bind(recorded_at)
    .execute(&mut *conn)
    .await?;
    let documents: Vec<Uuid> = applications.iter().map(|a| a.invoice_id).collect();
    let amounts: Vec<Decimal> = applications.iter().map(|a| a.amount).collect();
    sqlx::query(
        "insert into payment_application (payment_id, document_id, amount)
         select $1, n.* from unnest($2::uuid[], $3::numeric[]) n",
    )
    .bind(id)
    .bind(&documents)
    .bind(&amounts)
    .execute(conn)
    .await?;
    Ok(())
}

/// Claims external ids for new notes, and gives back those that were free. Who finds one taken waits for the claim to
/// commit. In the order of the ids, so that two calls that share some cannot deadlock.
pub async fn claim_notes(conn: &mut PgConnection, notes: &[(Uuid, &NewNote)]) -> sqlx::Result<HashSet<String>> {
    let externals: Vec<&str> = notes.iter().map(|(_, n)| n.external_id.as_str()).collect();
    let ids: Vec<Uuid> = notes.iter().map(|(id, _)| *id).collect();
    let reasons: Vec<&str> = notes.iter().map(|(_, n)| n.reason.as_str()).collect();
    let countries: Vec<&str> = notes.iter().map(|(_, n)| n.country.as_str()).collect();
    let channels: Vec<&str> = notes.iter().map(|(_, n)| n.channel.as_str()).collect();
    let claimed: Vec<String> = sqlx::query_scalar(
        "insert into standalone_note (external_id, document_id, reason, country, channel)
         select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[]) n order by 1
         on conflict (external_id) do nothing
         returning external_id",
    )
    .bind(&externals)
    .bind(&ids)
    .bind(&reasons)
    .bind(&countries)
    .bind(&channels)
    .fetch_all(conn)
    .await?;
    Ok(claimed.into_iter().collect())
}

/// Gives up claims that came to nothing.
pub async fn unclaim_notes(conn: &mut PgConnection, external_ids: &[&str]) -> sqlx::Result<()> {
    if !external_ids.is_empty() {
        sqlx::query("delete from standalone_note where external_id = any($1)").bind(external_ids).execute(conn).await?;
    }
    Ok(())
}

/// The documents there are for these external ids.
pub async fn notes(conn: &mut PgConnection, external_ids: &[&str]) -> sqlx::Result<HashMap<String, Uuid>> {
    if external_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(String, Uuid)> =
        sqlx::query_as("select external_id, document_id from standalone_note where external_id = any($1)")
            .bind(external_ids)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}
