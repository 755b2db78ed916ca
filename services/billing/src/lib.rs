//! pesan-billing
