//! Arithmetic that drops no digit.

use rust_decimal::Decimal;

/// `a + b`, or `None` where a decimal cannot hold it.
pub(crate) fn add(a: Decimal, b: Decimal) -> Option<Decimal> {
    // Near its 28 digits a decimal drops low digits to make room for high ones: the scale tells.
    if let Some(sum) = a.checked_add(b).filter(|sum| sum.scale() >= a.scale().max(b.scale())) {
        return Some(sum);
    }
    // The digits dropped may have been zeros. What does not fit into 128 bits here cannot fit into the 96 of a
    // decimal: the finer of two normalized numbers of different scale ends in a digit that the sum keeps.
    let (a, b) = (a.normalize(), b.normalize());
    let mut scale = a.scale().max(b.scale());
    let aligned = |number: Decimal| number.mantissa().checked_mul(10i128.pow(scale - number.scale()));
    let mut sum = aligned(a)?.checked_add(aligned(b)?)?;
    while scale > 0 && sum % 10 == 0 {
        sum /= 10;
        scale -= 1;
    }
    Decimal::try_from_i128_with_scale(sum, scale).ok()
}

/// `a × b ÷ divisor` as quotient and remainder, exact although the product may need 256 bits. `None` if the
/// quotient needs more than 128, or the divisor is zero or needs more than 127.
pub(crate) fn multiply_divide(a: u128, b: u128, divisor: u128) -> Option<(u128, u128)> {
    if divisor == 0 || divisor >= 1 << 127 {
        return None;
    }
    if let Some(product) = a.checked_mul(b) {
        return Some((product / divisor, product % divisor));
    }
    // b = whole × divisor + rest. The whole multiples are a plain product; a × rest ÷ divisor is built up bit by bit
    // of a, with the remainder always kept below the divisor, so nothing outgrows 128 bits.
    let (whole, rest) = (b / divisor, b % divisor);
    let (mut quotient, mut remainder) = (0u128, 0u128);
    for bit in (0..u128::BITS - a.leading_zeros()).rev() {
        quotient *= 2;
        remainder *= 2;
        if remainder >= divisor {
            remainder -= divisor;
            quotient += 1;
        }
        if a >> bit & 1 == 1 {
            remainder += rest;
            if remainder >= divisor {
                remainder -= divisor;
                quotient += 1;
            }
        }
    }
    let quotient = a.checked_mul(whole)?.checked_add(quotient)?;
    Some((quotient, remainder))
}

/// `a × b ÷ divisor` rounded half to even, once. `None` as for [`multiply_divide`].
pub(crate) fn multiply_divide_half_even(a: u128, b: u128, divisor: u128) -> Option<u128> {
    let (quotient, remainder) = multiply_divide(a, b, divisor)?;
    let twice = remainder * 2;
    let up = twice > divisor || (twice == divisor && quotient % 2 == 1);
    quotient.checked_add(u128::from(up))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quotient_and_remainder_make_the_product_again(a: u128, b: u128, divisor in 1u128..1 << 127) {
            match multiply_divide(a, b, divisor) {
                Some((quotient, remainder)) => {
                    prop_assert!(remainder < divisor);
                    prop_assert_eq!(plus(wide(quotient, divisor), remainder), wide(a, b));
                }
                None => prop_assert!(wide(a, b).0 >= divisor, "the quotient would have fitted"),
            }
        }
    }

    /// The 256-bit product, as high and low half.
    fn wide(a: u128, b: u128) -> (u128, u128) {
        let mask = u128::from(u64::MAX);
        let (ah, al, bh, bl) = (a >> 64, a & mask, b >> 64, b & mask);
        let middle = ((al * bl) >> 64) + ((ah * bl) & mask) + ((al * bh) & mask);
        let low = ((al * bl) & mask) | (middle << 64);
        (ah * bh + ((ah * bl) >> 64) + ((al * bh) >> 64) + (middle >> 64), low)
    }

    fn plus((high, low): (u128, u128), more: u128) -> (u128, u128) {
        let (low, carry) = low.overflowing_add(more);
        (high + u128::from(carry), low)
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        assert_eq!(multiply_divide(1, 1, 0), None);
        assert_eq!(multiply_divide(1, 1, 1 << 127), None);
        assert_eq!(multiply_divide(u128::MAX, 2, 1), None);
        assert_eq!(multiply_divide(u128::MAX, 6, 6), Some((u128::MAX, 0)));
    }

    #[test]
    fn rounds_halves_to_even() {
        for (numerator, expected) in [(5, 0), (6, 1), (15, 2), (25, 2), (26, 3), (35, 4), (0, 0)] {
            assert_eq!(multiply_divide_half_even(numerator, 1, 10), Some(expected), "{numerator}/10");
        }
        assert_eq!(multiply_divide_half_even(u128::MAX, 1, 2), Some(1 << 127));
    }
}
