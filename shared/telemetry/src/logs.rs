use std::fmt;
use std::io::{IsTerminal, stderr};

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TraceId};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::LogFormat;

/// Log lines to stderr, one an event.
pub(crate) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(stderr);
    match format {
        LogFormat::Json => layer.event_format(JsonLine::new()).fmt_fields(JsonFields::new()).boxed(),
        LogFormat::Text => {
            let colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            layer.with_ansi(colours).boxed()
        }
    }
}

/// The JSON of tracing-subscriber, led by the `trace_id` of the span that is current, if one is.
struct JsonLine(Format<Json>);

impl JsonLine {
    fn new() -> Self {
        Self(Format::default().json().flatten_event(true).with_current_span(true).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let trace_id = Context::map_current(|context| context.span().span_context().trace_id());
        if trace_id == TraceId::INVALID {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let members = line.strip_prefix('{').ok_or(fmt::Error)?;
        write!(writer, "{{\"trace_id\":\"{trace_id}\",{members}")
    }
}
