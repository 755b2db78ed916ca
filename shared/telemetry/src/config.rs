use std::io::{IsTerminal, stderr};

/// What a process logs, and how. Where spans go is told by the `OTEL_*` variables alone.
#[derive(clap::Args, Clone, Debug)]
pub struct TelemetryConfig {
    /// How log lines look: text for people, json for machines. Text if stderr is a terminal, else json
    #[arg(long, env = "PESAN_LOG_FORMAT", value_enum, default_value_t = LogFormat::for_stderr(), hide_default_value = true)]
    pub log_format: LogFormat,

    /// Which log lines are written, such as "info" or "warn,pesan_order=debug"
    #[arg(long, env = "PESAN_LOG", default_value = "info")]
    pub log_filter: String,
}

/// Same as no flag and no environment variable.
impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log_format: LogFormat::for_stderr(), log_filter: "info".to_owned() }
    }
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    fn for_stderr() -> Self {
        if stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}
