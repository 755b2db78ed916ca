//! Goodwill: credits without goods.

use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// A credit that was granted on an order.
#[derive(Clone, Debug)]
pub struct Goodwill {
    /// UUIDv7.
    pub goodwill_id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// With tax.
    pub amount: Decimal,
    /// For programs.
    pub reason: String,
    /// Who granted it.
    pub owner: String,
    /// For people.
    pub note: String,
    /// When.
    pub granted_at: OffsetDateTime,
    /// Each line's share of it.
    pub lines: Vec<(i32, Decimal)>,
    /// The credit note, once there is one.
    pub document_id: Option<Uuid>,
    /// What billing made of it.
    pub credited: Option<Decimal>,
}

/// A goodwill that billing credited.
pub struct Allowed {
    /// Ours.
    pub goodwill_id: Uuid,
    /// The credit note.
    pub document_id: Uuid,
    /// With tax.
    pub amount: Decimal,
}

/// What was invoiced for lines, with tax: (line number, amount).
pub type Invoiced = Vec<(i32, Decimal)>;

/// So many percent of what was invoiced, rounded half-even to the minor unit.
pub fn percent_of(invoiced: &Invoiced, percent: Decimal, currency: Currency) -> Decimal {
    let whole: Decimal = invoiced.iter().map(|(_, amount)| amount).sum();
    Money::new(currency, whole * percent / Decimal::ONE_HUNDRED).round().amount
}

/// Divides an amount over lines in proportion to what was invoiced for them; the parts sum to it. Lines without a part are
/// left out.
pub fn divide(amount: Decimal, invoiced: &Invoiced, currency: Currency) -> Vec<(i32, Decimal)> {
    let weights: Vec<Decimal> = invoiced.iter().map(|(_, amount)| *amount).collect();
    let parts = Money::new(currency, amount).allocate(&weights);
    let lines = invoiced.iter().zip(parts).map(|((line_no, _), part)| (*line_no, part.amount));
    lines.filter(|(_, part)| !part.is_zero()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    #[test]
    fn a_goodwill_is_divided_without_a_rest() {
        let euro: Currency = "EUR".parse().unwrap();
        let invoiced = vec![(1, dec!(20)), (2, dec!(0)), (3, dec!(10))];
        assert_eq!(percent_of(&invoiced, dec!(12.5), euro), dec!(3.75));
        assert_eq!(divide(dec!(10), &invoiced, euro), [(1, dec!(6.67)), (3, dec!(3.33))]);
    }
}
