//! What quantities of a line come to.

use super::Amounts;
use pesan_money::{Currency, Money};
use rust_decimal::{Decimal, RoundingStrategy};

/// amount · part ÷ whole, half-even to the minor unit; nothing of nothing.
pub fn share(currency: Currency, amount: Decimal, part: Decimal, whole: Decimal) -> Decimal {
    if whole.is_zero() || part == whole {
        return if whole.is_zero() { Decimal::ZERO } else { amount };
    }
    // The product of the largest amounts does not fit: then a little precision is lost, not the amount.
    let exact = amount.checked_mul(part).and_then(|product| product.checked_div(whole));
    let exact = exact.or_else(|| amount.checked_div(whole)?.checked_mul(part)).unwrap_or(amount);
    exact.round_dp_with_strategy(currency.exponent(), RoundingStrategy::MidpointNearestEven)
}

impl Amounts {
    /// For `part` of `whole` pieces of which these are the amounts, at the same price.
    pub fn of(&self, currency: Currency, part: i64, whole: i64) -> Self {
        let of = |amount| share(currency, amount, Decimal::from(part), Decimal::from(whole));
        let line_total = of(self.line_total);
        Self { line_total, discount: of(self.discount).min(line_total), tax: of(self.tax), ..*self }
    }

    /// For `quantity` pieces at this price, discount and tax in proportion to `whole` pieces of which these are the
    /// amounts. None where it is more than an amount can hold.
    pub fn at_price(&self, currency: Currency, quantity: i64, whole: i64) -> Option<Self> {
        let line_total = line_total(currency, self.unit_price, quantity)?;
        let of = |amount| share(currency, amount, Decimal::from(quantity), Decimal::from(whole));
        Some(Self { line_total, discount: of(self.discount).min(line_total), tax: of(self.tax), ..*self })
    }

    /// For the same pieces at another price: the discount as it was, the tax in proportion to the net amount, where they
    /// are not given.
    pub fn repriced(
        &self,
        currency: Currency,
        quantity: i64,
        unit_price: Decimal,
        discount: Option<Decimal>,
        tax: Option<Decimal>,
    ) -> Option<Self> {
        let line_total = line_total(currency, unit_price, quantity)?;
        let discount = discount.unwrap_or(self.discount).min(line_total);
        let old_net = self.line_total - self.discount;
        let tax = tax.unwrap_or_else(|| share(currency, self.tax, line_total - discount, old_net));
        Some(Self { unit_price, line_total, discount, tax })
    }
}

fn line_total(currency: Currency, unit_price: Decimal, quantity: i64) -> Option<Decimal> {
    let total = Money::line_total(currency, unit_price, quantity).ok()?;
    total.to_units_nanos().ok().map(|_| total.amount)
}
