//! Starts and stops the five services in this process.

use pesan_api::analytics::v1::analytics_service_client::AnalyticsServiceClient;
use pesan_api::billing::v1::account_service_client::AccountServiceClient;
use pesan_api::billing::v1::document_service_client::DocumentServiceClient;
use pesan_api::billing::v1::payment_service_client::PaymentServiceClient;
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::fulfilment::v1::fulfilment_service_client::FulfilmentServiceClient;
use pesan_api::fulfilment::v1::return_receipt_service_client::ReturnReceiptServiceClient;
use pesan_api::inventory::v1::count_service_client::CountServiceClient;
use pesan_api::inventory::v1::item_service_client::ItemServiceClient;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_api::inventory::v1::stock_service_client::StockServiceClient;
use pesan_api::order::v1::change_service_client::ChangeServiceClient;
use pesan_api::order::v1::customer_service_client::CustomerServiceClient;
use pesan_api::order::v1::order_service_client::OrderServiceClient;
use pesan_api::order::v1::promise_service_client::PromiseServiceClient;
use pesan_api::order::v1::return_service_client::ReturnServiceClient;
use pesan_host::Clock;
use sqlx::{ConnectOptions as _, Executor as _, PgPool};
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// The five, in the order of an order's way.
pub const SERVICES: [&str; 5] = ["order", "inventory", "fulfilment", "billing", "analytics"];

/// How a service runs here.
enum Running {
    /// In this process.
    Task(CancellationToken, JoinHandle<anyhow::Result<()>>),
    /// As its own binary, killed when dropped.
    Process(tokio::process::Child),
}

/// Five services over one database.
pub struct Suite {
    addresses: BTreeMap<&'static str, SocketAddr>,
    urls: BTreeMap<&'static str, String>,
    running: BTreeMap<&'static str, Running>,
    /// Set: services are processes, with this environment besides their own.
    environment: Option<Vec<(String, String)>>,
    /// What services in this process take the time from.
    clock: Clock,
}

impl Suite {
    /// Makes a schema for each service in the empty database of `pool`, and starts all five in this process.
    pub async fn start(pool: &PgPool) -> anyhow::Result<Self> {
        Self::start_as(pool, None, Clock::System).await
    }

    /// As [`Suite::start`], each as its own binary, with more environment variables.
    pub async fn start_processes(pool: &PgPool, environment: Vec<(String, String)>) -> anyhow::Result<Self> {
        Self::start_as(pool, Some(environment), Clock::System).await
    }

    /// As [`Suite::start`], with a clock that can be turned.
    pub async fn start_with_clock(pool: &PgPool, clock: Clock) -> anyhow::Result<Self> {
        Self::start_as(pool, None, clock).await
    }

