//! Invoices and credit notes.

use crate::charge_line::Portion;
use pesan_money::{Currency, Money};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Invoice,
    CreditNote,
}

/// A series of gap-free numbers: the kind and the year of issue (UTC).
pub fn series(kind: Kind, issued_at: OffsetDateTime) -> String {
    let prefix = match kind {
        Kind::Invoice => "INV",
        Kind::CreditNote => "CN",
    };
    format!("{prefix}-{:04}", issued_at.year())
}

/// What people see: `INV-2026-000045`.
pub fn number_text(series: &str, number: i64) -> String {
    format!("{series}-{number:06}")
}

/// Series and number of what people see; none where it is no number of ours.
pub fn parse_number(text: &str) -> Option<(String, i64)> {
    let (series, digits) = text.rsplit_once('-')?;
    let (prefix, year) = series.split_once('-')?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !matches!(prefix, "INV" | "CN") || year.len() != 4 || !is_digits(year) || !is_digits(digits) {
        return None;
    }
    Some((series.to_owned(), digits.parse().ok()?))
}

/// Which documents to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub kind: Option<Kind>,
    pub order_id: Option<Uuid>,
    pub customer_id: Option<Uuid>,
    /// After this series and number.
    pub after: Option<(String, i64)>,
}

/// A document that has no number yet, or (see [`number`]) has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub id: Uuid,
    pub kind: Kind,
    pub series: String,
    /// 0: not numbered yet.
    pub number: i64,
    /// None: a stand-alone credit note.
    pub order_id: Option<Uuid>,
    /// None: a guest.
    pub customer_id: Option<Uuid>,
    /// Whether it counts in the customer's account.
    pub on_account: bool,
    pub currency: Currency,
    pub lines: Vec<DocumentLine>,
    /// Σ lines' net.
    pub net: Decimal,
    pub tax: Decimal,
    /// Invoice: not yet paid, captured or credited. Credit note: not yet set against an invoice or given back.
    pub open: Decimal,
    pub issued_at: OffsetDateTime,
    pub due_at: OffsetDateTime,
    /// What caused it: the shipment, the return, the goodwill, or the caller's external id.
    pub reference: String,
    /// A credit note that takes off a price: no goods came back.
    pub allowance: bool,
}

/// A line of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentLine {
    pub line_no: i32,
    pub sku: String,
    /// 0 in an allowance.
    pub quantity: i64,
    pub net: Decimal,
    pub tax: Decimal,
}

impl Document {
    /// net + tax.
    pub fn total(&self) -> Decimal {
        self.net + self.tax
    }

    /// As an amount of its currency.
    pub fn money(&self, amount: Decimal) -> Money {
        Money::new(self.currency, amount)
    }

    /// What it adds to what is owed: its total, negative for a credit note.
    pub fn owed(&self) -> Decimal {
        match self.kind {
            Kind::Invoice => self.total(),
            Kind::CreditNote => -self.total(),
        }
    }
}

/// Net and tax of all lines.
pub fn sum(lines: &[DocumentLine]) -> Portion {
    lines.iter().fold(Portion::default(), |sum, line| Portion { net: sum.net + line.net, tax: sum.tax + line.tax })
}

/// Takes `excess` (with tax) off lines, the last ones first, net and tax in proportion: what is left of each.
pub fn shrink(lines: &mut [DocumentLine], excess: Decimal, exponent: u32) {
    let mut left = excess;
    for line in lines.iter_mut().rev() {
        let total = line.net + line.tax;
        let cut = left.min(total);
        if cut <= Decimal::ZERO {
            continue;
        }
        let exact = cut * line.tax / total;
        // At least so much tax that the net is not asked for more than it is.
        let tax = exact.round_dp_with_strategy(exponent, RoundingStrategy::MidpointNearestEven);
        let tax = tax.min(line.tax).max(cut - line.net);
        line.tax -= tax;
        line.net -= cut - tax;
        left -= cut;
    }
}

/// How many documents of each series wait for a number.
pub fn wanted(documents: &[Document]) -> BTreeMap<String, i64> {
    let mut wanted = BTreeMap::new();
    for document in documents {
        *wanted.entry(document.series.clone()).or_default() += 1;
    }
    wanted
}

/// Numbers documents in their order; `last` holds each series' last number after all that were [`wanted`] were taken.
pub fn number(documents: &mut [Document], last: &HashMap<String, i64>) {
    let mut taken: HashMap<String, i64> = HashMap::new();
    for (series, wanted) in wanted(documents) {
        taken.insert(series.clone(), last.get(&series).copied().unwrap_or_default() - wanted);
    }
    for document in documents {
        if let Some(number) = taken.get_mut(&document.series) {
            *number += 1;
            document.number = *number;
        }
    }
}

/// What is open of a document, to be set against a credit or a payment.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    pub id: Uuid,
    pub series: String,
    pub number: i64,
    pub order_id: Option<Uuid>,
    pub open: Decimal,
}

