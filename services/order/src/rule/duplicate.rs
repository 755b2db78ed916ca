//! What makes two orders the same: who orders, and which lines for how much.

use crate::draft::Ready;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// Another order that is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin {
    /// N of "SO-N".
    pub number: i64,
    /// When it was placed.
    pub placed_at: OffsetDateTime,
}

/// A hash that two orders share if the same customer, or the same e-mail of guests, orders the same quantities of the same
/// items, in any order, for the same total. None where nobody can be compared.
pub fn fingerprint(
    customer_id: Option<Uuid>,
    email: &str,
    currency: &str,
    total: rust_decimal::Decimal,
    lines: impl Iterator<Item = (String, i64)>,
) -> Option<Uuid> {
    let who = match customer_id {
        Some(id) => id.to_string(),
        None => email.trim().to_lowercase(),
    };
    if who.is_empty() {
        return None;
    }
    // Two lines of one item are as good as one of both.
    let mut units = std::collections::BTreeMap::<String, i64>::new();
    for (sku, quantity) in lines {
        let sum = units.entry(sku).or_default();
        *sum = sum.saturating_add(quantity);
    }
    let mut hash = Sha256::new();
    // Lengths keep neighbours apart: "ab" + "c" is not "a" + "bc".
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(&who);
    add(currency);
    add(&total.normalize().to_string());
    for (sku, quantity) in &units {
        add(sku);
        add(&quantity.to_string());
    }
    let digest = hash.finalize();
    let bytes: [u8; 16] = digest.get(..16)?.try_into().ok()?;
    Some(Uuid::from_bytes(bytes))
}

/// Of an order that is about to be written.
pub fn of_ready(ready: &Ready<'_>) -> Option<Uuid> {
    let total = ready.totals.gross - ready.totals.discount + ready.totals.tax;
    let lines = ready.lines.iter().map(|line| (line.sku.clone(), line.quantity));
    fingerprint(ready.customer_id, &ready.ship_to.email, ready.currency.code(), total, lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    #[test]
    fn the_same_order_has_the_same_fingerprint_and_another_has_not() {
        let of = |customer: Option<Uuid>, email: &str, currency: &str, total: Decimal, lines: &[(&str, i64)]| {
            fingerprint(customer, email, currency, total, lines.iter().map(|(sku, q)| ((*sku).to_owned(), *q)))
        };
        let ten = Decimal::new(10_00, 2);
        let lines = [("TEA", 2), ("CUP", 1)];
        let one = of(None, "Ann@Example.com", "EUR", ten, &lines);
        assert!(one.is_some());
        for same in [
            of(None, " ann@example.com", "EUR", Decimal::new(10, 0), &[("CUP", 1), ("TEA", 2)]),
            of(None, "ann@example.com", "EUR", ten, &[("CUP", 1), ("TEA", 1), ("TEA", 1)]),
        ] {
            assert_eq!(same, one);
        }
        for other in [
            of(None, "bob@example.com", "EUR", ten, &lines),
            of(Some(Uuid::from_u128(7)), "ann@example.com", "EUR", ten, &lines),
            of(None, "ann@example.com", "USD", ten, &lines),
            of(None, "ann@example.com", "EUR", Decimal::new(10_01, 2), &lines),
            of(None, "ann@example.com", "EUR", ten, &[("TEA", 2), ("CUP", 2)]),
            of(None, "ann@example.com", "EUR", ten, &[("TEA", 2)]),
        ] {
            assert_ne!(other, one);
        }
        assert_eq!(of(None, "", "EUR", ten, &lines), None, "nobody to compare");
    }
}
