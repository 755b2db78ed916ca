//! ImportService: orders as they come, answered in their order as soon as they are durable.
//!
//! A task of its own reads the stream, hands each order to the intake that PlaceOrders feeds too, and sends the answers.
//! What is on its way is bounded ([`WINDOW`], [`WINDOW_LINES`]); beyond it the stream is not read, and so the sender waits.

use crate::convert::place::draft;
use crate::error::Error;
use crate::name::order_number;
use crate::ops::Books;
use crate::ops::place::{Intake, Placed};
use crate::rpc::orders::own_trace;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::import_order_result::Outcome;
use pesan_api::order::v1::import_service_server::ImportService;
use pesan_batch::Answer;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// Imports at once: together they leave room in the intake for those who place single orders.
const STREAMS: usize = 4;
/// Orders and lines on their way, before another message is read.
const WINDOW: usize = 500;
const WINDOW_LINES: usize = 50_000;
/// A sender that takes no answers for so long is let go.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most orders and lines of a message.
const MOST_ORDERS: usize = 500;
const MOST_LINES: usize = 50_000;

/// The service.
#[derive(Clone)]
pub struct Imports {
    books: Books,
    intake: Intake,
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Imports {
    /// Until `stop`.
    pub fn new(books: Books, intake: Intake, stop: CancellationToken) -> Self {
        Self { books, intake, room: Arc::new(Semaphore::new(STREAMS)), stop }
    }
}

#[tonic::async_trait]
impl ImportService for Imports {
    type ImportOrdersStream = ReceiverStream<Result<pb::ImportOrdersResponse, Status>>;

    async fn import_orders(
        &self,
        request: Request<Streaming<pb::ImportOrdersRequest>>,
    ) -> Result<Response<Self::ImportOrdersStream>, Status> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        let (sender, receiver) = mpsc::channel(4);
        let (import, stop) = (Import::new(self.books.clone(), self.intake.clone()), self.stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {
                    let _ = sender.send(Err(Error::ShuttingDown.into())).await; // sent again elsewhere
                }
                () = sender.closed() => {}
                () = import.run(request.into_inner(), &sender) => {}
            }
            drop(room);
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

type Answers = mpsc::Sender<Result<pb::ImportOrdersResponse, Status>>;

/// One stream.
struct Import {
    books: Books,
    intake: Intake,
    /// Messages that are not answered yet, in their order.
    waiting: VecDeque<Message>,
    summary: pb::ImportSummary,
}

/// The orders of one message.
struct Message {
    lines: usize,
    /// Those that are not answered yet; refused ones know their answer.
    open: VecDeque<(pb::ImportOrderResult, Pending)>,
    done: Vec<pb::ImportOrderResult>,
}

enum Pending {
    Refused(Error),
    Placing(Answer<Result<Placed, Error>>),
}

impl Message {
    /// Waits for all answers. May be given up and begun again.
    async fn answered(&mut self) {
        while let Some((_, pending)) = self.open.front_mut() {
            let placed = match pending {
                Pending::Refused(_) => None,
                Pending::Placing(answer) => Some(answer.wait().await.unwrap_or(Err(Error::ShuttingDown))),
            };
            let Some((mut result, pending)) = self.open.pop_front() else { return };
            let outcome = match (pending, placed) {
                (Pending::Refused(error), _) => Err(error),
                (Pending::Placing(_), placed) => placed.unwrap_or(Err(Error::ShuttingDown)),
            };
            result.outcome = Some(match outcome {
                Ok(placed) => {
                    result.already_existed = placed.existed;
                    let (id, number) = (placed.order_id.to_string(), order_number(placed.number));
                    Outcome::Order(pb::ImportedOrder { id, number })
                }
                Err(error) => Outcome::Problem(error.into_problem()),
            });
            self.done.push(result);
        }
    }
}

impl Import {
    fn new(books: Books, intake: Intake) -> Self {
        Self { books, intake, waiting: VecDeque::new(), summary: pb::ImportSummary::default() }
    }

    async fn run(mut self, mut stream: Streaming<pb::ImportOrdersRequest>, sender: &Answers) {
        let mut is_open = true;
        let mut refused = None;
        while is_open || !self.waiting.is_empty() {
            let reads = is_open && self.has_room();
            tokio::select! {
                () = answered(&mut self.waiting) => {
                    let Some(message) = self.waiting.pop_front() else { continue };
                    self.count(&message.done);
                    let answer = pb::ImportOrdersResponse { results: message.done, summary: None };
                    if !matches!(timeout(PATIENCE, sender.send(Ok(answer))).await, Ok(Ok(()))) {
                        return; // without a summary: what it sent goes on
                    }
                }
                message = stream.message(), if reads => match message {
                    Ok(Some(message)) => if let Err(error) = self.take(message).await {
                        (is_open, refused) = (false, Some(error));
                    },
                    Ok(None) => is_open = false,
                    Err(_) => return, // the sender has gone; what it sent goes on
                },
            }
        }
        let last = match refused {
            Some(error) => Err(error.into()),
            None => Ok(pb::ImportOrdersResponse { results: Vec::new(), summary: Some(self.summary) }),
        };
        let _ = sender.send(last).await;
    }

    fn has_room(&self) -> bool {
        let orders: usize = self.waiting.iter().map(|message| message.open.len() + message.done.len()).sum();
        let lines: usize = self.waiting.iter().map(|message| message.lines).sum();
        orders < WINDOW && lines < WINDOW_LINES
    }

    /// Hands a message's orders to the intake.
    async fn take(&mut self, request: pb::ImportOrdersRequest) -> Result<(), Error> {
        let lines = request.orders.iter().map(|order| order.lines.len()).sum();
        if request.orders.is_empty() || request.orders.len() > MOST_ORDERS {
            let count = request.orders.len();
            return Err(Error::invalid("orders", &format!("must have 1 to {MOST_ORDERS} entries, not {count}")));
        }
        if lines > MOST_LINES {
            return Err(Error::invalid(
                "orders",
                &format!("must have at most {MOST_LINES} lines together, not {lines}"),
            ));
        }
        let now = self.books.clock.now();
        let mut open = VecDeque::with_capacity(request.orders.len());
        for order in request.orders {
            let result = pb::ImportOrderResult {
                position: self.summary.orders,
                external_id: order.external_id.clone(),
                ..pb::ImportOrderResult::default()
            };
            self.summary.orders += 1;
            let weight = order.lines.len();
            let pending = match draft(order, now, own_trace()) {
                Err(violations) => Pending::Refused(violations.into()),
                Ok(draft) => match self.intake.submit_when_room(draft, weight).await {
                    Ok(answer) => Pending::Placing(answer),
                    Err(_) => Pending::Refused(Error::ShuttingDown),
                },
            };
            open.push_back((result, pending));
        }
        self.waiting.push_back(Message { lines, open, done: Vec::new() });
        Ok(())
    }

    fn count(&mut self, results: &[pb::ImportOrderResult]) {
        for result in results {
            match &result.outcome {
                Some(Outcome::Order(_)) if result.already_existed => self.summary.already_existed += 1,
                Some(Outcome::Order(_)) => self.summary.placed += 1,
                Some(Outcome::Problem(problem)) => {
                    self.summary.refused += 1;
                    *self.summary.refused_by_reason.entry(problem.reason.clone()).or_default() += 1;
                }
                None => {}
            }
        }
    }
}

/// Waits until the first message is answered; for ever where none waits.
async fn answered(waiting: &mut VecDeque<Message>) {
    match waiting.front_mut() {
        Some(first) => first.answered().await,
        None => std::future::pending().await,
    }
}
