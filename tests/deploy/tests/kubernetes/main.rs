//! The base and every overlay, rendered and checked.

mod config;
mod network;
mod overlay;
mod pods;
