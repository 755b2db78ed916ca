//! The server process: started as our child, watched, restarted when it dies, and ended with us.
//!
//! One thread does all of this for as long as the server shall live. It must be one thread, because the kernel ends
//! the server when the *thread* that spawned it is gone, and that is what ends it when we die by SIGKILL.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tracing::{info, warn};

use super::find::Installation;
use super::identity::Identity;

/// How long a start may take: replaying the log after a crash is most of it.
const START_BOUND: Duration = Duration::from_secs(600);
/// What each way of stopping gets before the next, harsher one. Fast shutdown writes all dirty pages.
const STOP_BOUNDS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(60)),
    (Signal::SIGQUIT, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(10)),
];
/// How often a running server is looked at, and one that starts or stops.
const WATCH: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_millis(3);
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// How to start the server.
#[derive(Clone)]
pub struct Launch {
    /// The programs.
    pub installation: Installation,
    /// Who they run as.
    pub identity: Identity,
    /// The server's data folder.
    pub folder: PathBuf,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// Where the server's messages go.
    pub log: PathBuf,
}

/// A running server. Dropping it stops the server.
pub struct Postmaster {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Postmaster {
    /// Starts the server; returns when it takes connections.
    pub fn start(launch: Launch) -> Result<Self> {
        let (stop, stopped) = channel();
        let (started, outcome) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || supervise(&launch, &started, &stopped))
            .context("cannot start a thread")?;
        let postmaster = Self { stop: Some(stop), thread: Some(thread) };
        outcome.recv().context("the thread that starts the server is gone")??;
        Ok(postmaster)
    }

    /// Stops the server, and returns when it is gone.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the thread that watches postgres panicked"); // the kernel has then told the server to stop
        }
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs until `stop` is disconnected.
fn supervise(launch: &Launch, started: &SyncSender<Result<()>>, stop: &Receiver<()>) {
    let first = bring_up(launch, stop);
    let report = first.as_ref().map(|_| ()).map_err(|error| anyhow!("{error:#}"));
    if started.send(report).is_err() {
        warn!("nobody waits for postgres to start");
    }
    let mut running = first.ok().flatten();
    while let Some(mut child) = running {
        match watch(&mut child, stop) {
            Ended::AsAsked => return,
            Ended::Unexpectedly(status) => {
                warn!(how = %describe(status), log = %launch.log.display(), "postgres died, starting it again");
                running = bring_up_again(launch, stop);
            }
        }
    }
}

enum Ended {
    AsAsked,
    Unexpectedly(ExitStatus),
}

fn watch(child: &mut Child, stop: &Receiver<()>) -> Ended {
    while !is_asked_to_stop(stop, WATCH) {
        match child.try_wait() {
            Ok(Some(status)) => return Ended::Unexpectedly(status),
            Ok(None) => {}
            Err(error) => warn!(%error, "cannot look at postgres"),
        }
    }
    end_child(child);
    Ended::AsAsked
}

