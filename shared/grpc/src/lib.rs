//! pesan-grpc
