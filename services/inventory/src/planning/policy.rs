//! Reorder policies as their keeper sets them.

use crate::stock::StockKey;
use crate::supplier::SupplierId;
use pesan_money::Money;
use uuid::Uuid;

/// A reorder policy as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub key: StockKey,
    /// The kind of rule, and the figures of all kinds: 0 where a rule has no such figure.
    pub rule: i16,
    pub minimum: i64,
    pub maximum: i64,
    pub days_of_cover: i32,
    pub service_level: f64,
    pub window_days: i32,
    pub order_cost: Option<Money>,
    pub holding_percent: f64,
    /// None: the preferred of those who offer it.
    pub supplier: Option<SupplierId>,
    pub inactive: bool,
}

/// A policy with the names that others know.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPolicy {
    pub policy: Policy,
    pub sku: String,
    pub location_id: Uuid,
    /// Empty: any.
    pub supplier_code: String,
}
