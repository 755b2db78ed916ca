//! pesan-analytics
