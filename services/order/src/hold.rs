//! The work list of holds: what their owners have to decide.

use crate::order::Hold;
use pesan_money::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

/// What a work list is limited to; empty: not at all.
#[derive(Clone, Debug, Default)]
pub struct HoldFilter {
    /// Who has to decide.
    pub owner: String,
    /// For programs.
    pub reason: String,
    /// The rule that placed it.
    pub rule: String,
    /// Where the order came from.
    pub channel: String,
}

/// A hold with what its owner wants to know of the order.
#[derive(Clone, Debug)]
pub struct HeldOrder {
    /// The hold.
    pub hold: Hold,
    /// The order.
    pub order_id: Uuid,
    /// N of "SO-N".
    pub number: i64,
    /// Where it came from.
    pub channel: String,
    /// Its id there; empty if none.
    pub external_id: String,
    /// None for a guest.
    pub customer_id: Option<Uuid>,
    /// Empty for a guest.
    pub customer_name: String,
    /// Of the total.
    pub currency: Currency,
    /// gross − discounts + tax.
    pub total: Decimal,
    /// All holds of the order.
    pub holds: i32,
}
