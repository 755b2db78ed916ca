//! The saga's engine: takes jobs, fresh from being placed or due in the database, and settles them in rounds. Two rounds
//! are under way at once, so that while one is with billing the next is with inventory.

use crate::error::Error;
use crate::ops::Books;
use crate::ops::settle::Settler;
use crate::settlement::Work;
use crate::store;
use futures::FutureExt as _;
use pesan_batch::{Coalescer, Limits};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Orders and lines of a round; rounds at the same time. The queue holds more than [`ROOM`] lets in.
const LIMITS: Limits = Limits { items: 256, weight: 20_000, queue: 100_000, workers: 2 };
/// How long a round gives way while orders pour in and nobody waits for its own: to make orders durable comes first.
const GIVE_WAY: Duration = Duration::from_millis(500);
/// Orders pour in as long as the last full batch of them is not older than this.
const POURING: Duration = Duration::from_millis(50);
/// Lines of orders that wait in this process. What finds no room waits in the database.
const ROOM: usize = 60_000;

/// A job that this process has taken.
pub struct Job {
    /// The order to be settled.
    pub work: Work,
    /// Its place among those that wait here; none for jobs that were taken from the database and are waited for.
    pub _room: Option<OwnedSemaphorePermit>,
}

/// A handle to the engine; clones share it.
#[derive(Clone)]
pub struct Saga {
    books: Books,
    rounds: Coalescer<Job, ()>,
    room: Arc<Semaphore>,
    nudge: Arc<Notify>,
    full_at: Arc<Mutex<Option<Instant>>>,
}

impl Saga {
    /// Starts the workers; `running` counts their rounds.
    pub fn start(books: Books, settler: Settler, running: TaskTracker) -> Self {
        let full_at = Arc::new(Mutex::new(None));
        let (wakes, last_full) = (books.wakes.clone(), full_at.clone());
        let rounds = Coalescer::spawn(LIMITS, move |jobs: Vec<Job>| {
            let (settler, token) = (settler.clone(), running.token());
            let (wakes, last_full) = (wakes.clone(), last_full.clone());
            async move {
                let count = jobs.len();
                if !wakes.is_awaited(jobs.iter().map(|job| &job.work.order_id)) {
                    give_way(&last_full).await;
                }
                let (works, rooms): (Vec<Work>, Vec<_>) = jobs.into_iter().map(|job| (job.work, job._room)).unzip();
                // A round that panics takes its own orders with it until their leases end, not those that come after.
                if AssertUnwindSafe(settler.round(works)).catch_unwind().await.is_err() {
                    tracing::error!(orders = count, "a round panicked");
                }
                drop((rooms, token));
                vec![(); count]
            }
        });
        Self { books, rounds, room: Arc::new(Semaphore::new(ROOM)), nudge: Arc::new(Notify::new()), full_at }
    }

    /// Room for an order of so many lines, if there is any.
    pub fn room(&self, lines: usize) -> Option<OwnedSemaphorePermit> {
        let lines = u32::try_from(lines.clamp(1, ROOM)).ok()?;
        self.room.clone().try_acquire_many_owned(lines).ok()
    }

    /// Settles jobs that were just made durable. Does not wait.
    pub fn hand_over(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let rounds = self.rounds.clone();
        tokio::spawn(async move {
            let weighed = jobs.into_iter().map(|job| {
                let lines = job.work.lines.len();
                (job, lines)
            });
            rounds.submit_all(weighed).await; // a job that is not worked on falls due when its lease ends
        });
    }

    /// Says that a full batch of new orders is being written: more are waiting.
    pub fn pouring_in(&self) {
        *self.full_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Says that jobs are due in the database.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Takes jobs that are due in the database, and settles them; how many they were.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let now = self.books.clock.now();
        let works = {
            let mut conn = self.books.pool.acquire().await?;
            let lease_until = now + self.books.patience.lease;
            let taken = store::job::take(&mut conn, now, lease_until, LIMITS.items as i64).await?;
            // As many as make one round; the first one always.
            let mut lines = 0;
            let (mine, rest): (Vec<_>, Vec<_>) = taken.into_iter().enumerate().partition(|(place, job)| {
                lines += job.lines;
                *place == 0 || lines <= 20_000
            });
            if !rest.is_empty() {
                let ids: Vec<_> = rest.iter().map(|(_, job)| job.order_id).collect();
                store::job::put_back(&mut conn, &ids, now).await?;
            }
            if mine.is_empty() {
                return Ok(0);
            }
            let mine: Vec<_> = mine.into_iter().map(|(_, job)| job).collect();
            store::job::load(&mut conn, &mine).await?
        };
        let count = works.len();
        let weighed = works.into_iter().map(|work| {
            let lines = work.lines.len();
            (Job { work, _room: None }, lines)
        });
        self.rounds.submit_all(weighed).await;
        Ok(count)
    }

    /// Settles what is due, until `stop`: what found no room, what is to be tried again, what a process that died left.
    pub async fn recover(self, stop: CancellationToken) {
        let mut is_failing = false;
        while !stop.is_cancelled() {
            let pause = match self.run_once().await {
                Ok(0) => self.pause().await,
                Ok(_) => {
                    is_failing = false;
                    continue;
                }
                Err(error) => {
                    if !is_failing {
                        tracing::warn!(%error, "jobs cannot be taken; trying again");
                    }
                    is_failing = true;
                    self.books.patience.look
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.nudge.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Until the next job falls due, or until it is time to look again.
    async fn pause(&self) -> Duration {
        let look = self.books.patience.look;
        let next = async {
            let mut conn = self.books.pool.acquire().await?;
            store::job::next_due(&mut conn).await
        };
        match next.await {
            Ok(Some(due_at)) => {
                let left = (due_at - self.books.clock.now()).max(time::Duration::milliseconds(1));
                left.unsigned_abs().min(look)
            }
            Ok(None) | Err(_) => look,
        }
    }
}

/// Waits while orders pour in, within bounds.
async fn give_way(full_at: &Mutex<Option<Instant>>) {
    let begun = Instant::now();
    loop {
        let last_full = *full_at.lock().unwrap_or_else(PoisonError::into_inner);
        match look_again(last_full, begun, Instant::now()) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => return,
        }
    }
}

/// When a round that gives way since `begun` looks again; none: it goes on now.
fn look_again(last_full: Option<Instant>, begun: Instant, now: Instant) -> Option<Instant> {
    let ceased = last_full? + POURING;
    let at = ceased.min(begun + GIVE_WAY);
    (at > now).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_gives_way_while_orders_pour_in_but_not_for_long() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        assert_eq!(look_again(None, begun, begun), None, "nothing pours in");
        assert_eq!(look_again(Some(begun), begun, begun), Some(after(50)));
        assert_eq!(look_again(Some(begun), begun, after(50)), None, "it has ceased");
        assert_eq!(look_again(Some(after(40)), begun, after(50)), Some(after(90)), "it goes on");
        assert_eq!(look_again(Some(after(490)), begun, after(495)), Some(after(500)));
        assert_eq!(look_again(Some(after(499)), begun, after(500)), None, "that was long enough");
    }
}
