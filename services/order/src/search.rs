//! What somebody types to find orders.

use crate::name::OrderName;
use pesan_api::order::v1::OrderMatch;

/// An e-mail address as it is looked for; none where there is none.
pub fn email(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_lowercase())
}

/// What a query may mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// Without white space around it.
    pub text: String,
    /// An order's number, id, or name in a channel.
    pub names: Vec<OrderName>,
    /// An e-mail address.
    pub email: Option<String>,
    /// For Postgres: the beginnings of words, all of which a name must have.
    pub words: Option<String>,
}

/// What `query` may mean.
pub fn meaning(query: &str) -> Meaning {
    let text = query.trim().to_owned();
    let upper = text.to_uppercase();
    let digits = text.parse::<i64>().ok().filter(|number| *number > 0).map(OrderName::Number);
    let names = OrderName::parse(&upper)
        .filter(|name| matches!(name, OrderName::Number(_) | OrderName::Id(_)))
        .or_else(|| OrderName::parse(&text))
        .into_iter()
        .chain(digits)
        .collect();
    // Letters and digits only: nothing that means something in a query of words.
    let words: Vec<String> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| format!("{word}:*"))
        .collect();
    Meaning {
        email: email(&text).filter(|email| email.contains('@')),
        words: (!words.is_empty() && !text.contains('@')).then(|| words.join(" & ")),
        names,
        text,
    }
}

/// What an order was found by, best first.
pub const MATCHES: [OrderMatch; 7] = [
    OrderMatch::Number,
    OrderMatch::ExternalId,
    OrderMatch::TrackingNumber,
    OrderMatch::Customer,
    OrderMatch::Email,
    OrderMatch::CustomerName,
    OrderMatch::Sku,
];

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_query_may_mean_several_things() {
        let id = Uuid::now_v7();
        for (query, names) in [
            (" SO-000123 ", vec![OrderName::Number(123)]),
            ("so-123", vec![OrderName::Number(123)]),
            ("123", vec![OrderName::Number(123)]),
            ("web/A-1", vec![OrderName::External("web".into(), "A-1".into())]),
            (&id.to_string(), vec![OrderName::Id(id)]),
            ("tea", vec![]),
            ("-5", vec![]),
        ] {
            assert_eq!(meaning(query).names, names, "{query}");
        }
        assert_eq!(meaning(" Budi@Example.com").email.as_deref(), Some("budi@example.com"));
        assert_eq!(meaning("budi").email, None);
        assert_eq!(meaning("O'Hara & Söhne").words.as_deref(), Some("O:* & Hara:* & Söhne:*"));
        assert_eq!(meaning("!:*").words, None);
        assert_eq!(email("  "), None);
    }
}
