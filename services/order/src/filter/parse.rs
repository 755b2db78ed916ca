//! Reading an expression, by recursive descent:
//!
//! ```text
//! expression = factor { AND factor }
//! factor     = term { OR term }             (OR binds closer than AND, as in AIP-160)
//! term       = [ NOT | - ] ( "(" expression ")" | field operator value )
//! ```

use super::token::{Token, tokens};
use super::{Condition, FIELDS, Field, Kind, Malformed, Relation, Test, Value};
use crate::name::OrderName;
use pesan_api::order::v1::OrderState;
use rust_decimal::Decimal;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};
use uuid::Uuid;

const MOST_LETTERS: usize = 2000;
const MOST_TESTS: usize = 50;
const MOST_LEVELS: usize = 20;

/// Reads an expression; none where it is blank.
pub fn parse(text: &str) -> Result<Option<Condition>, Malformed> {
    if text.chars().count() > MOST_LETTERS {
        return Err(Malformed { at: MOST_LETTERS, what: format!("at most {MOST_LETTERS} characters are read") });
    }
    let mut reader = Reader { end: text.chars().count() + 1, tokens: tokens(text)?, next: 0, tests: 0, levels: 0 };
    if reader.tokens.is_empty() {
        return Ok(None);
    }
    let condition = reader.expression()?;
    match reader.peek() {
        None => Ok(Some(condition)),
        Some(Token::Close) => Err(reader.wrong("this parenthesis was never opened")),
        Some(_) => Err(reader.wrong("AND or OR is missing before this")),
    }
}

struct Reader {
    tokens: Vec<(usize, Token)>,
    /// Where the text ends.
    end: usize,
    next: usize,
    tests: usize,
    levels: usize,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn wrong(&self, what: impl Into<String>) -> Malformed {
        Malformed { at: self.at(), what: what.into() }
    }

    fn takes(&mut self, token: &Token) -> bool {
        let is_next = self.peek() == Some(token);
        self.next += usize::from(is_next);
        is_next
    }

