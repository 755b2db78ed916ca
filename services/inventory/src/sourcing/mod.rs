//! Which location gives which quantity, and why.
//!
//! [`FreeStock`] is what there is to give. [`plan`] chooses for one order: it rejects locations that must not ship it,
//! gives the others points by the [`Rules`], compares plans where the rules ask for it, and explains all of it.

mod explanation;
mod free;
mod plan;
mod rules;
#[cfg(test)]
mod tests;

pub use explanation::{Candidate, Explanation, PlanKind, PlanTold, ShelfTold, Verdict};
pub use free::{FreeStock, Shelf};
pub use plan::{Ask, AskLine, Choice, Load, Plan, choose, plan};
pub use rules::{Rules, TransitStep, distance_km};
