//! `pesan with-postgres`: a command with a database server around it.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, IsTerminal};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, getuid, tcgetpgrp};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::task::spawn_blocking;

use crate::postgres::{self, Cluster, Settings, bind_to_thread};

/// The names of throw-away clusters in the folder for temporary files.
const THROW_AWAY_PREFIX: &str = "pesan-postgres-";
/// A throw-away cluster that nobody holds is garbage, unless it is so young that its owner has not locked it yet.
const GARBAGE_AGE: Duration = Duration::from_secs(10);
/// What shells say when there is no such command, or it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// Run a command with a private Postgres, and stop the server afterwards.
///
/// The command finds the server's address in DATABASE_URL (as administrator). Without --data the cluster is a
/// throw-away one: nothing of it is left. The exit code is the command's.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan with-postgres -- cargo nextest run --workspace\n  \
    pesan with-postgres --data .pesan -- sh -c 'psql \"$DATABASE_URL\"'\n  \
    pesan with-postgres --provision order -- pesan-order   # with PESAN_ORDER_DATABASE_URL")]
pub struct WithPostgres {
    /// Keep the data in this folder, safely, instead of throwing it away.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Give these services a role and a schema each; the command gets PESAN_<SERVICE>_DATABASE_URL.
    #[arg(long, value_name = "SERVICE", value_delimiter = ',')]
    provision: Vec<String>,
    /// The command to run, and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl WithPostgres {
    /// Runs the command; its exit code, or 128 and the number of the signal that ended it.
    pub async fn run(self) -> Result<ExitCode> {
        let mut signals = Signals::new()?; // before there is anything to clean up
        let (data, settings, temporary) = match &self.data {
            Some(data) => {
                let max_connections = Settings::throw_away().max_connections;
                (data.clone(), Settings { max_connections, ..Settings::durable() }, None)
            }
            None => {
                let folder = throw_away_folder()?;
                (folder.path().to_owned(), Settings::throw_away(), Some(folder))
            }
        };
        let cluster = spawn_blocking(move || Cluster::start(&data, &settings)).await??;
        let outcome = self.run_with(&cluster, &mut signals).await;
        spawn_blocking(move || cluster.stop()).await?;
        if let Some(temporary) = temporary {
            temporary.close().context("cannot remove the throw-away cluster")?;
        }
        outcome
    }

    async fn run_with(&self, cluster: &Cluster, signals: &mut Signals) -> Result<ExitCode> {
        let (program, arguments) = self.command.split_first().context("no command")?;
        let mut command = Command::new(program);
        command.args(arguments).env("DATABASE_URL", cluster.admin_url());
        if !self.provision.is_empty() {
            let services: Vec<&str> = self.provision.iter().map(String::as_str).collect();
            for (service, url) in postgres::provision(cluster, &services).await? {
                command.env(format!("PESAN_{}_DATABASE_URL", service.to_uppercase()), url);
            }
        }
        // Without the server the command has nothing to work on, so it ends when we are killed. This thread is the
        // main one, which lives as long as the process.
        bind_to_thread(command.as_std_mut(), None, Signal::SIGTERM);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                eprintln!("error: cannot run {}: {error}", program.display());
                let is_missing = error.kind() == ErrorKind::NotFound;
                return Ok(ExitCode::from(if is_missing { NOT_FOUND } else { NOT_RUNNABLE }));
            }
        };
        loop {
            tokio::select! {
                status = child.wait() => return Ok(exit_code(status?)),
                received = signals.next() => forward(received, &child),
            }
        }
    }
}

/// Passes a signal on, unless the terminal has sent it to the command as well: many take a second Ctrl-C for haste.
fn forward(received: Signal, child: &Child) {
    let stdin = std::io::stdin();
    let from_terminal = received == Signal::SIGINT
        && (stdin.is_terminal() && tcgetpgrp(&stdin).is_ok_and(|foreground| foreground == getpgrp()));
    let Some(pid) = child.id().filter(|_| !from_terminal) else { return };
    if let Err(error) = kill(Pid::from_raw(pid.cast_signed()), received) {
        eprintln!("cannot pass {received} on to the command: {error}");
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

struct Signals {
    interrupt: SignalStream,
    terminate: SignalStream,
    hang_up: SignalStream,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hang_up.recv() => Signal::SIGHUP,
        }
    }
}

fn throw_away_folder() -> Result<TempDir> {
    let parent = std::env::temp_dir();
    remove_garbage(&parent);
    let folder = TempDir::with_prefix_in(THROW_AWAY_PREFIX, &parent).context("cannot create a temporary folder")?;
    // For root, whose server runs as another user. The server's own folder inside is private.
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711))?;
    Ok(folder)
}

/// Removes what runs that were killed have left behind.
fn remove_garbage(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == getuid().as_raw());
        if is_ours && entry.file_name().to_string_lossy().starts_with(THROW_AWAY_PREFIX) {
            let folder = entry.path();
            if let Err(error) = postgres::remove_abandoned(&folder, GARBAGE_AGE) {
                eprintln!("cannot remove the abandoned {}: {error:#}", folder.display());
            }
        }
    }
}
