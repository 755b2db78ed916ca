//! The analytics service.

use clap::Parser as _;
use pesan_analytics::{Application, Config};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = pesan_telemetry::init("analytics", &config.telemetry)?;
    let result = run(config).await; // apart, so that spans are flushed on every way out
    telemetry.shutdown();
    result
}

async fn run(config: Config) -> anyhow::Result<()> {
    let application = Application::build(config).await?;
    tracing::info!(grpc = %application.address(), dashboard = %application.dashboard_address(), "analytics is up");
    application.run_until_stopped(pesan_host::signal::stop_token()).await
}
