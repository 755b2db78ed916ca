//! Waiting until placed orders are settled.

use crate::error::Error;
use crate::ops::Books;
use crate::ops::wakes::Waiting;
use crate::store;
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The longest pause between two looks for what another replica did.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Waits until none of `order_ids` is merely accepted, or until `deadline`. `waiting` was begun before they were placed.
pub async fn until_settled(
    books: &Books,
    waiting: &Waiting,
    order_ids: &[Uuid],
    deadline: Instant,
) -> Result<(), Error> {
    let mut open: HashSet<Uuid> = order_ids.iter().copied().collect();
    let mut pause = Duration::from_millis(20);
    while !open.is_empty() && Instant::now() < deadline {
        let next_look = deadline.min(Instant::now() + pause);
        tokio::select! {
            () = waiting.woken() => {}
            () = tokio::time::sleep_until(next_look) => pause = LONGEST_PAUSE.min(pause * 2),
        }
        let asked: Vec<Uuid> = open.iter().copied().collect();
        let mut conn = books.pool.acquire().await?;
        for order_id in store::order::settled(&mut conn, &asked).await? {
            open.remove(&order_id);
        }
    }
    Ok(())
}
