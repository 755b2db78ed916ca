//! The service from outside: the real application on a real database, following feeds that a test writes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dashboard;
mod documents_and_goods;
mod interleavings;
mod journey;
mod kpis;
mod kpis_by_scope;
mod proof;
mod rebuild;
mod requests;
mod script;
mod story;
mod world;
