use std::cmp::Ordering;
use std::fmt;
use std::ops::Neg;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::exact::{add, multiply_divide_half_even};
use crate::{Currency, MoneyError};

/// 10^38 is the largest power of ten that 127 bits hold.
const MAX_POWER_OF_TEN: u32 = 38;

/// An exact amount in one currency. It may be negative, and may be finer than the currency's minor unit, as unit
/// prices are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    pub currency: Currency,
    /// In major units: 12.34 is twelve euros and thirty-four cents.
    pub amount: Decimal,
}

impl Money {
    pub fn new(currency: Currency, amount: Decimal) -> Self {
        Self { currency, amount }
    }

    pub fn zero(currency: Currency) -> Self {
        Self { currency, amount: Decimal::ZERO }
    }

    pub fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }

    /// Less than zero; zero is not negative.
    pub fn is_negative(&self) -> bool {
        self.amount.is_sign_negative() && !self.amount.is_zero()
    }

    /// The exact sum.
    ///
    /// # Errors
    /// [`MoneyError::MixedCurrencies`], or [`MoneyError::Overflow`] when the sum cannot be held without rounding.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.expect_same_currency(other)?;
        let amount = add(self.amount, other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }

    /// The exact difference; errors as for [`Money::checked_add`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.checked_add(-other)
    }

    /// The exact sum of any number of amounts, all of `currency`; zero for none. Errors as for [`Money::checked_add`].
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::checked_add)
    }

    /// Which of two amounts is larger.
    ///
    /// # Errors
    /// [`MoneyError::MixedCurrencies`].
    pub fn compare(self, other: Self) -> Result<Ordering, MoneyError> {
        self.expect_same_currency(other)?;
        Ok(self.amount.cmp(&other.amount))
    }

    /// Rounded half-even to the currency's minor unit, and written with all its decimals (12.5 EUR becomes 12.50).
    pub fn round(self) -> Self {
        let exponent = self.currency.exponent();
        let rounded = self.amount.round_dp_with_strategy(exponent, RoundingStrategy::MidpointNearestEven);
        Self { amount: unsigned_zero(with_decimals(rounded, exponent)), ..self }
    }

    /// This amount times a factor (a quantity, a tax rate), multiplied exactly and rounded once, half-even, to the
    /// currency's minor unit.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when the result, or the number of decimals of both together (38), is too large.
    pub fn times(self, factor: Decimal) -> Result<Self, MoneyError> {
        let exponent = self.currency.exponent();
        let (amount, factor) = (self.amount.normalize(), factor.normalize());
        let scale = amount.scale() + factor.scale();
        let surplus = scale.saturating_sub(exponent);
        if surplus > MAX_POWER_OF_TEN {
            return Err(MoneyError::Overflow);
        }
        let (a, b) = (amount.mantissa(), factor.mantissa());
        let magnitude = multiply_divide_half_even(a.unsigned_abs(), b.unsigned_abs(), 10u128.pow(surplus))
            .ok_or(MoneyError::Overflow)?;
        let product = decimal(magnitude, scale - surplus, (a < 0) != (b < 0)).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount: with_decimals(product, exponent), ..self })
    }

    /// What `quantity` pieces cost at `unit_price`: multiplied exactly, rounded once, half-even, to the currency's
    /// minor unit. The unit price may be finer than that unit.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn line_total(currency: Currency, unit_price: Decimal, quantity: i64) -> Result<Self, MoneyError> {
        Self::new(currency, unit_price).times(Decimal::from(quantity))
    }

    /// Reads the representation of `google.type.Money`: whole units, and billionths of the same sign.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`], [`MoneyError::NanosOutOfRange`], [`MoneyError::SignsDisagree`].
    pub fn from_units_nanos(code: &str, units: i64, nanos: i32) -> Result<Self, MoneyError> {
        let currency = code.parse()?;
        if nanos.unsigned_abs() >= 1_000_000_000 {
            return Err(MoneyError::NanosOutOfRange(nanos));
        }
        if (units > 0 && nanos < 0) || (units < 0 && nanos > 0) {
            return Err(MoneyError::SignsDisagree { units, nanos });
        }
        let billionths = i128::from(units) * 1_000_000_000 + i128::from(nanos);
        let amount = Decimal::try_from_i128_with_scale(billionths, 9).map_err(|_| MoneyError::Overflow)?;
        Ok(Self { currency, amount: amount.normalize() })
    }

    /// Writes the representation of `google.type.Money`: whole units, and billionths of the same sign.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`] for more than nine decimals, [`MoneyError::Overflow`] for units beyond 64 bits.
    pub fn to_units_nanos(&self) -> Result<(i64, i32), MoneyError> {
        let amount = self.amount.normalize();
        let Some(missing) = 9u32.checked_sub(amount.scale()) else {
            return Err(MoneyError::TooPrecise(amount));
        };
        let billionths = amount.mantissa().checked_mul(10i128.pow(missing)).ok_or(MoneyError::Overflow)?;
        let units = i64::try_from(billionths / 1_000_000_000).map_err(|_| MoneyError::Overflow)?;
        let nanos = i32::try_from(billionths % 1_000_000_000).map_err(|_| MoneyError::Overflow)?;
        Ok((units, nanos))
    }

    fn expect_same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::MixedCurrencies { left: self.currency, right: other.currency })
    }
}

