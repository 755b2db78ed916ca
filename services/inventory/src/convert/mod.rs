//! Protos to domain and back.

pub mod backorder;
pub mod count;
pub mod facts;
pub mod item;
pub mod placement;
pub mod planning;
pub mod promise;
pub mod purchase;
pub mod reservation;
pub mod sourcing;
pub mod stock;
pub mod transfer;

use pesan_api::r#type::v1::Money as PbMoney;
use pesan_grpc::Violations;
use pesan_grpc::parse::{from_money, to_money};
use pesan_money::Money;
use rust_decimal::Decimal;

/// A cost of one base unit: not negative, at most 6 decimals, at most 10⁹; none where it is absent.
fn unit_cost(violations: &mut Violations, field: &str, money: Option<&PbMoney>) -> Option<Money> {
    let money = money?;
    let currency = match from_money(money) {
        Ok(money) => money.currency,
        Err(error) => {
            violations.add(field, error.to_string());
            return None;
        }
    };
    let amount = violations.price(field, Some(money), currency)?;
    if amount > Decimal::from(1_000_000_000) {
        violations.add(field, "must be at most 1,000,000,000");
        return None;
    }
    Some(Money::new(currency, amount))
}

/// As it is shown; none where it has no proto form.
pub fn pb_money(money: Option<Money>) -> Option<PbMoney> {
    money.as_ref().and_then(to_money)
}
