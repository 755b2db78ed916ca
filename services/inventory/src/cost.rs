//! What goods cost: the moving average, or what the oldest of them cost.

use crate::item::ItemId;
use crate::layers::{self, DECIMALS, Layer, Layers};
use pesan_money::{Currency, Money};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// Average cost of one base unit of an item, over what was received with a cost and is still on hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AverageCost {
    pub currency: Currency,
    /// Of one base unit, in major units, with 9 decimals.
    pub average: Decimal,
    /// On hand at that average; never negative.
    pub quantity: i64,
}

impl AverageCost {
    /// The first receipt that names a cost.
    pub fn first(unit_cost: Money, quantity: i64) -> Self {
        Self { currency: unit_cost.currency, average: rounded(unit_cost.amount), quantity }
    }

    /// A receipt: `average + (cost − average) × received ÷ (on hand + received)`, which is Σ value ÷ Σ quantity
    /// written so that it cannot overflow.
    fn receive(&mut self, unit_cost: Decimal, quantity: i64) {
        let total = self.quantity.saturating_add(quantity);
        if total <= 0 {
            return;
        }
        let share = Decimal::from(quantity) / Decimal::from(total);
        self.average = rounded(self.average + (unit_cost - self.average) * share);
        self.quantity = total;
    }

    /// As money.
    pub fn unit_cost(self) -> Money {
        Money::new(self.currency, self.average)
    }

    /// What all of it is worth, in billionths of the currency's major unit: exact, the average has 9 decimals.
    fn nanos(self) -> i128 {
        layers::nanos(self.average, self.quantity)
    }

    /// Changes the layers of which this is the average. Gives by how much they are worth more than before.
    fn follow(&mut self, layers: &mut Layers, change: impl FnOnce(&mut Layers)) -> Option<Money> {
        let before = layers.nanos();
        change(layers);
        let after = layers.nanos();
        self.quantity = layers.quantity();
        if self.quantity > 0 {
            self.average = per_unit(after, self.quantity);
        }
        value_of(self.currency, after.saturating_sub(before))
    }

    /// By how much it is worth more than `before`; none where that is beyond 7.9 × 10¹⁹ major units.
    fn value_since(self, before: i128) -> Option<Money> {
        value_of(self.currency, self.nanos().saturating_sub(before))
    }
}

/// What one unit costs where `quantity` cost so many billionths, with 9 decimals; 0 where that is beyond 7.9 × 10¹⁹.
pub fn per_unit(nanos: i128, quantity: i64) -> Decimal {
    let (quantity, half) = (i128::from(quantity), i128::from(quantity) / 2);
    Decimal::try_from_i128_with_scale(nanos.saturating_add(half) / quantity.max(1), DECIMALS).unwrap_or_default()
}

/// Money in billionths; 0 where it has more decimals than that, which values of movements have not.
pub fn nanos(value: Money) -> i128 {
    layers::nanos(value.amount, 1)
}

/// Billionths as money.
fn value_of(currency: Currency, nanos: i128) -> Option<Money> {
    let amount = Decimal::try_from_i128_with_scale(nanos, DECIMALS).ok()?;
    Some(Money::new(currency, amount))
}

fn rounded(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointNearestEven)
}

/// What a transaction has locked of what items cost, and which of it changed.
#[derive(Debug, Default)]
pub struct Costs {
    averages: BTreeMap<ItemId, (AverageCost, bool)>,
    /// Of the first-in-first-out items, all of them: their average is that of their layers.
    layers: BTreeMap<ItemId, Layers>,
}

impl Costs {
    /// Of the averages locked.
    pub fn new(averages: impl IntoIterator<Item = (ItemId, AverageCost)>) -> Self {
        let averages = averages.into_iter().map(|(item, average)| (item, (average, false))).collect();
        Self { averages, layers: BTreeMap::new() }
    }

    /// Of an item that is first in, first out.
    pub fn set_layers(&mut self, item: ItemId, layers: Layers) {
        self.layers.insert(item, layers);
    }