impl Neg for Money {
    type Output = Self;

    fn neg(self) -> Self {
        Self { amount: unsigned_zero(-self.amount), ..self }
    }
}

/// `12.50 EUR`: at least the decimals of the minor unit, more where the amount is finer.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", with_decimals(self.amount.normalize(), self.currency.exponent()), self.currency)
    }
}

/// The same value with at least `decimals` decimals, as far as they fit.
pub(crate) fn with_decimals(mut amount: Decimal, decimals: u32) -> Decimal {
    if amount.scale() < decimals {
        amount.rescale(decimals);
    }
    amount
}

/// A decimal knows a negative zero, which would show as "-0".
fn unsigned_zero(amount: Decimal) -> Decimal {
    if amount.is_zero() { amount.abs() } else { amount }
}

/// `None` if the digits do not fit.
pub(crate) fn decimal(magnitude: u128, scale: u32, negative: bool) -> Option<Decimal> {
    let magnitude = i128::try_from(magnitude).ok()?;
    Decimal::try_from_i128_with_scale(if negative { -magnitude } else { magnitude }, scale).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::dec;

    use super::*;

    fn money(text: &str) -> Money {
        let (amount, code) = text.split_once(' ').unwrap();
        Money::new(code.parse().unwrap(), amount.parse().unwrap())
    }

    #[test]
    fn rounds_half_even_to_the_minor_unit() {
        for (exact, rounded) in [
            ("0.005 EUR", "0.00 EUR"),
            ("0.015 EUR", "0.02 EUR"),
            ("0.025 EUR", "0.02 EUR"),
            ("0.0250000000000000000000000001 EUR", "0.03 EUR"),
            ("-0.015 EUR", "-0.02 EUR"),
            ("-0.005 EUR", "0.00 EUR"),
            ("12.5 EUR", "12.50 EUR"),
            ("0.5 JPY", "0 JPY"),
            ("1.5 JPY", "2 JPY"),
            ("2.5 IDR", "2 IDR"),
            ("1.0005 KWD", "1.000 KWD"),
            ("1.0015 KWD", "1.002 KWD"),
        ] {
            let result = money(exact).round();
            assert_eq!(result.to_string(), rounded, "{exact}");
            assert_eq!(result.amount.to_string(), rounded.split(' ').next().unwrap(), "{exact}");
        }
    }

    #[test]
    fn line_total_rounds_once() {
        let eur = "EUR".parse().unwrap();
        for (unit_price, quantity, total) in [
            (dec!(0.005), 1, "0.00 EUR"),
            (dec!(0.005), 3, "0.02 EUR"),
            (dec!(0.005), 5, "0.02 EUR"),
            (dec!(0.3333), 3, "1.00 EUR"),
            (dec!(1.005), -1, "-1.00 EUR"),
            (dec!(-0.001), 1, "0.00 EUR"),
            (dec!(7), 0, "0.00 EUR"),
            (dec!(7), 3, "21.00 EUR"),
            // A decimal product would have been cut to 28 digits, exactly a half, before it was rounded.
            (dec!(0.0150000000000000000000000001), 100_000_000_001, "1500000000.02 EUR"),
            (dec!(0.0049999999999999999999999999), 1_000_000_001, "5000000.00 EUR"),
            (dec!(0.00000000000000001), i64::MAX, "92.23 EUR"),
            (dec!(0.3333333333333333333333333333), i64::MIN, "-3074457345618258602.67 EUR"),
        ] {
            let result = Money::line_total(eur, unit_price, quantity).map(|total| total.to_string());
            assert_eq!(result.as_deref(), Ok(total), "{unit_price} × {quantity}");
        }
        assert_eq!(Money::line_total(eur, Decimal::MAX, 2), Err(MoneyError::Overflow));
        assert_eq!(Money::line_total(eur, Decimal::MAX, i64::MIN), Err(MoneyError::Overflow));
    }

    #[test]
    fn a_rate_rounds_once() {
        for (amount, rate, result) in [
            ("10.01 EUR", dec!(0.19), "1.90 EUR"),
            ("0.50 EUR", dec!(0.19), "0.10 EUR"), // 0.095: the even neighbour is 0.10
            ("0.50 EUR", dec!(0.21), "0.10 EUR"), // 0.105: the even neighbour is 0.10
            ("-0.50 EUR", dec!(0.19), "-0.10 EUR"),
            ("15000 IDR", dec!(0.11), "1650 IDR"),
            ("105 JPY", dec!(0.1), "10 JPY"),
        ] {
            assert_eq!(money(amount).times(rate), Ok(money(result)), "{amount} × {rate}");
        }
        let fine = Money::new("EUR".parse().unwrap(), dec!(0.0000000000000000000000000001));
        assert_eq!(fine.times(fine.amount), Err(MoneyError::Overflow), "56 decimals");
    }

    #[test]
    fn sums_are_exact_or_refused() {
        assert_eq!(money("0.1 EUR").checked_add(money("0.2 EUR")), Ok(money("0.3 EUR")));
        assert_eq!(money("0.1 EUR").checked_sub(money("0.2 EUR")), Ok(money("-0.1 EUR")));
        let (left, right) = (money("1 EUR"), money("1 USD"));
        let mixed = MoneyError::MixedCurrencies { left: left.currency, right: right.currency };
        assert_eq!(left.checked_add(right), Err(mixed.clone()));
        assert_eq!(left.checked_sub(right), Err(mixed.clone()));
        assert_eq!(left.compare(right), Err(mixed.clone()));
        assert_eq!(Money::sum(left.currency, [left, right]), Err(mixed));
        assert_eq!(Money::sum(left.currency, []), Ok(Money::zero(left.currency)));
        assert_eq!(Money::sum(left.currency, [left, left, left]), Ok(money("3 EUR")));

        let max = Money::new(left.currency, Decimal::MAX);
        assert_eq!(max.checked_add(left), Err(MoneyError::Overflow));
        assert_eq!(max.checked_add(money("0.1 EUR")), Err(MoneyError::Overflow), "would have dropped the dime");
        assert_eq!(max.checked_add(money("0.00 EUR")), Ok(max));
        assert_eq!(max.checked_sub(max).map(|zero| zero.to_string()).as_deref(), Ok("0.00 EUR"));
    }

    #[test]
    fn zero_has_no_sign() {
        let zero = -money("0.00 EUR");
        assert_eq!(zero.amount.to_string(), "0.00");
        assert!(!zero.is_negative() && zero.is_zero());
        assert!(money("-0.01 EUR").is_negative());
    }

    #[test]
    fn shows_the_decimals_of_the_minor_unit_and_finer_ones() {
        for (text, shown) in [
            ("12 EUR", "12.00 EUR"),
            ("12.500 EUR", "12.50 EUR"),
            ("0.0125 EUR", "0.0125 EUR"),
            ("15000.0 IDR", "15000 IDR"),
            ("79228162514264337593543950335 EUR", "79228162514264337593543950335 EUR"),
        ] {
            assert_eq!(money(text).to_string(), shown);
        }
    }

    #[test]
    fn reads_and_refuses_units_and_nanos() {
        for (units, nanos, amount) in [
            (12, 340_000_000, dec!(12.34)),
            (-1, -750_000_000, dec!(-1.75)),
            (0, -1, dec!(-0.000000001)),
            (0, 999_999_999, dec!(0.999999999)),
            (0, 0, dec!(0)),
            (i64::MIN, -999_999_999, dec!(-9223372036854775808.999999999)),
        ] {
            let read = Money::from_units_nanos("EUR", units, nanos).unwrap();
            assert_eq!(read.amount, amount);
            assert_eq!(read.to_units_nanos(), Ok((units, nanos)));
        }
        for (units, nanos) in [(1, -1), (-1, 1)] {
            assert_eq!(Money::from_units_nanos("EUR", units, nanos), Err(MoneyError::SignsDisagree { units, nanos }));
        }
        for nanos in [1_000_000_000, -1_000_000_000, i32::MAX, i32::MIN] {
            assert_eq!(Money::from_units_nanos("EUR", 0, nanos), Err(MoneyError::NanosOutOfRange(nanos)));
        }
        assert_eq!(Money::from_units_nanos("euro", 1, 0), Err(MoneyError::UnknownCurrency("euro".to_owned())));
        assert_eq!(money("0.0000000001 EUR").to_units_nanos(), Err(MoneyError::TooPrecise(dec!(0.0000000001))));
        assert_eq!(money("0.12345678900000 EUR").to_units_nanos(), Ok((0, 123_456_789)));
        assert_eq!(money("9223372036854775808 EUR").to_units_nanos(), Err(MoneyError::Overflow));
        assert_eq!(money("79228162514264337593543950335 EUR").to_units_nanos(), Err(MoneyError::Overflow));
    }

    prop_compose! {
        /// Any decimal there is.
        fn any_decimal()(low: u32, middle: u32, high: u32, negative: bool, scale in 0u32..=28) -> Decimal {
            Decimal::from_parts(low, middle, high, negative, scale)
        }
    }

    proptest! {
        #[test]
        fn units_and_nanos_round_trip(units: i64, nanos in -999_999_999i32..=999_999_999) {
            let nanos = if (units < 0) == (nanos < 0) || units == 0 { nanos } else { -nanos };
            let read = Money::from_units_nanos("EUR", units, nanos).unwrap();
            prop_assert_eq!(read.to_units_nanos(), Ok((units, nanos)));
        }

        #[test]
        fn whatever_units_and_nanos_can_hold_survives_them(amount in any_decimal()) {
            let money = Money::new("EUR".parse().unwrap(), amount);
            if let Ok((units, nanos)) = money.to_units_nanos() {
                prop_assert_eq!(Money::from_units_nanos("EUR", units, nanos), Ok(money));
            }
        }

        #[test]
        fn adding_and_taking_away_is_nothing(a in any_decimal(), b in any_decimal()) {
            let (a, b) = (Money::new("EUR".parse().unwrap(), a), Money::new("EUR".parse().unwrap(), b));
            if let Ok(sum) = a.checked_add(b) {
                prop_assert_eq!(sum.checked_sub(b), Ok(a));
            }
        }

        #[test]
        fn a_line_is_within_half_a_cent(mills in -1_000_000_000i64..1_000_000_000, quantity in -1_000_000i64..1_000_000) {
            let total = Money::line_total("EUR".parse().unwrap(), Decimal::new(mills, 3), quantity).unwrap();
            let error = total.amount * dec!(1000) - Decimal::from(mills) * Decimal::from(quantity);
            prop_assert!(error.abs() <= dec!(5));
        }
    }
}
