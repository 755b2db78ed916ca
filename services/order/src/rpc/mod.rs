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

use crate::error::Error;
use crate::ops::Books;
use pesan_grpc::{Violations, deadline, page};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Request;

/// When to answer at the latest: shortly before the caller stops listening.
fn answer_by<T>(books: &Books, request: &Request<T>) -> Instant {
    let time = deadline::timeout(request.metadata()).unwrap_or(books.patience.wait);
    let margin = (time / 5).min(Duration::from_millis(250));
    Instant::now() + (time - margin).min(Duration::from_secs(300))
}

/// Size and place of a page of what is listed by one key.
fn page_after(page_size: i32, page_token: &str) -> Result<(i64, Option<String>), Error> {
    let mut v = Violations::new();
    let size = page::size(&mut v, page_size);
    let after = page::key(&mut v, page_token, 1).and_then(|mut key| key.pop());
    Ok(v.into_result((size, after))?)
}

/// The token of the page after a row; empty where there is none.
fn next_token(last: Option<&str>, is_last: bool) -> String {
    last.filter(|_| !is_last).map(|last| page::token(&[last])).unwrap_or_default()
}
