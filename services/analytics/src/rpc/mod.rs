//! The gRPC services: parse, call, convert.

mod analytics;
mod proof;

pub use analytics::AnalyticsRpc;
pub use proof::ProofRpc;
