//! Fulfilment orders, their lines and parcels.

mod read;
mod write;

pub use read::{find_by_id, find_by_number, load, open_of_order, page};
pub use write::{insert, next_numbers, update, update_lines, write_parcels};
