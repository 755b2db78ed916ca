//! The fulfilment service from outside: the real application on a real Postgres, real gRPC, and an order service of which
//! only the feed is there, as the test tells it.
#![allow(clippy::unwrap_used)]

mod house;
mod missing;
mod order_feed;
mod orders;

mod by_hand;
mod following;
mod proof;
mod returns;
mod shipping;
mod validation;
mod withdrawing;
