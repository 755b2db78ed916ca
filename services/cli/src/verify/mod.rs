//! `pesan verify`: the proof that nothing was lost on the way.
//!
//! Everything is asked over gRPC. Work goes on meanwhile, so services may differ by what is in flight: where they do,
//! they are asked again about those orders, until they agree or the time to settle is over.

mod compare;
mod digests;
mod own;
mod report;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::endpoints::{Endpoints, Service, Suite};
use crate::output::Output;
use own::House;
use report::{Invariant, Report};

/// How long a service may check its own house.
const CALL: Duration = Duration::from_secs(600);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Prove that every invariant holds, within and across the services
///
/// The exit code is 0 only if everything holds; every violation is named.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  pesan verify\n  pesan verify --settle 120 --output json")]
pub struct Verify {
    /// Seconds that services get to agree on what is in flight
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    settle: u64,
}

impl Verify {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<ExitCode> {
        let suite = endpoints.connect(CALL)?;
        let report = verify(&suite, Duration::from_secs(self.settle)).await;
        report.print(output)?;
        Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn verify(suite: &Suite, settle: Duration) -> Report {
    let started = Instant::now();
    let deadline = started + settle;
    let mut houses = House::inspect(suite, &Service::ALL).await;
    let (cursors, followers) = own::followers(suite, &houses).await;
    let mut compared = Vec::new();
    if houses.iter().all(|house| house.answer.is_ok()) {
        (compared, ()) = tokio::join!(agreement(suite, deadline), tidy(suite, &mut houses, deadline));
    }
    let mut invariants: Vec<Invariant> = houses.iter().flat_map(House::invariants).collect();
    invariants.push(cursors);
    invariants.extend(compared);
    Report::new(invariants, followers, (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Compares the services, and again where they differ, until they agree or time is over.
async fn agreement(suite: &Suite, deadline: Instant) -> Vec<Invariant> {
    let mut pauses = Pauses::until(deadline);
    // None: all subjects.
    let mut subjects: Option<Vec<String>> = None;
    let mut full: Vec<Invariant> = Vec::new();
    loop {
        let mut look = match digests::look(suite, subjects.as_deref().unwrap_or_default()).await {
            Ok(look) => look,
            Err((service, status)) => return vec![own::unanswered(service, &status)],
        };
        let (suspects, overflow) = (std::mem::take(&mut look.suspects), look.overflow);
        let invariants = look.invariants(subjects.as_ref().map(|_| full.as_slice()));
        if suspects.is_empty() || !pauses.pause().await {
            return invariants;
        }
        if subjects.is_none() {
            full = invariants;
        }
        // More suspects than can be named: all subjects again.
        subjects = (!overflow).then(|| suspects.into_iter().collect());
    }
}

/// Lets services that found violations in their own house look again, until there are none or time is over.
async fn tidy(suite: &Suite, houses: &mut [House], deadline: Instant) {
    let mut pauses = Pauses::until(deadline);
    loop {
        let untidy: Vec<Service> =
            houses.iter().filter(|house| house.has_violations()).map(|house| house.service).collect();
        if untidy.is_empty() || !pauses.pause().await {
            return;
        }
        for renewed in House::inspect(suite, &untidy).await {
            if let Some(house) = houses.iter_mut().find(|house| house.service == renewed.service) {
                *house = renewed;
            }
        }
    }
}

/// Growing pauses up to a deadline.
struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    fn until(deadline: Instant) -> Self {
        Self { next: FIRST_PAUSE, deadline }
    }

    /// Waits; false when time is over.
    async fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(self.next.min(left)).await;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        true
    }
}
