//! What a change takes from where.

use super::Amendment;
use crate::cancellation::{self, Impossible, Part, Wanted};
use crate::line::Line;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use uuid::Uuid;

/// What of a promised order's lines goes, and what is handed over again. Once a change has begun they stay what they are:
/// fulfilment has let go of the reserved parts, and stock that comes for the waiting ones is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Reserved, to be cancelled.
    pub taken: Vec<Part>,
    /// Waits, to be cancelled, by line.
    pub waiting: Vec<(i32, i64)>,
    /// Reserved, to be handed over again.
    pub resent: Vec<Part>,
}

impl Parts {
    /// All that fulfilment has to let go of.
    pub fn withdrawn(&self) -> impl Iterator<Item = &Part> {
        self.taken.iter().chain(&self.resent)
    }
}

/// The parts of a change of an order with these lines.
///
/// # Errors
/// When more goes than is there.
pub fn parts(lines: &[Line], amendment: &Amendment) -> Result<Parts, Impossible> {
    let plan = if amendment.reduced.is_empty() {
        cancellation::Plan::default()
    } else {
        cancellation::plan(lines, &Wanted::Lines(amendment.reduced.clone()), &[])?
    };
    let mut resent = Vec::new();
    if amendment.moves() {
        let taken: HashMap<(i32, Uuid), i64> =
            plan.to_ask.iter().map(|part| ((part.line_no, part.location), part.quantity)).collect();
        for line in lines {
            for allocation in &line.allocations {
                let (line_no, location) = (line.line_no, allocation.location);
                let quantity = allocation.reserved - taken.get(&(line_no, location)).unwrap_or(&0);
                if quantity > 0 {
                    resent.push(Part { line_no, location, quantity });
                }
            }
        }
    }
    Ok(Parts { taken: plan.to_ask, waiting: plan.backordered, resent })
}