    /// Whether the item is first in, first out.
    pub fn is_fifo(&self, item: ItemId) -> bool {
        self.layers.contains_key(&item)
    }

    /// Whether a cost in `currency` goes with what the item cost so far.
    pub fn expects(&self, item: ItemId) -> Option<Currency> {
        self.averages.get(&item).map(|(average, _)| average.currency)
    }

    /// The average cost of one base unit, where one is known.
    pub fn unit_cost(&self, item: ItemId) -> Option<Money> {
        self.averages.get(&item).map(|(average, _)| average.unit_cost())
    }

    /// A receipt with its cost, which is in the currency that [`Costs::expects`]. Gives by how much the value of the
    /// inventory grew.
    pub fn receive(&mut self, item: ItemId, unit_cost: Option<Money>, quantity: i64) -> Option<Money> {
        // Without a cost of its own a receipt counts at the average.
        let Some(cost) = unit_cost else { return self.count(item, quantity) };
        self.averages.entry(item).or_insert_with(|| (AverageCost::first(cost, 0), true));
        let (average, changed) = self.averages.get_mut(&item)?;
        *changed = true;
        if let Some(layers) = self.layers.get_mut(&item) {
            return average.follow(layers, |layers| layers.add(rounded(cost.amount), quantity));
        }
        let before = average.nanos();
        average.receive(cost.amount, quantity);
        average.value_since(before)
    }

    /// Goods come at the average, which stays as it is and weighs more in the next one, or go: at the average, or those
    /// first that came first. Gives by how much the value of the inventory changed: the value of the movement, which
    /// whoever books it notes with it.
    pub fn count(&mut self, item: ItemId, quantity: i64) -> Option<Money> {
        let (average, changed) = self.averages.get_mut(&item)?;
        *changed = true;
        if let Some(layers) = self.layers.get_mut(&item) {
            let unit_cost = average.average;
            return average.follow(layers, |layers| match quantity {
                1.. => layers.add(unit_cost, quantity),
                _ => layers.take(quantity.saturating_neg()),
            });
        }
        let before = average.nanos();
        average.quantity = average.quantity.saturating_add(quantity).max(0);
        average.value_since(before)
    }

    /// What the next `quantity` to leave costs, rounded half-even to the currency's minor unit; none where no cost is
    /// known.
    pub fn of(&self, item: ItemId, quantity: i64) -> Option<Money> {
        let unit = self.unit_cost(item)?;
        let Some(layers) = self.layers.get(&item) else {
            return Money::line_total(unit.currency, unit.amount, quantity).ok();
        };
        let (there, cost) = layers.next(quantity);
        // What the layers do not know of costs what they cost on average.
        let rest = layers::nanos(unit.amount, quantity - there);
        Some(value_of(unit.currency, cost.saturating_add(rest))?.round())
    }

    /// Those that changed, in key order.
    pub fn changes(&self) -> impl Iterator<Item = (ItemId, AverageCost)> + '_ {
        self.averages.iter().filter(|(_, (_, changed))| *changed).map(|(item, (average, _))| (*item, *average))
    }

    /// The layers that changed, in key order.
    pub fn layer_changes(&self) -> impl Iterator<Item = (ItemId, &Layer)> + '_ {
        self.layers.iter().flat_map(|(item, layers)| layers.changes().map(|layer| (*item, layer)))
    }
}

