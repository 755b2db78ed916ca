//! How a service lives: a database pool with migrations, a server stack with health and reflection, a clock, a bounded
//! drain. Every service's `Application` is made of these.

pub mod clock;
pub mod database;
pub mod server;
pub mod signal;

pub use clock::Clock;
pub use server::{Server, ServerConfig};

/// A third of a loaded service's time went into glibc's allocator, which does not like memory that one thread takes and
/// another gives back; all that batches do is of that kind.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
