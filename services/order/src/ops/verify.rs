//! Verifying new orders: what the rules say about a batch that was just inserted. Without rules it costs nothing; checks
//! for duplicates cost three statements a batch, of the channels where they are on.

use crate::customer::Customer;
use crate::draft::Ready;
use crate::error::Error;
use crate::rule::duplicate::{self, Twin};
use crate::rule::subject::Subject;
use crate::rule::{MOST_HOLDS, Rules, Verdict};
use crate::store;
use crate::store::rule::Compared;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Adds to each new order what the rules say about it.
pub(super) async fn verify<'c>(
    conn: &mut PgConnection,
    rules: &Rules,
    new: &mut [Ready<'_>],
    numbers: &HashMap<Uuid, i64>,
    customer_of: impl Fn(&Ready<'_>) -> Option<&'c Customer>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let compared: Vec<Compared> = new.iter().filter_map(|ready| compare(rules, ready)).collect();
    let twins = find_twins(conn, &compared, numbers).await?;
    for ready in new {
        if rules.for_channel(&ready.draft.channel).next().is_none() {
            continue;
        }
        let twin = twins.get(&ready.draft.order_id).copied();
        let verdict = rules.verdict(&Subject::of_ready(ready, customer_of(ready), now), twin);
        judge(ready, verdict);
    }
    Ok(())
}

/// What to compare an order by; none where no check is on for its channel, or nobody can be compared.
fn compare(rules: &Rules, ready: &Ready<'_>) -> Option<Compared> {
    let window = rules.duplicate_window(&ready.draft.channel)?;
    let fingerprint = duplicate::of_ready(ready)?;
    Some(Compared { order_id: ready.draft.order_id, fingerprint, placed_at: ready.placed_at, window })
}

/// What the rules would say about an order that is not written. Changes nothing.
pub(super) async fn foresee(
    conn: &mut PgConnection,
    rules: &Rules,
    ready: &Ready<'_>,
    customer: Option<&Customer>,
    now: OffsetDateTime,
) -> Result<Verdict, Error> {
    let twin = twin_of(conn, rules, ready).await?;
    Ok(rules.verdict(&Subject::of_ready(ready, customer, now), twin))
}

/// The nearest order there is that is the same as one that is not written.
pub(super) async fn twin_of(conn: &mut PgConnection, rules: &Rules, ready: &Ready<'_>) -> Result<Option<Twin>, Error> {
    let compared: Vec<Compared> = compare(rules, ready).into_iter().collect();
    Ok(store::rule::twins(conn, &compared).await?.remove(&ready.draft.order_id))
}

/// The nearest other order that is the same, of those before and of those earlier in the batch.
async fn find_twins(
    conn: &mut PgConnection,
    compared: &[Compared],
    numbers: &HashMap<Uuid, i64>,
) -> Result<HashMap<Uuid, Twin>, Error> {
    if compared.is_empty() {
        return Ok(HashMap::new());
    }
    // Of two batches with the same order at once, the second waits here and then sees the first one's.
    pesan_feed::lock(conn, compared.iter().map(|c| c.fingerprint)).await?;
    let mut twins = store::rule::twins(conn, compared).await?;
    store::rule::remember(conn, compared).await?;
    let mut earlier: HashMap<Uuid, Vec<Twin>> = HashMap::with_capacity(compared.len());
    for one in compared {
        let same = earlier.entry(one.fingerprint).or_default();
        let apart = |twin: &Twin| (twin.placed_at - one.placed_at).abs();
        let near = same.iter().copied().chain(twins.get(&one.order_id).copied()).min_by_key(apart);
        if let Some(twin) = near {
            twins.insert(one.order_id, twin);
        }
        if let Some(number) = numbers.get(&one.order_id) {
            same.push(Twin { number: *number, placed_at: one.placed_at });
        }
    }
    Ok(twins)
}

/// Adds what the rules say to what is known already: a refusal ends all holds, also those of others.
fn judge(ready: &mut Ready<'_>, verdict: Verdict) {
    if let Some(route) = &verdict.route {
        ready.fulfilment_policy = route.fulfilment.unwrap_or(ready.fulfilment_policy);
        ready.preferred_location_id = route.location.or(ready.preferred_location_id);
    }
    ready.holds.extend(verdict.holds.iter().cloned());
    ready.holds.truncate(MOST_HOLDS);
    if verdict.rejection.is_some() {
        ready.holds.clear();
    }
    ready.verdict = verdict;
}
