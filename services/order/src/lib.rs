//! The order service: captures orders from any channel, promises them, and keeps track of them until they are complete.
//!
//! An order is one row with lines; a line's quantity is divided into parts (reserved, backordered, cancelled, shipped, …)
//! whose laws the database holds, and the order's state is derived from them. Its life:
//!
//! 1. **Placed** (`ops::place`): validated, gathered with others into one transaction, durable: `OrderAccepted`.
//! 2. **Settled** (`ops::settle`): a round of up to 256 orders asks inventory to reserve and billing to authorise, each
//!    in one call, and writes what came of it in one transaction: `OrderConfirmed`, `OrderHeld` or `OrderRejected`. An
//!    order that cannot be settled yet keeps its row in `saga_job` and is tried again, for ever.
//! 3. **Followed** (`follow`): what inventory, fulfilment and billing did is read from their feeds and added to the
//!    lines' quantities: `OrderProgressed`, `OrderLinesReady`.
//! 4. **Changed** by people: held and released before the promise (`ops::hold`), cancelled while it has not left
//!    (`ops::cancel`, which asks fulfilment first and remembers that it asked), returned after (`ops::returns`).
//!
//! Every transaction that changes an order first locks it by its id; no transaction is open while a peer is asked.

pub mod app;
pub mod backoff;
pub mod cancellation;
pub mod change;
pub mod channel;
pub mod config;
pub mod convert;
pub mod customer;
pub mod delivery;
pub mod draft;
pub mod error;
pub mod filter;
pub mod follow;
pub mod goodwill;
pub mod hold;
pub mod inquiry;
pub mod line;
pub mod name;
pub mod ops;
pub mod order;
pub mod passed;
pub mod price;
pub mod quantities;
pub mod quotation;
pub mod return_policy;
pub mod rma;
pub mod rpc;
pub mod rule;
pub mod search;
pub mod settlement;
pub mod store;

pub use app::Application;
pub use config::Config;

/// The schema of this service.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
