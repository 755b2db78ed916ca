//! Slices of an amount by unit. The units of a line stand in a row, and each has its own fixed slice of what the line comes
//! to (its total, its discount, its tax): the units after the a-th up to the b-th of Q have r(T·b/Q) − r(T·a/Q), half-even. So
//! any sequence of partial shipments, invoices, cancellations and returns sums exactly to the whole.

use rust_decimal::Decimal;

/// What is due for the first `upto` of `of` pieces that cost `total` together: total · upto ÷ of, rounded half-even to
/// `exponent` decimals. Whole at the ends: 0 for none, `total` for all.
///
/// `total` is not negative, in whole minor units and at most 2⁶³; `of` is at most 10⁹: with four decimals their product is
/// at most 10³², far below what 128 bits hold.
pub fn cumulative(total: Decimal, upto: i64, of: i64, exponent: u32) -> Decimal {
    if upto >= of {
        return total;
    }
    if upto <= 0 || total.is_zero() {
        return Decimal::ZERO;
    }
    let mut minor = total;
    minor.rescale(exponent);
    let product = minor.mantissa() * i128::from(upto);
    let divisor = i128::from(of);
    let (quotient, twice) = (product.div_euclid(divisor), product.rem_euclid(divisor) * 2);
    let up = twice > divisor || (twice == divisor && quotient % 2 == 1);
    // No larger than the mantissa it is a part of, so it fits.
    Decimal::try_from_i128_with_scale(quotient + i128::from(up), exponent).unwrap_or(total)
}

/// What is due for the pieces after the first `from`, up to the first `upto`. Ranges that touch sum exactly.
pub fn between(total: Decimal, from: i64, upto: i64, of: i64, exponent: u32) -> Decimal {
    cumulative(total, upto, of, exponent) - cumulative(total, from, of, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;

    #[test]
    fn halves_go_to_the_even_minor_unit() {
        for (total, upto, of, exponent, due) in [
            (dec!(0.05), 1, 2, 2, dec!(0.02)),
            (dec!(0.07), 1, 2, 2, dec!(0.04)),
            (dec!(10), 1, 3, 2, dec!(3.33)),
            (dec!(10), 2, 3, 2, dec!(6.67)),
            (dec!(5), 1, 2, 0, dec!(2)),
            (dec!(0.001), 1, 2, 3, dec!(0)),
            (dec!(9.99), 3, 3, 2, dec!(9.99)),
        ] {
            assert_eq!(cumulative(total, upto, of, exponent), due, "{total} · {upto}/{of}");
        }
    }

    proptest! {
        #[test]
        fn ranges_sum_exactly_and_are_never_negative(
            minor in 0..=i64::MAX, of in 1..=1_000_000_000i64, cuts in proptest::collection::vec(0.0..=1.0f64, 0..6),
        ) {
            let total = Decimal::new(minor, 2);
            let mut cuts: Vec<i64> = cuts.iter().map(|c| (*c * of as f64) as i64).chain([0, of]).collect();
            cuts.sort_unstable();
            let parts: Vec<Decimal> = cuts.windows(2).map(|w| between(total, w[0], w[1], of, 2)).collect();
            prop_assert_eq!(parts.iter().sum::<Decimal>(), total);
            prop_assert!(parts.iter().all(|p| !p.is_sign_negative() || p.is_zero()));
        }

        #[test]
        fn a_share_is_within_half_a_minor_unit(minor in 0..1_000_000_000i64, upto in 0..1000i64, of in 1000..2000i64) {
            let due = cumulative(Decimal::new(minor, 2), upto, of, 2);
            let error = due * Decimal::from(of) - Decimal::new(minor, 2) * Decimal::from(upto);
            prop_assert!(error.abs() * dec!(2) <= Decimal::new(of, 2));
        }
    }
}
