//! proto <-> domain.

pub mod amount;
pub mod facts;
pub mod query;
mod summary;
mod summary_text;
