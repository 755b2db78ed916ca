use clap::Parser as _;
use pesan_inventory::{Application, Config};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let telemetry = pesan_telemetry::init("inventory", &config.telemetry)?;
    let result = run(config).await; // apart, so that spans are flushed on every way out
    telemetry.shutdown();
    result
}

async fn run(config: Config) -> anyhow::Result<()> {
    let stop = pesan_host::signal::stop_token();
    Application::build(config).await?.run_until_stopped(stop).await
}
