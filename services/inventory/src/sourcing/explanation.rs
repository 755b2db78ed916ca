//! What is told of a choice.

use super::Rules;
use crate::location::LocationId;
use time::OffsetDateTime;

/// All that a choice was based on.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub distance_known: bool,
    /// Every location that had a shelf for what was wanted, in the order in which they were asked.
    pub candidates: Vec<Candidate>,
    /// The plans that were compared, the one that was taken first.
    pub plans: Vec<PlanTold>,
}

/// One location, and what was thought of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub location: LocationId,
    pub verdict: Verdict,
    pub preferred: bool,
    /// Its place by rank, then code.
    pub order: usize,
    pub rank: i32,
    pub distance_km: Option<f64>,
    /// The share of its next open day that is taken.
    pub fullness: f64,
    /// Its next open day is full.
    pub full: bool,
    /// Since when it has the stock, in steps of 30 days, at most 12.
    pub age_steps: f64,
    /// Days from the day of the demand until it ships.
    pub delay_days: i64,
    /// When it would ship; none: not within a year.
    pub ship_at: Option<OffsetDateTime>,
    /// What it had of the lines, by line; those of which it had nothing are missing.
    pub shelves: Vec<ShelfTold>,
}

impl Candidate {
    /// What its rank, distance, fullness and age are worth by these rules.
    pub fn points_for(&self, rules: &Rules) -> [f64; 4] {
        [
            rules.rank_weight * f64::from(self.rank),
            rules.distance_weight * self.distance_km.unwrap_or(0.0) / 100.0,
            rules.capacity_weight * self.fullness,
            -rules.age_weight * self.age_steps,
        ]
    }

    /// Their sum.
    pub fn points(&self, rules: &Rules) -> f64 {
        self.points_for(rules).iter().sum()
    }
}

/// What a location had of a line, up to what was wanted, and what was taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShelfTold {
    pub line_no: i32,
    pub free: i64,
    pub taken: i64,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Chosen,
    NotNeeded,
    NoStock,
    ChannelNotServed,
    Closed,
    NoCapacity,
    TooLate,
}

/// A way to serve the whole order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanKind {
    BestForEachLine,
    SingleLocation,
    FewestLocations,
}

/// A plan that was compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanTold {
    pub kind: PlanKind,
    pub locations: usize,
    /// Units it does not cover.
    pub short: i64,
    pub points: f64,
}
