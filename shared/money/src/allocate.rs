use std::cmp::Reverse;

use rust_decimal::Decimal;

use crate::Money;
use crate::exact::multiply_divide;
use crate::money::{decimal, with_decimals};

impl Money {
    /// Splits this amount in proportion to `weights`, one part for each, by the largest-remainder method; equal
    /// remainders go to the earlier part. The parts always sum to exactly this amount, share its sign, and are whole
    /// minor units if it is (else whole units of its last decimal).
    ///
    /// Negative weights count as zero. If no weight is positive the first part gets everything. No weights, no parts.
    pub fn allocate(&self, weights: &[Decimal]) -> Vec<Self> {
        let whole = with_decimals(self.amount.normalize(), self.currency.exponent());
        let (total, scale, negative) = (whole.mantissa().unsigned_abs(), whole.scale(), whole.is_sign_negative());

        let weights = integer_weights(weights);
        let weight_sum: u128 = weights.iter().sum();
        let shares: Vec<(u128, u128)> =
            weights.iter().map(|weight| multiply_divide(total, *weight, weight_sum).unwrap_or((0, 0))).collect();

        let mut parts: Vec<u128> = shares.iter().map(|(quotient, _)| *quotient).collect();
        let mut left = total - parts.iter().sum::<u128>();
        let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
        by_remainder.sort_by_key(|index| Reverse(shares[*index].1)); // stable: the earlier part first
        for index in by_remainder {
            if left == 0 || shares[index].1 == 0 {
                break;
            }
            parts[index] += 1;
            left -= 1;
        }
        // Remainders account for every unit left, unless there was no weight to divide by.
        if let Some(first) = parts.first_mut() {
            *first += left;
        }
        // A part is no larger than the whole, and the whole is a decimal of this scale.
        parts
            .into_iter()
            .map(|part| Self { amount: decimal(part, scale, negative).unwrap_or(Decimal::ZERO), ..*self })
            .collect()
    }
}

/// The weights as integers in the same proportions, with a sum below 2^127. Digits are dropped only where weights
/// span more orders of magnitude than that holds.
fn integer_weights(weights: &[Decimal]) -> Vec<u128> {
    let weights: Vec<Decimal> = weights.iter().map(|weight| weight.max(&Decimal::ZERO).normalize()).collect();
    let finest = weights.iter().map(Decimal::scale).max().unwrap_or(0);
    let at_scale = |scale: u32| -> Option<Vec<u128>> {
        let mut sum = 0u128;
        let mut integers = Vec::with_capacity(weights.len());
        for weight in &weights {
            let mantissa = weight.mantissa().unsigned_abs();
            let integer = match scale.checked_sub(weight.scale()) {
                Some(more) => mantissa.checked_mul(10u128.pow(more))?,
                None => mantissa / 10u128.pow(weight.scale() - scale),
            };
            sum = sum.checked_add(integer).filter(|sum| *sum < 1 << 127)?;
            integers.push(integer);
        }
        Some(integers)
    };
    (0..=finest).rev().find_map(at_scale).unwrap_or_else(|| vec![0; weights.len()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::dec;

    use super::*;
    use crate::Currency;

    fn money(text: &str) -> Money {
        let (amount, code) = text.split_once(' ').unwrap();
        Money::new(code.parse().unwrap(), amount.parse().unwrap())
    }

    #[test]
    fn allocates_by_largest_remainder() {
        for (whole, weights, parts) in [
            ("10.00 EUR", &[dec!(1), dec!(1), dec!(1)][..], "3.34 3.33 3.33"),
            ("-10.00 EUR", &[dec!(1), dec!(1), dec!(1)], "-3.34 -3.33 -3.33"),
            ("0.05 EUR", &[dec!(3), dec!(7)], "0.02 0.03"), // 1.5 and 3.5 cents: the earlier gets the cent
            ("0.01 EUR", &[dec!(0), dec!(1), dec!(1)], "0.00 0.01 0.00"),
            ("100.00 EUR", &[dec!(0.1), dec!(0.25), dec!(0.65)], "10.00 25.00 65.00"),
            ("100 JPY", &[dec!(1), dec!(1), dec!(1)], "34 33 33"),
            ("100 IDR", &[dec!(2), dec!(1)], "67 33"),
            ("0.001 EUR", &[dec!(1), dec!(1)], "0.001 0.000"),
            ("5.00 EUR", &[dec!(0), dec!(0)], "5.00 0.00"),
            ("5.00 EUR", &[dec!(-3), dec!(1)], "0.00 5.00"),
            ("5.00 EUR", &[dec!(-3), dec!(-1)], "5.00 0.00"),
            ("0 EUR", &[dec!(1), dec!(1)], "0.00 0.00"),
            ("5.00 EUR", &[], ""),
        ] {
            let result: Vec<String> =
                money(whole).allocate(weights).iter().map(|part| part.amount.to_string()).collect();
            assert_eq!(result.join(" "), parts, "{whole} over {weights:?}");
        }
    }

    prop_compose! {
        /// Any decimal there is.
        fn any_decimal()(low: u32, middle: u32, high: u32, negative: bool, scale in 0u32..=28) -> Decimal {
            Decimal::from_parts(low, middle, high, negative, scale)
        }
    }

    fn any_currency() -> impl Strategy<Value = Currency> {
        prop::sample::select(vec!["EUR", "JPY", "IDR", "KWD", "CLF"]).prop_map(|code| code.parse().unwrap())
    }

    /// Weights as they come: quantities, line amounts, and anything at all.
    fn any_weights() -> impl Strategy<Value = Vec<Decimal>> {
        let weight = prop_oneof![
            (0i64..1000).prop_map(Decimal::from),
            (0i64..100_000_000).prop_map(|cents| Decimal::new(cents, 2)),
            any_decimal(),
        ];
        prop::collection::vec(weight, 1..40)
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(amount in any_decimal(), currency in any_currency(), weights in any_weights()) {
            let whole = Money::new(currency, amount);
            let parts = whole.allocate(&weights);
            prop_assert_eq!(parts.len(), weights.len());
            prop_assert_eq!(Money::sum(currency, parts.iter().copied()), Ok(whole));
            prop_assert!(parts.iter().all(|part| part.is_zero() || part.is_negative() == whole.is_negative()));
        }

        #[test]
        fn parts_are_fair(cents in -10_000_000i64..10_000_000, weights in prop::collection::vec(0i64..100_000, 1..40)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let whole = Money::new("EUR".parse().unwrap(), Decimal::new(cents, 2));
            let weight_sum: i64 = weights.iter().sum();
            let parts = whole.allocate(&weights.iter().copied().map(Decimal::from).collect::<Vec<_>>());
            for (part, weight) in parts.iter().zip(weights) {
                prop_assert_eq!(part.amount.scale(), 2);
                // Less than a cent from the exact share, so nothing to those with no weight.
                let distance = part.amount.mantissa() * i128::from(weight_sum) - i128::from(cents) * i128::from(weight);
                prop_assert!(distance.abs() < i128::from(weight_sum));
            }
        }
    }
}
