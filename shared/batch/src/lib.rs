//! The coalescer: many concurrent requests, one transaction.
//!
//! Each worker takes what has gathered in the queue, up to a bound, runs the use case once for all of it, and answers
//! each caller. There is no timer: while one batch commits, the next one gathers, so an idle system answers at once and
//! a loaded one batches by itself.

use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, oneshot};

/// What bounds a batch and the queue before it.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most items in one batch.
    pub items: usize,
    /// Most weight in one batch, as told by the caller of [`Coalescer::submit`]; a single heavier item goes alone.
    pub weight: usize,
    /// Most items waiting; beyond it callers are refused with [`Refused::Full`].
    pub queue: usize,
    /// Batches that run at the same time.
    pub workers: usize,
}

/// Why an item was not worked on, or why its answer is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The queue is full: try again later. Nothing was done.
    #[error("too many requests are waiting")]
    Full,
    /// The worker ended before it answered: whether the item took effect is not known.
    #[error("shutting down")]
    Closed,
}

struct Job<T, R> {
    item: T,
    weight: usize,
    answer: oneshot::Sender<R>,
}

/// A handle to the queue; clones share it. When the last one is dropped the workers finish what is queued and end.
pub struct Coalescer<T, R> {
    queue: mpsc::Sender<Job<T, R>>,
}

impl<T, R> Clone for Coalescer<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<T: Send + 'static, R: Send + 'static> Coalescer<T, R> {
    /// Starts the workers. `run` gets a batch in the order of arrival and must give one answer for each item, in the
    /// same order.
    pub fn spawn<F, Fut>(limits: Limits, run: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<R>> + Send,
    {
        let (queue, receiver) = mpsc::channel(limits.queue);
        let intake = Arc::new(Mutex::new(Intake { receiver, carried: None }));
        let run = Arc::new(run);
        for _ in 0..limits.workers.max(1) {
            let (intake, run) = (intake.clone(), run.clone());
            tokio::spawn(async move {
                loop {
                    let jobs = intake.lock().await.take(limits).await;
                    if jobs.is_empty() {
                        return;
                    }
                    let (items, answers): (Vec<T>, Vec<_>) = jobs.into_iter().map(|job| (job.item, job.answer)).unzip();
                    let expected = items.len();
                    let results = run(items).await;
                    if results.len() != expected {
                        tracing::error!(expected, got = results.len(), "a batch was answered with another length");
                        continue; // the callers see Closed: better unknown than somebody else's answer
                    }
                    for (answer, result) in answers.into_iter().zip(results) {
                        let _ = answer.send(result); // a caller that has gone does not need it
                    }
                }
            });
        }
        Self { queue }
    }

    /// Queues one item and waits for its answer.
    pub async fn submit(&self, item: T, weight: usize) -> Result<R, Refused> {
        self.enqueue(item, weight)?.await.map_err(|_| Refused::Closed)
    }

    /// Queues many items, so that they gather in as few batches as the limits allow, and waits for all answers.
    pub async fn submit_all(&self, items: impl IntoIterator<Item = (T, usize)>) -> Vec<Result<R, Refused>> {
        let waiting: Vec<_> = items.into_iter().map(|(item, weight)| self.enqueue(item, weight)).collect();
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(match answer {
                Ok(receiver) => receiver.await.map_err(|_| Refused::Closed),
                Err(refused) => Err(refused),
            });
        }
        answers
    }

    /// Queues one item as soon as there is room, however long that takes. Its place in the queue is taken when this
    /// returns; the answer is waited for apart.
    pub async fn submit_when_room(&self, item: T, weight: usize) -> Result<Answer<R>, Refused> {
        let (answer, receiver) = oneshot::channel();
        self.queue.send(Job { item, weight, answer }).await.map_err(|_| Refused::Closed)?;
        Ok(Answer(receiver))
    }

    fn enqueue(&self, item: T, weight: usize) -> Result<oneshot::Receiver<R>, Refused> {
        let (answer, receiver) = oneshot::channel();
        match self.queue.try_send(Job { item, weight, answer }) {
            Ok(()) => Ok(receiver),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refused::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Refused::Closed),
        }
    }
}

/// An answer that is on its way.
pub struct Answer<R>(oneshot::Receiver<R>);

impl<R> Answer<R> {
    /// Waits for it; to be waited for until it is there, and then no more. Nothing is lost where the wait is given up.
    pub async fn wait(&mut self) -> Result<R, Refused> {
        (&mut self.0).await.map_err(|_| Refused::Closed)
    }
}

