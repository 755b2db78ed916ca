//! Streams of an order's states.

use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use pesan_api::order::v1 as pb;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

/// Most watchers at once.
const MOST: usize = 2_000;
/// The longest pause between two looks for what another replica did.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// States of an order as they come.
pub type WatchStream = ReceiverStream<Result<pb::WatchOrderResponse, Status>>;

/// Counts the watchers, and lets go of them when the service stops.
#[derive(Clone)]
pub struct Watchers {
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Watchers {
    /// Until `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self { room: Arc::new(Semaphore::new(MOST)), stop }
    }

    /// The order's states after version `after`, without end.
    pub fn watch(&self, books: Books, order_id: Uuid, after: i64) -> Result<WatchStream, Error> {
        let room = self.room.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        let (sender, receiver) = mpsc::channel(4);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {
                    let _ = sender.send(Err(Error::ShuttingDown.into())).await; // the watcher resumes elsewhere
                }
                () = sender.closed() => {}
                () = follow(&books, order_id, after, &sender) => {}
            }
            drop(room);
        });
        Ok(ReceiverStream::new(receiver))
    }
}

async fn follow(
    books: &Books,
    order_id: Uuid,
    mut version: i64,
    sender: &mpsc::Sender<Result<pb::WatchOrderResponse, Status>>,
) {
    let waiting = books.wakes.wait_for(&[order_id]);
    let mut pause = Duration::from_millis(50);
    loop {
        match ops::read::newer(books, order_id, version).await {
            Ok(Some(order)) => {
                version = order.version;
                pause = Duration::from_millis(50);
                if sender.send(Ok(pb::WatchOrderResponse { order: Some(order) })).await.is_err() {
                    return;
                }
            }
            Ok(None) => pause = LONGEST_PAUSE.min(pause * 2),
            Err(error) => {
                let _ = sender.send(Err(error.into())).await; // the watcher resumes from its last version
                return;
            }
        }
        tokio::select! {
            () = waiting.woken() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
