//! The fulfilment service: gets what is reserved to the customer, and takes back what returns.
//!
//! It follows the order service's feed. A confirmed order becomes one fulfilment order for each location that holds a part
//! of it ([`follow`]); backordered lines that get stock later become another. People then pick, pack, ship and confirm
//! delivery; an order whose policy is *straight through* is shipped and delivered in the transaction that creates it.
//! Goods issue cannot be undone: stock is issued, the invoice is written and payment is captured because of its event.
//!
//! What the service may refuse it is asked by RPC, above all `WithdrawLines`, by which the order service learns whether a
//! line can still be cancelled: yes as long as it has not been picked.
//!
//! * [`fulfilment_order`]: the state machine and its rules, pure.
//! * [`expected_return`]: what may come back, and how its credit is shared out over receipts, pure.
//! * [`carrier`]: who carries parcels; simulated unless the process is built with another one.
//! * [`ops`]: the use cases; [`store`]: every SQL statement; [`rpc`]: the gRPC services.

pub mod app;
pub mod carrier;
pub mod config;
pub mod convert;
pub mod effective;
pub mod error;
pub mod expected_return;
pub mod follow;
pub mod fulfilment_order;
pub mod id;
pub mod ops;
pub mod rpc;
pub mod store;

/// This service's own tables.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
