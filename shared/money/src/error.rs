use rust_decimal::Decimal;

use crate::Currency;

/// Why an amount of money could not be made or computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code. Holds at most its first 16 characters: it may come from outside.
    #[error("unknown currency code {0:?}")]
    UnknownCurrency(String),

    /// Two amounts of different currencies met.
    #[error("cannot combine {left} and {right}")]
    MixedCurrencies { left: Currency, right: Currency },

    /// The exact result has more digits than an amount can hold (28).
    #[error("amount out of range")]
    Overflow,

    /// Finer than a billionth, so not expressible in nanos.
    #[error("{0} has more than nine decimals")]
    TooPrecise(Decimal),

    /// Nanos must lie strictly between minus and plus one billion.
    #[error("nanos {0} out of range")]
    NanosOutOfRange(i32),

    /// Units and nanos must have the same sign.
    #[error("units {units} and nanos {nanos} have different signs")]
    SignsDisagree { units: i64, nanos: i32 },
}
