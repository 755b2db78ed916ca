//! What the outside calls: parse, call, convert.

pub mod changes;
pub mod channels;
pub mod customers;
pub mod goodwill;
pub mod holds;
pub mod imports;
pub mod orders;
pub mod prices;
pub mod proof;
pub mod return_policies;
pub mod returns;
pub mod rules;
pub mod watch;
