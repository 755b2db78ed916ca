//! Reads what `deploy/` says, strictly, so that tests can check it against the house.
//!
//! Kubernetes accepts a manifest with a misspelt field and ignores it. Here every document is decoded into its type
//! and written out again: whatever did not survive the way was not understood, and is an error.

pub mod database;
pub mod dockerfile;
pub mod manifest;

use std::path::PathBuf;

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What each service is, once more, so that a slip in a manifest shows.
pub struct Service {
    pub name: &'static str,
    pub port: i32,
    /// The services it asks or follows: DESIGN's law of the house.
    pub peers: &'static [&'static str],
}

/// The suite.
pub const SERVICES: [Service; 5] = [
    Service { name: "order", port: 50051, peers: &["inventory", "fulfilment", "billing"] },
    Service { name: "inventory", port: 50052, peers: &["order", "fulfilment"] },
    Service { name: "fulfilment", port: 50053, peers: &["order"] },
    Service { name: "billing", port: 50054, peers: &["order", "fulfilment", "inventory"] },
    Service { name: "analytics", port: 50055, peers: &["order", "inventory", "fulfilment", "billing"] },
];

/// The service with this name.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}