/// Tries until it works; `None` when asked to stop.
fn bring_up_again(launch: &Launch, stop: &Receiver<()>) -> Option<Child> {
    let mut backoff = FIRST_BACKOFF;
    while !is_asked_to_stop(stop, backoff) {
        match bring_up(launch, stop) {
            Ok(child) => {
                info!(port = launch.port, "postgres is back");
                return child;
            }
            Err(error) => warn!(error = format!("{error:#}"), "postgres does not start, trying again"),
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
    None
}

/// Starts the server and waits until it takes connections; `None` when asked to stop meanwhile.
fn bring_up(launch: &Launch, stop: &Receiver<()>) -> Result<Option<Child>> {
    let log = File::options().append(true).create(true).open(&launch.log)?;
    let log_start = log.metadata()?.len();
    let mut command = launch.installation.command("postgres");
    command.arg("-D").arg(&launch.folder).arg("-p").arg(launch.port.to_string());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    launch.identity.bind(&mut command, Signal::SIGINT);
    let mut child = command.spawn().context("cannot start postgres")?;

    let deadline = Instant::now() + START_BOUND;
    while !is_ready(&launch.folder, child.id()) {
        if let Some(status) = child.try_wait()? {
            let said = tail(&launch.log, log_start);
            bail!("postgres stopped while starting ({}); its log says:\n{said}", describe(status));
        }
        if is_asked_to_stop(stop, POLL) {
            end_child(&mut child);
            return Ok(None);
        }
        if Instant::now() > deadline {
            end_child(&mut child);
            bail!("postgres was not ready after {} s, see {}", START_BOUND.as_secs(), launch.log.display());
        }
    }
    Ok(Some(child))
}

/// Waits up to `patience` for the order to stop.
fn is_asked_to_stop(stop: &Receiver<()>, patience: Duration) -> bool {
    !matches!(stop.recv_timeout(patience), Err(RecvTimeoutError::Timeout))
}

fn end_child(child: &mut Child) {
    let pid = Pid::from_raw(child.id().cast_signed());
    // The child is not reaped before `try_wait` sees its end, so its number cannot be another process's.
    if !end(pid, || matches!(child.try_wait(), Ok(Some(_)))) {
        warn!(%pid, "postgres does not end");
    }
}

/// Ends a server, the polite way first; false if even SIGKILL does not help.
fn end(pid: Pid, mut is_gone: impl FnMut() -> bool) -> bool {
    for (signal, bound) in STOP_BOUNDS {
        if let Err(error) = kill(pid, signal)
            && error != Errno::ESRCH
        {
            warn!(%error, %pid, "cannot signal postgres");
        }
        let deadline = Instant::now() + bound;
        while Instant::now() < deadline {
            if is_gone() {
                return true;
            }
            std::thread::sleep(POLL);
        }
        warn!(%pid, %signal, "postgres is still there after {} s", bound.as_secs());
    }
    is_gone()
}

/// Ends the server that a previous run may have left behind in `folder`. The caller holds the lock of the data.
pub fn end_leftover(folder: &Path) -> Result<()> {
    let file = folder.join("postmaster.pid");
    let Some(pid) = read_pid_file(&file).and_then(|lines| lines.first()?.trim().parse().ok()) else { return Ok(()) };
    let pid = Pid::from_raw(pid);
    if kill(pid, None) == Err(Errno::ESRCH) {
        return Ok(()); // the server itself recognises such a file as stale
    }
    if !works_in(pid, folder) {
        // The number went to another process, after a reboot say. The server would take that for its predecessor.
        return fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()));
    }
    info!(%pid, "stopping the postgres of a previous run");
    if !end(pid, || !works_in(pid, folder)) {
        bail!("the postgres of a previous run (process {pid}) does not end");
    }
    Ok(())
}

/// A server's working folder is its data folder.
fn works_in(pid: Pid, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)
}

/// Line 8 of `postmaster.pid` tells how far the server of line 1 is.
fn is_ready(folder: &Path, pid: u32) -> bool {
    read_pid_file(&folder.join("postmaster.pid")).is_some_and(|lines| {
        let is_ours = lines.first().is_some_and(|line| line.trim() == pid.to_string());
        is_ours && lines.get(7).is_some_and(|line| line.trim() == "ready")
    })
}

fn read_pid_file(file: &Path) -> Option<Vec<String>> {
    Some(fs::read_to_string(file).ok()?.lines().map(str::to_owned).collect())
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(number) => Signal::try_from(number).map_or(format!("signal {number}"), |signal| signal.to_string()),
        None => status.to_string(),
    }
}

/// What was logged after `start`, bounded.
fn tail(log: &Path, start: u64) -> String {
    const BOUND: usize = 2_000;
    let bytes = fs::read(log).unwrap_or_default();
    let new = &bytes[usize::try_from(start).unwrap_or(0).min(bytes.len())..];
    String::from_utf8_lossy(&new[new.len().saturating_sub(BOUND)..]).into_owned()
}
