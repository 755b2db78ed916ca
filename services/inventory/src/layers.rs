//! What is on hand of a first-in-first-out item, by what it cost.

use rust_decimal::Decimal;
use std::collections::{BTreeMap, VecDeque};

/// Decimals of a cost: those of the API's Money.
pub const DECIMALS: u32 = 9;

/// What was received at one cost and is still on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// In the order in which they came.
    pub seq: i64,
    /// 0: used up.
    pub quantity: i64,
    /// Of one base unit, in major units, with 9 decimals.
    pub unit_cost: Decimal,
}

impl Layer {
    fn nanos(&self, quantity: i64) -> i128 {
        nanos(self.unit_cost, quantity)
    }
}

/// What a quantity costs, in billionths of a major unit: exact for costs of 9 decimals.
pub fn nanos(unit_cost: Decimal, quantity: i64) -> i128 {
    let mut cost = unit_cost;
    cost.rescale(DECIMALS);
    cost.mantissa().saturating_mul(i128::from(quantity))
}

/// The layers of one item, oldest first, and which of them changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    open: VecDeque<Layer>,
    changed: BTreeMap<i64, Layer>,
}

impl Layers {
    /// Of the layers stored, oldest first.
    pub fn new(stored: impl IntoIterator<Item = Layer>) -> Self {
        Self { open: stored.into_iter().collect(), changed: BTreeMap::new() }
    }

    /// All that is in them.
    pub fn quantity(&self) -> i64 {
        self.open.iter().fold(0, |sum, layer| sum.saturating_add(layer.quantity))
    }

    /// What all of it cost, in billionths.
    pub fn nanos(&self) -> i128 {
        self.open.iter().fold(0, |sum, layer| sum.saturating_add(layer.nanos(layer.quantity)))
    }

    /// Goods came at this cost. They join the last layer where it cost the same, so that there are few.
    pub fn add(&mut self, unit_cost: Decimal, quantity: i64) {
        let layer = match self.open.back_mut().filter(|last| last.unit_cost == unit_cost) {
            Some(last) => {
                last.quantity = last.quantity.saturating_add(quantity);
                *last
            }
            None => {
                let last = self.changed.keys().next_back().copied().max(self.open.back().map(|last| last.seq));
                let layer = Layer { seq: last.unwrap_or(0) + 1, quantity, unit_cost };
                self.open.push_back(layer);
                layer
            }
        };
        self.changed.insert(layer.seq, layer);
    }

    /// Takes up to `quantity`, oldest first.
    pub fn take(&mut self, quantity: i64) {
        let mut wanted = quantity;
        while wanted > 0 {
            let Some(first) = self.open.front_mut() else { return };
            let some = first.quantity.min(wanted);
            first.quantity -= some;
            wanted -= some;
            self.changed.insert(first.seq, *first);
            if first.quantity == 0 {
                self.open.pop_front();
            }
        }
    }

    /// How much there is of the next `quantity` to leave, and what it cost, in billionths.
    pub fn next(&self, quantity: i64) -> (i64, i128) {
        let (mut taken, mut cost) = (0, 0i128);
        for layer in &self.open {
            let some = layer.quantity.min(quantity - taken);
            taken += some;
            cost = cost.saturating_add(layer.nanos(some));
            if taken == quantity {
                break;
            }
        }
        (taken, cost)
    }

    /// Those that are not as they were stored, ascending; those used up have a quantity of 0.
    pub fn changes(&self) -> impl Iterator<Item = &Layer> {
        self.changed.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;

    #[test]
    fn what_came_first_leaves_first() {
        let mut layers = Layers::default();
        for (cost, quantity) in [(dec!(2), 10), (dec!(2), 5), (dec!(3), 4)] {
            layers.add(cost, quantity);
        }
        assert_eq!(layers.open.len(), 2, "the same cost is one layer");
        assert_eq!(layers.next(16), (16, 33_000_000_000));
        layers.take(16);
        assert_eq!((layers.quantity(), layers.nanos()), (3, 9_000_000_000));
        assert_eq!(layers.next(9), (3, 9_000_000_000), "no more than there is");
        layers.take(9);
        layers.add(dec!(1), 1);
        let left: Vec<_> = layers.changes().map(|layer| (layer.seq, layer.quantity)).collect();
        assert_eq!(left, [(1, 0), (2, 0), (3, 1)], "numbers go on");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Receive(i64, i64),
        Issue(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0i64..5_000_000, 1i64..1_000).prop_map(|(micros, quantity)| Step::Receive(micros, quantity)),
            (1i64..1_500).prop_map(Step::Issue),
        ]
    }

    proptest! {
        #[test]
        fn what_was_received_is_what_left_and_what_is_there(steps in prop::collection::vec(step(), 1..60)) {
            let mut layers = Layers::default();
            let (mut received, mut consumed, mut units) = (0i128, 0i128, 0i64);
            for step in steps {
                match step {
                    Step::Receive(micros, quantity) => {
                        layers.add(Decimal::new(micros, 6), quantity);
                        received += i128::from(micros) * 1_000 * i128::from(quantity);
                        units += quantity;
                    }
                    Step::Issue(quantity) => {
                        let (taken, cost) = layers.next(quantity);
                        prop_assert_eq!(taken, quantity.min(units));
                        layers.take(quantity);
                        consumed += cost;
                        units -= taken;
                    }
                }
                prop_assert_eq!(consumed + layers.nanos(), received);
                prop_assert_eq!(layers.quantity(), units);
                prop_assert!(layers.open.iter().all(|layer| layer.quantity > 0));
                let stored: BTreeMap<i64, i64> = layers.changes().filter(|l| l.quantity > 0).map(|l| (l.seq, l.quantity)).collect();
                let open: BTreeMap<i64, i64> = layers.open.iter().map(|l| (l.seq, l.quantity)).collect();
                prop_assert_eq!(stored, open, "what is written is what is there");
            }
        }
    }
}
