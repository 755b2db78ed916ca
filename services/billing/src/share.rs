//! Shares of an amount that always sum to it, and the bounds within which billing works.

pub use pesan_money::slice::{between, cumulative};

/// Largest amount of a charge or credit line, in major units: far below what the products of shares can hold.
pub const MOST: i64 = 1_000_000_000_000_000;
/// Largest quantity of a line.
pub const MOST_UNITS: i64 = 1_000_000_000;
