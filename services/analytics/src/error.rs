//! What can go wrong, and the only place that makes it a `Status`.

use pesan_grpc::{Violations, refuse};
use std::time::Duration;
use tonic::{Code, Status};

const DOMAIN: &str = "analytics.pesan";

/// Why a call was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// The request itself is wrong.
    #[error("the request is invalid")]
    Invalid(Violations),
    /// No order is called that.
    #[error("there is no order {0:?}")]
    OrderNotFound(String),
    /// The tables are being emptied or were in use for too long.
    #[error("the tables are in use; try again")]
    Busy,
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for AnalyticsError {
    fn from(error: sqlx::Error) -> Self {
        // Lock not available, deadlock, serialization failure: gone when tried again.
        let code = error.as_database_error().and_then(|e| e.code().map(|code| code.into_owned()));
        match code.as_deref() {
            Some("55P03" | "40P01" | "40001") => Self::Busy,
            _ => Self::Database(error),
        }
    }
}

impl From<AnalyticsError> for Status {
    fn from(error: AnalyticsError) -> Self {
        let message = error.to_string();
        match error {
            AnalyticsError::Invalid(violations) => refuse::invalid(&violations),
            AnalyticsError::OrderNotFound(_) => refuse::refused(Code::NotFound, "ORDER_NOT_FOUND", DOMAIN, message),
            AnalyticsError::Busy => refuse::retry(Code::Aborted, "RETRY", DOMAIN, message, Duration::from_millis(100)),
            AnalyticsError::Database(source) => {
                tracing::error!(error = %source, "database failed");
                match refuse::is_database_away(&source) {
                    true => refuse::database_away(DOMAIN),
                    false => Status::internal("internal error"),
                }
            }
        }
    }
}
