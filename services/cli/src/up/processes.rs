//! Each service as its own process: started, watched, started again when it dies, ended with us.
//!
//! One thread does all of this. It must be one thread, because the kernel ends a child when the *thread* that spawned
//! it is gone, and that is what ends the services when we die by SIGKILL.

use std::fs;
use std::future::Future;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Addresses;
use super::databases::{self, Databases};
use crate::endpoints::Service;
use crate::postgres::bind_to_thread;

const WATCH: Duration = Duration::from_millis(50);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);
/// Who lives that long starts over with the shortest backoff.
const SOUND: Duration = Duration::from_secs(30);
/// What services get to drain before they are killed.
const STOP_BOUND: Duration = Duration::from_secs(30);

/// Runs until `stop`. `announce` runs beside.
pub async fn run<F: Future<Output = Result<()>>>(
    addresses: &Addresses,
    databases: &Databases,
    folder: &Path,
    stop: &CancellationToken,
    announce: impl FnOnce(Addresses, CancellationToken) -> F,
) -> Result<()> {
    let mut watched = Vec::new();
    for service in Service::ALL {
        ensure!(addresses.services[&service].port() != 0, "--separate needs to know every port: port 0 does not do");
        watched.push(Watched::new(service, addresses, databases.url(service), folder)?);
    }
    let (ended, told) = tokio::sync::oneshot::channel();
    let stopping = stop.clone();
    std::thread::Builder::new().name("services".to_owned()).spawn(move || {
        let outcome = watch(watched, &stopping);
        if ended.send(outcome).is_err() {
            warn!("nobody waits for the services to end");
        }
    })?;
    let announced = announce(addresses.clone(), stop.clone()).await;
    if announced.is_err() {
        stop.cancel();
    }
    let outcome = told.await.unwrap_or_else(|_| Err(anyhow!("the thread that watches the services panicked")));
    announced.and(outcome)
}

fn watch(mut watched: Vec<Watched>, stop: &CancellationToken) -> Result<()> {
    while !stop.is_cancelled() {
        for service in &mut watched {
            service.look();
        }
        std::thread::sleep(WATCH);
    }
    for service in &watched {
        service.signal(Signal::SIGTERM);
    }
    let deadline = Instant::now() + STOP_BOUND;
    for service in &mut watched {
        service.end(deadline)?;
    }
    Ok(())
}

/// A service and its process.
struct Watched {
    name: &'static str,
    command: Command,
    pid_file: PathBuf,
    child: Option<Child>,
    started: Instant,
    next_start: Instant,
    backoff: Duration,
}

impl Watched {
    fn new(service: Service, addresses: &Addresses, url: &str, folder: &Path) -> Result<Self> {
        let name = service.name();
        let own = std::env::current_exe()?;
        let binary = own.with_file_name(format!("pesan-{name}"));
        if !binary.exists() {
            return Err(anyhow!("{} is not there: build all binaries, or leave out --separate", binary.display()));
        }
        let mut command = Command::new(binary);
        for other in Service::ALL {
            command.env(format!("PESAN_{}_ENDPOINT", other.name().to_uppercase()), addresses.endpoint(other));
            command.env_remove(databases::variable(other));
        }
        command.env(format!("PESAN_{}_LISTEN", name.to_uppercase()), addresses.services[&service].to_string());
        command.env("PESAN_ANALYTICS_DASHBOARD_LISTEN", addresses.dashboard.to_string());
        // By the environment: what a process is told by arguments is there for everybody to read.
        command.env(databases::variable(service), url);
        // A Ctrl-C in the terminal is for us, who stop them in order.
        command.process_group(0);
        bind_to_thread(&mut command, None, Signal::SIGTERM);
        let now = Instant::now();
        let pid_file = folder.join(format!("{name}.pid"));
        Ok(Self { name, command, pid_file, child: None, started: now, next_start: now, backoff: FIRST_BACKOFF })
    }

    /// Starts it if it does not run and its time has come.
    fn look(&mut self) {
        if let Some(child) = &mut self.child {
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) => {
                    if self.started.elapsed() > SOUND {
                        self.backoff = FIRST_BACKOFF;
                    }
                    warn!(service = self.name, %status, pause = ?self.backoff, "died, starting it again");
                    self.child = None;
                    self.postpone();
                }
                Err(error) => return warn!(service = self.name, %error, "cannot be looked at"),
            }
        }
        if Instant::now() >= self.next_start
            && let Err(error) = self.start()
        {
            warn!(service = self.name, error = format!("{error:#}"), pause = ?self.backoff, "does not start");
            self.postpone();
        }
    }

    fn postpone(&mut self) {
        self.next_start = Instant::now() + self.backoff;
        self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
    }

    fn start(&mut self) -> Result<()> {
        let child =
            self.command.spawn().with_context(|| format!("cannot run {}", self.command.get_program().display()))?;
        let pid = child.id();
        self.child = Some(child);
        self.started = Instant::now();
        info!(service = self.name, pid, "started");
        fs::write(&self.pid_file, pid.to_string()).with_context(|| format!("cannot write {}", self.pid_file.display()))
    }

    fn signal(&self, signal: Signal) {
        // The child is not reaped before `try_wait` sees its end, so its number cannot be another process's.
        let Some(child) = &self.child else { return };
        if let Err(error) = kill(Pid::from_raw(child.id().cast_signed()), signal) {
            warn!(service = self.name, %error, "cannot be signalled");
        }
    }

    /// Waits for its end; kills it at the deadline.
    fn end(&mut self, deadline: Instant) -> Result<()> {
        while let Some(child) = &mut self.child
            && child.try_wait()?.is_none()
        {
            if Instant::now() > deadline {
                warn!(service = self.name, "still there after {} s, killing it", STOP_BOUND.as_secs());
                child.kill()?;
                child.wait()?;
                break;
            }
            std::thread::sleep(WATCH);
        }
        match fs::remove_file(&self.pid_file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}
