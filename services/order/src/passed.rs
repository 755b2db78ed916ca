//! Stock that came for what waited of a line when the order had cancelled it, or was about to: it is passed over, because
//! inventory takes it back when it reads of the cancellation. Unless it takes the cancelled quantity from the queue after
//! all, where something of the line waits again because it was not found in the warehouse meanwhile: then the stock is the
//! line's. Who passes over has to remember, and to end up with what inventory has, whatever each reads first.
//!
//! The rule: nothing waits while something is passed over, except for what a change under way claims. With that, what is
//! passed over is at any time exactly what inventory would take back if it read everything now. It takes back what came
//! last, so the line takes what came first.

use crate::cancellation::Part;
use crate::line::Line;
use uuid::Uuid;

/// What is passed over of an order, in the order in which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    parts: Vec<Part>,
    changed: bool,
}

impl Passed {
    /// As it is kept.
    pub fn of(parts: Vec<Part>) -> Self {
        Self { parts, changed: false }
    }

    /// What is to be kept.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Not as it was read.
    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// Stock came. How much of it the line takes: what is `claimed` of what waits takes none.
    pub fn fill(&mut self, line: &mut Line, claimed: i64, location: Uuid, quantity: i64) -> i64 {
        let taken = line.fill(location, quantity.min(line.quantities.backordered - claimed));
        if quantity > taken {
            self.parts.push(Part { line_no: line.line_no, location, quantity: quantity - taken });
            self.changed = true;
        }
        taken
    }

    /// Something of the line waits again, or is not claimed any more: it takes what was passed over. What it took.
    pub fn catch_up(&mut self, line: &mut Line, claimed: i64) -> Vec<Part> {
        let mut taken = Vec::new();
        let line_no = line.line_no;
        for part in self.parts.iter_mut().filter(|part| part.line_no == line_no) {
            let quantity = line.fill(part.location, part.quantity.min(line.quantities.backordered - claimed));
            part.quantity -= quantity;
            if quantity > 0 {
                taken.push(Part { quantity, ..*part });
            }
        }
        self.tidy(!taken.is_empty());
        taken
    }

    /// Inventory took stock back, the latest first.
    pub fn taken_back(&mut self, line_no: i32, location: Uuid, quantity: i64) {
        let mut rest = quantity;
        let of_it = |part: &&mut Part| (part.line_no, part.location) == (line_no, location);
        for part in self.parts.iter_mut().rev().filter(of_it) {
            let some = part.quantity.min(rest);
            part.quantity -= some;
            rest -= some;
        }
        self.tidy(rest < quantity);
    }

    fn tidy(&mut self, changed: bool) {
        self.parts.retain(|part| part.quantity > 0);
        self.changed |= changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LinePromise;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, VecDeque};

