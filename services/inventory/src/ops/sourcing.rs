//! The rules of sourcing, why it was decided as it was, and what other rules would have decided.

use super::{Inventory, insist};
use crate::convert::sourcing::{past, rules_from, rules_to};
use crate::error::Error;
use crate::network::Network;
use crate::simulation::{PastDecision, Report, simulate};
use crate::sourcing::Rules;
use crate::store;
use crate::store::network::KeptRules;
use crate::store::sourcing::Kept;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use prost::Message as _;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// The rules in force.
pub async fn rules(inventory: &Inventory) -> Result<Rules, Error> {
    let mut conn = inventory.pool.acquire().await?;
    decoded(store::network::rules(&mut conn).await?)
}

fn decoded(kept: KeptRules) -> Result<Rules, Error> {
    let Some(bytes) = kept.bytes else { return Ok(Rules::default()) };
    let rules = pb::SourcingRules::decode(bytes.as_slice()).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Rules { version: kept.version, ..rules_from(&rules)? })
}

/// Locations and rules as they are. The version is read first: what changes meanwhile is read again for the next one.
pub(super) async fn read_network(conn: &mut PgConnection) -> Result<Network, Error> {
    let version = store::network::version(&mut *conn).await?;
    let rules = decoded(store::network::rules(&mut *conn).await?)?;
    let locations = store::location::by_rank(conn).await?;
    Ok(Network::new(version, rules, locations))
}

/// Replaces the rules, unless somebody else did since `expected` (0: whatever it is). Once by its request id.
pub async fn set_rules(
    inventory: &Inventory,
    wanted: Rules,
    expected: i64,
    claim: Claim,
) -> Result<pb::SourcingRules, Error> {
    insist(|| write_rules(inventory, &wanted, expected, &claim)).await
}

async fn write_rules(
    inventory: &Inventory,
    wanted: &Rules,
    expected: i64,
    claim: &Claim,
) -> Result<pb::SourcingRules, Error> {
    let mut tx = store::begin(&inventory.pool).await?;
    match idempotency::claim(&mut tx, std::slice::from_ref(claim)).await?.pop() {
        Some(Claimed::Answered(answer)) => {
            let answer = pb::SourcingRules::decode(answer.as_slice());
            return Ok(answer.map_err(|error| sqlx::Error::Decode(Box::new(error)))?);
        }
        Some(Claimed::Reused(fields)) => return Err(Error::RequestIdReused(fields)),
        Some(Claimed::New | Claimed::SameAs(_)) | None => {}
    }
    let stored = store::network::lock_rules(&mut tx).await?;
    if expected != 0 && expected != stored {
        return Err(Error::VersionConflict(stored));
    }
    let answer = rules_to(&Rules { version: stored + 1, ..wanted.clone() });
    store::network::write_rules(&mut tx, answer.version, &answer.encode_to_vec()).await?;
    idempotency::answer(&mut tx, &[(claim.request_id, answer.encode_to_vec())]).await?;
    tx.commit().await?;
    Ok(answer)
}

/// Why an order is shipped from where it is.
pub async fn decision(inventory: &Inventory, order_id: Uuid) -> Result<pb::SourcingDecision, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let kept = store::sourcing::find(&mut conn, order_id).await?.ok_or(Error::DecisionNotFound)?;
    Ok(pb::SourcingDecision::decode(kept.as_slice()).map_err(|error| sqlx::Error::Decode(Box::new(error)))?)
}

/// Which decisions are taken again.
pub enum Which {
    /// Of these orders, after one.
    Orders(Vec<Uuid>, Uuid),
    /// Of `[from, to)`, after one.
    Time { from: OffsetDateTime, to: OffsetDateTime, after: (OffsetDateTime, Uuid) },
}

/// A page of a comparison, and where the next one begins.
pub struct Page {
    pub report: Report,
    pub next: Option<(OffsetDateTime, Uuid)>,
}

/// Compares a page of decisions with what draft rules would have decided.
pub async fn simulation(inventory: &Inventory, draft: Rules, which: Which, size: i64) -> Result<Page, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let mut kept: Vec<Kept> = match &which {
        Which::Orders(orders, after) => store::sourcing::of_orders(&mut conn, orders, *after, size + 1).await?,
        Which::Time { from, to, after } => store::sourcing::of_time(&mut conn, *from, *to, *after, size + 1).await?,
    };
    drop(conn);
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = kept.len() > size;
    kept.truncate(size);
    let next = kept.last().filter(|_| more).map(|(order_id, decided_at, _)| (*decided_at, *order_id));
    // Large orders among many candidates take a while: not on the threads that serve others.
    let decided = tokio::task::spawn_blocking(move || {
        let past: Result<Vec<PastDecision>, _> = kept.iter().map(|(_, _, bytes)| past(bytes)).collect();
        past.map(|past| simulate(&past, &draft))
    });
    let report = decided.await.map_err(|_| Error::Stopping)?;
    let report = report.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Page { report, next })
}
