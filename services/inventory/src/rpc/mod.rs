//! The gRPC services: parse, call, convert.

mod item;
mod lot;
mod proof;
mod reservation;
mod sourcing;
mod stock;
mod valuation;

pub use item::ItemRpc;
pub use lot::LotRpc;
pub use proof::ProofRpc;
pub use reservation::ReservationRpc;
pub use sourcing::SourcingRpc;
pub use stock::StockRpc;
pub use valuation::ValuationRpc;

use pesan_grpc::{Violations, refuse};
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
