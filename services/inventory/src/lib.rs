//! pesan-inventory
