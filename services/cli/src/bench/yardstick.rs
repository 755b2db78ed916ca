//! What Postgres itself can do, measured in the same run on the same server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tonic::codegen::http::Uri;

use crate::up::AdminAccess;

/// The best that was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Best {
    pub name: String,
    pub per_second: f64,
}

/// A script that measures, and the server to be measured.
#[derive(Clone)]
pub struct Yardstick {
    script: PathBuf,
    variant: String,
    environment: Vec<(&'static str, String)>,
    clients: &'static str,
    best: Option<Best>,
}

#[derive(Deserialize)]
struct Line {
    variant: String,
    orders_per_s: f64,
}

impl Yardstick {
    /// `folder` holds `run.sh`; `data` is the folder of a suite that runs, with its private Postgres.
    pub fn new(folder: &Path, data: &Path, variant: String) -> Result<Self> {
        let script =
            folder.join("run.sh").canonicalize().with_context(|| format!("no run.sh in {}", folder.display()))?;
        Ok(Self { script, variant, environment: environment(&admin_url(data)?)?, clients: "8 32", best: None })
    }

    /// The same with other numbers of clients.
    pub fn with_clients(self, clients: &'static str) -> Self {
        Self { clients, ..self }
    }

    /// Runs the script; the best of all runs is kept.
    pub async fn measure(&mut self) -> Result<()> {
        let mut command = Command::new("bash");
        command
            .arg(&self.script)
            .args(["-s", "5", "-c", self.clients, &self.variant])
            .envs(self.environment.iter().cloned());
        let output = command.output().await.context("cannot run the yardstick")?;
        if !output.status.success() {
            bail!("the yardstick failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let found = best(&String::from_utf8_lossy(&output.stdout))?;
        if self.best.as_ref().is_none_or(|known| known.per_second < found.per_second) {
            self.best = Some(found);
        }
        Ok(())
    }

    pub fn best(self) -> Option<Best> {
        self.best
    }
}

/// Where the private Postgres of a running suite lets its owner in.
pub fn admin_url(data: &Path) -> Result<String> {
    let file = AdminAccess::file(data);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: does the suite run with a Postgres of its own?", file.display()))?;
    let access: AdminAccess = serde_json::from_str(&text)?;
    Ok(access.url)
}

/// The fastest of the lines that the script prints.
fn best(text: &str) -> Result<Best> {
    let lines = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str::<Line>);
    let lines: Vec<Line> = lines.collect::<Result<_, _>>().context("the yardstick's answer is not understood")?;
    let fastest = lines.into_iter().max_by(|a, b| a.orders_per_s.total_cmp(&b.orders_per_s));
    let fastest = fastest.context("the yardstick answered nothing")?;
    Ok(Best { name: fastest.variant, per_second: fastest.orders_per_s })
}

/// What Postgres' own programs need, from a URL with password, host, port and database.
fn environment(url: &str) -> Result<Vec<(&'static str, String)>> {
    let uri: Uri = url.parse().context("the address of Postgres is not understood")?;
    let authority = uri.authority().context("the address of Postgres has no host")?;
    let (credentials, _) = authority.as_str().rsplit_once('@').context("the address of Postgres has no user")?;
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    Ok(vec![
        ("PGHOST", authority.host().to_owned()),
        ("PGPORT", authority.port_u16().unwrap_or(5432).to_string()),
        ("PGUSER", user.to_owned()),
        ("PGPASSWORD", password.to_owned()),
        ("PGDATABASE", uri.path().trim_start_matches('/').to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_line_counts() {
        let text = "{\"variant\":\"fn\",\"clients\":8,\"seconds\":5,\"orders_per_s\":7300,\"latency_ms\":1.1}\n\
                    {\"variant\":\"fn\",\"clients\":32,\"seconds\":5,\"orders_per_s\":8900,\"latency_ms\":3.6}\n";
        assert_eq!(best(text).unwrap(), Best { name: "fn".into(), per_second: 8900.0 });
        assert!(best("").is_err() && best("psql: error").is_err());
    }

    #[test]
    fn an_address_becomes_variables() {
        let expected = [
            ("PGHOST", "127.0.0.1"),
            ("PGPORT", "20001"),
            ("PGUSER", "postgres"),
            ("PGPASSWORD", "abc123"),
            ("PGDATABASE", "postgres"),
        ];
        let found = environment("postgres://postgres:abc123@127.0.0.1:20001/postgres").unwrap();
        assert!(found.iter().map(|(name, value)| (*name, value.as_str())).eq(expected));
    }
}
