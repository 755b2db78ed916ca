//! All five services in this process: real gRPC on loopback ports all the same.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Addresses;
use super::databases::Databases;
use crate::endpoints::Service;

/// Runs until `stop`, or until a service ends; then the others are stopped too. `announce` runs beside.
pub async fn run<F: Future<Output = Result<()>> + Send + 'static>(
    wanted: &Addresses,
    databases: &Databases,
    folder: &Path,
    stop: &CancellationToken,
    announce: impl FnOnce(Addresses, CancellationToken) -> F,
) -> Result<()> {
    let mut addresses = wanted.clone();
    let mut listeners = BTreeMap::new();
    for (service, address) in &wanted.services {
        let listener = pesan_host::server::bind(*address).await.with_context(|| service.name())?;
        addresses.services.insert(*service, listener.local_addr()?);
        listeners.insert(*service, listener);
    }
    for service in Service::ALL {
        fs::write(folder.join(format!("{}.pid", service.name())), std::process::id().to_string())?;
    }

    let mut running = JoinSet::new();
    for (service, listener) in listeners {
        let arguments = arguments(service, &addresses, databases.url(service));
        let stop = stop.clone();
        running.spawn(async move {
            let ended = serve(service, arguments, listener, stop).await;
            ended.with_context(|| format!("the {} service failed", service.name()))
        });
    }
    running.spawn(announce(addresses, stop.clone()));

    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        // The greeting ends well by itself; a service ends well only when it was asked to.
        if let Err(error) = ended.map_err(anyhow::Error::from).flatten() {
            stop.cancel();
            outcome = outcome.and(Err(error));
        }
    }
    for service in Service::ALL {
        fs::remove_file(folder.join(format!("{}.pid", service.name())))?;
    }
    outcome
}

async fn serve(service: Service, arguments: Vec<String>, listener: TcpListener, stop: CancellationToken) -> Result<()> {
    match service {
        Service::Order => {
            let config = pesan_order::config::Config::try_parse_from(arguments)?;
            pesan_order::app::Application::build_on(config, listener).await?.run_until_stopped(stop).await
        }
        Service::Inventory => {
            let config = pesan_inventory::config::Config::try_parse_from(arguments)?;
            pesan_inventory::app::Application::build_on(config, listener).await?.run_until_stopped(stop).await
        }
        Service::Fulfilment => {
            let config = pesan_fulfilment::config::Config::try_parse_from(arguments)?;
            pesan_fulfilment::app::Application::build_on(config, listener).await?.run_until_stopped(stop).await
        }
        Service::Billing => {
            let config = pesan_billing::config::Config::try_parse_from(arguments)?;
            pesan_billing::app::Application::build_on(config, listener).await?.run_until_stopped(stop).await
        }
        Service::Analytics => {
            let config = pesan_analytics::config::Config::try_parse_from(arguments)?;
            pesan_analytics::app::Application::build_on(config, listener).await?.run_until_stopped(stop).await
        }
    }
}

/// What the service's own binary would be told. Everything else comes from the same environment as there.
fn arguments(service: Service, addresses: &Addresses, database_url: &str) -> Vec<String> {
    let mut arguments = vec![
        format!("pesan-{}", service.name()),
        format!("--listen={}", addresses.services[&service]),
        format!("--database-url={database_url}"),
    ];
    for peer in peers(service) {
        arguments.push(format!("--{}-endpoint={}", peer.name(), addresses.endpoint(*peer)));
    }
    if service == Service::Analytics {
        arguments.push(format!("--dashboard-listen={}", addresses.dashboard));
    }
    arguments
}

/// Whom a service asks or follows.
fn peers(service: Service) -> &'static [Service] {
    match service {
        Service::Order => &[Service::Inventory, Service::Fulfilment, Service::Billing],
        Service::Inventory => &[Service::Order, Service::Fulfilment],
        Service::Fulfilment => &[Service::Order],
        Service::Billing => &[Service::Order, Service::Fulfilment, Service::Inventory],
        Service::Analytics => &[Service::Order, Service::Inventory, Service::Fulfilment, Service::Billing],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn every_service_understands_what_it_is_told() {
        let at = |service: Service| (service, SocketAddr::from(([127, 0, 0, 1], service.port())));
        let addresses =
            Addresses { services: Service::ALL.map(at).into(), dashboard: SocketAddr::from(([127, 0, 0, 1], 8080)) };
        for service in Service::ALL {
            let arguments = arguments(service, &addresses, "postgres://a:b@localhost/c");
            let refused = match service {
                Service::Order => pesan_order::config::Config::try_parse_from(arguments).err(),
                Service::Inventory => pesan_inventory::config::Config::try_parse_from(arguments).err(),
                Service::Fulfilment => pesan_fulfilment::config::Config::try_parse_from(arguments).err(),
                Service::Billing => pesan_billing::config::Config::try_parse_from(arguments).err(),
                Service::Analytics => pesan_analytics::config::Config::try_parse_from(arguments).err(),
            };
            assert!(refused.is_none(), "{}: {refused:?}", service.name());
        }
    }
}
