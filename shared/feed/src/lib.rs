//! pesan-feed
