//! `pesan up`: the suite on this machine, until it is told to stop.

mod databases;
mod one_process;
mod processes;

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_grpc::channel;
use tokio_util::sync::CancellationToken;

use crate::endpoints::{Endpoints, Service};
use crate::output::{self, BOLD};
pub use databases::{AdminAccess, Databases};

/// How long a service may take to answer for the first time: migrating a large database is most of it.
const START_BOUND: Duration = Duration::from_secs(300);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The suite on this machine, until Ctrl-C
///
/// Starts a private Postgres, the five services and the dashboard. PESAN_<SERVICE>_DATABASE_URL points a service at a
/// database of its own instead; with all five set no Postgres is started.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan up\n  \
    pesan up --data /var/lib/pesan --separate\n  \
    PESAN_ORDER_LISTEN=127.0.0.1:6001 pesan up --dashboard-listen 0.0.0.0:8080")]
pub struct Up {
    /// Where the data is kept
    #[arg(long, env = "PESAN_DATA", default_value = ".pesan", value_name = "DIR")]
    pub data: PathBuf,
    /// Each service as its own process, restarted when it dies
    #[arg(long)]
    separate: bool,
    /// Where the order service listens
    #[arg(long, env = "PESAN_ORDER_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    order_listen: SocketAddr,
    /// Where the inventory service listens
    #[arg(long, env = "PESAN_INVENTORY_LISTEN", default_value = "127.0.0.1:50052", value_name = "ADDRESS")]
    inventory_listen: SocketAddr,
    /// Where the fulfilment service listens
    #[arg(long, env = "PESAN_FULFILMENT_LISTEN", default_value = "127.0.0.1:50053", value_name = "ADDRESS")]
    fulfilment_listen: SocketAddr,
    /// Where the billing service listens
    #[arg(long, env = "PESAN_BILLING_LISTEN", default_value = "127.0.0.1:50054", value_name = "ADDRESS")]
    billing_listen: SocketAddr,
    /// Where the analytics service listens
    #[arg(long, env = "PESAN_ANALYTICS_LISTEN", default_value = "127.0.0.1:50055", value_name = "ADDRESS")]
    analytics_listen: SocketAddr,
    /// Where the dashboard listens
    #[arg(long, env = "PESAN_ANALYTICS_DASHBOARD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    dashboard_listen: SocketAddr,
    #[command(flatten)]
    telemetry: pesan_telemetry::TelemetryConfig,
}

/// Where everything answers.
#[derive(Clone)]
struct Addresses {
    services: BTreeMap<Service, SocketAddr>,
    dashboard: SocketAddr,
}

impl Addresses {
    fn endpoint(&self, service: Service) -> String {
        format!("http://{}", self.services[&service])
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::at(|service| self.endpoint(service))
    }

    /// Free ports.
    fn anywhere() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { services: Service::ALL.map(|service| (service, free)).into(), dashboard: free }
    }
}

/// Runs the suite on free ports for as long as some work with it takes.
pub async fn beside<F: Future<Output = Result<()>> + Send + 'static>(
    databases: &Databases,
    data: &Path,
    work: impl FnOnce(Endpoints) -> F + Send + 'static,
) -> Result<()> {
    let stop = CancellationToken::new();
    let run = run_folder(data)?;
    let work = |addresses: Addresses, stop: CancellationToken| async move {
        if all_answer(&addresses, &stop).await? {
            work(addresses.endpoints()).await?;
        }
        stop.cancel();
        Ok(())
    };
    one_process::run(&Addresses::anywhere(), databases, &run, &stop, work).await
}

/// Where the suite answers that runs on this data folder.
pub fn endpoints(data: &Path) -> Result<Endpoints> {
    let file = addresses_file(&data.join("run"));
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: does a suite run there?", file.display()))?;
    let addresses: BTreeMap<String, String> = serde_json::from_str(&text)?;
    for service in Service::ALL {
        ensure!(addresses.contains_key(service.name()), "{} does not name {}", file.display(), service.name());
    }
    Ok(Endpoints::at(|service| addresses[service.name()].clone()))
}

fn addresses_file(run: &Path) -> PathBuf {
    run.join("addresses.json")
}

