//! How purchase orders, transfers and counts are called.

use uuid::Uuid;

/// What kind of document it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    PurchaseOrder,
    Transfer,
    Count,
}

impl DocumentKind {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::PurchaseOrder => 1,
            Self::Transfer => 2,
            Self::Count => 3,
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::PurchaseOrder => "PO-",
            Self::Transfer => "TR-",
            Self::Count => "CC-",
        }
    }

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PurchaseOrder => "purchase order",
            Self::Transfer => "transfer",
            Self::Count => "count",
        }
    }

    /// The number that people see: `PO-000012`.
    pub fn number(self, number: i64) -> String {
        format!("{}{number:06}", self.prefix())
    }

    /// Reads a document's id or number.
    pub fn parse(self, text: &str) -> Option<DocumentName> {
        if let Some(digits) = text.strip_prefix(self.prefix()) {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            return digits.parse().ok().filter(|_| plain).map(DocumentName::Number);
        }
        Uuid::try_parse(text).ok().filter(|id| !id.is_nil()).map(DocumentName::Id)
    }
}

/// One document, by what the caller knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentName {
    Id(Uuid),
    Number(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_by_its_id_or_number() {
        let kind = DocumentKind::PurchaseOrder;
        assert_eq!(kind.number(12), "PO-000012");
        assert_eq!(kind.parse("PO-000012"), Some(DocumentName::Number(12)));
        assert_eq!(kind.parse("PO-1234567"), Some(DocumentName::Number(1_234_567)));
        let id = Uuid::now_v7();
        assert_eq!(kind.parse(&id.to_string()), Some(DocumentName::Id(id)));
        for wrong in ["", "PO-", "PO--1", "PO-+1", "TR-000012", "12", "PO-99999999999999999999"] {
            assert_eq!(kind.parse(wrong), None, "{wrong}");
        }
    }
}
