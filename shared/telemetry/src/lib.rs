//! pesan-telemetry