    async fn start_as(pool: &PgPool, environment: Option<Vec<(String, String)>>, clock: Clock) -> anyhow::Result<Self> {
        // What services log of their own failures, which callers are not told, is shown with a test that fails.
        let errors = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::ERROR);
        let _ = errors.with_test_writer().try_init(); // another suite of this process may have done it
        let (addresses, urls, running) = Default::default();
        let mut suite = Self { addresses, urls, running, environment, clock };
        let mut listeners = Vec::new();
        for service in SERVICES {
            pool.execute(sqlx::AssertSqlSafe(format!("create schema pesan_{service}"))).await?;
            let mut url = pool.connect_options().to_url_lossy();
            url.query_pairs_mut().append_pair("options[search_path]", &format!("pesan_{service}"));
            suite.urls.insert(service, url.to_string());
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            suite.addresses.insert(service, listener.local_addr()?);
            listeners.push((service, listener));
        }
        for (service, listener) in listeners {
            suite.run(service, listener).await?;
        }
        for service in SERVICES {
            eventually(&format!("the start of {service}"), || async {
                let mut feed = FeedServiceClient::new(suite.channel(service));
                feed.get_position(GetPositionRequest::default()).await.map_err(|e| e.to_string())
            })
            .await?;
        }
        Ok(suite)
    }

    /// Stops one service; its drain ends before this returns.
    pub async fn stop(&mut self, service: &'static str) -> anyhow::Result<()> {
        match self.running.remove(service) {
            Some(Running::Task(stop, task)) => {
                stop.cancel();
                task.await?
            }
            Some(Running::Process(mut child)) => {
                let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(nix::unistd::Pid::from_raw);
                if let Some(pid) = pid {
                    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
                }
                let status = child.wait().await?;
                anyhow::ensure!(status.success(), "{service} ended with {status}");
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Ends a process with SIGKILL.
    pub async fn kill(&mut self, service: &'static str) -> anyhow::Result<()> {
        match self.running.remove(service) {
            Some(Running::Process(mut child)) => Ok(child.kill().await?),
            _ => anyhow::bail!("{service} is not a process"),
        }
    }

    /// Starts a service that was stopped, where it was.
    pub async fn start_again(&mut self, service: &'static str) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.addresses[service]).await?;
        self.run(service, listener).await
    }

    /// Stops all.
    pub async fn end(mut self) -> anyhow::Result<()> {
        for service in SERVICES {
            self.stop(service).await?;
        }
        Ok(())
    }

    /// `http://host:port` of a service.
    pub fn endpoint(&self, service: &str) -> String {
        format!("http://{}", self.addresses[service])
    }

    /// A pool in the schema of a service, to plant what must be found.
    pub async fn database(&self, service: &str) -> anyhow::Result<PgPool> {
        Ok(PgPool::connect(&self.urls[service]).await?)
    }

    /// What the `pesan` command needs to find this suite.
    pub fn environment(&self) -> Vec<(String, String)> {
        SERVICES.iter().map(|s| (format!("PESAN_{}_ENDPOINT", s.to_uppercase()), self.endpoint(s))).collect()
    }

    async fn run(&mut self, service: &'static str, listener: TcpListener) -> anyhow::Result<()> {
        if let Some(environment) = &self.environment {
            drop(listener); // the process binds the port itself
            let upper = service.to_uppercase();
            let child = tokio::process::Command::new(binary(&format!("pesan-{service}"))?)
                .env(format!("PESAN_{upper}_LISTEN"), self.addresses[service].to_string())
                .env(format!("PESAN_{upper}_DATABASE_URL"), &self.urls[service])
                .env("PESAN_ANALYTICS_DASHBOARD_LISTEN", "127.0.0.1:0")
                .env("PESAN_LOG", "warn")
                .envs(self.environment())
                .envs(environment.iter().cloned())
                .kill_on_drop(true)
                .spawn()?;
            self.running.insert(service, Running::Process(child));
            return Ok(());
        }
        let stop = CancellationToken::new();
        let address = self.addresses[service];
        let url = self.urls[service].clone();
        let task = match service {
            "order" => {
                let config = pesan_order::config::Config {
                    inventory_endpoint: self.endpoint("inventory"),
                    billing_endpoint: self.endpoint("billing"),
                    fulfilment_endpoint: self.endpoint("fulfilment"),
                    clock: self.clock.clone(),
                    ..pesan_order::config::Config::for_database(address, &url)
                };
                let app = pesan_order::app::Application::build_on(config, listener).await?;
                tokio::spawn(app.run_until_stopped(stop.clone()))
            }
            "inventory" => {
                let config = pesan_inventory::config::Config {
                    order_endpoint: self.endpoint("order"),
                    fulfilment_endpoint: self.endpoint("fulfilment"),
                    clock: self.clock.clone(),
                    ..pesan_inventory::config::Config::for_database(address, &url)
                };
                let app = pesan_inventory::app::Application::build_on(config, listener).await?;
                tokio::spawn(app.run_until_stopped(stop.clone()))
            }
            "fulfilment" => {
                let config = pesan_fulfilment::config::Config {
                    order_endpoint: self.endpoint("order"),
                    clock: self.clock.clone(),
                    ..pesan_fulfilment::config::Config::for_database(address, &url)
                };
                let app = pesan_fulfilment::app::Application::build_on(config, listener).await?;
                tokio::spawn(app.run_until_stopped(stop.clone()))
            }
            "billing" => {
                let config = pesan_billing::config::Config {
                    order_endpoint: self.endpoint("order"),
                    inventory_endpoint: self.endpoint("inventory"),
                    fulfilment_endpoint: self.endpoint("fulfilment"),
                    clock: self.clock.clone(),
                    ..pesan_billing::config::Config::for_database(address, &url)
                };
                let app = pesan_billing::app::Application::build_on(config, listener).await?;
                tokio::spawn(app.run_until_stopped(stop.clone()))
            }
            _ => {
                let config = pesan_analytics::config::Config {
                    order_endpoint: self.endpoint("order"),
                    inventory_endpoint: self.endpoint("inventory"),
                    fulfilment_endpoint: self.endpoint("fulfilment"),
                    billing_endpoint: self.endpoint("billing"),
                    dashboard_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                    clock: self.clock.clone(),
                    ..pesan_analytics::config::Config::for_database(address, &url)
                };
                let app = pesan_analytics::app::Application::build_on(config, listener).await?;
                tokio::spawn(app.run_until_stopped(stop.clone()))
            }
        };
        self.running.insert(service, Running::Task(stop, task));
        Ok(())
    }

    /// A connection of its own to a service.
    pub fn channel(&self, service: &str) -> Channel {
        #[expect(clippy::expect_used, reason = "an address is always an endpoint")]
        Endpoint::from_shared(self.endpoint(service)).expect("endpoint").connect_lazy()
    }
}

macro_rules! clients {
    ($($name:ident: $client:ident of $service:literal,)*) => {
        impl Suite {
            $(
                /// A client of the service, without a deadline of its own.
                pub fn $name(&self) -> $client<Channel> {
                    $client::new(self.channel($service))
                }
            )*
        }
    };
}

clients! {
    orders: OrderServiceClient of "order",
    changes: ChangeServiceClient of "order",
    counts: CountServiceClient of "inventory",
    customers: CustomerServiceClient of "order",
    promises: PromiseServiceClient of "order",
    returns: ReturnServiceClient of "order",
    items: ItemServiceClient of "inventory",
    stock: StockServiceClient of "inventory",
    reservations: ReservationServiceClient of "inventory",
    fulfilment: FulfilmentServiceClient of "fulfilment",
    return_receipts: ReturnReceiptServiceClient of "fulfilment",
    accounts: AccountServiceClient of "billing",
    payments: PaymentServiceClient of "billing",
    documents: DocumentServiceClient of "billing",
    analytics: AnalyticsServiceClient of "analytics",
}

/// Asks again until the answer is there; an error that tells the last answer when it does not come within two minutes: a service that was
/// killed leaves work behind that is free again when its lease ends.
pub async fn eventually<T, F, Fut>(what: &str, mut ask: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(last) if started.elapsed() > Duration::from_secs(120) => anyhow::bail!("{what} did not come: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The `pesan` command, built beside the tests.
pub fn pesan_binary() -> anyhow::Result<PathBuf> {
    binary("pesan")
}

fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|deps| deps.parent()).ok_or_else(|| anyhow::anyhow!("no target folder"))?;
    let binary = folder.join(name);
    anyhow::ensure!(binary.exists(), "{} is not built: cargo build --workspace --bins", binary.display());
    Ok(binary)
}