fn run_folder(data: &Path) -> Result<PathBuf> {
    let run = data.join("run");
    std::fs::create_dir_all(&run).with_context(|| format!("cannot create {}", run.display()))?;
    Ok(run)
}

impl Up {
    pub async fn run(self) -> Result<ExitCode> {
        let telemetry = pesan_telemetry::init("pesan", &self.telemetry)?;
        let outcome = self.run_until_stopped().await; // apart, so that spans are flushed on every way out
        telemetry.shutdown();
        outcome
    }

    async fn run_until_stopped(self) -> Result<ExitCode> {
        let stop = pesan_host::signal::stop_token(); // before there is anything to clean up
        let databases = Databases::start(&self.data).await?;
        let outcome = self.run_services(&databases, &stop).await;
        databases.stop().await?;
        outcome.map(|()| ExitCode::SUCCESS)
    }

    async fn run_services(&self, databases: &Databases, stop: &CancellationToken) -> Result<()> {
        let run = run_folder(&self.data)?;
        let file = addresses_file(&run);
        let wanted = Addresses {
            services: [
                (Service::Order, self.order_listen),
                (Service::Inventory, self.inventory_listen),
                (Service::Fulfilment, self.fulfilment_listen),
                (Service::Billing, self.billing_listen),
                (Service::Analytics, self.analytics_listen),
            ]
            .into(),
            dashboard: self.dashboard_listen,
        };
        let announcing = file.clone();
        let announce = |addresses, stop| async move { announce(addresses, &announcing, stop).await };
        let outcome = if self.separate {
            processes::run(&wanted, databases, &run, stop, announce).await
        } else {
            one_process::run(&wanted, databases, &run, stop, announce).await
        };
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => outcome.and(Err(error.into())),
            _ => outcome,
        }
    }
}

/// Waits for all services to answer, then says where they are, to people and in a file. Ends early when told to stop.
async fn announce(addresses: Addresses, file: &Path, stop: CancellationToken) -> Result<()> {
    if all_answer(&addresses, &stop).await? {
        let named: BTreeMap<&str, String> =
            Service::ALL.map(|service| (service.name(), addresses.endpoint(service))).into();
        std::fs::write(file, serde_json::to_string(&named)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        greet(&addresses);
    }
    Ok(())
}

/// False where it was told to stop before.
async fn all_answer(addresses: &Addresses, stop: &CancellationToken) -> Result<bool> {
    for service in Service::ALL {
        let ready = wait_for(addresses.endpoint(service));
        tokio::select! {
            ready = tokio::time::timeout(START_BOUND, ready) => match ready {
                Ok(answered) => answered?,
                Err(_) => bail!("{} did not answer within {} s", service.name(), START_BOUND.as_secs()),
            },
            () = stop.cancelled() => return Ok(false),
        }
    }
    Ok(true)
}

async fn wait_for(endpoint: String) -> Result<()> {
    let mut feed = FeedServiceClient::new(channel::lazy(&endpoint, Duration::from_secs(5))?);
    while feed.get_position(GetPositionRequest::default()).await.is_err() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

fn greet(addresses: &Addresses) {
    let mut text = output::coloured("Pesan is up", BOLD);
    for (service, address) in &addresses.services {
        text += &format!("\n  {:<12} grpc://{address}", service.name());
    }
    text += &format!("\n  {:<12} http://{}", "dashboard", addresses.dashboard);
    let is_usual =
        |service: &Service, address: &SocketAddr| *address == SocketAddr::from((Ipv4Addr::LOCALHOST, service.port()));
    if !addresses.services.iter().all(|(service, address)| is_usual(service, address)) {
        text += "\nIn other terminals, first tell where it is:";
        for service in Service::ALL {
            text +=
                &format!("\n  export PESAN_{}_ENDPOINT={}", service.name().to_uppercase(), addresses.endpoint(service));
        }
    }
    text += "\nTo try next:\n  \
        pesan demo              a guided order through all services\n  \
        pesan order list        what is there\n  \
        pesan verify            the proof that nothing was lost\n\
        Ctrl-C stops everything.";
    // Somebody who stopped reading still wants the suite.
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        tracing::warn!(%error, "the greeting could not be printed");
    }
}
