//! pesan-fulfilment
