//! A private database cluster in a folder, and the server on it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use rand::Rng;
use tracing::{info, warn};

use super::find::{self, Installation};
use super::identity::Identity;
use super::install::install;
use super::postmaster::{self, Launch, Postmaster};
use super::secret;
use super::settings::{self, Settings};

/// The name of the administrator inside the server, and of the database it connects to.
const ADMIN: &str = "postgres";
/// Ports are chosen below the range the kernel gives to outgoing connections, which could take one while the server
/// restarts.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// How often a port is chosen anew when somebody takes it between our look and the server's start.
const PORT_ATTEMPTS: u32 = 5;
/// The file that says which `pesan` works on the data.
const LOCK: &str = "lock";
/// The part of the configuration that is ours, inside the server's data folder.
const CONFIG: &str = "pesan.conf";

/// A running private cluster. Everything is below its data folder:
///
/// | | |
/// | --- | --- |
/// | `postgres/` | the server's own data folder |
/// | `postgres.log` | the server's messages |
/// | `postgres.port` | the port it got at its first start |
/// | `secrets/` | passwords, one file a role, for the owner only |
/// | `lock` | held by the `pesan` that runs on this data |
///
/// Dropping it stops the server. All functions block; in async code call them through `spawn_blocking`.
pub struct Cluster {
    data: PathBuf,
    port: u16,
    password: String,
    // In this order: the lock goes when the server is gone.
    postmaster: Postmaster,
    _lock: Flock<File>,
}

impl Cluster {
    /// Starts the server on `data`, creating the cluster if there is none, and installing Postgres if need be.
    /// Returns when the server takes connections.
    pub fn start(data: &Path, settings: &Settings) -> Result<Self> {
        fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
        let data = data.canonicalize()?;
        let lock = lock(&data)?;
        let folder = data.join("postgres");
        postmaster::end_leftover(&folder)?;

        let major = read_major(&folder)?;
        let installation = match find::find(major)? {
            Some(found) => found,
            None => install(major)?,
        };
        let identity = Identity::choose(&[&data, &installation.bin])?;
        let password = secret::read_or_create(&data.join("secrets"), ADMIN)?;
        if major.is_none() {
            create(&data, &folder, &installation, &identity, &password.value)?;
            if settings.durable {
                flush_in_background(&folder)?;
            }
        }
        identity.take_ownership(&folder)?;
        configure(&folder, &installation, &identity, settings)?;
        if major.is_some() && password.is_new {
            warn!("the administrator's password file was lost, setting a new password");
            set_password(&folder, &installation, &identity, &password.value)?;
        }

        let launch = Launch { installation, identity, folder, port: 0, log: data.join("postgres.log") };
        let (postmaster, port) = start_on_a_port(&data, &launch)?;
        Ok(Self { data, port, password: password.value, postmaster, _lock: lock })
    }

    /// Connects the administrator, who may do everything, to the maintenance database.
    pub fn admin_url(&self) -> String {
        self.admin_url_of(ADMIN)
    }

    /// Connects the administrator to another database.
    pub fn admin_url_of(&self, database: &str) -> String {
        self.url(ADMIN, &self.password, database)
    }

    /// Stops the server: fast, which ends sessions and writes everything out; harsher if that takes too long. The
    /// server is gone when this returns.
    pub fn stop(mut self) {
        self.postmaster.stop();
    }

