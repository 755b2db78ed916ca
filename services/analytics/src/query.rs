//! A question for KPIs, checked.

use crate::bucket::Buckets;
use crate::kpi::Kpi;
use pesan_money::Currency;
use time::OffsetDateTime;

/// What KPIs are split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    None,
    Channel,
    Country,
    /// By sku.
    Product,
    CustomerSegment,
    SalesRep,
}

/// Which KPIs of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub kpis: Vec<Kpi>,
    pub buckets: Buckets,
    /// None: the only one there is.
    pub currency: Option<Currency>,
    pub segment: Segment,
    pub filter: Filter,
}

/// Only these count; an empty list lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub channels: Vec<String>,
    pub countries: Vec<String>,
    pub customer_segments: Vec<String>,
    pub sales_reps: Vec<String>,
    pub skus: Vec<String>,
}

/// One value. Amounts are in major units.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub kpi: Kpi,
    /// By the calendar: the first bucket may begin before the period.
    pub bucket_start: OffsetDateTime,
    /// Of the split; empty without one.
    pub segment: String,
    /// None where the denominator is 0.
    pub value: Option<String>,
    pub numerator: String,
    pub denominator: String,
    /// "count", a currency, "ratio", "seconds".
    pub unit: String,
}
