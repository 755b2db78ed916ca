//! pesan-batch