    fn expression(&mut self) -> Result<Condition, Malformed> {
        let mut parts = vec![self.factor()?];
        while self.takes(&Token::And) {
            parts.push(self.factor()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn factor(&mut self) -> Result<Condition, Malformed> {
        let mut parts = vec![self.term()?];
        while self.takes(&Token::Or) {
            parts.push(self.term()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn term(&mut self) -> Result<Condition, Malformed> {
        let is_negated = self.takes(&Token::Not);
        let condition = if self.takes(&Token::Open) {
            self.levels += 1;
            if self.levels > MOST_LEVELS {
                return Err(self.wrong(format!("at most {MOST_LEVELS} levels of parentheses are read")));
            }
            let inner = self.expression()?;
            if !self.takes(&Token::Close) {
                return Err(self.wrong("a closing parenthesis is missing"));
            }
            self.levels -= 1;
            inner
        } else {
            self.test()?
        };
        Ok(if is_negated { condition.negated() } else { condition })
    }

    fn test(&mut self) -> Result<Condition, Malformed> {
        let Some(Token::Word(name)) = self.peek().cloned() else { return Err(self.wrong("a field is missing")) };
        let Some((_, field, kind)) = FIELDS.iter().find(|(known, ..)| *known == name).copied() else {
            let known: Vec<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
            return Err(self.wrong(format!("{name:?} is no field: {}", known.join(", "))));
        };
        self.next += 1;
        self.tests += 1;
        if self.tests > MOST_TESTS {
            return Err(self.wrong(format!("at most {MOST_TESTS} comparisons are read")));
        }
        let Some(Token::Operator(operator)) = self.peek().cloned() else {
            return Err(self.wrong(format!("an operator is missing after {name}")));
        };
        if !is_compared_by(kind, operator) {
            return Err(self.wrong(format!("{name} is not compared by {operator}")));
        }
        self.next += 1;
        let (text, is_quoted) = match self.peek().cloned() {
            Some(Token::Word(text)) => (text, false),
            Some(Token::Quoted(text)) => (text, true),
            _ => return Err(self.wrong(format!("a value is missing after {operator}"))),
        };
        let relation = match (operator, kind) {
            (":", _) if text == "*" && !is_quoted => Relation::Present,
            (":", Kind::Text | Kind::Folded) => Relation::Contains(text),
            (":" | "=" | "!=", _) => Relation::Equal(self.value(field, kind, text)?),
            ("<", _) => Relation::Less(self.value(field, kind, text)?),
            ("<=", _) => Relation::AtMost(self.value(field, kind, text)?),
            (">", _) => Relation::Greater(self.value(field, kind, text)?),
            (_, _) => Relation::AtLeast(self.value(field, kind, text)?),
        };
        self.next += 1;
        let test = Condition::Is(Test { field, relation });
        Ok(if operator == "!=" { test.negated() } else { test })
    }

    fn value(&self, field: Field, kind: Kind, text: String) -> Result<Value, Malformed> {
        let (value, wanted) = match kind {
            Kind::Text | Kind::Code | Kind::Many => (Some(Value::Text(text)), ""),
            Kind::Folded => (Some(Value::Text(text.to_lowercase())), ""),
            Kind::OrderNumber => (number(&text).map(Value::Integer), "an order's number: SO-000123 or 123"),
            Kind::Integer => (text.parse().ok().map(Value::Integer), "a whole number"),
            Kind::Amount => (amount(&text).map(Value::Amount), "an amount: 1000 or 99.95"),
            Kind::Time => (moment(&text).map(Value::Time), "a time: \"2026-01-31T12:00:00Z\" or 2026-01-31"),
            Kind::Id => (Uuid::try_parse(&text).ok().map(Value::Id), "a UUID"),
            Kind::State => (state(&text).map(Value::State), "a state: CONFIRMED, ON_HOLD, …"),
        };
        value.ok_or_else(|| self.wrong(format!("{} must be {wanted}", name_of(field))))
    }
}

fn name_of(field: Field) -> &'static str {
    FIELDS.iter().find(|(_, known, _)| *known == field).map_or("", |(name, ..)| name)
}

fn one_or(mut parts: Vec<Condition>, all: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => all(parts.into_iter().chain(last).collect()),
    }
}

fn is_compared_by(kind: Kind, operator: &str) -> bool {
    match (kind, operator) {
        (_, "=" | "!=" | ":") => true,
        (Kind::OrderNumber | Kind::Integer | Kind::Amount | Kind::Time, _) => true,
        (Kind::Text | Kind::Folded | Kind::Code | Kind::Many | Kind::Id | Kind::State, _) => false,
    }
}

fn number(text: &str) -> Option<i64> {
    match OrderName::parse(text) {
        Some(OrderName::Number(number)) => Some(number),
        Some(OrderName::Id(_) | OrderName::External(..)) | None => text.parse().ok(),
    }
}

/// No exponents, and no more digits than an amount has.
fn amount(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).ok()
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    let time = match Date::parse(text, format_description!("[year]-[month]-[day]")) {
        Ok(date) => date.midnight().assume_utc(),
        Err(_) => OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC),
    };
    Some(time).filter(|time| (1900..=9999).contains(&time.year()))
}

fn state(text: &str) -> Option<OrderState> {
    let state = OrderState::from_str_name(text).or_else(|| OrderState::from_str_name(&format!("ORDER_STATE_{text}")));
    state.filter(|state| *state != OrderState::Unspecified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is(field: Field, relation: Relation) -> Condition {
        Condition::Is(Test { field, relation })
    }

    fn text(field: Field, value: &str) -> Condition {
        is(field, Relation::Equal(Value::Text(value.into())))
    }

    fn read(expression: &str) -> Condition {
        parse(expression).unwrap().unwrap()
    }

    #[test]
    fn or_binds_closer_than_and() {
        let (a, b, c) = (text(Field::Channel, "a"), text(Field::Channel, "b"), text(Field::Sku, "c"));
        let expected = Condition::And(vec![a.clone(), Condition::Or(vec![b.clone(), c.clone()])]);
        assert_eq!(read("channel = a AND channel=b OR sku:c"), expected);
        let expected = Condition::Or(vec![Condition::And(vec![a, b]), c]);
        assert_eq!(read("(channel = a AND channel=b) OR sku = 'c'"), expected);
    }

    #[test]
    fn not_ends_up_at_the_leaves() {
        let not = |condition: Condition| condition.negated();
        let (a, b) = (text(Field::Channel, "a"), text(Field::SalesRep, "b"));
        let expected = Condition::Or(vec![not(a.clone()), b.clone()]);
        assert_eq!(read("NOT (channel = a AND sales_rep != b)"), expected);
        assert_eq!(read("-channel = a"), not(a.clone()));
        assert_eq!(read("NOT (NOT channel = a OR NOT sales_rep = b)"), Condition::And(vec![a, b]));
    }

    #[test]
    fn values_are_of_their_field_s_kind() {
        let at = time::macros::datetime!(2026-01-31 10:00 UTC);
        for (expression, expected) in [
            ("number > SO-000123", is(Field::Number, Relation::Greater(Value::Integer(123)))),
            ("number <= 7", is(Field::Number, Relation::AtMost(Value::Integer(7)))),
            ("gross < -1.50", is(Field::Gross, Relation::Less(Value::Amount(Decimal::new(-150, 2))))),
            ("placed_at >= \"2026-01-31T12:00:00+02:00\"", is(Field::PlacedAt, Relation::AtLeast(Value::Time(at)))),
            (
                "placed_at < 2026-01-31",
                is(Field::PlacedAt, Relation::Less(Value::Time(at - time::Duration::hours(10)))),
            ),
            ("state = ON_HOLD", is(Field::State, Relation::Equal(Value::State(OrderState::OnHold)))),
            ("state = ORDER_STATE_ON_HOLD", is(Field::State, Relation::Equal(Value::State(OrderState::OnHold)))),
            ("email = Budi@Example.COM", text(Field::Email, "budi@example.com")),
            ("external_id:*", is(Field::ExternalId, Relation::Present)),
            ("external_id:\"*\"", is(Field::ExternalId, Relation::Contains("*".into()))),
            ("country:i", is(Field::Country, Relation::Contains("i".into()))),
            ("external_id = \"it's \\\"x\\\\\"", text(Field::ExternalId, "it's \"x\\")),
            ("hold = CREDIT_LIMIT_EXCEEDED", text(Field::Hold, "CREDIT_LIMIT_EXCEEDED")),
        ] {
            assert_eq!(read(expression), expected, "{expression}");
        }
        assert_eq!(parse(" \t"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (expression, at, hint) in [
            ("colour = red", 1, "is no field"),
            ("channel = web state = CONFIRMED", 15, "AND or OR is missing"),
            ("channel web", 9, "operator"),
            ("channel =", 10, "value is missing"),
            ("channel < web", 9, "not compared by <"),
            ("state = OPEN", 9, "a state"),
            ("state = UNSPECIFIED", 9, "a state"),
            ("gross > 1e5", 9, "an amount"),
            ("(channel = web", 15, "closing parenthesis"),
            ("channel = web)", 14, "never opened"),
            ("channel = \"web", 11, "never closed"),
            ("channel = web; drop table orders", 14, "quote"),
            ("AND", 1, "a field is missing"),
            ("channel = web AND", 18, "a field is missing"),
            ("NOT NOT channel = web", 5, "a field is missing"),
            ("tea", 1, "is no field"),
        ] {
            let wrong = parse(expression).unwrap_err();
            assert!(wrong.at == at && wrong.what.contains(hint), "{expression}: {wrong}");
        }
    }

    #[test]
    fn an_expression_is_bounded() {
        let wide = vec!["id:*"; 51].join(" AND ");
        assert!(parse(&wide).unwrap_err().what.contains("50 comparisons"));
        assert!(parse(&wide[..wide.len() - 9]).is_ok());
        let deep = format!("{}id:*{}", "(".repeat(21), ")".repeat(21));
        assert!(parse(&deep).unwrap_err().what.contains("20 levels"));
        assert!(parse(&deep[1..deep.len() - 1]).is_ok());
        assert!(parse(&" ".repeat(2001)).unwrap_err().what.contains("2000 characters"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall_over(text in "[a-z_ ()=<>!:\"'\\\\*.ANDORT0-9é-]{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn a_quoted_value_is_read_as_it_is(value in "[^\\x00]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(read(&format!("sku = \"{quoted}\"")), text(Field::Sku, &value));
        }
    }
}
