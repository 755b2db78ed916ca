//! The traces of orders that are worked on many at once.
//!
//! A span for each order of a batch costs more than much of the work itself, so these are made only where spans leave
//! the process. Elsewhere a journey keeps its trace id and goes on as it came.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{SpanContext, TraceFlags, TraceState};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use tracing::Span;

use crate::propagation::{current_traceparent, link, set_parent, write};

static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Notes whether spans leave this process.
pub(crate) fn export(exported: bool) {
    EXPORTED.store(exported, Ordering::Relaxed);
}

/// A step in the journey that `traceparent` names: its span, and the traceparent to be kept with what it causes. Where
/// spans are not exported the span is none, and the traceparent is the one that came.
pub fn step(traceparent: &str, span: impl FnOnce() -> Span) -> (Span, String) {
    if !EXPORTED.load(Ordering::Relaxed) {
        return (Span::none(), traceparent.to_owned());
    }
    let span = span();
    set_parent(&span, traceparent);
    let own = span.in_scope(current_traceparent).unwrap_or_else(|| traceparent.to_owned());
    (span, own)
}

/// The traceparent of a journey that begins here. `span` makes its first span, without a parent; it is linked to the
/// current one. Where spans are not exported there are only ids.
pub fn new_journey(span: impl FnOnce() -> Span) -> String {
    let ids_alone = || {
        let ids = RandomIdGenerator::default();
        let flags = TraceFlags::SAMPLED;
        write(&SpanContext::new(ids.new_trace_id(), ids.new_span_id(), flags, false, TraceState::NONE))
    };
    if !EXPORTED.load(Ordering::Relaxed) {
        return ids_alone();
    }
    let call = current_traceparent();
    let span = span();
    if let Some(call) = &call {
        link(&span, call);
    }
    span.in_scope(current_traceparent).unwrap_or_else(ids_alone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace_id;

    #[test]
    fn without_an_exporter_a_journey_has_ids_and_keeps_them() {
        let (one, other) = (new_journey(|| panic!("no span")), new_journey(|| panic!("no span")));
        assert!(trace_id(&one).is_some() && trace_id(&one) != trace_id(&other));
        let (span, own) = step(&one, || panic!("no span"));
        assert!(span.is_none() && own == one);
    }
}
