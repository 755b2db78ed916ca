use std::str::FromStr as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tonic::codegen::http::HeaderMap;
use tonic::metadata::{MetadataMap, MetadataValue};
use tracing::{Span, debug};
use tracing_opentelemetry::{OpenTelemetrySpanExt as _, SetParentError};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Sends the current span's trace context along with an outgoing call. Without a current span nothing is sent.
pub fn inject(metadata: &mut MetadataMap) {
    let Some(context) = current() else { return };
    if let Ok(value) = MetadataValue::try_from(write(&context)) {
        metadata.insert(TRACEPARENT, value);
    }
    let state = context.trace_state().header();
    if let (false, Ok(value)) = (state.is_empty(), MetadataValue::try_from(state)) {
        metadata.insert(TRACESTATE, value);
    }
}

/// Makes `span` a child of the caller's span, as told by the headers of an incoming call. To be called on a new span,
/// before it is first entered: a span that has started keeps its parent.
pub fn set_parent_from_headers(span: &Span, headers: &HeaderMap) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(context) = header(TRACEPARENT).and_then(read) else { return };
    // A broken tracestate loses the vendor's data, not the trace.
    let state = header(TRACESTATE).and_then(|value| TraceState::from_str(value).ok()).unwrap_or_default();
    adopt(span, SpanContext::new(context.trace_id(), context.span_id(), context.trace_flags(), true, state));
}

/// Makes `span` a child of the span that `traceparent` names. To be called on a new span, before it is first entered.
pub fn set_parent(span: &Span, traceparent: &str) {
    if let Some(context) = read(traceparent) {
        adopt(span, context);
    }
}

/// Links `span` to the span that `traceparent` names: for work that follows from several traces, such as a batch. A
/// span keeps 128 links unless `OTEL_SPAN_LINK_COUNT_LIMIT` says otherwise; more are dropped.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(context) = read(traceparent) {
        span.add_link(context);
    }
}

/// The current span as a W3C traceparent, to be kept with what it causes. `None` outside of any span.
pub fn current_traceparent() -> Option<String> {
    current().map(|context| write(&context))
}

/// The trace id within a W3C traceparent (`version-traceid-spanid-flags`, lower-case hex): 32 digits. `None` if it
/// is not exactly that.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    read(traceparent)?;
    traceparent.get(3..35)
}

fn current() -> Option<SpanContext> {
    let context = Span::current().context();
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
}

fn adopt(span: &Span, parent: SpanContext) {
    let parent = opentelemetry::Context::new().with_remote_span_context(parent);
    match span.set_parent(parent) {
        // Without the layer, or with the span filtered out, there is no trace to join.
        Ok(()) | Err(SetParentError::LayerNotFound | SetParentError::SpanDisabled) => {}
        Err(SetParentError::AlreadyStarted) => debug!("span has started, its parent stays"),
    }
}

pub(crate) fn write(context: &SpanContext) -> String {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id())
}

/// Stricter than the SDK's reader, which takes ids of any length and signs within them.
fn read(traceparent: &str) -> Option<SpanContext> {
    let fields: Vec<&str> = traceparent.splitn(5, '-').collect();
    let [version, trace_id, span_id, flags] = fields[..] else { return None };
    let is_hex = |field: &str, digits: usize| {
        field.len() == digits && field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let well_formed = is_hex(version, 2) && is_hex(trace_id, 32) && is_hex(span_id, 16) && is_hex(flags, 2);
    if !well_formed || version == "ff" {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace_id).ok()?,
        SpanId::from_hex(span_id).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(VALID).as_ref().map(write).as_deref(), Some(VALID));
        assert_eq!(trace_id(VALID), Some("0af7651916cd43dd8448eb211c80319c"));
    }

    #[test]
    fn flags_we_do_not_know_are_dropped() {
        let context = read("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff");
        assert_eq!(context.as_ref().map(write).as_deref(), Some(VALID));
    }

    #[test]
    fn only_the_exact_form_is_read() {
        for malformed in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-f7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace_id(malformed), None, "{malformed:?}");
        }
    }
}
