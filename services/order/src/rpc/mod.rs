//! What the outside calls: parse, call, convert.

pub mod changes;
pub mod channels;
pub mod customers;
pub mod goodwill;
pub mod holds;
pub mod imports;
pub mod inquiries;
pub mod orders;
pub mod prices;
pub mod promises;
pub mod proof;
pub mod quotations;
pub mod return_policies;
pub mod returns;
pub mod rules;
pub mod schedules;
pub mod search;
pub mod watch;

use crate::ops::Books;
use pesan_grpc::deadline;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Request;

/// When to answer at the latest: shortly before the caller stops listening.
fn answer_by<T>(books: &Books, request: &Request<T>) -> Instant {
    let time = deadline::timeout(request.metadata()).unwrap_or(books.patience.wait);
    let margin = (time / 5).min(Duration::from_millis(250));
    Instant::now() + (time - margin).min(Duration::from_secs(300))
}
