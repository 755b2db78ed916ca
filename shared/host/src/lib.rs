//! How a service lives: a database pool with migrations, a server stack with health and reflection, a clock, a bounded
//! drain. Every service's `Application` is made of these.

pub mod clock;
pub mod database;
pub mod server;
pub mod signal;

pub use clock::Clock;
pub use server::{Server, ServerConfig};
