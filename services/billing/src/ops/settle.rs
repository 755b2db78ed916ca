//! What the provider said about authorisations is written down; and what it was asked and never answered is found out.

use crate::charge::{Authorisation, Charge, Decision, Intent, PATIENCE, State, authorisation_key};
use crate::convert;
use crate::error::{Error, Refusal};
use crate::job::{Job, JobKind};
use crate::ops::authorise::own_trace;
use crate::ops::provider::{self, Hold, NoVerdict, PaymentProvider, Verdict};
use crate::store;
use futures::StreamExt as _;
use pesan_feed::NewEvent;
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Orders that one batch asks the provider about at the same time.
const AT_ONCE: usize = 32;
/// Charges that one round of [`unanswered`] asks about.
const ROUND: i64 = 100;
/// A question this old will not be answered any more: the provider never got it.
const FORGOTTEN: time::Duration = time::Duration::days(1);

/// What the provider said about one authorisation.
#[derive(Clone, Debug)]
pub struct Answer {
    pub order_id: Uuid,
    pub attempt: i32,
    pub verdict: Verdict,
    /// Of the order's journey; may be empty.
    pub traceparent: String,
}

/// Asks the provider about many orders, outside of any transaction; one result for each, in order.
pub async fn ask(
    provider: &dyn PaymentProvider,
    intents: Vec<Intent>,
    timeout: Duration,
) -> Vec<(Intent, Result<Verdict, NoVerdict>)> {
    let questions = intents.into_iter().map(|intent| async move {
        let key = authorisation_key(intent.order_id, intent.attempt);
        let (order_id, amount, token) = (intent.order_id, intent.amount, intent.token.clone());
        let call = provider.authorise(Hold { key: key.clone(), order_id, amount, token });
        let verdict = provider::settled(provider, &key, timeout, call).await;
        (intent, verdict)
    });
    futures::stream::iter(questions).buffered(AT_ONCE).collect().await
}

/// Writes a batch of answers down; what each order's caller is told. An answer that was written before changes nothing.
pub async fn settle(pool: &PgPool, answers: &[Answer], now: OffsetDateTime) -> Result<Vec<Decision>, Error> {
    let orders: Vec<Uuid> = answers.iter().map(|a| a.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tx = pesan_feed::begin(pool, orders.iter().copied()).await?;
    let closed = store::charge::closed(&mut tx, &orders).await?;
    let mut charges = store::charge::find(&mut tx, &orders).await?;
    let (mut events, mut jobs) = (Vec::new(), Vec::new());
    for answer in answers {
        let Some(charge) = charges.get_mut(&answer.order_id) else { continue };
        if charge.state != State::Pending || charge.attempt != answer.attempt {
            continue;
        }
        let trace = own_trace(&answer.traceparent);
        let mut publish = |event: NewEvent| {
            events.push(event.of_journey(answer.order_id).in_trace(trace.as_deref()));
        };
        let (order_id, placed_at) = (charge.order_id, charge.placed_at);
        match &answer.verdict {
            Verdict::Declined { reason } => {
                charge.state = State::Refused;
                let refusal = Refusal::PaymentDeclined { reason: reason.clone() };
                let fact = convert::authorisation_declined(order_id, &refusal);
                publish(NewEvent::new(order_id, charge.next_version(), &fact, placed_at));
            }
            Verdict::Approved { reference } => {
                charge.state = State::Authorised;
                charge.provider_reference = Some(reference.clone());
                let fact = convert::payment_authorised(charge)?;
                publish(NewEvent::new(order_id, charge.next_version(), &fact, placed_at));
                if !charge.voided.is_zero() {
                    // Lines were cancelled while the provider thought.
                    let voided = charge.money(charge.voided);
                    let fact = convert::authorisation_voided(order_id, voided)?;
                    publish(NewEvent::new(order_id, charge.next_version(), &fact, placed_at));
                    let trace = trace.as_deref().unwrap_or_default();
                    jobs.push(Job::new(JobKind::Void, charge, None, charge.voided, placed_at, trace));
                }
            }
        }
    }
    store::charge::advance(&mut tx, charges.values()).await?;
    store::job::add(&mut tx, &jobs, now).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    Ok(answers
        .iter()
        .map(|answer| told(answer, charges.get(&answer.order_id), closed.contains(&answer.order_id)))
        .collect())
}

/// What the caller of an answered question is told.
fn told(answer: &Answer, charge: Option<&Charge>, closed: bool) -> Decision {
    match (charge, &answer.verdict) {
        _ if closed => Decision::Refused(Refusal::OrderClosed),
        (Some(charge), _) if charge.state == State::Authorised => Decision::Authorised(Authorisation::from(charge)),
        (_, Verdict::Declined { reason }) => Decision::Refused(Refusal::PaymentDeclined { reason: reason.clone() }),
        // Decided anew meanwhile, under another key.
        (_, Verdict::Approved { .. }) => Decision::Refused(Refusal::ProviderUnknown),
    }
}

/// Finds out by key what became of charges that nobody was told about: whoever asked may have crashed. How many were
/// settled.
pub async fn unanswered(
    pool: &PgPool,
    provider: &dyn PaymentProvider,
    timeout: Duration,
    now: OffsetDateTime,
) -> Result<usize, Error> {
    let mut conn = pool.acquire().await?;
    let waiting = store::charge::unanswered(&mut conn, now, ROUND).await?;
    drop(conn);
    let questions = waiting.into_iter().map(|charge| async move {
        let found = provider::within(timeout, provider.find(charge.key())).await;
        (charge, found)
    });
    let found: Vec<_> = futures::stream::iter(questions).buffered(AT_ONCE).collect().await;
    let (mut answers, mut still) = (Vec::new(), Vec::new());
    for (charge, found) in found {
        let verdict = match found {
            Ok(Some(verdict)) => verdict,
            Ok(None) if charge.asked_at < now - FORGOTTEN => {
                Verdict::Declined { reason: "the provider never heard of it".to_owned() }
            }
            // Perhaps it is still on its way; whoever wants the order asks again with the same key.
            Ok(None) | Err(_) => {
                still.push(charge.order_id);
                continue;
            }
        };
        let (order_id, attempt) = (charge.order_id, charge.attempt);
        answers.push(Answer { order_id, attempt, verdict, traceparent: String::new() });
    }
    if !answers.is_empty() {
        settle(pool, &answers, now).await?;
    }
    let mut conn = pool.acquire().await?;
    store::charge::look_again(&mut conn, &still, now + PATIENCE).await?;
    Ok(answers.len())
}
