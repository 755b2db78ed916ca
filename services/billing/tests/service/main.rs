//! Billing from outside: over gRPC, with the feeds of order and fulfilment and the provider as fakes.
#![allow(clippy::unwrap_used)]

mod accounts;
mod cancelling;
mod documents;
mod house;
mod promises;
mod proof;
mod provider;
mod shipping;
