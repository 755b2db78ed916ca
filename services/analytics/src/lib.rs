//! Pesan analytics: what the other four services tell, summed up.
//!
//! It follows the feeds of order, inventory, fulfilment and billing and asks nobody anything. From the facts it keeps one
//! narrow row for each order, rollups by quarter of an hour, and the journey of each order through all services. Facts
//! about one order come from different feeds in any order; everything here is written so that the rows come out the same
//! ([`order_fact`], [`batch`]), and so it can be thrown away and read again at any time ([`ops::rebuild`]).
//!
//! KPIs ([`kpi`]) are answered from the rollups, whose size depends on the slots and not on the orders; what rollups
//! cannot tell, such as distinct customers, is counted from the facts.

pub mod app;
pub mod batch;
pub mod bucket;
pub mod config;
mod convert;
mod dashboard;
pub mod dims;
mod error;
mod follow;
pub mod journey;
pub mod kpi;
mod lag;
mod ops;
pub mod order_fact;
pub mod query;
mod rpc;
mod store;

pub use app::Application;
pub use config::Config;

use sqlx::migrate::Migrator;

/// The schema's history.
pub static MIGRATOR: Migrator = sqlx::migrate!();
