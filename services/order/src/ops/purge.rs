//! Forgetting what nobody asks for any more, a bounded number of rows at a time: old promises, and what the duplicate-order
//! check compared with.

use crate::error::Error;
use crate::ops::Books;
use crate::rule::LONGEST_WINDOW;
use crate::store;
use tokio_util::sync::CancellationToken;

/// How long a promise is kept after it expired, to answer its request again.
const PROMISES: time::Duration = time::Duration::DAY;
/// Between looks, in looks of a worker.
const PAUSES: u32 = 60;

/// Forgets what is old now; true where there may be more.
pub async fn run_once(books: &Books) -> Result<bool, Error> {
    let now = books.clock.now();
    let mut conn = books.pool.acquire().await?;
    let promises = store::promise::forget(&mut conn, now - PROMISES).await?;
    // No rule compares orders that are further apart.
    let fingerprints = store::rule::forget(&mut conn, now - LONGEST_WINDOW).await?;
    Ok(promises >= store::promise::MOST || fingerprints >= store::rule::MOST)
}

/// Purges until `stop`.
pub async fn recover(books: Books, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match run_once(&books).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "old rows cannot be forgotten; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(books.patience.look * PAUSES) => {}
        }
    }
}
