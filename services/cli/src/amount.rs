//! Amounts of money between protos, decimals and text.

use anyhow::{Context, Result};
use pesan_api::r#type::v1 as pb;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;

/// An amount for a request.
pub fn to_proto(money: Money) -> Result<pb::Money> {
    let (units, nanos) = money.to_units_nanos()?;
    Ok(pb::Money { currency_code: money.currency.code().to_owned(), units, nanos })
}

/// An amount of an answer; zero where there is none.
pub fn decimal(money: Option<&pb::Money>) -> Decimal {
    money
        .map_or(Decimal::ZERO, |money| Decimal::from(money.units) + Decimal::new(i64::from(money.nanos), 9).normalize())
}

/// Reads `12.50` in a currency.
pub fn parse(amount: &str, currency: &str) -> Result<pb::Money> {
    let currency: Currency = currency.parse()?;
    let amount: Decimal = amount.parse().with_context(|| format!("{amount:?} is not an amount such as 12.50"))?;
    to_proto(Money::new(currency, amount))
}

/// Minor units as they are written: at least two decimals.
pub fn text(amount: Decimal) -> String {
    let mut amount = amount.normalize();
    if amount.scale() < 2 {
        amount.rescale(2);
    }
    amount.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    #[test]
    fn amounts_go_there_and_back() {
        let proto = parse("-1.75", "GBP").unwrap();
        assert_eq!((proto.units, proto.nanos), (-1, -750_000_000));
        assert_eq!(decimal(Some(&proto)), dec!(-1.75));
        assert_eq!(decimal(None), dec!(0));
        assert!(parse("one", "GBP").is_err() && parse("1", "gbp").is_err());
    }

    #[test]
    fn text_has_at_least_two_decimals() {
        assert_eq!(text(dec!(12.5)), "12.50");
        assert_eq!(text(dec!(-896812.490)), "-896812.49");
        assert_eq!(text(dec!(0.125)), "0.125");
    }
}
