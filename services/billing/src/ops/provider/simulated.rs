//! A payment provider that is simulated: no money moves, and what it holds is a book of its own, kept by connections and
//! transactions of its own, as if it were elsewhere. The token tells how it behaves:
//!
//! | token begins with | it |
//! | --- | --- |
//! | `tok_ok` | approves |
//! | `tok_decline` | declines |
//! | `tok_timeout` | approves, but the first answer gets lost |
//! | `tok_late` | approves, but only after the pause it was made with |
//!
//! Any other token is declined, as one that a provider never gave out.

use crate::ops::provider::{Hold, NoVerdict, Operation, PaymentProvider, Verdict};
use crate::store::provider_book::{self as book, Entry};
use futures::future::BoxFuture;
use sqlx::PgPool;
use std::time::Duration;

/// The simulated provider. Clones share one book.
#[derive(Clone)]
pub struct Simulated {
    pool: PgPool,
    late: Duration,
}

impl Simulated {
    /// With connections of its own; `late` is how long it thinks about a `tok_late`.
    pub fn new(pool: PgPool, late: Duration) -> Self {
        Self { pool, late }
    }

    fn operate(&self, what: book::Operation, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        let pool = self.pool.clone();
        at_the_provider(async move {
            let Operation { key, reference, amount } = operation;
            verdict(book::operate(&pool, &key, &reference, what, amount.amount).await)
        })
    }
}

impl PaymentProvider for Simulated {
    fn authorise(&self, hold: Hold) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        let (pool, late) = (self.pool.clone(), self.late);
        at_the_provider(async move {
            let token = hold.token.reveal();
            let declined = match token {
                _ if token.starts_with("tok_decline") => Some("the bank declined"),
                _ if ["tok_ok", "tok_timeout", "tok_late"].iter().any(|known| token.starts_with(known)) => None,
                _ => Some("unknown token"),
            };
            if token.starts_with("tok_late") {
                tokio::time::sleep(late).await;
            }
            let known = book::find(&pool, &hold.key).await.map_err(unreachable)?.is_some();
            let verdict = verdict(book::authorise(&pool, &hold.key, hold.order_id, hold.amount, declined).await)?;
            if token.starts_with("tok_timeout") && !known {
                return Err(NoVerdict::TimedOut);
            }
            Ok(verdict)
        })
    }

    fn increase(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.operate(book::Operation::Increase, operation)
    }

    fn capture(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.operate(book::Operation::Capture, operation)
    }

    fn refund(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.operate(book::Operation::Refund, operation)
    }

    fn void(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.operate(book::Operation::Void, operation)
    }

    fn find(&self, key: String) -> BoxFuture<'static, Result<Option<Verdict>, NoVerdict>> {
        let pool = self.pool.clone();
        Box::pin(async move {
            let entry = book::find(&pool, &key).await.map_err(unreachable)?;
            entry.map(|entry| verdict(Ok(entry))).transpose()
        })
    }
}

/// Runs in a task of its own: what has reached a provider goes on there, whether the caller still waits or not.
fn at_the_provider<F>(work: F) -> BoxFuture<'static, Result<Verdict, NoVerdict>>
where
    F: Future<Output = Result<Verdict, NoVerdict>> + Send + 'static,
{
    Box::pin(async move {
        let task = tokio::spawn(work);
        task.await.unwrap_or_else(|error| Err(NoVerdict::Unreachable(error.to_string())))
    })
}

fn verdict(entry: sqlx::Result<Entry>) -> Result<Verdict, NoVerdict> {
    Ok(match entry.map_err(unreachable)? {
        Ok(reference) => Verdict::Approved { reference },
        Err(reason) => Verdict::Declined { reason },
    })
}

fn unreachable(error: sqlx::Error) -> NoVerdict {
    NoVerdict::Unreachable(error.to_string())
}
