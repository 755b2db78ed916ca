//! The payment provider, as billing sees it. A trait, because there are several: the simulated one here, and whichever
//! a company has a contract with.
//!
//! Every call carries an idempotency key: the same key again does nothing more and gives the same verdict. A call that
//! was not answered in time may have taken effect: [`settled`] asks by key what became of it.

pub mod simulated;

pub use simulated::Simulated;

use crate::charge::PaymentToken;
use futures::future::BoxFuture;
use pesan_money::Money;
use std::future::Future;
use std::time::Duration;
use uuid::Uuid;

/// What a provider said.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It is done; under this reference.
    Approved { reference: String },
    /// It is not, and will not be under this key.
    Declined { reason: String },
}

/// Why there is no verdict. Whether the call took effect is not known.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoVerdict {
    #[error("the provider did not answer in time")]
    TimedOut,
    #[error("the provider could not be reached: {0}")]
    Unreachable(String),
}

/// Money of a customer to be held.
#[derive(Clone, Debug)]
pub struct Hold {
    pub key: String,
    pub order_id: Uuid,
    pub amount: Money,
    pub token: PaymentToken,
}

/// Something to be done with money that is, or was, held.
#[derive(Clone, Debug)]
pub struct Operation {
    pub key: String,
    /// Of the authorisation.
    pub reference: String,
    pub amount: Money,
}

/// Holds, takes and gives back customers' money.
pub trait PaymentProvider: Send + Sync + 'static {
    /// Holds money.
    fn authorise(&self, hold: Hold) -> BoxFuture<'static, Result<Verdict, NoVerdict>>;
    /// Holds more under an authorisation that was given, or, declined, as much as before.
    fn increase(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>>;
    /// Takes money that is held.
    fn capture(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>>;
    /// Gives back money that was taken.
    fn refund(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>>;
    /// Lets go of money that is held.
    fn void(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>>;
    /// What became of the call with this key; none where the provider does not know it.
    fn find(&self, key: String) -> BoxFuture<'static, Result<Option<Verdict>, NoVerdict>>;
}

/// Waits for a verdict at most `timeout`, and where none comes asks by key what became of the call.
pub async fn settled(
    provider: &dyn PaymentProvider,
    key: &str,
    timeout: Duration,
    call: impl Future<Output = Result<Verdict, NoVerdict>>,
) -> Result<Verdict, NoVerdict> {
    let missing = match within(timeout, call).await {
        Ok(verdict) => return Ok(verdict),
        Err(missing) => missing,
    };
    within(timeout, provider.find(key.to_owned())).await?.ok_or(missing)
}

/// Waits for an answer at most `timeout`.
pub async fn within<T>(timeout: Duration, call: impl Future<Output = Result<T, NoVerdict>>) -> Result<T, NoVerdict> {
    tokio::time::timeout(timeout, call).await.unwrap_or(Err(NoVerdict::TimedOut))
}
