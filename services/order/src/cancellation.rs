//! Planning a cancellation: which quantities go, taken from what waits first, then from what is reserved.

use crate::line::Line;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What shall be cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All that has not left.
    Everything,
    /// Quantities by line number.
    Lines(BTreeMap<i32, i64>),
}

/// A quantity of a line that is reserved at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The line.
    pub line_no: i32,
    /// Where it is reserved.
    pub location: Uuid,
    /// How much.
    pub quantity: i64,
}

/// What a cancellation takes, given what fulfilment let go already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// From what waits for stock, by line number. Nobody needs to be asked.
    pub backordered: Vec<(i32, i64)>,
    /// Reserved quantities that fulfilment has to let go first.
    pub to_ask: Vec<Part>,
}

/// Why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// The order has no such line.
    #[error("line {0} is not there")]
    NoSuchLine(i32),
    /// Less than was asked for has not left.
    #[error("only {open} of line {line_no} can still be cancelled")]
    TooLate {
        /// The line.
        line_no: i32,
        /// What of it has not left.
        open: i64,
    },
    /// Nothing is left that could be cancelled.
    #[error("everything has left")]
    NothingLeft,
}

/// Plans a cancellation of `wanted` from the `lines` of an order as they are now, where fulfilment let `granted` go
/// already (still reserved in the lines).
///
/// # Errors
/// When not all of it can be cancelled: all or nothing.
pub fn plan(lines: &[Line], wanted: &Wanted, granted: &[Part]) -> Result<Plan, Impossible> {
    let mut granted_at: HashMap<(i32, Uuid), i64> = HashMap::new();
    for part in granted {
        *granted_at.entry((part.line_no, part.location)).or_default() += part.quantity;
    }
    let granted_of = |line_no| granted.iter().filter(|part| part.line_no == line_no).map(|part| part.quantity).sum();
    let mut plan = Plan::default();
    let mut take = |line: &Line, quantity: i64| {
        let granted: i64 = granted_of(line.line_no);
        let waiting = (quantity - granted).clamp(0, line.quantities.backordered);
        if waiting > 0 {
            plan.backordered.push((line.line_no, waiting));
        }
        let mut left = (quantity - granted - waiting).max(0);
        // The latest allocation first: it is the least likely to be in work.
        for allocation in line.allocations.iter().rev() {
            let free = allocation.reserved - granted_at.get(&(line.line_no, allocation.location)).unwrap_or(&0);
            let taken = left.min(free);
            if taken > 0 {
                plan.to_ask.push(Part { line_no: line.line_no, location: allocation.location, quantity: taken });
                left -= taken;
            }
        }
        left == 0
    };
    match wanted {
        Wanted::Everything => {
            if lines.iter().all(|line| line.quantities.open() == 0) {
                return Err(Impossible::NothingLeft);
            }
            for line in lines.iter().filter(|line| line.quantities.open() > 0) {
                let open = line.quantities.open();
                if !take(line, open) {
                    return Err(Impossible::TooLate { line_no: line.line_no, open });
                }
            }
        }
        Wanted::Lines(wanted) => {
            for (line_no, quantity) in wanted {
                let line = lines.iter().find(|line| line.line_no == *line_no);
                let line = line.ok_or(Impossible::NoSuchLine(*line_no))?;
                if *quantity > line.quantities.open() || !take(line, *quantity) {
                    return Err(Impossible::TooLate { line_no: *line_no, open: line.quantities.open() });
                }
            }
        }
    }
    Ok(plan)
}
