//! What can go wrong, and the only place that makes it a status.

use crate::carrier::CarrierError;
use crate::fulfilment_order::{Action, State, display_number};
use pesan_grpc::{Violations, refuse};
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const DOMAIN: &str = "fulfilment.pesan";

/// Why a command or a question is refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields are wrong.
    #[error("the request is not valid")]
    Invalid(Violations),
    /// No fulfilment order has this id or number.
    #[error("there is no fulfilment order {0}")]
    FulfilmentOrderNotFound(String),
    /// No return has this id or number.
    #[error("there is no return {0}")]
    ReturnNotFound(String),
    /// The fulfilment order is in a state in which this cannot be done.
    #[error("{} is {state}: it cannot be {}", display_number(*.number), .action.done())]
    NotAllowed { number: i64, action: Action, state: State },
    /// The order is to be shipped later.
    #[error("{} is not to be shipped before {not_before}", display_number(*.number))]
    NotBefore { number: i64, not_before: OffsetDateTime },
    /// More was picked of these lines than is open.
    #[error("more was picked than is open of lines {} of {}", list(.lines), display_number(*.number))]
    MoreThanOpen { number: i64, lines: Vec<i32> },
    /// Less is open of these order lines than is to be withdrawn.
    #[error("already picked, in part or whole: lines {}", list(.lines))]
    AlreadyPicked { lines: Vec<i32> },
    /// The order's feed is not read as far as the caller has seen it.
    #[error("the order was read up to version {followed}, not yet to {wanted}: ask again")]
    NotFollowedYet { followed: i64, wanted: i64 },
    /// More of these lines came back than may come.
    #[error("more than was still expected of lines {} of {number}", list(.lines))]
    MoreThanExpected { number: String, lines: Vec<i32> },
    /// Something of the return came back already.
    #[error("something of {number} came back already")]
    AlreadyReceived { number: String },
    /// The request id was used for another request.
    #[error("the request id was used for another request, which differs in {}", .fields.join(", "))]
    RequestIdReused { fields: Vec<String> },
    /// The carrier gave no labels.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// A label was asked for at another carrier than the one this process knows.
    #[error("labels of {} were asked for at the carrier {carrier}, which is not connected", display_number(*.number))]
    OtherCarrier { number: i64, carrier: String },
    /// The database failed, or does not hold what it must.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// Money in the database is no money.
    #[error("an amount cannot be read")]
    Money(#[from] pesan_money::MoneyError),
    /// A row changed although its aggregate was locked, or does not hold what it must.
    #[error("stored data is broken: {0}")]
    Broken(String),
}

fn list(lines: &[i32]) -> String {
    let shown: Vec<String> = lines.iter().take(20).map(i32::to_string).collect();
    let more = if lines.len() > 20 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut metadata: HashMap<String, String> = HashMap::new();
        let mut say = |key: &str, value: String| drop(metadata.insert(key.to_owned(), value));
        let (code, reason, again_after) = match &error {
            Error::Invalid(violations) => return refuse::invalid(violations),
            Error::FulfilmentOrderNotFound(_) => (Code::NotFound, "FULFILMENT_ORDER_NOT_FOUND", None),
            Error::ReturnNotFound(_) => (Code::NotFound, "RETURN_NOT_FOUND", None),
            Error::NotAllowed { state, action, number: _ } => {
                say("state", state.to_string());
                say("action", action.to_string());
                say("allowed", state.allowed().iter().map(Action::to_string).collect::<Vec<_>>().join(","));
                (Code::FailedPrecondition, "NOT_ALLOWED", None)
            }
            Error::NotBefore { not_before, number: _ } => {
                say("not_before", not_before.to_string());
                (Code::FailedPrecondition, "NOT_BEFORE", None)
            }
            Error::MoreThanOpen { lines, number: _ } => {
                say("lines", list(lines));
                (Code::FailedPrecondition, "MORE_THAN_OPEN", None)
            }
            Error::AlreadyPicked { lines } => {
                say("lines", list(lines));
                (Code::FailedPrecondition, "ALREADY_PICKED", None)
            }
            Error::NotFollowedYet { followed, wanted } => {
                say("followed", followed.to_string());
                say("wanted", wanted.to_string());
                (Code::Aborted, "NOT_FOLLOWED_YET", Some(Duration::from_millis(50)))
            }
            Error::MoreThanExpected { lines, number: _ } => {
                say("lines", list(lines));
                (Code::FailedPrecondition, "MORE_THAN_EXPECTED", None)
            }
            Error::AlreadyReceived { number: _ } => (Code::FailedPrecondition, "ALREADY_RECEIVED", None),
            Error::RequestIdReused { fields } => {
                say("fields", fields.join(","));
                (Code::AlreadyExists, "REQUEST_ID_REUSED", None)
            }
            Error::Carrier(CarrierError::Unavailable(_)) => {
                (Code::Unavailable, "CARRIER_UNAVAILABLE", Some(Duration::from_secs(1)))
            }
            Error::Carrier(CarrierError::Refused(_)) => (Code::FailedPrecondition, "CARRIER_REFUSED", None),
            Error::OtherCarrier { carrier, number: _ } => {
                say("carrier", carrier.clone());
                (Code::FailedPrecondition, "CARRIER_NOT_CONNECTED", None)
            }
            Error::Database(source) if refuse::is_database_away(source) => {
                tracing::warn!(error = ?error, "the database cannot be reached");
                return refuse::database_away(DOMAIN);
            }
            Error::Database(_) | Error::Money(_) | Error::Broken(_) => {
                tracing::error!(error = ?error, "a request failed");
                return Status::internal("internal error");
            }
        };
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
        if let Some(delay) = again_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(code, error.to_string(), details)
    }
}
