//! Traces travel although nothing is exported. One test, as telemetry is started once per process.

#![allow(clippy::unwrap_used)]

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use pesan_telemetry::{TelemetryConfig, current_traceparent, inject, link, set_parent, set_parent_from_headers};
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;
use tracing::info_span;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn a_trace_goes_in_and_out_of_a_process_that_exports_nothing() {
    let before = info_span!("before telemetry");
    set_parent(&before, CALLER);
    assert_eq!(before.in_scope(current_traceparent), None, "harmless without telemetry");

    let config = TelemetryConfig { log_filter: "error".to_owned(), ..TelemetryConfig::default() };
    let telemetry = pesan_telemetry::init("order", &config).unwrap();

    assert_eq!(current_traceparent(), None);
    let mut metadata = MetadataMap::new();
    inject(&mut metadata);
    assert!(metadata.is_empty(), "nothing to send outside of a span");

    a_call_continues_the_trace_of_its_caller();
    a_row_continues_the_trace_of_its_writer();
    the_callers_choice_not_to_sample_is_passed_on();
    malformed_context_is_as_good_as_none();
    a_started_span_keeps_its_parent();

    telemetry.shutdown();
}

fn a_call_continues_the_trace_of_its_caller() {
    let headers = headers(&[("traceparent", CALLER), ("tracestate", "vendor=42")]);
    let call = info_span!("call");
    set_parent_from_headers(&call, &headers);

    let mut outgoing = MetadataMap::new();
    call.in_scope(|| inject(&mut outgoing));

    // Read back by the SDK's own propagator, as a peer would.
    let headers = outgoing.into_headers();
    let carrier = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let carrier: std::collections::HashMap<String, String> = carrier;
    let received = TraceContextPropagator::new().extract(&carrier);
    let received = received.span().span_context().clone();
    assert_eq!(received.trace_id().to_string(), TRACE);
    assert_ne!(received.span_id().to_string(), "b7ad6b7169203331", "the call has a span of its own");
    assert!(received.is_sampled());
    assert_eq!(received.trace_state().header(), "vendor=42");
}

fn a_row_continues_the_trace_of_its_writer() {
    let writer = info_span!("write");
    let written = writer.in_scope(current_traceparent).unwrap();
    let trace = pesan_telemetry::trace_id(&written).unwrap();

    let reader = info_span!("read");
    set_parent(&reader, &written);
    let read = reader.in_scope(current_traceparent).unwrap();
    assert_eq!(pesan_telemetry::trace_id(&read), Some(trace));
    assert_ne!(read, written);

    let linked = info_span!("linked");
    link(&linked, &written);
    let other = linked.in_scope(current_traceparent).unwrap();
    assert_ne!(pesan_telemetry::trace_id(&other), Some(trace), "a link does not make a child");
}

fn the_callers_choice_not_to_sample_is_passed_on() {
    let call = info_span!("call");
    set_parent(&call, UNSAMPLED);
    let onward = call.in_scope(current_traceparent).unwrap();
    assert_eq!(pesan_telemetry::trace_id(&onward), Some(TRACE));
    assert!(onward.ends_with("-00"), "{onward}");
}

fn malformed_context_is_as_good_as_none() {
    for malformed in ["", "-", "00-0af7", &CALLER.to_uppercase(), &format!("{CALLER}-extra"), "ümlaut-not-hex-00"] {
        let call = info_span!("call");
        set_parent(&call, malformed);
        link(&call, malformed);
        set_parent_from_headers(&call, &headers(&[("traceparent", malformed), ("tracestate", "=,=,;")]));
        let own = call.in_scope(current_traceparent).unwrap();
        assert_ne!(pesan_telemetry::trace_id(&own), Some(TRACE), "{malformed:?}");
    }

    let call = info_span!("call");
    set_parent_from_headers(&call, &headers(&[("traceparent", CALLER), ("tracestate", "=,=,;")]));
    let own = call.in_scope(current_traceparent).unwrap();
    assert_eq!(pesan_telemetry::trace_id(&own), Some(TRACE), "a broken tracestate does not break the trace");
}

fn a_started_span_keeps_its_parent() {
    let call = info_span!("call");
    let before = call.in_scope(current_traceparent);
    set_parent(&call, CALLER);
    assert_eq!(call.in_scope(current_traceparent), before);
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
}
