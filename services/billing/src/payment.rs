//! Money that comes in for invoices on account.

use pesan_money::Money;
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// Names a document: by id, or by what people see.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentName {
    Id(Uuid),
    Number(String, i64),
}

/// A payment to be booked.
#[derive(Clone, Debug)]
pub struct NewPayment {
    pub request_id: Uuid,
    pub customer_id: Uuid,
    /// Positive.
    pub amount: Money,
    /// The bank's.
    pub reference: String,
    /// To be paid in this order, as named; none: the oldest first.
    pub invoices: Vec<(String, DocumentName)>,
    pub effective_at: OffsetDateTime,
}

/// What of a payment went to an invoice.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    pub invoice_id: Uuid,
    pub series: String,
    pub number: i64,
    pub amount: Decimal,
}

/// A credit note that belongs to no order.
#[derive(Clone, Debug)]
pub struct NewNote {
    pub external_id: String,
    /// None: a guest.
    pub customer_id: Option<Uuid>,
    pub currency: pesan_money::Currency,
    pub lines: Vec<crate::document::DocumentLine>,
    pub reason: String,
    pub effective_at: OffsetDateTime,
    pub country: String,
    pub channel: String,
}
