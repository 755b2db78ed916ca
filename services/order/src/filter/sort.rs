//! In which order orders are listed, and the place of one in it.

use super::Malformed;
use rust_decimal::Decimal;
use time::OffsetDateTime;

/// What orders can be sorted by: none of it is ever missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortField {
    /// When the customer placed it.
    PlacedAt,
    /// When Pesan learned of it.
    RecordedAt,
    /// N of "SO-N".
    Number,
    /// 0 to 9.
    Priority,
    /// Σ quantities ordered.
    Units,
    /// Σ line totals.
    Gross,
    /// With discounts and tax.
    Total,
}

const FIELDS: [(&str, SortField); 7] = [
    ("placed_at", SortField::PlacedAt),
    ("recorded_at", SortField::RecordedAt),
    ("number", SortField::Number),
    ("priority", SortField::Priority),
    ("units", SortField::Units),
    ("gross", SortField::Gross),
    ("total", SortField::Total),
];

/// One of the things to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// What.
    pub field: SortField,
    /// Largest first.
    pub descending: bool,
}

/// An order's value of a sort field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Key {
    /// A moment.
    Time(OffsetDateTime),
    /// A whole number.
    Integer(i64),
    /// An amount.
    Amount(Decimal),
}

/// Reads "priority, placed_at desc"; blank: newest first.
pub fn parse(text: &str) -> Result<Vec<Sort>, Malformed> {
    if text.trim().is_empty() {
        return Ok(vec![Sort { field: SortField::PlacedAt, descending: true }]);
    }
    let mut sorts: Vec<Sort> = Vec::new();
    let mut at = 1;
    for part in text.split(',') {
        let wrong = |what: String| Malformed { at, what };
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name).copied() else {
            let known: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
            return Err(wrong(format!("{name:?} cannot be sorted by: {}", known.join(", "))));
        };
        let descending = match words.next() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(wrong(format!("{other:?} is neither asc nor desc"))),
        };
        if words.next().is_some() || sorts.len() == 3 || sorts.iter().any(|sort| sort.field == field) {
            return Err(wrong("up to 3 different fields, each with or without desc, separated by commas".to_owned()));
        }
        sorts.push(Sort { field, descending });
        at += part.chars().count() + 1;
    }
    Ok(sorts)
}

impl Key {
    /// As page tokens hold it.
    pub fn to_text(self) -> String {
        match self {
            Self::Time(time) => (time.unix_timestamp_nanos() / 1000).to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Amount(amount) => amount.to_string(),
        }
    }

    /// As [`Key::to_text`], back.
    pub fn read(field: SortField, text: &str) -> Option<Self> {
        match field {
            SortField::PlacedAt | SortField::RecordedAt => {
                let nanos = text.parse::<i128>().ok()?.checked_mul(1000)?;
                OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().map(Self::Time)
            }
            SortField::Number | SortField::Priority | SortField::Units => text.parse().ok().map(Self::Integer),
            SortField::Gross | SortField::Total => text.parse().ok().map(Self::Amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_or_what_is_wrong_is_told() {
        let sort = |field, descending| Sort { field, descending };
        assert_eq!(parse(" "), Ok(vec![sort(SortField::PlacedAt, true)]));
        let expected = vec![sort(SortField::Priority, false), sort(SortField::Total, true)];
        assert_eq!(parse("priority,  total desc"), Ok(expected.clone()));
        assert_eq!(parse("priority asc,total desc"), Ok(expected));
        for (wrong, at) in [
            ("state", 1),
            ("number,", 8),
            ("number down", 1),
            ("number, number desc", 8),
            ("number desc desc", 1),
            ("number, units, gross, total", 22),
        ] {
            assert_eq!(parse(wrong).unwrap_err().at, at, "{wrong}");
        }
    }

    #[test]
    fn a_key_survives_the_way_there_and_back() {
        let at = time::macros::datetime!(2026-01-31 10:00:00.123456 UTC);
        for (field, key) in [
            (SortField::PlacedAt, Key::Time(at)),
            (SortField::Number, Key::Integer(7)),
            (SortField::Gross, Key::Amount(Decimal::new(12_345, 2))),
        ] {
            assert_eq!(Key::read(field, &key.to_text()), Some(key));
        }
        assert_eq!(Key::read(SortField::PlacedAt, "x"), None);
    }
}
