//! A payment provider that fails when a test says so, around the simulated one.

use futures::future::BoxFuture;
use pesan_billing::ops::provider::{Hold, NoVerdict, Operation, PaymentProvider, Simulated, Verdict};
use sqlx::PgPool;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts down: as long as it is not zero, calls of its kind go wrong.
type Countdown = Arc<AtomicU32>;

fn goes_wrong(countdown: &Countdown) -> bool {
    countdown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok()
}

#[derive(Clone)]
pub struct Flaky {
    inner: Simulated,
    /// Calls that take effect, but whose answer is lost.
    pub answers_lost: Countdown,
    /// Calls that never arrive.
    pub calls_lost: Countdown,
    /// Questions "what became of it" that get no answer.
    pub finds_lost: Countdown,
    /// Calls that arrived.
    pub arrived: Countdown,
}

impl Flaky {
    pub fn new(pool: PgPool) -> Self {
        Self {
            inner: Simulated::new(pool, Duration::from_millis(1500)),
            answers_lost: Countdown::default(),
            calls_lost: Countdown::default(),
            finds_lost: Countdown::default(),
            arrived: Countdown::default(),
        }
    }

    fn call(
        &self,
        call: BoxFuture<'static, Result<Verdict, NoVerdict>>,
    ) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        if goes_wrong(&self.calls_lost) {
            return Box::pin(async { Err(NoVerdict::Unreachable("the line is cut".into())) });
        }
        self.arrived.fetch_add(1, Ordering::SeqCst);
        let lost = goes_wrong(&self.answers_lost);
        Box::pin(async move {
            let verdict = call.await;
            if lost { Err(NoVerdict::TimedOut) } else { verdict }
        })
    }
}

impl PaymentProvider for Flaky {
    fn authorise(&self, hold: Hold) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.call(self.inner.authorise(hold))
    }
    fn increase(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.call(self.inner.increase(operation))
    }
    fn capture(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.call(self.inner.capture(operation))
    }
    fn refund(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.call(self.inner.refund(operation))
    }
    fn void(&self, operation: Operation) -> BoxFuture<'static, Result<Verdict, NoVerdict>> {
        self.call(self.inner.void(operation))
    }
    fn find(&self, key: String) -> BoxFuture<'static, Result<Option<Verdict>, NoVerdict>> {
        if goes_wrong(&self.finds_lost) {
            return Box::pin(async { Err(NoVerdict::TimedOut) });
        }
        self.inner.find(key)
    }
}
