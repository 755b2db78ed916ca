//! The order service from outside: real Postgres, real gRPC, peers that are fakes of their generated traits.
#![allow(clippy::unwrap_used)]

mod cancelling;
mod changing;
mod changing_rules;
mod channels;
mod customers;
mod exchanges;
mod following;
mod goodwill;
mod holding;
mod holds;
mod importing;
mod inquiries;
mod listing;
mod peers;
mod placing;
mod prices;
mod promised_terms;
mod promising;
mod proving;
mod quotations;
mod reading;
mod return_policies;
mod returning;
mod rules;
mod scheduling;
mod searching;
mod settling;
mod suite;
mod warranty;
