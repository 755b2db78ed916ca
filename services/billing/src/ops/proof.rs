//! The proof that billing's house is in order, and what it tells for the comparison with the others.

use crate::error::Error;
use crate::store;
use pesan_api::proof::v1::{CheckInvariantsResponse, Digest, InvariantResult, Part, Violation};
use pesan_money::{Currency, MoneyError};
use rust_decimal::Decimal;
use sqlx::PgPool;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// What digests measure, in the order of their values.
pub const MEASURES: [&str; 4] = ["invoiced", "refunded", "invoiced_amount", "credited_amount"];
/// Subjects of one message: an order has up to 10,000 parts.
const PAGE: i64 = 100;
/// What is younger is on its way.
const SETTLED_WITHIN: Duration = Duration::minutes(5);

/// Checks all invariants in one moment.
pub async fn check(pool: &PgPool, now: OffsetDateTime) -> Result<CheckInvariantsResponse, Error> {
    let mut tx = pool.begin().await?;
    store::one_moment(&mut tx).await?;
    store::plan_whole_tables(&mut tx).await?;
    let mut results = Vec::new();
    for invariant in store::proof::INVARIANTS {
        let found = store::proof::check(&mut tx, invariant).await?;
        results.push(result(invariant.name, found));
    }
    let found = store::proof::unsettled(&mut tx, now - SETTLED_WITHIN).await?;
    results.push(result("provider_jobs_settled", found));
    results.push(pesan_feed::check_contiguous(&mut tx).await?);
    let followers = pesan_feed::cursors(&mut tx).await?;
    tx.commit().await?;
    Ok(CheckInvariantsResponse { results, followers })
}

fn result(name: &str, (rows_checked, violations): (i64, Vec<(String, String)>)) -> InvariantResult {
    let violations = violations.into_iter().map(|(id, what)| Violation { id, what }).collect();
    InvariantResult { name: name.to_owned(), rows_checked, violations }
}

/// The digests of the subjects that follow `after`, and the last of these subjects; none where there are no more. Only
/// subjects in `only`, unless it is none.
pub async fn digests(pool: &PgPool, after: Uuid, only: Option<&[Uuid]>) -> Result<Option<(Vec<Digest>, Uuid)>, Error> {
    let mut tx = pool.begin().await?;
    store::one_moment(&mut tx).await?;
    let subjects = store::digest::subjects(&mut tx, after, only, PAGE).await?;
    let Some(last) = subjects.last().copied() else { return Ok(None) };
    let lines = store::digest::lines(&mut tx, &subjects).await?;
    let amounts = store::digest::amounts(&mut tx, &subjects).await?;
    tx.commit().await?;
    let mut parts: BTreeMap<Uuid, Vec<Part>> = subjects.into_iter().map(|subject| (subject, Vec::new())).collect();
    for amount in amounts {
        let invoiced = minor_units(amount.currency, amount.invoiced)?;
        let credited = minor_units(amount.currency, amount.credited)?;
        let part = Part { part: 0, values: vec![0, 0, invoiced, credited] };
        parts.entry(amount.subject).or_default().push(part);
    }
    for (order_id, line_no, invoiced, credited) in lines {
        let part = Part { part: line_no, values: vec![invoiced, credited, 0, 0] };
        parts.entry(order_id).or_default().push(part);
    }
    let digests = parts.into_iter().map(|(subject, parts)| Digest { subject: subject.to_string(), parts }).collect();
    Ok(Some((digests, last)))
}

fn minor_units(currency: Currency, amount: Decimal) -> Result<i64, Error> {
    let mut amount = amount;
    amount.rescale(currency.exponent());
    i64::try_from(amount.mantissa()).map_err(|_| Error::Money(MoneyError::Overflow))
}
