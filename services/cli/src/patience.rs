//! Trying again what failed for a while: services are restarted, databases fail over.

use std::time::{Duration, Instant};

use rand::Rng as _;
use tonic::{Code, Response, Status};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long to go on trying before giving up.
#[derive(Clone, Copy, Debug)]
pub struct Patience(pub Duration);

impl Patience {
    /// Calls until there is an answer or a refusal, or patience ends. Only for calls that may be repeated.
    pub async fn call<T>(self, call: impl AsyncFn() -> Result<Response<T>, Status>) -> Result<T, Status> {
        let started = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            match call().await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) if is_worth_a_retry(status.code()) && started.elapsed() < self.0 => {
                    tracing::debug!(code = ?status.code(), message = status.message(), "trying again");
                    backoff.pause().await;
                }
                Err(status) => return Err(status),
            }
        }
    }
}

/// Whether the same call may succeed later. A service that loses its database answers INTERNAL, and a connection that
/// breaks in the middle of an answer shows as UNKNOWN, INTERNAL or CANCELLED, so only what is said on purpose is final.
fn is_worth_a_retry(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::Aborted
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Unknown
        | Code::Internal => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Growing pauses with full jitter.
#[derive(Debug)]
pub struct Backoff {
    bound: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { bound: FIRST_PAUSE }
    }
}

impl Backoff {
    /// Waits.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    fn next(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(LONGEST_PAUSE);
        rand::rng().random_range(Duration::ZERO..=bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn goes_on_until_there_is_an_answer() {
        let calls = Cell::new(0);
        let answer = Patience(Duration::from_secs(60))
            .call(async || {
                calls.set(calls.get() + 1);
                if calls.get() < 3 { Err(Status::unavailable("down")) } else { Ok(Response::new(7)) }
            })
            .await;
        assert_eq!((answer.unwrap(), calls.get()), (7, 3));
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_so_is_the_end_of_patience() {
        let calls = Cell::new(0);
        let refuse = async |status: Status| {
            calls.set(calls.get() + 1);
            Err::<Response<()>, _>(status)
        };
        let refused =
            Patience(Duration::from_secs(60)).call(async || refuse(Status::failed_precondition("no")).await).await;
        assert_eq!((refused.unwrap_err().code(), calls.get()), (Code::FailedPrecondition, 1));
        let given_up = Patience(Duration::ZERO).call(async || refuse(Status::unavailable("down")).await).await;
        assert_eq!((given_up.unwrap_err().code(), calls.get()), (Code::Unavailable, 2));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut backoff = Backoff::default();
        for _ in 0..20 {
            assert!(backoff.next() <= LONGEST_PAUSE);
        }
        assert_eq!(backoff.bound, LONGEST_PAUSE);
    }
}
