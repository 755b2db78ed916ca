//! What can go wrong, and what the caller is told.

use pesan_api::r#type::v1::Problem;
use pesan_grpc::{Violations, refuse};
use pesan_money::{Currency, Money, MoneyError};
use std::time::Duration;
use tonic::{Code, Status};
use uuid::Uuid;

const DOMAIN: &str = "billing.pesan";

/// Why an item of a list was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("{wanted} would be owed and authorised, the limit is {limit}")]
    CreditLimitExceeded { wanted: Money, limit: Money },
    #[error("the customer has no account in {currency}")]
    NoAccount { currency: Currency },
    #[error("the payment was declined: {reason}")]
    PaymentDeclined { reason: String },
    #[error("the order was cancelled or rejected")]
    OrderClosed,
    #[error("the payment provider did not answer in time; ask again, the order is never charged twice")]
    ProviderUnknown,
    #[error("the account has entries in {currency}: its currency cannot change")]
    AccountInUse { currency: Currency },
    #[error("nothing is authorised for the order")]
    NothingAuthorised,
    #[error("more of line {line_no} has left than was known: its price cannot change any more")]
    LineInvoiced { line_no: i32 },
    #[error("what was cancelled of the order is not known here yet; ask again")]
    Behind,
    #[error("{field}: {description}")]
    Invalid { field: &'static str, description: String },
}

impl Refusal {
    /// Stable, for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CreditLimitExceeded { .. } => "CREDIT_LIMIT_EXCEEDED",
            Self::NoAccount { .. } => "NO_ACCOUNT",
            Self::PaymentDeclined { .. } => "PAYMENT_DECLINED",
            Self::OrderClosed => "ORDER_CLOSED",
            Self::ProviderUnknown => "PROVIDER_UNKNOWN",
            Self::AccountInUse { .. } => "ACCOUNT_IN_USE",
            Self::NothingAuthorised => "NOTHING_AUTHORISED",
            Self::LineInvoiced { .. } => "LINE_INVOICED",
            Self::Behind => "BEHIND",
            Self::Invalid { .. } => "INVALID_ARGUMENT",
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Invalid { field, description } = refusal {
            let mut violations = Violations::new();
            violations.add(field, description);
            return violations.into_problem();
        }
        let retryable = matches!(refusal, Refusal::ProviderUnknown | Refusal::Behind);
        Self { reason: refusal.reason().to_owned(), message: refusal.to_string(), violations: vec![], retryable }
    }
}

/// Why a call, or a batch, was refused or failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("fields of the request are wrong")]
    Invalid(Violations),
    #[error("customer {0} has no account")]
    AccountNotFound(Uuid),
    #[error("nothing is known of order {0}")]
    OrderNotFound(Uuid),
    #[error("there is no document {0:?}")]
    DocumentNotFound(String),
    #[error("{0:?} is no invoice on the account of this customer")]
    InvoiceNotFound(String),
    #[error("{amount} is more than the {open} that is open")]
    MoreThanOpen { amount: Money, open: Money },
    #[error("the request id was used for another request; these fields differ: {}", .0.join(", "))]
    RequestIdReused(Vec<String>),
    #[error("too many requests are waiting; try again")]
    Busy,
    #[error("the service is stopping; ask another replica")]
    Stopping,
    /// A fact of another service contradicts what this one knows. It is not passed over: money would be wrong in silence.
    #[error("{0}")]
    Contradiction(String),
    #[error("an amount of money is out of range")]
    Money(#[from] MoneyError),
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        let (code, reason) = match error {
            Error::Invalid(violations) => return refuse::invalid(violations),
            Error::AccountNotFound(_) => (Code::NotFound, "ACCOUNT_NOT_FOUND"),
            Error::OrderNotFound(_) => (Code::NotFound, "ORDER_NOT_FOUND"),
            Error::DocumentNotFound(_) => (Code::NotFound, "DOCUMENT_NOT_FOUND"),
            Error::InvoiceNotFound(_) => (Code::NotFound, "INVOICE_NOT_FOUND"),
            Error::MoreThanOpen { .. } => (Code::FailedPrecondition, "MORE_THAN_OPEN"),
            Error::RequestIdReused(_) => (Code::AlreadyExists, "REQUEST_ID_REUSED"),
            Error::Busy => {
                let delay = Duration::from_millis(100);
                return refuse::retry(Code::ResourceExhausted, "BUSY", DOMAIN, error.to_string(), delay);
            }
            Error::Stopping => (Code::Unavailable, "STOPPING"),
            Error::Contradiction(what) => {
                tracing::error!(what, "facts contradict each other");
                return Status::internal("internal error");
            }
            Error::Money(source) => {
                tracing::error!(%source, "an amount could not be computed");
                return Status::internal("internal error");
            }
            Error::Database(source) => return database(source),
        };
        refuse::refused(code, reason, DOMAIN, error.to_string())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

fn database(source: &sqlx::Error) -> Status {
    // Serialisation failure and deadlock: the same call may succeed.
    let contention = source.as_database_error().and_then(|e| e.code()).is_some_and(|c| c == "40001" || c == "40P01");
    if contention {
        let delay = Duration::from_millis(50);
        return refuse::retry(Code::Aborted, "RETRY", DOMAIN, "others changed the same rows; try again", delay);
    }
    tracing::error!(error = %source, "the database failed");
    match refuse::is_database_away(source) {
        true => refuse::database_away(DOMAIN),
        false => Status::internal("internal error"),
    }
}
