//! What the outside calls: parse, call, convert.

pub mod changes;
pub mod customers;
pub mod holds;
pub mod goodwill;
pub mod orders;
pub mod proof;
pub mod return_policies;
pub mod returns;
pub mod rules;
pub mod watch;
