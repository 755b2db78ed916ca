//! The suite from outside: five services over real gRPC and a real Postgres.
#![allow(clippy::unwrap_used)]

mod changes;
mod counts;
mod histories;
mod one_order;
mod processes;
mod promises;
mod proof;
mod races;
mod returns;
mod trouble;
