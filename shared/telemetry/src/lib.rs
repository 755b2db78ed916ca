//! Logs and traces, and the thread that ties them together across services.
//!
//! [`init`] gives the process its logs (stderr, text or JSON) and its spans. Spans leave the process over OTLP/gRPC
//! only if `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` says where to; without, trace ids
//! still exist, appear in JSON logs, and travel on.
//!
//! The rest carries a W3C trace context over the three ways work moves: [`inject`] into an outgoing gRPC call,
//! [`set_parent_from_headers`] on an incoming one, [`current_traceparent`] into an outbox row and [`link`] out of it.
//! Work that serves many orders at once gives each of them a
//! [`step`] in its own trace. What comes from outside is never trusted: a malformed traceparent counts as none.
//!
//! One process may run several services, so the span of each served call carries `pesan.service`.

mod config;
mod init;
mod journey;
mod logs;
mod propagation;

pub use config::{LogFormat, TelemetryConfig};
pub use init::{Telemetry, init};
pub use journey::{new_journey, step};
pub use propagation::{current_traceparent, inject, link, set_parent, set_parent_from_headers, trace_id};
