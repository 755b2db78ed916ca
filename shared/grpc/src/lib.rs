//! What every gRPC service and client of the suite needs around a call: reading requests with field violations, rich
//! refusals, request ids, deadlines, pages, and channels to peers. It knows no business.

pub mod channel;
pub mod deadline;
pub mod idempotency;
pub mod json;
pub mod page;
pub mod parse;
pub mod refuse;
pub mod run;

pub use parse::Violations;
