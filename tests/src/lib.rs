//! The suite from outside, as its clients see it: five real services on loopback ports over one Postgres, each with a
//! schema of its own, and the `pesan` command beside them.

mod brawl;
pub mod histories;
mod quiet;
mod spans;
mod suite;
mod wishes;

pub use brawl::{Ring, Tally};
pub use quiet::Watch;
pub use spans::{Received, Receiver};
pub use suite::{SERVICES, Suite, eventually, pesan_binary};
pub use wishes::*;
