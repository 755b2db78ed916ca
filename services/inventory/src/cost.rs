//! What goods cost: the moving average.

use crate::item::ItemId;
use pesan_money::{Currency, Money};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// Decimals of an average: those of the API's Money.
const DECIMALS: u32 = 9;

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
        let mut average = self.average;
        average.rescale(DECIMALS);
        average.mantissa().saturating_mul(i128::from(self.quantity))
    }

    /// By how much it is worth more than `before`; none where that is beyond 7.9 × 10¹⁹ major units.
    fn value_since(self, before: i128) -> Option<Money> {
        value_of(self.currency, self.nanos().saturating_sub(before))
    }
}

/// Billionths as money.
fn value_of(currency: Currency, nanos: i128) -> Option<Money> {
    let amount = Decimal::try_from_i128_with_scale(nanos, DECIMALS).ok()?;
    Some(Money::new(currency, amount))
}

fn rounded(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(DECIMALS, RoundingStrategy::MidpointNearestEven)
}

/// The averages that a transaction has locked, and which of them changed.
#[derive(Debug, Default)]
pub struct Costs {
    averages: BTreeMap<ItemId, (AverageCost, bool)>,
}

impl Costs {
    /// Of the averages locked.
    pub fn new(averages: impl IntoIterator<Item = (ItemId, AverageCost)>) -> Self {
        Self { averages: averages.into_iter().map(|(item, average)| (item, (average, false))).collect() }
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
        match (self.averages.get_mut(&item), unit_cost) {
            (Some((average, changed)), Some(cost)) => {
                let before = average.nanos();
                average.receive(cost.amount, quantity);
                *changed = true;
                average.value_since(before)
            }
            (None, Some(cost)) => {
                let average = AverageCost::first(cost, quantity);
                self.averages.insert(item, (average, true));
                average.value_since(0)
            }
            // Without a cost of its own a receipt counts at the average.
            (Some(_), None) => self.count(item, quantity),
            (None, None) => None,
        }
    }

    /// Goods come or go at the average: it stays as it is, and weighs more or less in the next one. Gives by how much the
    /// value of the inventory changed: the value of the movement, which whoever books it notes with it.
    pub fn count(&mut self, item: ItemId, quantity: i64) -> Option<Money> {
        let (average, changed) = self.averages.get_mut(&item)?;
        let before = average.nanos();
        average.quantity = average.quantity.saturating_add(quantity).max(0);
        *changed = true;
        average.value_since(before)
    }

    /// What `quantity` costs, rounded half-even to the currency's minor unit; none where no cost is known.
    pub fn of(&self, item: ItemId, quantity: i64) -> Option<Money> {
        let unit = self.unit_cost(item)?;
        Money::line_total(unit.currency, unit.amount, quantity).ok()
    }

    /// Those that changed, in key order.
    pub fn changes(&self) -> impl Iterator<Item = (ItemId, AverageCost)> + '_ {
        self.averages.iter().filter(|(_, (_, changed))| *changed).map(|(item, (average, _))| (*item, *average))
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

    proptest! {
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