/// Sets `amount` against what is open, in the order given; (document, part) for each that takes some, and what is left.
pub fn settle(amount: Decimal, open: &mut [Open]) -> (Vec<(Uuid, Decimal)>, Decimal) {
    let mut left = amount;
    let mut parts = Vec::new();
    for document in open {
        let part = left.min(document.open);
        if part > Decimal::ZERO {
            document.open -= part;
            left -= part;
            parts.push((document.id, part));
        }
    }
    (parts, left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;
    use time::macros::datetime;

    fn document(kind: Kind, issued_at: OffsetDateTime) -> Document {
        Document {
            id: Uuid::now_v7(),
            kind,
            series: series(kind, issued_at),
            number: 0,
            order_id: None,
            customer_id: None,
            on_account: false,
            currency: "EUR".parse().unwrap(),
            lines: vec![],
            net: dec!(1),
            tax: dec!(0),
            open: dec!(1),
            issued_at,
            due_at: issued_at,
            reference: String::new(),
            allowance: false,
        }
    }

    #[test]
    fn numbers_go_on_by_series_in_the_order_given() {
        let (old, new) = (datetime!(2025-12-31 23:59 UTC), datetime!(2026-01-01 0:00 UTC));
        let mut documents = [(Kind::Invoice, old), (Kind::Invoice, new), (Kind::CreditNote, new), (Kind::Invoice, new)]
            .map(|(kind, at)| document(kind, at));
        assert_eq!(wanted(&documents).into_values().collect::<Vec<_>>(), [1, 1, 2]);
        let last = [("INV-2025", 8), ("INV-2026", 2), ("CN-2026", 1)].map(|(s, n)| (s.to_owned(), n)).into();
        number(&mut documents, &last);
        let numbers: Vec<_> = documents.iter().map(|d| number_text(&d.series, d.number)).collect();
        assert_eq!(numbers, ["INV-2025-000008", "INV-2026-000001", "CN-2026-000001", "INV-2026-000002"]);
    }

    #[test]
    fn a_number_is_read_and_nonsense_is_not() {
        assert_eq!(parse_number("INV-2026-000045"), Some(("INV-2026".into(), 45)));
        assert_eq!(parse_number("CN-2026-1000000"), Some(("CN-2026".into(), 1_000_000)));
        for nonsense in ["", "INV-2026", "INV-26-1", "XX-2026-1", "INV-2026-", "INV-2026-1x", "INV-20x6-1"] {
            assert_eq!(parse_number(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn payments_go_to_the_first_open_ones() {
        let open = |open| Open { id: Uuid::now_v7(), series: "INV-2026".into(), number: 1, order_id: None, open };
        let mut three = [open(dec!(10)), open(dec!(0)), open(dec!(5))];
        let (parts, left) = settle(dec!(12), &mut three);
        assert_eq!(parts, [(three[0].id, dec!(10)), (three[2].id, dec!(2))]);
        assert_eq!(left, dec!(0));
        assert_eq!(settle(dec!(9), &mut three).1, dec!(6), "three were open, six stay");
    }

    proptest! {
        /// A note is cut by exactly what it is too much, and no line below nothing.
        #[test]
        fn shrinking_takes_exactly_the_excess(
            lines in proptest::collection::vec((0..10_000i64, 0..3_000i64), 1..6), part in 0..=100i64,
        ) {
            let line = |(net, tax): (i64, i64)| DocumentLine {
                line_no: 1, sku: "A".into(), quantity: 1, net: Decimal::new(net, 2), tax: Decimal::new(tax, 2),
            };
            let mut lines: Vec<DocumentLine> = lines.into_iter().map(line).collect();
            let before = sum(&lines).total();
            let excess = (before * Decimal::from(part) / Decimal::from(100)).round_dp(2);
            shrink(&mut lines, excess, 2);
            prop_assert_eq!(sum(&lines).total(), before - excess);
            prop_assert!(lines.iter().all(|line| line.net >= Decimal::ZERO && line.tax >= Decimal::ZERO));
        }

        #[test]
        fn settling_loses_nothing(amount in 0..10_000i64, open in proptest::collection::vec(0..1000i64, 0..10)) {
            let mut open: Vec<Open> = open
                .into_iter()
                .map(|n| Open { id: Uuid::now_v7(), series: String::new(), number: 1, order_id: None, open: n.into() })
                .collect();
            let before: Decimal = open.iter().map(|o| o.open).sum();
            let (parts, left) = settle(amount.into(), &mut open);
            let taken: Decimal = parts.iter().map(|p| p.1).sum();
            prop_assert_eq!(taken + left, Decimal::from(amount));
            prop_assert_eq!(open.iter().map(|o| o.open).sum::<Decimal>() + taken, before);
            prop_assert!(left.is_zero() || open.iter().all(|o| o.open.is_zero()));
        }
    }
}
