//! What people and programs call orders and returns.

use uuid::Uuid;

/// A way to point at an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OrderName {
    /// Its id.
    Id(Uuid),
    /// N of "SO-N".
    Number(i64),
    /// "channel/external_id".
    External(String, String),
}

/// A way to point at a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnName {
    /// Its id.
    Id(Uuid),
    /// N of "RMA-N".
    Number(i64),
}

/// An order's number as people see it: "SO-000123".
pub fn order_number(number: i64) -> String {
    format!("SO-{number:06}")
}

/// A return's number as people see it: "RMA-000012".
pub fn return_number(number: i64) -> String {
    format!("RMA-{number:06}")
}

/// An inquiry's number as people see it: "INQ-000012".
pub fn inquiry_number(number: i64) -> String {
    format!("INQ-{number:06}")
}

/// A quotation's number as people see it: "QU-000012".
pub fn quotation_number(number: i64) -> String {
    format!("QU-{number:06}")
}

/// A way to point at an inquiry or a quotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresalesName {
    /// Its id.
    Id(Uuid),
    /// N of "INQ-N" or "QU-N".
    Number(i64),
}

impl PresalesName {
    /// An inquiry's id or "INQ-000012"; none where it is neither.
    pub fn of_inquiry(text: &str) -> Option<Self> {
        number(text, "INQ-").map(Self::Number).or_else(|| Uuid::try_parse(text).ok().map(Self::Id))
    }

    /// A quotation's id or "QU-000012"; none where it is neither.
    pub fn of_quotation(text: &str) -> Option<Self> {
        number(text, "QU-").map(Self::Number).or_else(|| Uuid::try_parse(text).ok().map(Self::Id))
    }

    /// As two columns to look in.
    pub fn id_and_number(self) -> (Option<Uuid>, Option<i64>) {
        match self {
            Self::Id(id) => (Some(id), None),
            Self::Number(number) => (None, Some(number)),
        }
    }
}

fn number(text: &str, prefix: &str) -> Option<i64> {
    let digits = text.strip_prefix(prefix)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

impl OrderName {
    /// Reads an id, "SO-000123" or "channel/external_id"; none where it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((channel, external_id)) = text.split_once('/') {
            let is_name = !channel.is_empty() && !external_id.is_empty() && text.len() <= 600 && !text.contains('\0');
            return is_name.then(|| Self::External(channel.to_owned(), external_id.to_owned()));
        }
        number(text, "SO-").map(Self::Number).or_else(|| Uuid::try_parse(text).ok().map(Self::Id))
    }
}

impl ReturnName {
    /// Reads an id or "RMA-000012"; none where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        number(text, "RMA-").map(Self::Number).or_else(|| Uuid::try_parse(text).ok().map(Self::Id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        assert_eq!(OrderName::parse(&order_number(123)), Some(OrderName::Number(123)));
        assert_eq!(OrderName::parse(&order_number(12_345_678)), Some(OrderName::Number(12_345_678)));
        assert_eq!(ReturnName::parse(&return_number(12)), Some(ReturnName::Number(12)));
        let id = Uuid::now_v7();
        assert_eq!(OrderName::parse(&id.to_string()), Some(OrderName::Id(id)));
        assert_eq!(OrderName::parse("web/a/b"), Some(OrderName::External("web".into(), "a/b".into())));
        for nonsense in ["", "SO-", "SO-1x", "/x", "web/", "RMA-1", "SO-99999999999999999999", "web/\0"] {
            assert_eq!(OrderName::parse(nonsense), None, "{nonsense:?}");
        }
        assert_eq!(ReturnName::parse("SO-000001"), None);
        assert_eq!(PresalesName::of_inquiry(&inquiry_number(12)), Some(PresalesName::Number(12)));
        assert_eq!(PresalesName::of_quotation(&quotation_number(12)), Some(PresalesName::Number(12)));
        assert_eq!(PresalesName::of_quotation(&inquiry_number(12)), None);
    }
}
