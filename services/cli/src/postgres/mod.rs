//! A Postgres of our own, so that `pesan up` needs nothing prepared.
//!
//! [`Cluster::start`] finds the server's programs (or installs them), creates a private cluster in a folder, and
//! runs the server as a child process that never outlives us. [`provision`] gives each service its role and schema.

mod cluster;
mod find;
mod identity;
mod install;
mod postmaster;
mod provision;
mod secret;
mod settings;

pub use cluster::{Cluster, remove_abandoned};
pub use identity::bind_to_thread;
pub use provision::provision;
pub use settings::Settings;
