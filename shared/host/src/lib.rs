//! pesan-host
