//! The gRPC services: parse, call, convert.

mod backorder;
mod count;
mod item;
mod lot;
mod placement;
mod planning;
mod proof;
mod reservation;
mod sourcing;
mod stock;
mod supply;
mod transfer;
mod valuation;

pub use backorder::BackorderRpc;
pub use count::CountRpc;
pub use item::ItemRpc;
pub use lot::LotRpc;
pub use placement::PlacementRpc;
pub use planning::PlanningRpc;
pub use proof::ProofRpc;
pub use reservation::ReservationRpc;
pub use sourcing::SourcingRpc;
pub use stock::StockRpc;
pub use supply::SupplyRpc;
pub use transfer::TransferRpc;
pub use valuation::ValuationRpc;

use pesan_grpc::idempotency::Claim;
use pesan_grpc::{Violations, page, refuse};
use prost::Message;
use tonic::Status;

/// Refuses a list that is longer than `most`.
fn at_most(field: &str, length: usize, most: usize) -> Result<(), Status> {
    if length > most {
        return Err(refuse::invalid_field(field, &format!("must be at most {most}, not {length}")));
    }
    Ok(())
}

fn checked<T>(violations: Violations, value: T) -> Result<T, Status> {
    violations.into_result(value).map_err(|violations| refuse::invalid(&violations))
}

/// Cuts a page that was read with one row more than its size; true when there is a further one.
fn cut<T>(rows: &mut Vec<T>, size: i64) -> bool {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    more
}

/// The claim of a request's id; `method` is the full name of the request's message.
fn writing<M: Message>(violations: &mut Violations, method: &'static str, request_id: &str, request: &M) -> Claim {
    Claim { request_id: violations.uuid("request_id", request_id), method, body: request.encode_to_vec() }
}

/// The size of a page of documents, 1 to 200, and the number that it begins before.
fn before(violations: &mut Violations, size: i32, token: &str) -> (i64, Option<i64>) {
    let size = if size == 0 { 50 } else { i64::from(violations.within("page_size", size, 1, 200)) };
    let key = page::key(violations, token, 1);
    let before = key.as_deref().and_then(|key| key.first()).map(|text| text.parse());
    if let Some(Err(_)) = before {
        violations.add("page_token", "must come from the answer to the same request");
    }
    (size, before.and_then(Result::ok))
}

/// Cuts a page of documents that was read with one more than its size; the token of the next page, empty on the last one.
fn next_before<T>(found: &mut Vec<T>, size: i64, number: fn(&T) -> i64) -> String {
    let more = cut(found, size);
    let last = found.last().filter(|_| more);
    last.map(|last| page::token(&[&number(last).to_string()])).unwrap_or_default()
}
