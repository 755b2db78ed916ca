//! pesan-money
