//! Refusals, for people.

use anyhow::anyhow;
use pesan_api::r#type::v1::Problem;
use pesan_grpc::refuse;
use tonic::Status;
use tonic_types::StatusExt as _;

/// What a service answered, with its reason and the fields it names.
pub fn from_status(status: &Status) -> anyhow::Error {
    let reason = refuse::reason(status);
    let code = if reason.is_empty() { format!("{:?}", status.code()) } else { reason };
    let mut text = format!("{code}: {}", status.message());
    if let Some(request) = status.get_details_bad_request() {
        for violation in request.field_violations {
            text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
        }
    }
    anyhow!(text)
}

/// Why one item of a list was refused.
pub fn from_problem(problem: &Problem) -> anyhow::Error {
    let mut text = format!("{}: {}", problem.reason, problem.message);
    for violation in &problem.violations {
        text.push_str(&format!("\n  {}: {}", violation.field, violation.description));
    }
    anyhow!(text)
}

/// The answer's message, or the refusal as an error for people.
pub fn answer<T>(response: Result<tonic::Response<T>, Status>) -> anyhow::Result<T> {
    response.map(tonic::Response::into_inner).map_err(|status| from_status(&status))
}
