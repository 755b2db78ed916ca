//! Reading a request: every field is looked at, and all that is wrong is told at once, with paths.

use pesan_api::r#type::v1 as pb;
use pesan_money::{Currency, Money};
use prost_types::Timestamp;
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// The fields of a request that are wrong. Collect while reading; refuse at the end if there is any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Violations(Vec<pb::FieldViolation>);

impl Violations {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `field` (a path from the root: `lines[3].quantity`) is wrong, and what would be right.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        // Bounded, so that ten thousand bad lines do not make a ten-megabyte refusal.
        if self.0.len() < 100 {
            self.0.push(pb::FieldViolation { field: field.into(), description: description.into() });
        }
    }

    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations noted, at most 100.
    pub fn as_slice(&self) -> &[pb::FieldViolation] {
        &self.0
    }

    /// `Ok(value)` when nothing is wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Violations> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// As the answer to one item of a list: reason `INVALID_ARGUMENT`.
    pub fn into_problem(self) -> pb::Problem {
        let first = self.0.first().map(|v| format!("{}: {}", v.field, v.description)).unwrap_or_default();
        let message = match self.0.len() {
            0 | 1 => first,
            n => format!("{first} (and {} more)", n - 1),
        };
        pb::Problem { reason: "INVALID_ARGUMENT".into(), message, violations: self.0, retryable: false }
    }

    /// A UUID that must be there.
    pub fn uuid(&mut self, field: &str, text: &str) -> Uuid {
        if text.is_empty() {
            self.add(field, "is required: a UUID");
            return Uuid::nil();
        }
        self.optional_uuid(field, text).unwrap_or_default()
    }

    /// A UUID, or none where the text is empty.
    pub fn optional_uuid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        if text.is_empty() {
            return None;
        }
        match Uuid::try_parse(text) {
            Ok(id) if !id.is_nil() => Some(id),
            _ => {
                self.add(field, "must be a UUID other than nil");
                None
            }
        }
    }

    /// Text of `min` to `max` characters without control characters.
    pub fn text(&mut self, field: &str, text: String, min: usize, max: usize) -> String {
        let length = text.chars().count();
        if length < min && min == 1 {
            self.add(field, "is required");
        } else if length < min || length > max {
            self.add(field, format!("must have {min} to {max} characters, not {length}"));
        } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            self.add(field, "must not have control characters");
        }
        text
    }

    /// A whole number within bounds.
    pub fn within<N: PartialOrd + std::fmt::Display + Copy>(&mut self, field: &str, value: N, min: N, max: N) -> N {
        if value < min || value > max {
            self.add(field, format!("must be {min} to {max}, not {value}"));
        }
        value
    }

    /// An ISO 4217 code.
    pub fn currency(&mut self, field: &str, code: &str) -> Option<Currency> {
        match code.parse() {
            Ok(currency) => Some(currency),
            Err(_) => {
                self.add(field, format!("must be an ISO 4217 code such as EUR, not {code:?}"));
                None
            }
        }
    }

    /// An amount in `currency`, not negative, with at most 6 decimals.
    pub fn price(&mut self, field: &str, money: Option<&pb::Money>, currency: Currency) -> Option<Decimal> {
        let amount = self.money_in(field, money, currency)?;
        if amount.is_sign_negative() && !amount.is_zero() {
            self.add(field, "must not be negative");
            return None;
        }
        if amount.scale() > 6 && amount.normalize().scale() > 6 {
            self.add(field, "must have at most 6 decimals");
            return None;
        }
        Some(amount)
    }

    /// An amount in `currency`, not negative, in whole minor units; zero where it is absent.
    pub fn amount_or_zero(&mut self, field: &str, money: Option<&pb::Money>, currency: Currency) -> Decimal {
        if money.is_none() {
            return Decimal::ZERO;
        }
        let Some(amount) = self.price(field, money, currency) else { return Decimal::ZERO };
        if amount.normalize().scale() > currency.exponent() {
            self.add(field, format!("must be in whole minor units of {currency}"));
        }
        amount
    }

    fn money_in(&mut self, field: &str, money: Option<&pb::Money>, currency: Currency) -> Option<Decimal> {
        let Some(money) = money else {
            self.add(field, "is required");
            return None;
        };
        match Money::from_units_nanos(&money.currency_code, money.units, money.nanos) {
            Ok(money) if money.currency == currency => Some(money.amount),
            Ok(money) => {
                self.add(field, format!("must be in {currency} like the rest, not in {}", money.currency));
                None
            }
            Err(error) => {
                self.add(field, error.to_string());
                None
            }
        }
    }

    /// A time; none where it is absent.
    pub fn time(&mut self, field: &str, timestamp: Option<&Timestamp>) -> Option<OffsetDateTime> {
        let timestamp = timestamp?;
        let parsed = from_timestamp(timestamp).filter(|t| (1900..=9999).contains(&t.year()));
        if parsed.is_none() {
            self.add(field, "must be a time from the year 1900 to 9999");
        }
        parsed
    }

    /// A time that is not in the future (a minute of clock difference is forgiven); `now` where it is absent.
    pub fn past_time(&mut self, field: &str, timestamp: Option<&Timestamp>, now: OffsetDateTime) -> OffsetDateTime {
        let time = self.time(field, timestamp).unwrap_or(now);
        if time > now + time::Duration::minutes(1) {
            self.add(field, "must not be in the future");
        }
        time
    }
}

