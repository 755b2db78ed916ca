//! Every SQL statement, as functions over a connection.

pub mod dims;
pub mod document;
pub mod goods;
pub mod invariant;
pub mod journey;
pub mod kpi;
pub mod kpi_times;
pub mod lines;
pub mod order_fact;
pub mod rebuild;
pub mod rollup;
pub mod snapshot;
