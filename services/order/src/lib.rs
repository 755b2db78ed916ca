//! pesan-order
