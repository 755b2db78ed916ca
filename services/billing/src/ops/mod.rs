//! The use cases: each one locks, decides, writes, and publishes.

pub mod accounts;
pub mod amend;
pub mod authorise;
pub mod authoriser;
pub mod cost;
pub mod credit;
pub mod invoice;
pub mod issue;
pub mod jobs;
pub mod notes;
pub mod payment;
pub mod proof;
pub mod provider;
pub mod read;
pub mod settle;
pub mod void;
