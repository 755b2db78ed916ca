//! A closed loop of callers, and what they measured.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// The slowest call that is told apart, in microseconds.
const SLOWEST: u64 = 120_000_000;

/// How much load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    pub concurrency: u32,
    pub duration: Duration,
    /// Between an answer and the caller's next call.
    pub pause: Duration,
}

/// What was measured.
pub struct Measured {
    pub elapsed: Duration,
    /// Orders, reservations or calls that were done.
    pub done: u64,
    /// Those that were refused, or whose call failed.
    pub errors: u64,
    pub calls: u64,
    /// Of calls, in microseconds.
    pub latencies: Histogram<u64>,
    /// What went wrong first, if anything did.
    pub first_error: Option<String>,
}

/// What one call did.
#[derive(Debug, Default)]
pub struct Done {
    pub done: u64,
    pub errors: u64,
    pub error: Option<String>,
}

impl Measured {
    fn nothing() -> Result<Self> {
        let latencies = Histogram::new_with_bounds(1, SLOWEST, 3)?;
        Ok(Self { elapsed: Duration::ZERO, done: 0, errors: 0, calls: 0, latencies, first_error: None })
    }

    fn count(&mut self, call: Done, took: Duration) {
        self.calls += 1;
        self.done += call.done;
        self.errors += call.errors;
        if self.first_error.is_none() {
            self.first_error = call.error;
        }
        self.latencies.saturating_record(u64::try_from(took.as_micros()).unwrap_or(SLOWEST).max(1));
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.calls += other.calls;
        self.done += other.done;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        Ok(self.latencies.add(other.latencies)?)
    }

    /// Half of the calls took at most so many milliseconds.
    pub fn median_ms(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a call are far below 2^52")]
        let micros = self.latencies.value_at_quantile(0.5) as f64;
        micros / 1000.0
    }

    pub fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate, not a count")]
        let done = self.done as f64;
        if seconds > 0.0 { done / seconds } else { 0.0 }
    }
}

/// Calls as fast as answers come, until the time is over, and at least once; calls under way then are waited for. `caller` makes what
/// caller number n does again and again.
pub async fn run<C, F>(bounds: Bounds, caller: impl Fn(usize) -> C) -> Result<Measured>
where
    C: FnMut() -> F + Send + 'static,
    F: Future<Output = Done> + Send,
{
    let started = Instant::now();
    let deadline = started + bounds.duration;
    let mut callers = JoinSet::new();
    for number in 0..bounds.concurrency as usize {
        let mut call = caller(number);
        callers.spawn(async move {
            let mut own = Measured::nothing()?;
            loop {
                let asked = Instant::now();
                let done = call().await;
                own.count(done, asked.elapsed());
                if Instant::now() >= deadline {
                    break;
                }
                if !bounds.pause.is_zero() {
                    tokio::time::sleep(bounds.pause).await;
                }
            }
            anyhow::Ok(own)
        });
    }
    let mut all = Measured::nothing()?;
    while let Some(own) = callers.join_next().await {
        all.merge(own.context("a caller panicked")??)?;
    }
    all.elapsed = started.elapsed();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn every_call_is_counted_once() {
        let calls = Arc::new(AtomicU64::new(0));
        let bounds = Bounds { concurrency: 3, duration: Duration::from_millis(20), ..Bounds::default() };
        let measured = run(bounds, |_| {
            let calls = calls.clone();
            move || {
                let number = calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    tokio::task::yield_now().await;
                    let failed = number % 2;
                    Done { done: 1 - failed, errors: failed, error: (failed == 1).then(|| "odd".to_owned()) }
                }
            }
        })
        .await
        .unwrap();
        assert_eq!(measured.calls, calls.load(Ordering::SeqCst));
        assert_eq!((measured.done + measured.errors, measured.latencies.len()), (measured.calls, measured.calls));
        assert!(measured.elapsed >= bounds.duration && measured.per_second() > 0.0);
        assert_eq!(measured.first_error.as_deref(), Some("odd"));
    }
}
