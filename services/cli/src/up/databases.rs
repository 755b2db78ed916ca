//! A database for each service: given, or in a private Postgres.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::endpoints::Service;
use crate::postgres::{self, Cluster, Settings};

/// Where the private Postgres is, for tools that look at it from beside (the yardstick of `pesan bench`).
#[derive(Debug, Serialize, Deserialize)]
pub struct AdminAccess {
    /// Connects the administrator to the maintenance database.
    pub url: String,
}

impl AdminAccess {
    /// In the data folder of a suite.
    pub fn file(data: &Path) -> PathBuf {
        data.join("run").join("postgres.json")
    }
}

/// The databases of the suite.
pub struct Databases {
    urls: BTreeMap<Service, String>,
    cluster: Option<Cluster>,
    access: PathBuf,
}

impl Databases {
    /// Takes the databases that the environment names, and starts a private Postgres for the others.
    pub async fn start(data: &Path) -> Result<Self> {
        let mut urls = BTreeMap::new();
        for service in Service::ALL {
            if let Ok(url) = std::env::var(variable(service))
                && !url.is_empty()
            {
                urls.insert(service, url);
            }
        }
        let access = AdminAccess::file(data);
        let missing: Vec<&str> =
            Service::ALL.into_iter().filter(|service| !urls.contains_key(service)).map(Service::name).collect();
        if missing.is_empty() {
            return Ok(Self { urls, cluster: None, access });
        }
        let folder = data.to_owned();
        let cluster = spawn_blocking(move || Cluster::start(&folder, &Settings::durable())).await??;
        let prepared = prepare(&cluster, &missing, &access).await;
        match prepared {
            Ok(provisioned) => {
                let named = provisioned.into_iter().filter_map(|(name, url)| Some((Service::named(&name)?, url)));
                urls.extend(named);
                Ok(Self { urls, cluster: Some(cluster), access })
            }
            Err(error) => {
                spawn_blocking(move || cluster.stop()).await?;
                Err(error)
            }
        }
    }

    /// The URL of a service's database. It holds a password.
    pub fn url(&self, service: Service) -> &str {
        self.urls.get(&service).map_or("", String::as_str)
    }

    /// Stops the private Postgres; the services must be gone.
    pub async fn stop(self) -> Result<()> {
        let Some(cluster) = self.cluster else { return Ok(()) };
        spawn_blocking(move || cluster.stop()).await?;
        fs::remove_file(&self.access).with_context(|| format!("cannot remove {}", self.access.display()))
    }
}

/// The variable that names a service's database.
pub fn variable(service: Service) -> String {
    format!("PESAN_{}_DATABASE_URL", service.name().to_uppercase())
}

async fn prepare(cluster: &Cluster, services: &[&str], access: &Path) -> Result<BTreeMap<String, String>> {
    let urls = postgres::provision(cluster, services).await?;
    if let Some(folder) = access.parent() {
        fs::create_dir_all(folder)?;
    }
    // The file holds a password: made anew, so that nobody else has it open, and for the owner only.
    if access.exists() {
        fs::remove_file(access)?;
    }
    let file = fs::File::options().write(true).create_new(true).mode(0o600).open(access)?;
    serde_json::to_writer(file, &AdminAccess { url: cluster.admin_url() })?;
    Ok(urls)
}
