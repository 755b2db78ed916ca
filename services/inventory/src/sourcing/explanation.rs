//! What is told of a choice.

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
    pub distance_km: Option<f64>,
    pub rank_points: f64,
    pub distance_points: f64,
    pub capacity_points: f64,
    pub age_points: f64,
    /// When it would ship; none: not within a year.
    pub ship_at: Option<OffsetDateTime>,
    /// What it had of the lines, by line; those of which it had nothing are missing.
    pub shelves: Vec<ShelfTold>,
}

impl Candidate {
    /// The sum.
    pub fn points(&self) -> f64 {
        self.rank_points + self.distance_points + self.capacity_points + self.age_points
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