    pub(super) fn url(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    pub(super) fn secrets(&self) -> PathBuf {
        self.data.join("secrets")
    }
}

/// Removes the data folder of a run that was killed, and ends its server if that is still there. Leaves alone what is
/// in use, or younger than `age`.
pub fn remove_abandoned(data: &Path, age: Duration) -> Result<()> {
    let path = data.join(LOCK);
    let is_old = |path: &Path| Some(fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()? >= age);
    if !is_old(&path).unwrap_or(false) {
        return Ok(());
    }
    let Some(_lock) = try_lock(&path)? else { return Ok(()) };
    postmaster::end_leftover(&data.join("postgres"))?;
    fs::remove_dir_all(data)?;
    Ok(())
}

/// Keeps a second `pesan` away from the same data.
fn lock(data: &Path) -> Result<Flock<File>> {
    let path = data.join(LOCK);
    let Some(mut lock) = try_lock(&path)? else {
        let holder = fs::read_to_string(&path)?;
        bail!("{} is in use by another pesan (process {holder}): stop it, or choose another folder", data.display());
    };
    lock.set_len(0)?;
    write!(lock, "{}", std::process::id())?;
    Ok(lock)
}

/// The kernel lets go of the lock when its holder dies.
fn try_lock(path: &Path) -> Result<Option<Flock<File>>> {
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// The version that made the cluster, if there is one.
fn read_major(folder: &Path) -> Result<Option<u32>> {
    match fs::read_to_string(folder.join("PG_VERSION")) {
        Ok(text) => Ok(Some(text.trim().parse().with_context(|| format!("{} is damaged", folder.display()))?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// Makes the cluster under another name first: what is under the final name is whole.
fn create(data: &Path, folder: &Path, installation: &Installation, identity: &Identity, password: &str) -> Result<()> {
    let draft = data.join("postgres.new");
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir(&draft)?;
    fs::set_permissions(&draft, PermissionsExt::from_mode(0o700))?;
    // The server's user cannot read our secrets, so it gets a copy for a moment.
    let password_file = draft.with_extension("password");
    secret::write_private(&password_file, password)?;
    identity.take_ownership(&password_file)?;
    identity.take_ownership(&draft)?;

    let mut initdb = installation.command("initdb");
    initdb.args(["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--encoding=UTF8", "--username", ADMIN]);
    if installation.major >= 17 {
        initdb.arg("--locale-provider=builtin"); // the same on every system
    }
    initdb.arg("--locale=C.UTF-8").arg("--pgdata").arg(&draft).arg("--pwfile").arg(&password_file);
    let created = run(initdb, identity, "");
    fs::remove_file(&password_file)?;
    created.context("cannot create the database cluster")?;
    if folder.exists() {
        fs::remove_dir(folder).with_context(|| format!("{} is not a cluster and not empty", folder.display()))?;
    }
    fs::rename(&draft, folder)?;
    Ok(())
}

/// `initdb --no-sync` starts half a second sooner, and leaves it to us that its files survive a power cut.
fn flush_in_background(folder: &Path) -> Result<()> {
    let folder = File::open(folder)?;
    std::thread::Builder::new().name("flush".to_owned()).spawn(move || {
        if let Err(error) = nix::unistd::syncfs(&folder) {
            warn!(%error, "cannot flush the new cluster to disk");
        }
    })?;
    Ok(())
}

fn configure(folder: &Path, installation: &Installation, identity: &Identity, settings: &Settings) -> Result<()> {
    let main = folder.join("postgresql.conf");
    let include = format!("include '{CONFIG}'\n");
    let mut text = fs::read_to_string(&main)?;
    if !text.ends_with(&include) {
        text.push_str(&include);
        fs::write(&main, text)?;
    }
    // A server built without this compression refuses to start with it: so ask.
    let mut question = installation.command("postgres");
    question.args(["-C", "wal_compression", "-c", "wal_compression=lz4", "-D"]).arg(folder);
    question.args(["-c", "config_file=/dev/null"]);
    let has_lz4 = run(question, identity, "").is_ok();

    let own = folder.join(CONFIG);
    fs::write(&own, settings.render(settings::memory(), has_lz4))?;
    fs::set_permissions(&own, PermissionsExt::from_mode(0o644))?;
    Ok(())
}

/// In single-user mode, where no password is asked for.
fn set_password(folder: &Path, installation: &Installation, identity: &Identity, password: &str) -> Result<()> {
    let mut single = installation.command("postgres");
    single.args(["--single", "-D"]).arg(folder).arg(ADMIN);
    // Passwords are letters and digits.
    let statement = format!("alter role {ADMIN} password '{password}'\n");
    run(single, identity, &statement).context("cannot set the administrator's password")
}

/// Runs one of the server's programs to its end.
fn run(mut command: Command, identity: &Identity, input: &str) -> Result<()> {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).current_dir("/");
    identity.bind(&mut command, Signal::SIGTERM);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// On the port of the last time; on another one if that is taken.
fn start_on_a_port(data: &Path, launch: &Launch) -> Result<(Postmaster, u16)> {
    let file = data.join("postgres.port");
    let mut known = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
    let mut attempt = 1;
    loop {
        let port = match known.take().filter(|port| is_free(*port)) {
            Some(port) => port,
            None => choose_port()?,
        };
        match Postmaster::start(Launch { port, ..launch.clone() }) {
            Ok(postmaster) => {
                fs::write(&file, port.to_string())?;
                return Ok((postmaster, port));
            }
            Err(error) if attempt < PORT_ATTEMPTS && !is_free(port) => {
                info!(port, error = format!("{error:#}"), "somebody took the port, choosing another");
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn choose_port() -> Result<u16> {
    let mut random = rand::rng();
    let mut candidates = std::iter::repeat_with(|| random.random_range(PORTS)).take(1_000);
    candidates.find(|port| is_free(*port)).context("no free port between 20000 and 30000")
}
