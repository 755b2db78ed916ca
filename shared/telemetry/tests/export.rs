//! What leaves a process when the environment names a collector. Telemetry is once per process and told by its
//! environment, so the test runs itself again as the process under test.

#![allow(clippy::unwrap_used)]

mod otlp_receiver;

use std::process::Stdio;
use std::time::Duration;

use clap::Parser;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use otlp_receiver::OtlpReceiver;
use pesan_telemetry::TelemetryConfig;
use tonic::codegen::http::HeaderMap;
use tracing::{info, info_span, warn};

const TEST: &str = "spans_reach_the_collector_and_logs_name_their_trace";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const PRODUCER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn spans_reach_the_collector_and_logs_name_their_trace() {
    // On one thread, to show that flushing needs nothing of the service's runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if std::env::var_os("PROCESS_UNDER_TEST").is_some() {
        runtime.block_on(serve_one_call());
    } else {
        runtime.block_on(observe());
    }
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

async fn serve_one_call() {
    let arguments = Arguments::parse_from(["service"]);
    let telemetry = pesan_telemetry::init("order", &arguments.telemetry).unwrap();
    assert!(pesan_telemetry::init("order", &arguments.telemetry).is_err(), "only once");

    let mut headers = HeaderMap::new();
    headers.insert("traceparent", CALLER.parse().unwrap());
    let call = info_span!("call", otel.kind = "server", pesan.service = "order");
    pesan_telemetry::set_parent_from_headers(&call, &headers);
    call.in_scope(|| info!("served"));
    drop(call);

    let follow = info_span!("follow");
    pesan_telemetry::link(&follow, PRODUCER);
    follow.in_scope(|| warn!("lagging"));
    drop(follow);

    info!("idle");
    telemetry.shutdown();
}

async fn observe() {
    let mut receiver = OtlpReceiver::start().await;
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env("PROCESS_UNDER_TEST", "1")
        .env("PESAN_LOG_FORMAT", "json")
        .env("PESAN_LOG", "info")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", receiver.address))
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=renamed,deployment.environment.name=test")
        .stdin(Stdio::null())
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), child).await.unwrap().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");

    let exported = receiver.drain();
    let call = span(&exported, "call");
    assert_eq!(call.trace_id, hex("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!(call.parent_span_id, hex("b7ad6b7169203331"));
    assert_eq!(string_attribute(&call.attributes, "pesan.service"), Some("order"));
    assert!(call.events.is_empty(), "info is for the log, not the trace");

    let follow = span(&exported, "follow");
    assert_ne!(follow.trace_id, call.trace_id);
    assert_eq!(follow.parent_span_id, Vec::<u8>::new());
    let links: Vec<_> = follow.links.iter().map(|link| (link.trace_id.clone(), link.span_id.clone())).collect();
    assert_eq!(links, [(hex("4bf92f3577b34da6a3ce929d0e0e4736"), hex("00f067aa0ba902b7"))]);
    assert_eq!(follow.events.len(), 1, "a warning is part of the trace");

    let resource = &exported[0].resource.as_ref().unwrap().attributes;
    assert_eq!(string_attribute(resource, "service.name"), Some("renamed"));
    assert_eq!(string_attribute(resource, "service.namespace"), Some("pesan"));
    assert_eq!(string_attribute(resource, "deployment.environment.name"), Some("test"));

    assert_eq!(logged(&log, "served")["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(logged(&log, "served")["span"]["pesan.service"], "order");
    let trace_of_lagging = logged(&log, "lagging")["trace_id"].as_str().map(hex);
    assert_eq!(trace_of_lagging, Some(follow.trace_id));
    assert!(logged(&log, "idle").get("trace_id").is_none());
}

fn span(exported: &[ResourceSpans], name: &str) -> Span {
    let mut spans = exported.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    spans.find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name:?} in {exported:#?}")).clone()
}

fn string_attribute<'a>(
    attributes: &'a [opentelemetry_proto::tonic::common::v1::KeyValue],
    key: &str,
) -> Option<&'a str> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(value) => Some(value),
        other => panic!("{key} is {other:?}"),
    }
}

fn logged(log: &str, message: &str) -> serde_json::Value {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find(|line| line["message"] == message).unwrap_or_else(|| panic!("no {message:?} in {log}"))
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}
