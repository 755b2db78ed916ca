//! Many calls to authorise, few transactions: what comes in while one batch commits is the next batch.

use crate::amendment::Amendment;
use crate::charge::{Authorisation, Decision, NewCharge};
use crate::error::{Error, Refusal};
use crate::ops::provider::PaymentProvider;
use crate::ops::settle::Answer;
use crate::ops::{amend, authorise, settle};
use pesan_batch::{Coalescer, Limits, Refused};
use pesan_feed::Feed;
use pesan_host::Clock;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::Notify;

const DECISIONS: Limits = Limits { items: 1000, weight: 20_000, queue: 20_000, workers: 2 };
const ANSWERS: Limits = Limits { items: 500, weight: 500, queue: 20_000, workers: 2 };

type Outcome = Result<Decision, Arc<Error>>;

/// Decides charges in batches and asks the provider between them.
#[derive(Clone)]
pub struct Authoriser {
    pool: PgPool,
    feed: Feed,
    jobs: Arc<Notify>,
    provider: Arc<dyn PaymentProvider>,
    timeout: Duration,
    decisions: Coalescer<NewCharge, Outcome>,
    answers: Coalescer<Answer, Outcome>,
}

impl Authoriser {
    /// Starts the workers. `jobs` is woken where a batch may have left jobs for the provider.
    pub fn spawn(
        pool: PgPool,
        clock: Clock,
        feed: Feed,
        jobs: Arc<Notify>,
        provider: Arc<dyn PaymentProvider>,
        timeout: Duration,
    ) -> Self {
        let (own_pool, own_feed, own_jobs) = (pool.clone(), feed.clone(), jobs.clone());
        let decisions = {
            let (pool, clock, feed) = (pool.clone(), clock.clone(), feed.clone());
            Coalescer::spawn(DECISIONS, move |batch: Vec<NewCharge>| {
                let (pool, now, feed) = (pool.clone(), clock.now(), feed.clone());
                async move {
                    let decided = authorise::decide(&pool, &batch, now).await;
                    feed.wake();
                    shared(decided, batch.len())
                }
            })
        };
        let answers = Coalescer::spawn(ANSWERS, move |batch: Vec<Answer>| {
            let (pool, now, feed, jobs) = (pool.clone(), clock.now(), feed.clone(), jobs.clone());
            async move {
                let settled = settle::settle(&pool, &batch, now).await;
                feed.wake();
                jobs.notify_one();
                shared(settled, batch.len())
            }
        });
        Self { pool: own_pool, feed: own_feed, jobs: own_jobs, provider, timeout, decisions, answers }
    }

    /// Changes a charge. Rare: by itself, beside the batches.
    pub async fn amend(
        &self,
        amendment: &Amendment,
        now: OffsetDateTime,
    ) -> Result<Result<Authorisation, Refusal>, Error> {
        let changed = amend::amend(&self.pool, self.provider.as_ref(), self.timeout, amendment, now).await;
        self.feed.wake();
        self.jobs.notify_one();
        changed
    }

    /// Authorises charges, each by itself; one result for each, in order.
    pub async fn authorise(&self, charges: Vec<NewCharge>) -> Result<Vec<Result<Authorisation, Refusal>>, Arc<Error>> {
        let weighed = charges.into_iter().map(|charge| {
            let weight = charge.lines.len();
            (charge, weight)
        });
        let mut results = Vec::new();
        let mut intents = Vec::new();
        let mut asked = Vec::new();
        for decision in self.decisions.submit_all(weighed).await {
            let decision = answered(decision)?;
            if let Decision::Ask(intent) = &decision {
                asked.push(results.len());
                intents.push(intent.clone());
            }
            results.push(result(decision));
        }
        let verdicts = settle::ask(self.provider.as_ref(), intents, self.timeout).await;
        let (mut places, mut answers) = (Vec::new(), Vec::new());
        for (place, (intent, verdict)) in asked.into_iter().zip(verdicts) {
            match verdict {
                Ok(verdict) => {
                    let (order_id, attempt, traceparent) = (intent.order_id, intent.attempt, intent.traceparent);
                    places.push((place, intent.is_outdated));
                    answers.push((Answer { order_id, attempt, verdict, traceparent }, 1));
                }
                Err(missing) => {
                    tracing::warn!(order = %intent.order_id, %missing, "no verdict on an authorisation yet");
                }
            }
        }
        for ((place, is_outdated), settled) in places.into_iter().zip(self.answers.submit_all(answers).await) {
            let settled = answered(settled)?;
            // What was settled is an earlier promise's: the caller has to ask once more for his own.
            if !is_outdated {
                results[place] = result(settled);
            }
        }
        Ok(results)
    }
}

/// One failure for the whole batch is each caller's failure.
fn shared(outcome: Result<Vec<Decision>, Error>, callers: usize) -> Vec<Outcome> {
    match outcome {
        Ok(decisions) => decisions.into_iter().map(Ok).collect(),
        Err(error) => {
            let error = Arc::new(error);
            (0..callers).map(|_| Err(error.clone())).collect()
        }
    }
}

fn answered(outcome: Result<Outcome, Refused>) -> Outcome {
    match outcome {
        Ok(outcome) => outcome,
        Err(Refused::Full) => Err(Arc::new(Error::Busy)),
        Err(Refused::Closed) => Err(Arc::new(Error::Stopping)),
    }
}

/// What a decision means to its caller; one that the provider has not answered yet is unknown.
fn result(decision: Decision) -> Result<Authorisation, Refusal> {
    match decision {
        Decision::Authorised(authorisation) => Ok(authorisation),
        Decision::Refused(refusal) => Err(refusal),
        Decision::Ask(_) => Err(Refusal::ProviderUnknown),
    }
}
