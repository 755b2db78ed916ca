//! Refusals that tell a program why: `google.rpc` details on a status.

use crate::Violations;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// A request with wrong fields: `INVALID_ARGUMENT` with `BadRequest`.
pub fn invalid(violations: &Violations) -> Status {
    let mut details = ErrorDetails::new();
    details.set_bad_request(
        violations.as_slice().iter().map(|v| FieldViolation::new(&v.field, &v.description)).collect::<Vec<_>>(),
    );
    let message = violations.clone().into_problem().message;
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// One wrong field, as [`invalid`].
pub fn invalid_field(field: &str, description: &str) -> Status {
    let mut violations = Violations::new();
    violations.add(field, description);
    invalid(&violations)
}

/// A refusal with a stable reason (`ErrorInfo`) in the domain of a service, such as `order.pesan`.
pub fn refused(code: Code, reason: &str, domain: &str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, domain, HashMap::<String, String>::new());
    Status::with_error_details(code, message, details)
}

/// As [`refused`], where the same call may succeed after `delay` (`RetryInfo`).
pub fn retry(code: Code, reason: &str, domain: &str, message: impl Into<String>, delay: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, domain, HashMap::<String, String>::new());
    details.set_retry_info(Some(delay));
    Status::with_error_details(code, message, details)
}

/// True where the database was not reached, or had no room for another connection: nothing is wrong with the request.
pub fn is_database_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        // Connection lost, too many connections, shutting down or starting up.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code == "53300" || code.starts_with("57P0"))
        }
        _ => false,
    }
}

/// What a caller is told where [`is_database_away`].
pub fn database_away(domain: &str) -> Status {
    let message = "the service is overloaded or its database is away: try again";
    retry(Code::Unavailable, "DATABASE_UNAVAILABLE", domain, message, Duration::from_millis(500))
}

/// The stable reason of a refusal, empty where it has none.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_survive_the_wire_form() {
        let status = retry(Code::Aborted, "RETRY", "order.pesan", "again", Duration::from_millis(50));
        let wire = Status::with_details(status.code(), status.message(), status.details().to_vec().into());
        assert_eq!(reason(&wire), "RETRY");
        assert!(wire.get_details_retry_info().is_some());
        let wire = invalid_field("lines[3].sku", "is required");
        assert_eq!(wire.get_details_bad_request().unwrap().field_violations[0].field, "lines[3].sku");
    }
}