/// The sum of costs of one currency; none where there is none, or where they cannot be summed.
pub fn sum(costs: &[Money]) -> Option<Money> {
    let currency = costs.first()?.currency;
    Money::sum(currency, costs.iter().copied()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;

    const MUG: ItemId = ItemId(1);

    fn gbp(amount: Decimal) -> Money {
        Money::new("GBP".parse().unwrap(), amount)
    }

    #[test]
    fn the_average_moves_with_receipts_and_stays_with_issues() {
        let mut costs = Costs::default();
        assert_eq!(costs.of(MUG, 1), None);
        costs.receive(MUG, None, 100);
        assert_eq!(costs.of(MUG, 1), None, "nothing known, nothing posted");
        costs.receive(MUG, Some(gbp(dec!(2))), 10);
        costs.receive(MUG, Some(gbp(dec!(3))), 30);
        assert_eq!(costs.of(MUG, 4), Some(gbp(dec!(11.00))));
        costs.count(MUG, -40);
        assert_eq!(costs.unit_cost(MUG), Some(gbp(dec!(2.75))));
        costs.receive(MUG, Some(gbp(dec!(5))), 7);
        assert_eq!(costs.unit_cost(MUG), Some(gbp(dec!(5))), "nothing was left of the old");
        costs.count(MUG, -100);
        costs.receive(MUG, Some(gbp(dec!(6))), 1);
        assert_eq!(costs.unit_cost(MUG), Some(gbp(dec!(6))), "never below nothing");
    }

    #[test]
    fn the_first_to_come_cost_what_the_first_to_leave_cost() {
        let mut costs = Costs::default();
        costs.set_layers(MUG, Layers::default());
        assert_eq!((costs.receive(MUG, None, 5), costs.of(MUG, 1)), (None, None), "nothing known, nothing posted");
        assert_eq!(costs.receive(MUG, Some(gbp(dec!(2))), 10), Some(gbp(dec!(20))));
        assert_eq!(costs.receive(MUG, Some(gbp(dec!(3.333333))), 10), Some(gbp(dec!(33.333330))));
        assert_eq!(costs.of(MUG, 12), Some(gbp(dec!(26.67))));
        assert_eq!(costs.count(MUG, -12), Some(gbp(dec!(-26.666666))));
        assert_eq!(costs.unit_cost(MUG), Some(gbp(dec!(3.333333))));
        assert_eq!(costs.receive(MUG, Some(gbp(dec!(2))), 1), Some(gbp(dec!(2))), "restored at its own cost");
        assert_eq!(costs.of(MUG, 9), Some(gbp(dec!(28.67))));
        assert_eq!(costs.count(MUG, -20), Some(gbp(dec!(-28.666664))), "no more than there is");
        assert_eq!(costs.of(MUG, 2), Some(gbp(dec!(6.37))), "at the last average");
    }

    proptest! {
        #[test]
        fn values_of_movements_sum_up_to_what_is_there(
            fifo in any::<bool>(),
            steps in prop::collection::vec((prop::option::of(0i64..9_000_000), -900i64..900), 1..50)
        ) {
            let mut costs = Costs::default();
            if fifo {
                costs.set_layers(MUG, Layers::default());
            }
            let mut booked = Decimal::ZERO;
            for (micros, quantity) in steps {
                let cost = micros.map(|micros| gbp(Decimal::new(micros, 6)));
                let value = if quantity > 0 { costs.receive(MUG, cost, quantity) } else { costs.count(MUG, quantity) };
                booked += value.map_or(Decimal::ZERO, |value| value.amount);
                let Some((average, _)) = costs.averages.get(&MUG) else { continue };
                let there = costs.layers.get(&MUG).map_or(average.nanos(), Layers::nanos);
                prop_assert_eq!(booked, value_of(average.currency, there).unwrap().amount);
                if let Some(layers) = costs.layers.get(&MUG) {
                    prop_assert_eq!(average.quantity, layers.quantity());
                }
            }
        }

        #[test]
        fn the_average_lies_between_what_was_paid(
            receipts in prop::collection::vec((0i64..1_000_000_000_000_000, 1i64..1_000_000_000_000), 1..50)
        ) {
            let mut costs = Costs::default();
            for (micros, quantity) in &receipts {
                costs.receive(MUG, Some(gbp(Decimal::new(*micros, 6))), *quantity);
            }
            let average = costs.unit_cost(MUG).unwrap().amount;
            let paid = || receipts.iter().map(|(micros, _)| Decimal::new(*micros, 6));
            prop_assert!(average >= paid().min().unwrap() && average <= paid().max().unwrap());
            prop_assert!(average.scale() <= 9);
        }
    }
}
