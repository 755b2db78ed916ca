//! Billing: what customers may owe, what orders are charged, and the ledger that tells both to the cent.
//!
//! An order's money goes through four hands, each with its own file in [`ops`]:
//! * [`ops::authorise`] secures it before the order is promised: against the credit limit of the customer's account, or
//!   at the payment provider, which is never asked inside a transaction and never charges an order twice;
//! * [`ops::invoice`] takes it when goods leave: the invoice, its gap-free number, what is owed;
//! * [`ops::credit`] gives it back when goods come back, [`ops::notes`] where there is no order;
//! * [`ops::void`] lets go of it when the order, or lines of it, will not be.
//!
//! [`ops::jobs`] asks the provider for what follows (captures, refunds, voids), [`ops::payment`] sets money from the bank
//! against invoices, [`ops::cost`] posts what goods cost. Parts of an amount always sum to it ([`share`], [`charge_line`]), and
//! every change of money is a posting made of pairs, which cannot be out of balance ([`ledger`]).

pub mod account;
pub mod amendment;
pub mod app;
pub mod charge;
pub mod charge_line;
pub mod config;
pub mod convert;
pub mod document;
pub mod error;
pub mod follow;
pub mod job;
pub mod ledger;
pub mod ops;
pub mod payment;
pub mod rpc;
pub mod share;
pub mod store;

pub use app::Application;
pub use config::Config;

/// The migrations of billing's own tables.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
