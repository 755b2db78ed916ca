use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::ops::Neg;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::exact::{multiply_divide, multiply_divide_half_even};
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
        let amount = self.amount.checked_add(other.amount).ok_or(MoneyError::Overflow)?;
        // Near its 28 digits a decimal drops low digits to make room for high ones. Money must not.
        let finest = |scale: fn(&Decimal) -> u32| scale(&self.amount).max(scale(&other.amount));
        if amount.scale() < finest(Decimal::scale) && amount.scale() < finest(|amount| amount.normalize().scale()) {
            return Err(MoneyError::Overflow);
        }
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
fn with_decimals(mut amount: Decimal, decimals: u32) -> Decimal {
    if amount.scale() < decimals {
        amount.rescale(decimals);
    }
    amount
}

/// A decimal knows a negative zero, which would show as "-0".
fn unsigned_zero(amount: Decimal) -> Decimal {
    if amount.is_zero() { amount.abs() } else { amount }
}

fn decimal(magnitude: u128, scale: u32, negative: bool) -> Option<Decimal> {
    let magnitude = i128::try_from(magnitude).ok()?;
    Decimal::try_from_i128_with_scale(if negative { -magnitude } else { magnitude }, scale).ok()
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
