//! The gRPC services: each handler parses, calls, converts.

mod accounts;
mod documents;
mod payments;
mod proof;

pub use accounts::Accounts;
pub use documents::Documents;
pub use payments::Payments;
pub use proof::Proof;
