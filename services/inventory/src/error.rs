//! What can go wrong, and the only place that makes it a status or a problem.

use crate::document::DocumentKind;
use pesan_api::r#type::v1::{FieldViolation, Problem};
use pesan_grpc::{Violations, refuse};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Status};
use uuid::Uuid;

const DOMAIN: &str = "inventory.pesan";

/// Why a request, or one item of it, was not carried out. Clones are cheap: a batch that failed as a whole fails for
/// each of its callers.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("fields of the request are wrong")]
    Invalid(Violations),
    #[error("there is no item with the sku {0:?}")]
    ItemNotFound(String),
    #[error("there is no reservation of the order {0}")]
    ReservationNotFound(Uuid),
    #[error("the kind and base unit of {0:?} cannot change: it is in use")]
    ItemInUse(String),
    /// By the paths of the fields.
    #[error("no such item; create it first")]
    UnknownSku(Vec<String>),
    #[error("no such location; create it first")]
    UnknownLocation,
    // Sourcing and kits.
    #[error("no such location to prefer; create it first")]
    UnknownPreferredLocation,
    /// By the paths of the fields.
    #[error("a component must be a stocked item that exists or comes earlier in the list")]
    UnknownComponent(Vec<String>),
    #[error("no decision is kept of this order: there was no choice, or nothing was reserved")]
    DecisionNotFound,
    #[error("it was changed meanwhile and is at version {0}: read it again")]
    VersionConflict(i64),
    #[error("a service item has no stock")]
    NotStocked,
    #[error("not enough stock")]
    OutOfStock(Vec<FieldViolation>),
    #[error("the order was cancelled or rejected; nothing can be reserved for it any more")]
    OrderClosed,
    /// The order wants something else by now, or this service has not read as far as its caller.
    #[error("it is not for what the order is known to want here: ask again")]
    Outdated,
    #[error("there is no location that a service could be shipped from; create one")]
    NoLocation,
    #[error("only {there} are there and not reserved")]
    InsufficientStock { field: &'static str, there: i64 },
    #[error("more than 1,000,000,000,000,000 of one item at one location cannot be kept")]
    StockLimit(&'static str),
    #[error("must be in {expected} like the item's costs so far")]
    CostCurrency { field: &'static str, expected: &'static str },
    // Lots, serial numbers, units.
    #[error("the item is tracked by lot: name the lots")]
    LotRequired,
    #[error("the item is tracked by serial number: name them")]
    SerialRequired,
    #[error("the item is not tracked by lot or serial number")]
    NotTracked,
    #[error(
        "lots must be named once each and sum up to the quantity (a serial number is one), which comes, goes, or moves \
         between two buckets, and must be there"
    )]
    LotQuantity,
    #[error("the lot {0:?} is known with another expiry")]
    LotExpiry(String),
    #[error("the serial number {0:?} is in stock already")]
    SerialInStock(String),
    #[error("there is no lot or serial number {0:?} of the item")]
    LotNotFound(String),
    #[error("the item has no such unit")]
    UnknownUnit(&'static str),
    #[error("that is no whole number of units")]
    NotAWholeUnit,
    #[error("the barcode {0:?} belongs to another item")]
    BarcodeInUse(String),
    #[error("no unit of an item has the barcode {0:?}")]
    BarcodeNotFound(String),
    // The backorder queue.
    #[error("nothing of the order {0} waits for stock")]
    NothingWaits(Uuid),
    // Supply: purchase orders, transfers, counts, planning.
    #[error("there is no supplier with the code {0:?}")]
    SupplierNotFound(String),
    /// By the path of the field.
    #[error("{0}: no such supplier; create it first")]
    UnknownSupplier(&'static str),
    #[error("there is no {kind} {name:?}", kind = .0.name(), name = .1)]
    DocumentNotFound(DocumentKind, String),
    #[error("{what} is {is}")]
    WrongState { what: &'static str, is: &'static str },
    #[error("{0}: there is no such line")]
    UnknownLine(String),
    #[error("{0}: the supplier offers no price; name one")]
    NoPrice(String),
    #[error("{0}: needed where goods are damaged or missing, or more came than was expected")]
    ReasonNeeded(String),
    #[error("{field}: must be at most {most}")]
    OverDelivery { field: String, most: i64 },
    #[error("the location has more than {0} items, or lots of them; name those to be counted")]
    CountTooLarge(usize),
    #[error("the location has no stock to be counted; name the items")]
    NothingToCount,
    #[error("{0} items are not counted yet")]
    CountIncomplete(usize),
    #[error("stock that is missing is promised to orders that are not confirmed yet; try again")]
    Unsettled,
    /// What is wrong with one line of a document, by its path.
    #[error("{path}: {error}")]
    At { path: String, error: Box<Error> },
    /// With the fields that differ.
    #[error("the request id was used for another request, which differs in {}", .0.join(", "))]
    RequestIdReused(Vec<String>),
    #[error("too many requests are waiting; try again")]
    Busy,
    #[error("the service stops; whether the request took effect is not known")]
    Stopping,
    #[error("others change the same rows; try again")]
    Contention,
    #[error("database failed")]
    Database(Arc<sqlx::Error>),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let state = error.as_database_error().and_then(|e| e.code());
        match state.as_deref() {
            // Others took a barcode or a serial number at the same time: looked at again, it is taken.
            Some("23505")
                if error
                    .as_database_error()
                    .and_then(|e| e.constraint())
                    .is_some_and(|name| name == "item_unit_barcode" || name == "stock_lot_serial_once") =>
            {
                Self::Contention
            }
            // Serialization failure, deadlock, lock timeout.
            Some("40001" | "40P01" | "55P03") => Self::Contention,
            _ => Self::Database(Arc::new(error)),
        }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl From<pesan_batch::Refused> for Error {
    fn from(refused: pesan_batch::Refused) -> Self {
        match refused {
            pesan_batch::Refused::Full => Self::Busy,
            pesan_batch::Refused::Closed => Self::Stopping,
        }
    }
}

impl Error {
    fn code_and_reason(&self) -> (Code, &'static str) {
        match self {
            Self::Invalid(_) => (Code::InvalidArgument, "INVALID_ARGUMENT"),
            Self::ItemNotFound(_) => (Code::NotFound, "ITEM_NOT_FOUND"),
            Self::ReservationNotFound(_) => (Code::NotFound, "RESERVATION_NOT_FOUND"),
            Self::ItemInUse(_) => (Code::FailedPrecondition, "ITEM_IN_USE"),
            Self::UnknownSku(_) => (Code::NotFound, "UNKNOWN_SKU"),
            Self::UnknownLocation => (Code::NotFound, "UNKNOWN_LOCATION"),
            Self::UnknownPreferredLocation => (Code::NotFound, "UNKNOWN_LOCATION"),
            Self::UnknownComponent(_) => (Code::NotFound, "UNKNOWN_COMPONENT"),
            Self::DecisionNotFound => (Code::NotFound, "DECISION_NOT_FOUND"),
            Self::VersionConflict(_) => (Code::Aborted, "VERSION_CONFLICT"),
            Self::NotStocked => (Code::FailedPrecondition, "NOT_STOCKED"),
            Self::OutOfStock(_) => (Code::FailedPrecondition, "OUT_OF_STOCK"),
            Self::OrderClosed => (Code::FailedPrecondition, "ORDER_CLOSED"),
            Self::Outdated => (Code::Aborted, "OUTDATED"),
            Self::NoLocation => (Code::FailedPrecondition, "NO_LOCATION"),
            Self::InsufficientStock { .. } => (Code::FailedPrecondition, "INSUFFICIENT_STOCK"),
            Self::StockLimit(_) => (Code::OutOfRange, "STOCK_LIMIT"),
            Self::CostCurrency { .. } => (Code::FailedPrecondition, "COST_CURRENCY"),
            Self::LotRequired => (Code::FailedPrecondition, "LOT_REQUIRED"),
            Self::SerialRequired => (Code::FailedPrecondition, "SERIAL_REQUIRED"),
            Self::NotTracked => (Code::FailedPrecondition, "NOT_TRACKED"),
            Self::LotQuantity => (Code::FailedPrecondition, "LOT_QUANTITY"),
            Self::LotExpiry(_) => (Code::FailedPrecondition, "LOT_EXPIRY"),
            Self::SerialInStock(_) => (Code::FailedPrecondition, "SERIAL_IN_STOCK"),
            Self::LotNotFound(_) => (Code::NotFound, "LOT_NOT_FOUND"),
            Self::UnknownUnit(_) => (Code::NotFound, "UNKNOWN_UNIT"),
            Self::NotAWholeUnit => (Code::FailedPrecondition, "NOT_A_WHOLE_UNIT"),
            Self::BarcodeInUse(_) => (Code::FailedPrecondition, "BARCODE_IN_USE"),
            Self::BarcodeNotFound(_) => (Code::NotFound, "BARCODE_NOT_FOUND"),
            Self::NothingWaits(_) => (Code::FailedPrecondition, "NOTHING_WAITS"),
            Self::SupplierNotFound(_) => (Code::NotFound, "SUPPLIER_NOT_FOUND"),
            Self::UnknownSupplier(_) => (Code::NotFound, "UNKNOWN_SUPPLIER"),
            Self::DocumentNotFound(DocumentKind::PurchaseOrder, _) => (Code::NotFound, "PURCHASE_ORDER_NOT_FOUND"),
            Self::DocumentNotFound(DocumentKind::Transfer, _) => (Code::NotFound, "TRANSFER_NOT_FOUND"),
            Self::DocumentNotFound(DocumentKind::Count, _) => (Code::NotFound, "COUNT_NOT_FOUND"),
            Self::WrongState { .. } => (Code::FailedPrecondition, "WRONG_STATE"),
            Self::UnknownLine(_) => (Code::NotFound, "UNKNOWN_LINE"),
            Self::NoPrice(_) => (Code::FailedPrecondition, "NO_PRICE"),
            Self::ReasonNeeded(_) => (Code::InvalidArgument, "REASON_NEEDED"),
            Self::OverDelivery { .. } => (Code::FailedPrecondition, "OVER_DELIVERY"),
            Self::CountTooLarge(_) => (Code::FailedPrecondition, "COUNT_TOO_LARGE"),
            Self::NothingToCount => (Code::FailedPrecondition, "NOTHING_TO_COUNT"),
            Self::CountIncomplete(_) => (Code::FailedPrecondition, "COUNT_INCOMPLETE"),
            Self::Unsettled => (Code::FailedPrecondition, "UNSETTLED"),
            Self::At { error, .. } => error.code_and_reason(),
            Self::RequestIdReused(_) => (Code::AlreadyExists, "REQUEST_ID_REUSED"),
            Self::Busy => (Code::ResourceExhausted, "BUSY"),
            Self::Stopping => (Code::Unavailable, "STOPPING"),
            Self::Contention => (Code::Aborted, "RETRY"),
            Self::Database(_) => (Code::Internal, "INTERNAL"),
        }
    }

    /// Whether the same request may succeed later, without a change of it.
    fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::Stopping
                | Self::Contention
                | Self::Outdated
                | Self::NoLocation
                | Self::Unsettled
                | Self::Database(_)
        )
    }

    /// The fields it is about, with paths from the root of the item.
    fn violations(&self) -> Vec<FieldViolation> {
        let at = |field: &str| vec![FieldViolation { field: field.to_owned(), description: self.to_string() }];
        match self {
            Self::Invalid(violations) => violations.as_slice().to_vec(),
            Self::UnknownPreferredLocation => at("preferred_location_id"),
            Self::VersionConflict(_) => at("expected_version"),
            Self::UnknownComponent(fields) | Self::UnknownSku(fields) => {
                fields.iter().take(100).flat_map(|field| at(field)).collect()
            }
            Self::UnknownLocation => at("location_id"),
            Self::NotStocked => at("sku"),
            Self::OutOfStock(lines) => lines.clone(),
            Self::InsufficientStock { field, .. } | Self::StockLimit(field) | Self::CostCurrency { field, .. } => {
                at(field)
            }
            Self::LotRequired
            | Self::SerialRequired
            | Self::NotTracked
            | Self::LotQuantity
            | Self::LotExpiry(_)
            | Self::SerialInStock(_) => at("lots"),
            Self::UnknownUnit(field) => at(field),
            Self::NotAWholeUnit => at("quantity"),
            Self::BarcodeInUse(_) => at("units"),
            Self::RequestIdReused(_) => at("request_id"),
            Self::UnknownSupplier(field) => at(field),
            Self::UnknownLine(field) | Self::NoPrice(field) | Self::ReasonNeeded(field) => at(field),
            Self::OverDelivery { field, .. } | Self::At { path: field, .. } => at(field),
            Self::SupplierNotFound(_)
            | Self::DocumentNotFound(..)
            | Self::WrongState { .. }
            | Self::CountTooLarge(_)
            | Self::NothingToCount
            | Self::Unsettled
            | Self::CountIncomplete(_) => Vec::new(),
            Self::ItemInUse(_) => at("kind"),
            Self::ItemNotFound(_)
            | Self::LotNotFound(_)
            | Self::BarcodeNotFound(_)
            | Self::NothingWaits(_)
            | Self::ReservationNotFound(_)
            | Self::DecisionNotFound
            | Self::OrderClosed
            | Self::Outdated
            | Self::NoLocation
            | Self::Busy
            | Self::Stopping
            | Self::Contention
            | Self::Database(_) => Vec::new(),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        if let Error::Invalid(violations) = &error {
            return refuse::invalid(violations);
        }
        if let Error::Database(source) = &error {
            tracing::error!(?source, "database failed");
            return match refuse::is_database_away(source) {
                true => refuse::database_away(DOMAIN),
                false => Status::internal("internal error"),
            };
        }
        let (code, reason) = error.code_and_reason();
        if error.is_retryable() {
            return refuse::retry(code, reason, DOMAIN, error.to_string(), Duration::from_millis(100));
        }
        refuse::refused(code, reason, DOMAIN, error.to_string())
    }
}

/// The answer to one item of a list.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if let Error::Invalid(violations) = error {
            return violations.into_problem();
        }
        Problem {
            reason: error.code_and_reason().1.to_owned(),
            message: error.to_string(),
            violations: error.violations(),
            retryable: error.is_retryable(),
        }
    }
}
