//! `pesan-order`: the order service as a process of its own.

use clap::Parser as _;
use pesan_order::{Application, Config};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = pesan_telemetry::init("order", &config.telemetry)?;
    let result = run(config).await; // apart, so that spans are flushed on every way out
    telemetry.shutdown();
    result
}

async fn run(config: Config) -> anyhow::Result<()> {
    let stop = pesan_host::signal::stop_token();
    let application = Application::build(config).await?;
    tracing::info!(address = %application.address(), "order is listening");
    application.run_until_stopped(stop).await
}
