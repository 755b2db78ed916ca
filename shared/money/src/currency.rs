use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::MoneyError;

/// A currency of ISO 4217, known by its three-letter code in capitals. Ordered by code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code, such as `EUR`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals the minor unit has: 2 for EUR, 0 for JPY, 3 for KWD. Two where the standard gives none.
    ///
    /// The rupiah has two by the standard, but no sen has circulated for decades: prices, invoices and bank
    /// transfers are whole rupiah, so it has none here.
    pub fn exponent(self) -> u32 {
        match self.0 {
            iso_currency::Currency::IDR => 0,
            other => other.exponent().map_or(2, u32::from),
        }
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code)
            .map(Self)
            .ok_or_else(|| MoneyError::UnknownCurrency(code.chars().take(16).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> Ordering {
        self.code().cmp(other.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_those_people_use() {
        for (code, exponent) in [("EUR", 2), ("GBP", 2), ("JPY", 0), ("IDR", 0), ("KWD", 3), ("CLF", 4), ("XAU", 2)] {
            assert_eq!(code.parse::<Currency>().map(Currency::exponent), Ok(exponent), "{code}");
        }
    }

    #[test]
    fn only_codes_of_the_standard_are_currencies() {
        for code in ["", "EU", "eur", "EURO", "ABC", " EUR", "€"] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::UnknownCurrency(code.to_owned())));
        }
        let long = "E".repeat(1_000_000);
        assert_eq!(long.parse::<Currency>(), Err(MoneyError::UnknownCurrency("E".repeat(16))));
    }

    #[test]
    fn shows_and_orders_by_code() {
        let mut currencies: Vec<Currency> = ["USD", "EUR", "JPY"].iter().map(|code| code.parse().unwrap()).collect();
        currencies.sort();
        assert_eq!(format!("{currencies:?}"), "[EUR, JPY, USD]");
        assert_eq!(format!("{:>5}", currencies[0]), "  EUR");
    }
}
