//! The gRPC services: parse, call, convert.

mod fulfilment;
mod proof;
mod return_receipt;

pub use fulfilment::FulfilmentRpc;
pub use proof::ProofRpc;
pub use return_receipt::ReturnReceiptRpc;
