//! The code generated from `proto/`, by package, and the descriptors it came from. Nothing else lives here; the protos'
//! own comments are the reference.

// Generated: its shape is not ours to lint.
#![allow(clippy::all, clippy::pedantic, missing_docs)]

macro_rules! package {
    ($name:ident, $path:literal) => {
        pub mod $name {
            pub mod v1 {
                tonic::include_proto!($path);
            }
        }
    };
}

/// The packages, as in the protos: `pesan.order.v1` is `pesan::order::v1`. Nested as they are in the protos, because
/// generated code refers to other packages by relative paths.
pub mod pesan {
    package!(r#type, "pesan.r#type.v1");
    package!(feed, "pesan.feed.v1");
    package!(proof, "pesan.proof.v1");
    package!(order, "pesan.order.v1");
    package!(inventory, "pesan.inventory.v1");
    package!(fulfilment, "pesan.fulfilment.v1");
    package!(billing, "pesan.billing.v1");
    package!(analytics, "pesan.analytics.v1");
}

pub use pesan::{analytics, billing, feed, fulfilment, inventory, order, proof, r#type};

/// The encoded `FileDescriptorSet` of all protos, for reflection and JSON.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
