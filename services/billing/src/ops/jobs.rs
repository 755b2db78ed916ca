//! Captures, refunds and voids are asked of the provider: taken with a lease, asked outside of any transaction, written
//! down. The jobs of an order are done one after the other, so a refund comes after its capture.

use crate::charge::Charge;
use crate::convert;
use crate::error::Error;
use crate::job::{self, Job, JobKind};
use crate::ledger::{Cause, LedgerAccount, Posting};
use crate::ops::provider::{self, NoVerdict, Operation, PaymentProvider, Verdict};
use crate::store;
use futures::StreamExt as _;
use pesan_feed::NewEvent;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Jobs of one round.
const ROUND: i64 = 128;
/// Jobs of a round that the provider is asked at the same time.
const AT_ONCE: usize = 16;
/// How long a round has its jobs to itself. Who comes later asks with the same key.
const LEASE: time::Duration = time::Duration::minutes(2);

/// What became of asking for a job.
enum Outcome {
    /// The provider did it, with this amount.
    Done(Decimal),
    /// Nothing was left to give back.
    Nothing,
    /// The provider will not do it.
    Refused(String),
    /// Not known: to be asked again.
    Unknown(NoVerdict),
}

/// Does a round of jobs that are due; how many it took.
pub async fn run_once(
    pool: &PgPool,
    provider: &dyn PaymentProvider,
    timeout: Duration,
    now: OffsetDateTime,
) -> Result<usize, Error> {
    let mut conn = pool.acquire().await?;
    let jobs = store::job::lease(&mut conn, now, now + LEASE, ROUND).await?;
    if jobs.is_empty() {
        return Ok(0);
    }
    let orders: Vec<Uuid> = jobs.iter().map(|job| job.order_id).collect();
    let charges = store::charge::find(&mut conn, &orders).await?;
    drop(conn);
    let charges = &charges;
    let asked = jobs.into_iter().map(|job| async move {
        let outcome = ask(provider, &job, charges.get(&job.order_id), timeout).await;
        (job, outcome)
    });
    let outcomes: Vec<(Job, Outcome)> = futures::stream::iter(asked).buffered(AT_ONCE).collect().await;
    let taken = outcomes.len();
    write(pool, outcomes, now).await?;
    Ok(taken)
}

async fn ask(provider: &dyn PaymentProvider, job: &Job, charge: Option<&Charge>, timeout: Duration) -> Outcome {
    let Some(charge) = charge else { return Outcome::Refused("the order is not known".to_owned()) };
    // A credit may be larger than what was taken. The figures stand still while this job is the order's first, so that
    // the amount is the same however often it is asked.
    let amount = match job.kind {
        JobKind::Refund => job.amount.min(charge.captured - charge.refunded),
        JobKind::Capture | JobKind::Void => job.amount,
    };
    if amount <= Decimal::ZERO {
        return Outcome::Nothing;
    }
    let key = job.id.to_string();
    let operation = Operation { key: key.clone(), reference: job.reference.clone(), amount: job.money(amount) };
    let call = match job.kind {
        JobKind::Capture => provider.capture(operation),
        JobKind::Refund => provider.refund(operation),
        JobKind::Void => provider.void(operation),
    };
    match provider::settled(provider, &key, timeout, call).await {
        Ok(Verdict::Approved { .. }) => Outcome::Done(amount),
        Ok(Verdict::Declined { reason }) => Outcome::Refused(reason),
        Err(missing) => Outcome::Unknown(missing),
    }
}

async fn write(pool: &PgPool, outcomes: Vec<(Job, Outcome)>, now: OffsetDateTime) -> Result<(), Error> {
    let orders: Vec<Uuid> = outcomes.iter().map(|(job, _)| job.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let ids: Vec<Uuid> = outcomes.iter().map(|(job, _)| job.id).collect();
    let mut tx = pesan_feed::begin(pool, orders.iter().copied()).await?;
    let open = store::job::still_open(&mut tx, &ids).await?;
    let charges = store::charge::find(&mut tx, &orders).await?;
    let mut effects = Effects { charges, ..Effects::default() };
    let (mut ended, mut put_off) = (Vec::new(), Vec::new());
    for (job, outcome) in &outcomes {
        if !open.contains(&job.id) {
            continue;
        }
        match outcome {
            Outcome::Done(amount) => {
                effects.done(job, *amount, now)?;
                ended.push((job.id, None));
            }
            Outcome::Nothing => ended.push((job.id, None)),
            Outcome::Refused(reason) => {
                tracing::error!(job = %job.id, order = %job.order_id, kind = ?job.kind, reason, "the provider refused a job");
                ended.push((job.id, Some(reason.clone())));
            }
            Outcome::Unknown(missing) if job.attempts >= job::MOST_ATTEMPTS => {
                tracing::error!(job = %job.id, order = %job.order_id, kind = ?job.kind, %missing, "gave a job up");
                ended.push((job.id, Some(missing.to_string())));
            }
            Outcome::Unknown(missing) => {
                put_off.push((job.id, now + job::pause(job.attempts, rand::random()), missing.to_string()));
            }
        }
    }
    let ended: Vec<(Uuid, Option<&str>)> = ended.iter().map(|(id, error)| (*id, error.as_deref())).collect();
    let put_off: Vec<(Uuid, OffsetDateTime, &str)> = put_off.iter().map(|(id, at, e)| (*id, *at, e.as_str())).collect();
    store::job::end(&mut tx, &ended).await?;
    store::job::put_off(&mut tx, &put_off).await?;
    effects.write(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// What the jobs of a round that were done come to.
#[derive(Default)]
struct Effects {
    charges: HashMap<Uuid, Charge>,
    settled: BTreeMap<Uuid, Decimal>,
    postings: Vec<Posting>,
    events: Vec<NewEvent>,
}

impl Effects {
    fn done(&mut self, job: &Job, amount: Decimal, now: OffsetDateTime) -> Result<(), Error> {
        use LedgerAccount::{ProviderClearing, Receivables};
        let Some(charge) = self.charges.get_mut(&job.order_id) else { return Ok(()) };
        // A void was published when it was decided, and posts nothing.
        let Some(document_id) = job.document_id else { return Ok(()) };
        let money = charge.money(amount);
        let version = charge.next_version();
        let (cause, accounts, event) = match job.kind {
            JobKind::Refund => {
                charge.refunded += amount;
                let fact = convert::refund_made(job.order_id, document_id, money)?;
                let event = NewEvent::new(job.order_id, version, &fact, job.effective_at);
                (Cause::Refund, (Receivables, ProviderClearing), event)
            }
            JobKind::Capture | JobKind::Void => {
                charge.captured += amount;
                let fact = convert::payment_captured(job.order_id, document_id, money)?;
                let event = NewEvent::new(job.order_id, version, &fact, job.effective_at);
                (Cause::Capture, (ProviderClearing, Receivables), event)
            }
        };
        *self.settled.entry(document_id).or_default() += amount;
        let amount = (charge.currency, amount);
        self.postings.extend(Posting::simple(cause, document_id, accounts, amount, job.effective_at, now));
        self.events.push(event.of_journey(job.order_id).in_trace(Some(&job.traceparent)));
        Ok(())
    }

    async fn write(self, conn: &mut PgConnection) -> Result<(), Error> {
        store::charge::advance(conn, self.charges.values()).await?;
        store::document::settle(conn, &self.settled.into_iter().collect::<Vec<_>>()).await?;
        store::ledger::add(conn, &self.postings).await?;
        pesan_feed::append(conn, &self.events).await?;
        Ok(())
    }
}
