//! One file per use case.

pub mod apply;
pub mod digest;
pub mod journey;
pub mod lag;
pub mod prove;
pub mod query_kpis;
pub mod rebuild;
