//! The inventory service from outside: the real application on port 0, a real Postgres, real tonic clients; its peers
//! are fakes of the generated traits on real ports.
#![allow(clippy::unwrap_used, reason = "the house of the tests is test code, though not within a test function")]

mod backorders;
mod buckets;
mod counts;
mod expiry;
mod goods;
mod items;
mod kits;
mod locations;
mod lot_documents;
mod lots;
mod placement;
mod planning;
mod promised_over_time;
mod promising;
mod proof;
mod purchasing;
mod queue;
mod releases;
mod reserving;
mod sourcing;
mod stock;
mod testing;
mod transfers;
mod units;
mod valuation;