struct Intake<T, R> {
    receiver: mpsc::Receiver<Job<T, R>>,
    /// Was taken, but did not fit into the batch before.
    carried: Option<Job<T, R>>,
}

impl<T, R> Intake<T, R> {
    /// Waits for the first item, then takes what is there already. Empty only when the queue is closed and drained.
    async fn take(&mut self, limits: Limits) -> Vec<Job<T, R>> {
        let first = match self.carried.take() {
            Some(job) => job,
            None => match self.receiver.recv().await {
                Some(job) => job,
                None => return Vec::new(),
            },
        };
        let mut weight = first.weight;
        let mut jobs = vec![first];
        while jobs.len() < limits.items {
            let Ok(job) = self.receiver.try_recv() else { break };
            weight += job.weight;
            if weight > limits.weight {
                self.carried = Some(job);
                break;
            }
            jobs.push(job);
        }
        jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    const LIMITS: Limits = Limits { items: 10, weight: 100, queue: 50, workers: 1 };

    #[tokio::test]
    async fn what_gathers_while_a_batch_runs_is_one_batch() {
        let gate = Arc::new(Semaphore::new(0));
        let batches = Arc::new(AtomicUsize::new(0));
        let coalescer = Coalescer::spawn(LIMITS, {
            let (gate, batches) = (gate.clone(), batches.clone());
            move |items: Vec<u32>| {
                let (gate, batches) = (gate.clone(), batches.clone());
                async move {
                    gate.acquire().await.unwrap().forget();
                    batches.fetch_add(1, Ordering::SeqCst);
                    items.into_iter().map(|i| i * 2).collect()
                }
            }
        });
        let callers: Vec<_> = (0..9u32)
            .map(|i| {
                let coalescer = coalescer.clone();
                tokio::spawn(async move { coalescer.submit(i, 1).await.unwrap() })
            })
            .collect();
        tokio::task::yield_now().await;
        gate.add_permits(10);
        for (i, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.await.unwrap(), i as u32 * 2);
        }
        assert!(batches.load(Ordering::SeqCst) <= 3, "nine callers shared a few batches");
    }

    #[tokio::test]
    async fn weight_bounds_a_batch_and_nothing_is_lost() {
        let coalescer = Coalescer::spawn(LIMITS, |items: Vec<usize>| async move {
            let sum: usize = items.iter().sum();
            assert!(items.len() == 1 || sum <= 100, "batch of weight {sum}");
            items
        });
        let answers = coalescer.submit_all([60, 60, 500, 30, 30].map(|w| (w, w))).await;
        assert_eq!(answers, [60, 60, 500, 30, 30].map(Ok).to_vec());
    }

    #[tokio::test]
    async fn a_full_queue_refuses() {
        let gate = Arc::new(Semaphore::new(0));
        let coalescer = Coalescer::spawn(Limits { queue: 1, ..LIMITS }, {
            let gate = gate.clone();
            move |items: Vec<u32>| {
                let gate = gate.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    items
                }
            }
        });
        // All three are sent before the worker gets a turn, and there is room for one.
        let answers = tokio::spawn({
            let coalescer = coalescer.clone();
            async move { coalescer.submit_all([(1, 1), (2, 1), (3, 1)]).await }
        });
        gate.add_permits(3);
        assert_eq!(answers.await.unwrap(), [Ok(1), Err(Refused::Full), Err(Refused::Full)]);
    }

    #[tokio::test]
    async fn who_waits_for_room_is_not_refused() {
        let gate = Arc::new(Semaphore::new(0));
        let coalescer = Coalescer::spawn(Limits { queue: 1, items: 1, ..LIMITS }, {
            let gate = gate.clone();
            move |items: Vec<u32>| {
                let gate = gate.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    items
                }
            }
        });
        let sending = tokio::spawn(async move {
            let mut answers = Vec::new();
            for item in 0..5 {
                answers.push(coalescer.submit_when_room(item, 1).await.unwrap());
            }
            answers
        });
        tokio::task::yield_now().await;
        assert!(!sending.is_finished(), "one is worked on, one waits in the queue, and the next has no room");
        gate.add_permits(5);
        for (item, mut answer) in (0..).zip(sending.await.unwrap()) {
            assert_eq!(answer.wait().await, Ok(item));
        }
    }

    #[tokio::test]
    async fn an_answer_of_another_length_is_nobodys_answer() {
        let coalescer = Coalescer::spawn(LIMITS, |_: Vec<u32>| async { Vec::<u32>::new() });
        assert_eq!(coalescer.submit(1, 1).await, Err(Refused::Closed));
    }
}
