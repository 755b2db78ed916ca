//! Amounts: proto money, whole minor units, and text.

use anyhow::Context as _;
use pesan_api::r#type::v1 as pb;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;

/// A proto amount as whole minor units of its currency; 0 where it is absent. An amount finer than the minor unit,
/// which no total is, is rounded half-even.
pub fn minor_units(money: Option<&pb::Money>) -> anyhow::Result<i64> {
    let Some(money) = money else { return Ok(0) };
    let mut amount = money_of(money)?.round().amount;
    amount.rescale(currency(&money.currency_code)?.exponent());
    i64::try_from(amount.mantissa()).context("an amount is beyond 64 bits")
}

/// The currency of a code.
pub fn currency(code: &str) -> anyhow::Result<Currency> {
    code.parse().with_context(|| format!("{code:?} is no currency"))
}

fn money_of(money: &pb::Money) -> anyhow::Result<Money> {
    pesan_grpc::parse::from_money(money).context("an amount cannot be read")
}

/// For people: "12.50 EUR"; "?" where it cannot be read.
pub fn text(money: Option<&pb::Money>) -> String {
    match money {
        Some(money) => pesan_grpc::parse::from_money(money).map_or_else(|_| "?".to_owned(), |money| money.to_string()),
        None => "nothing".to_owned(),
    }
}

/// Minor units as a decimal of major units.
pub fn from_minor(minor: Decimal, decimals: u32) -> Decimal {
    let mut amount = minor * Decimal::new(1, decimals);
    amount.rescale(decimals);
    amount
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(code: &str, units: i64, nanos: i32) -> pb::Money {
        pb::Money { currency_code: code.into(), units, nanos }
    }

    #[test]
    fn minor_units_are_those_of_the_currency() {
        assert_eq!(minor_units(Some(&money("GBP", 12, 340_000_000))).unwrap(), 1234);
        assert_eq!(minor_units(Some(&money("GBP", -1, -500_000_000))).unwrap(), -150);
        assert_eq!(minor_units(Some(&money("JPY", 500, 0))).unwrap(), 500);
        assert_eq!(minor_units(Some(&money("KWD", 1, 2_000_000))).unwrap(), 1002);
        assert_eq!(minor_units(None).unwrap(), 0);
        assert!(minor_units(Some(&money("nope", 1, 0))).is_err());
        assert_eq!(from_minor(Decimal::from(1230), 2).to_string(), "12.30");
        assert_eq!(from_minor(Decimal::from(500), 0).to_string(), "500");
    }
}
