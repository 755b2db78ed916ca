//! pesan-api
