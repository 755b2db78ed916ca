use std::time::Duration;

use anyhow::{Context as _, bail};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::{Level, warn};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::{TelemetryConfig, logs};

/// How long [`Telemetry::shutdown`] waits for the last spans to be taken.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// The telemetry of this process. Keep it until the work is done, then call [`Telemetry::shutdown`].
#[must_use = "spans still buffered are lost without shutdown()"]
pub struct Telemetry {
    provider: SdkTracerProvider,
    _exporting: Option<ExportRuntime>,
}

/// Starts logs and traces for this process; `service` is its name where `OTEL_SERVICE_NAME` gives none.
///
/// The standard variables `OTEL_EXPORTER_OTLP_*` (gRPC only), `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER` and
/// its `_ARG` (default: parent-based, always on), `OTEL_BSP_*`, `OTEL_SPAN_*_LIMIT`, `OTEL_SDK_DISABLED` and
/// `OTEL_TRACES_EXPORTER=none` are honoured.
///
/// # Errors
/// An unreadable filter, an exporter that cannot be configured as asked, or a second call in one process.
pub fn init(service: &'static str, config: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&config.log_filter)
        .with_context(|| format!("log filter {:?} is not understood", config.log_filter))?;
    let exporting =
        if spans_are_wanted(|name| std::env::var(name).ok())? { Some(ExportRuntime::start()?) } else { None };

    let mut provider = SdkTracerProvider::builder().with_resource(resource(service));
    if let Some(runtime) = &exporting {
        provider = provider.with_batch_exporter(runtime.exporter()?);
    }
    let provider = provider.build();
    crate::journey::export(exporting.is_some());

    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("pesan"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(traced(exporting.is_some()));
    tracing_subscriber::registry()
        .with(logs::layer(config.log_format).with_filter(filter))
        .with(spans)
        .try_init()
        .context("telemetry can be started once per process")?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(Telemetry { provider, _exporting: exporting })
}

impl Telemetry {
    /// Hands the last spans to the collector, waiting at most five seconds for it.
    pub fn shutdown(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_WITHIN) {
            warn!(%error, "some spans were not exported");
        }
    }
}

/// Exports run apart from the service: they neither take its threads nor need it to be alive to flush.
struct ExportRuntime(Option<Runtime>);

impl ExportRuntime {
    fn start() -> anyhow::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("otlp-export").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).context("cannot start the export thread")
    }

    /// The exporter's channel lives on the runtime it is made in.
    fn exporter(&self) -> anyhow::Result<SpanExporter> {
        let _entered = self.0.as_ref().map(Runtime::enter);
        SpanExporter::builder().with_tonic().build().context("cannot configure the OTLP exporter")
    }
}

impl Drop for ExportRuntime {
    fn drop(&mut self) {
        // A runtime that is merely dropped blocks, and so panics within another one, where main usually is.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Which spans and events become part of a trace. This is apart from the log filter, so that quieter logs do not cut
/// traces. Events cost an allocation each, so they are recorded only if somebody will see them, and only the bad ones.
fn traced<S>(exported: bool) -> impl tracing_subscriber::layer::Filter<S> {
    let wanted = move |metadata: &tracing::Metadata<'_>| {
        let least = if metadata.is_span() { Level::INFO } else { Level::WARN };
        *metadata.level() <= least && (metadata.is_span() || exported)
    };
    FilterFn::new(wanted).with_max_level_hint(LevelFilter::INFO)
}

/// Who emits the spans. The environment overrides the defaults, and `OTEL_SERVICE_NAME` everything else.
fn resource(service: &'static str) -> Resource {
    let defaults = [
        KeyValue::new("service.name", service),
        KeyValue::new("service.namespace", "pesan"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Resource::builder_empty()
        .with_attributes(defaults)
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => resource.with_service_name(name).build(),
        _ => resource.build(),
    }
}

/// Whether the environment asks for spans to be exported. By the standard an empty variable is an unset one, and an
/// exporter is on by default; here it is off until an endpoint is named, as it would complain without a collector.
fn spans_are_wanted(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<bool> {
    let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let either = |signal: &str, all: &str| set(signal).or_else(|| set(all));

    let disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let none = set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let endpoint = either("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
    if disabled || none || endpoint.is_none() {
        return Ok(false);
    }
    match either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") {
        Some(protocol) if protocol != "grpc" => bail!("OTLP over {protocol:?} is not supported, only over \"grpc\""),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn export_is_asked_for_by_an_endpoint_over_grpc() {
        let wanted = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
            spans_are_wanted(find).ok()
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

        assert_eq!(wanted(&[]), Some(false));
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Some(false));
        assert_eq!(wanted(&[endpoint]), Some(true));
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4317")]), Some(true));
        assert_eq!(wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), Some(false));
        assert_eq!(wanted(&[endpoint, ("OTEL_SDK_DISABLED", "false")]), Some(true));
        assert_eq!(wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), Some(false));
        assert_eq!(wanted(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), Some(true));
        assert_eq!(wanted(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), None);
        assert_eq!(wanted(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), Some(false));
    }
}
