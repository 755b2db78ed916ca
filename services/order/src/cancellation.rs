//! Planning a cancellation: which quantities go, taken from what waits first, then from what is reserved.

use crate::line::Line;
use serde::{Deserialize, Serialize};
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Of what is kept back from fulfilment, what a cancellation takes: it need not be asked for. What waits for stock goes
/// before it, what fulfilment has after it.
pub fn from_withheld(lines: &[Line], wanted: &Wanted, granted: &[Part], withheld: &[Part]) -> Vec<Part> {
    let mut taken = Vec::new();
    for line in lines {
        let of_line = |part: &&Part| part.line_no == line.line_no;
        let wanted = match wanted {
            Wanted::Everything => line.quantities.open(),
            Wanted::Lines(lines) => lines.get(&line.line_no).copied().unwrap_or(0),
        };
        let granted: i64 = granted.iter().filter(of_line).map(|part| part.quantity).sum();
        let mut left = wanted - granted - line.quantities.backordered;
        for part in withheld.iter().filter(of_line) {
            let quantity = part.quantity.min(left);
            if quantity > 0 {
                taken.push(Part { quantity, ..*part });
                left -= quantity;
            }
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LinePromise;
    use proptest::prelude::*;

    fn line(line_no: i32, reserved: &[(u128, i64)], backordered: i64) -> Line {
        let reserved: Vec<_> = reserved.iter().map(|(n, quantity)| (Uuid::from_u128(*n), *quantity)).collect();
        let promise = LinePromise { line_no, stocked: true, reserved, backordered, refused: 0 };
        let mut line = Line::fresh(line_no, promise.reserved_in_all() + backordered);
        line.promise(&promise).unwrap();
        line
    }

    fn part(line_no: i32, place: u128, quantity: i64) -> Part {
        Part { line_no, location: Uuid::from_u128(place), quantity }
    }

    fn wanted(lines: &[(i32, i64)]) -> Wanted {
        Wanted::Lines(lines.iter().copied().collect())
    }

    #[test]
    fn what_waits_goes_first_then_the_latest_allocation() {
        let lines = [line(1, &[(1, 4), (2, 2)], 3), line(2, &[(1, 1)], 0)];
        for (asked, backordered, to_ask) in [
            (wanted(&[(1, 2)]), vec![(1, 2)], vec![]),
            (wanted(&[(1, 4)]), vec![(1, 3)], vec![part(1, 2, 1)]),
            (wanted(&[(1, 7)]), vec![(1, 3)], vec![part(1, 2, 2), part(1, 1, 2)]),
            (wanted(&[(2, 1)]), vec![], vec![part(2, 1, 1)]),
            (Wanted::Everything, vec![(1, 3)], vec![part(1, 2, 2), part(1, 1, 4), part(2, 1, 1)]),
        ] {
            assert_eq!(plan(&lines, &asked, &[]), Ok(Plan { backordered, to_ask }), "{asked:?}");
        }
    }

    #[test]
    fn what_is_kept_back_goes_after_what_waits_and_before_what_fulfilment_has() {
        let lines = [line(1, &[(1, 4), (2, 2)], 3)];
        let withheld = [part(1, 1, 2), part(1, 2, 2)];
        for (asked, granted, taken, to_ask) in [
            (wanted(&[(1, 3)]), vec![], vec![], vec![]),
            (wanted(&[(1, 4)]), vec![], vec![part(1, 1, 1)], vec![]),
            (wanted(&[(1, 8)]), vec![], vec![part(1, 1, 2), part(1, 2, 2)], vec![part(1, 1, 1)]),
            (wanted(&[(1, 8)]), vec![part(1, 1, 1)], vec![part(1, 1, 2), part(1, 2, 2)], vec![]),
            (Wanted::Everything, vec![], vec![part(1, 1, 2), part(1, 2, 2)], vec![part(1, 1, 2)]),
        ] {
            assert_eq!(from_withheld(&lines, &asked, &granted, &withheld), taken, "{asked:?}");
            let free: Vec<Part> = granted.into_iter().chain(taken).collect();
            assert_eq!(plan(&lines, &asked, &free).unwrap().to_ask, to_ask, "{asked:?}");
        }
    }

    #[test]
    fn what_has_left_cannot_be_cancelled() {
        let mut shipped = line(1, &[(1, 5)], 0);
        shipped.ship(Uuid::from_u128(1), 3).unwrap();
        let lines = [shipped];
        assert_eq!(plan(&lines, &wanted(&[(1, 3)]), &[]), Err(Impossible::TooLate { line_no: 1, open: 2 }));
        assert_eq!(plan(&lines, &wanted(&[(9, 1)]), &[]), Err(Impossible::NoSuchLine(9)));
        assert_eq!(plan(&lines, &Wanted::Everything, &[]).unwrap().to_ask, [part(1, 1, 2)]);
        let mut gone = lines[0].clone();
        gone.ship(Uuid::from_u128(1), 2).unwrap();
        assert_eq!(plan(&[gone], &Wanted::Everything, &[]), Err(Impossible::NothingLeft));
    }

    #[test]
    fn a_backorder_filled_meanwhile_has_to_be_asked_for_as_well() {
        // Two of four waited when the other two were asked for and granted; then they were filled.
        let lines = [line(1, &[(1, 4)], 0)];
        let granted = [part(1, 1, 2)];
        assert_eq!(plan(&lines, &wanted(&[(1, 4)]), &granted).unwrap().to_ask, [part(1, 1, 2)]);
        let lines = [line(1, &[(1, 2)], 2)];
        assert_eq!(plan(&lines, &wanted(&[(1, 4)]), &granted), Ok(Plan { backordered: vec![(1, 2)], to_ask: vec![] }));
    }

    proptest! {
        #[test]
        fn a_plan_takes_exactly_what_is_wanted_and_never_twice(
            places in prop::collection::vec((1u128..4, 1i64..6), 1..4),
            backordered in 0i64..6,
            quantity in 1i64..20,
        ) {
            let line = line(1, &places, backordered);
            let open = line.quantities.open();
            match plan(std::slice::from_ref(&line), &wanted(&[(1, quantity)]), &[]) {
                Err(why) => {
                    prop_assert!(quantity > open);
                    prop_assert_eq!(why, Impossible::TooLate { line_no: 1, open });
                }
                Ok(first) => {
                    let waiting: i64 = first.backordered.iter().map(|(_, quantity)| quantity).sum();
                    let asked: i64 = first.to_ask.iter().map(|part| part.quantity).sum();
                    prop_assert_eq!(waiting + asked, quantity);
                    // Once granted there is nothing more to ask, and applying it fits the line.
                    let second = plan(std::slice::from_ref(&line), &wanted(&[(1, quantity)]), &first.to_ask).unwrap();
                    prop_assert_eq!(second.to_ask, vec![]);
                    let mut line = line.clone();
                    for part in &first.to_ask {
                        line.cancel_reserved(part.location, part.quantity).unwrap();
                    }
                    line.cancel_backordered(waiting).unwrap();
                    prop_assert_eq!(line.quantities.cancelled, quantity);
                }
            }
        }
    }
}