    fn place(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    /// What one service tells the other, read in order and late.
    enum Told {
        Filled(Uuid, i64),
        Short(Uuid, i64),
        TakenBack(Vec<(Uuid, i64)>),
    }

    /// Both books of one line, and what is on its way between them.
    struct Both {
        line: Line,
        passed: Passed,
        claimed: i64,
        /// Shortages that the warehouse told inventory of and the line does not know yet.
        short: BTreeMap<Uuid, i64>,
        waits: i64,
        reserved: BTreeMap<Uuid, i64>,
        fills: Vec<(Uuid, i64)>,
        to_order: VecDeque<Told>,
        to_inventory: VecDeque<i64>,
    }

    impl Both {
        fn of(reserved: i64, waits: i64) -> Self {
            let promise = LinePromise {
                line_no: 1,
                stocked: true,
                reserved: vec![(place(1), reserved)],
                backordered: waits,
                refused: 0,
            };
            Self {
                line: Line::promised(&promise).unwrap(),
                passed: Passed::default(),
                claimed: 0,
                short: BTreeMap::new(),
                waits,
                reserved: [(place(1), reserved)].into(),
                fills: Vec::new(),
                to_order: VecDeque::new(),
                to_inventory: VecDeque::new(),
            }
        }

        fn inventory_reads(&mut self) {
            let Some(cancelled) = self.to_inventory.pop_front() else { return };
            let from_queue = self.waits.min(cancelled);
            self.waits -= from_queue;
            let mut rest = cancelled - from_queue;
            let mut taken = Vec::new();
            for (location, quantity) in self.fills.iter_mut().rev() {
                let held = self.reserved.get_mut(location).unwrap();
                let some = rest.min(*quantity).min(*held);
                (*quantity, *held, rest) = (*quantity - some, *held - some, rest - some);
                taken.push((*location, some));
            }
            assert_eq!(rest, 0, "there is nothing to take back");
            self.to_order.push_back(Told::TakenBack(taken));
        }

        fn order_reads(&mut self) {
            match self.to_order.pop_front() {
                Some(Told::Filled(location, quantity)) => {
                    self.passed.fill(&mut self.line, self.claimed, location, quantity);
                }
                Some(Told::Short(location, quantity)) => {
                    self.line.fall_short(location, quantity, quantity).unwrap();
                    *self.short.get_mut(&location).unwrap() -= quantity;
                    self.passed.catch_up(&mut self.line, self.claimed);
                }
                Some(Told::TakenBack(parts)) => {
                    for (location, quantity) in parts {
                        self.passed.taken_back(1, location, quantity);
                    }
                }
                None => {}
            }
        }

        fn step(&mut self, step: Step) {
            match step {
                Step::Fill(at, quantity) => {
                    let quantity = quantity.min(self.waits);
                    if quantity > 0 {
                        self.waits -= quantity;
                        *self.reserved.entry(place(at)).or_default() += quantity;
                        self.fills.push((place(at), quantity));
                        self.to_order.push_back(Told::Filled(place(at), quantity));
                    }
                }
                // The warehouse has only what the order handed over.
                Step::Short(at, quantity) => {
                    let at = place(at);
                    let handed_over: i64 =
                        self.line.allocations.iter().filter(|a| a.location == at).map(|a| a.reserved).sum();
                    let quantity = quantity.min(handed_over - self.short.get(&at).unwrap_or(&0));
                    if quantity > 0 {
                        *self.short.entry(at).or_default() += quantity;
                        *self.reserved.get_mut(&at).unwrap() -= quantity;
                        self.waits += quantity;
                        self.to_order.push_back(Told::Short(at, quantity));
                    }
                }
                Step::Cancel(quantity) => {
                    let quantity = quantity.min(self.line.quantities.backordered - self.claimed);
                    if quantity > 0 {
                        self.line.cancel_backordered(quantity).unwrap();
                        self.to_inventory.push_back(quantity);
                    }
                }
                Step::Claim(quantity) if self.claimed == 0 => {
                    self.claimed = quantity.min(self.line.quantities.backordered);
                }
                Step::Claim(_) => {}
                Step::Commit if self.claimed > 0 => {
                    self.line.cancel_backordered(self.claimed).unwrap();
                    self.to_inventory.push_back(std::mem::take(&mut self.claimed));
                }
                Step::Commit => {}
                Step::Drop => {
                    self.claimed = 0;
                    self.passed.catch_up(&mut self.line, 0);
                }
                Step::InventoryReads => self.inventory_reads(),
                Step::OrderReads => self.order_reads(),
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Fill(u128, i64),
        Short(u128, i64),
        Cancel(i64),
        Claim(i64),
        Commit,
        Drop,
        InventoryReads,
        OrderReads,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let (place, quantity) = (1u128..4, 1i64..4);
        prop_oneof![
            4 => (place.clone(), quantity.clone()).prop_map(|(p, q)| Step::Fill(p, q)),
            3 => (place, quantity.clone()).prop_map(|(p, q)| Step::Short(p, q)),
            2 => quantity.clone().prop_map(Step::Cancel),
            2 => quantity.prop_map(Step::Claim),
            1 => Just(Step::Commit),
            1 => Just(Step::Drop),
            2 => Just(Step::InventoryReads),
            4 => Just(Step::OrderReads),
        ]
    }

    proptest! {
        #[test]
        fn both_books_end_up_the_same_whatever_each_reads_first(
            reserved in 1i64..6,
            waits in 0i64..6,
            steps in prop::collection::vec(any_step(), 0..60),
        ) {
            let mut both = Both::of(reserved, waits);
            for step in steps {
                both.step(step);
            }
            both.step(Step::Drop);
            while !both.to_inventory.is_empty() || !both.to_order.is_empty() {
                both.inventory_reads();
                both.order_reads();
            }
            prop_assert_eq!(both.line.quantities.backordered, both.waits);
            let held: BTreeMap<Uuid, i64> =
                both.line.allocations.iter().filter(|a| a.reserved > 0).map(|a| (a.location, a.reserved)).collect();
            both.reserved.retain(|_, quantity| *quantity > 0);
            prop_assert_eq!(held, both.reserved);
            prop_assert!(both.passed.parts().is_empty(), "{:?} is passed over for good", both.passed);
        }
    }
}
