//! The inventory service: items, locations, stock by location, the ledger of its movements, and promises of stock to
//! orders with a backorder queue.
//!
//! Three laws hold it together, in the database and in its proof. Stock is the sum of its movements. What is reserved at
//! a location is the sum of what open reservations hold there, and never more than is on hand. And of what an order asked
//! for, everything is either held, issued, waiting, refused or released.
//!
//! Orders are promised stock when the order service asks ([`ops::reserve`], many callers in one transaction). Everything
//! else follows facts: the order service's (confirmed, cancelled, rejected) and fulfilment's (goods issued, short pick,
//! return received). What waits is filled by a worker ([`ops::fill`]) whenever stock comes free, and nobody who comes
//! later gets what waiting orders will get.
//!
//! Locks are taken in one order everywhere, so that nothing can deadlock: orders (advisory), request ids, rows of stock
//! by item and location, average costs by item.

pub mod app;
pub mod backorder;
pub mod calendar;
pub mod config;
pub mod convert;
pub mod cost;
pub mod counting;
pub mod document;
pub mod error;
pub mod follow;
pub mod item;
pub mod kit;
pub mod known;
pub mod layers;
pub mod location;
pub mod lot;
pub mod network;
pub mod ops;
pub mod placement;
pub mod planning;
pub mod promise;
pub mod purchase;
pub mod reservation;
pub mod rpc;
pub mod simulation;
pub mod sourcing;
pub mod stock;
pub mod store;
pub mod supplier;
pub mod transfer;

pub use app::Application;
pub use config::Config;

/// The service's own tables; the host runs those of the feed and of the request ids before them.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