/// A proto timestamp as a time; none where it is out of range.
pub fn from_timestamp(timestamp: &Timestamp) -> Option<OffsetDateTime> {
    let nanos = u32::try_from(timestamp.nanos).ok().filter(|n| *n < 1_000_000_000)?;
    let seconds = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    // Postgres keeps microseconds: what is read back must be what was said.
    seconds.replace_nanosecond(nanos / 1_000 * 1_000).ok()
}

/// A time as a proto timestamp.
pub fn to_timestamp(time: OffsetDateTime) -> Timestamp {
    // The nanosecond of a second is below 10⁹ and fits.
    Timestamp { seconds: time.unix_timestamp(), nanos: time.nanosecond() as i32 }
}

/// Money as its proto form; none where the amount has no proto form (beyond 9.2 × 10¹⁸ units).
pub fn to_money(money: &Money) -> Option<pb::Money> {
    let (units, nanos) = money.to_units_nanos().ok()?;
    Some(pb::Money { currency_code: money.currency.code().to_owned(), units, nanos })
}

/// An amount of a currency as its proto form, as [`to_money`].
pub fn amount_to_money(currency: Currency, amount: Decimal) -> Option<pb::Money> {
    to_money(&Money::new(currency, amount))
}

/// Money from its proto form.
pub fn from_money(money: &pb::Money) -> Result<Money, pesan_money::MoneyError> {
    Money::from_units_nanos(&money.currency_code, money.units, money.nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let mut v = Violations::new();
        let eur: Currency = "EUR".parse().unwrap();
        v.uuid("id", "");
        v.uuid("id2", "x");
        v.text("name", "\u{0}".into(), 1, 5);
        v.within("quantity", -1, 1, 10);
        v.price("price", Some(&pb::Money { currency_code: "USD".into(), units: 1, nanos: 0 }), eur);
        v.price("price2", Some(&pb::Money { currency_code: "EUR".into(), units: -1, nanos: 0 }), eur);
        v.amount_or_zero("tax", Some(&pb::Money { currency_code: "EUR".into(), units: 0, nanos: 1_000_000 }), eur);
        v.time("at", Some(&Timestamp { seconds: i64::MAX, nanos: -5 }));
        let fields: Vec<_> = v.as_slice().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["id", "id2", "name", "quantity", "price", "price2", "tax", "at"]);
        assert!(v.clone().into_problem().message.ends_with("(and 7 more)"));
        assert!(v.into_result(()).is_err());
    }

    #[test]
    fn a_timestamp_survives_the_way_there_and_back() {
        let t = Timestamp { seconds: 1_291_191_960, nanos: 123_456_000 };
        assert_eq!(to_timestamp(from_timestamp(&t).unwrap()), t);
    }
}
