//! What a change takes from where.

use super::Amendment;
use crate::cancellation::{self, Impossible, Part, Wanted};
use crate::line::Line;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What of a promised order's lines goes, and what is handed over again. Once a change has begun they stay what they are:
/// fulfilment has let go of the reserved parts, and stock that comes for the waiting ones is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// Reserved, to be cancelled: fulfilment has to let go of it.
    pub taken: Vec<Part>,
    /// Reserved and kept back from fulfilment, to be cancelled.
    #[serde(default)]
    pub withheld: Vec<Part>,
    /// Waits, to be cancelled, by line.
    pub waiting: Vec<(i32, i64)>,
    /// Reserved, to be handed over again.
    pub resent: Vec<Part>,
    /// Reserved and kept back from fulfilment, and stays with the order.
    #[serde(default)]
    pub kept: Vec<Part>,
}

impl Parts {
    /// All that fulfilment has to let go of: one part for each line and location, where some of it goes and some moves too.
    pub fn withdrawn(&self) -> Vec<Part> {
        let mut all: BTreeMap<(i32, Uuid), i64> = BTreeMap::new();
        for part in self.taken.iter().chain(&self.resent) {
            *all.entry((part.line_no, part.location)).or_default() += part.quantity;
        }
        let part = |((line_no, location), quantity)| Part { line_no, location, quantity };
        all.into_iter().map(part).collect()
    }

    /// All that is reserved and goes.
    pub fn gone(&self) -> impl Iterator<Item = &Part> {
        self.taken.iter().chain(&self.withheld)
    }
}

/// The parts of a change of an order with these lines, of which some is `withheld` from fulfilment.
///
/// # Errors
/// When more goes than is there.
pub fn parts(lines: &[Line], amendment: &Amendment, withheld: &[Part]) -> Result<Parts, Impossible> {
    let wanted = Wanted::Lines(amendment.reduced.clone());
    let own = cancellation::from_withheld(lines, &wanted, &[], withheld);
    let plan = if amendment.reduced.is_empty() {
        cancellation::Plan::default()
    } else {
        cancellation::plan(lines, &wanted, &own)?
    };
    let mut resent = Vec::new();
    if amendment.moves() {
        // What is kept back, and does not go, is offered again by itself.
        let mut taken: HashMap<(i32, Uuid), i64> = HashMap::new();
        for part in plan.to_ask.iter().chain(withheld) {
            *taken.entry((part.line_no, part.location)).or_default() += part.quantity;
        }
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
    let mut gone: HashMap<(i32, Uuid), i64> = HashMap::new();
    for part in &own {
        *gone.entry((part.line_no, part.location)).or_default() += part.quantity;
    }
    let rest = |part: &Part| {
        let quantity = part.quantity - gone.get(&(part.line_no, part.location)).unwrap_or(&0);
        (quantity > 0).then_some(Part { quantity, ..*part })
    };
    let kept = withheld.iter().filter_map(rest).collect();
    Ok(Parts { taken: plan.to_ask, withheld: own, waiting: plan.backordered, resent, kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LinePromise;

    #[test]
    fn a_line_that_goes_in_part_and_moves_is_asked_for_once() {
        let (here, there) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let line = |line_no: i32, reserved: &[(Uuid, i64)]| {
            let quantity = reserved.iter().map(|(_, quantity)| quantity).sum();
            let promise =
                LinePromise { line_no, stocked: true, reserved: reserved.to_vec(), backordered: 0, refused: 0 };
            let mut line = Line::fresh(line_no, quantity);
            line.promise(&promise).unwrap();
            line
        };
        let lines = [line(1, &[(here, 4)]), line(2, &[(here, 1), (there, 2)])];
        let amendment =
            Amendment { promised: true, reduced: [(1, 3)].into(), ship_to: Some(Vec::new()), ..Amendment::default() };
        let part = |line_no, location, quantity| Part { line_no, location, quantity };
        let parts = parts(&lines, &amendment, &[]).unwrap();
        assert_eq!(parts.taken, [part(1, here, 3)]);
        assert_eq!(parts.resent, [part(1, here, 1), part(2, here, 1), part(2, there, 2)]);
        assert_eq!(parts.withdrawn(), [part(1, here, 4), part(2, here, 1), part(2, there, 2)]);
    }

    #[test]
    fn what_is_kept_back_is_taken_first_and_neither_asked_for_nor_handed_over_again() {
        let here = Uuid::from_u128(1);
        let promise = LinePromise { line_no: 1, stocked: true, reserved: vec![(here, 5)], backordered: 0, refused: 0 };
        let mut line = Line::fresh(1, 5);
        line.promise(&promise).unwrap();
        let part = |quantity| Part { line_no: 1, location: here, quantity };
        let amendment = |gone| Amendment {
            promised: true,
            reduced: [(1, gone)].into(),
            ship_to: Some(Vec::new()),
            ..Amendment::default()
        };
        let less = parts(std::slice::from_ref(&line), &amendment(1), &[part(2)]).unwrap();
        assert_eq!((less.withheld, less.taken, less.resent), (vec![part(1)], vec![], vec![part(3)]));
        assert_eq!(less.kept, [part(1)]);
        let more = parts(&[line], &amendment(4), &[part(2)]).unwrap();
        assert_eq!((more.withheld, more.taken, more.resent), (vec![part(2)], vec![part(2)], vec![part(1)]));
        assert_eq!(more.kept, []);
    }
}
