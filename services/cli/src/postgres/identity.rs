//! Who the server runs as, and how its processes are tied to ours.
//!
//! Postgres refuses to run as root. An ordinary user runs it as itself; root drops to an unprivileged user, or,
//! where that user could not reach the data (a folder below a private one), keeps its user id but enters a user
//! namespace, in which that id has another number and no privilege.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Pid, Uid, User, getgid, getppid, getuid, write};

/// The user the server's processes run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Ourselves: we are not root.
    Caller,
    /// Another user; we are root.
    User {
        /// The user the processes drop to.
        uid: Uid,
        /// Its group; there are no supplementary groups.
        gid: Gid,
    },
    /// Our own user id, shown to the server as another one by a user namespace.
    Namespace {
        /// The number our user id has inside. It must have an entry in the password database, or `initdb` refuses.
        inside: Uid,
    },
}

impl Identity {
    /// The least surprising identity that can reach all of `paths`.
    pub fn choose(paths: &[&Path]) -> Result<Self> {
        let caller = getuid();
        let names = ["postgres", "nobody"].into_iter();
        let known: Vec<User> = names.filter_map(|name| User::from_name(name).ok().flatten()).collect();
        let mut candidates = Vec::new();
        if caller.is_root() {
            let users = known.iter().map(|user| (user.uid, user.gid)).chain(nearest_ordinary_owner(paths));
            candidates
                .extend(users.filter(|(uid, _)| can_reach(*uid, paths)).map(|(uid, gid)| Self::User { uid, gid }));
        } else if User::from_uid(caller)?.is_some() {
            return Ok(Self::Caller); // containers often run with a user id that has no name, and `initdb` wants one
        }
        if can_reach(caller, paths) {
            candidates.extend(known.first().map(|user| Self::Namespace { inside: user.uid }));
        }
        candidates.into_iter().find(Self::is_possible).with_context(|| {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            format!(
                "Postgres does not run as root or as a user without a name, and this system offers no other way that \
                 reaches {}: use a data folder that everybody may enter, or run as an ordinary user",
                paths.join(" and ")
            )
        })
    }

    /// Containers may forbid a change of user, or user namespaces.
    fn is_possible(&self) -> bool {
        let mut probe = Command::new("true");
        self.bind(&mut probe, Signal::SIGKILL);
        probe.status().is_ok_and(|status| status.success())
    }

    /// Makes `path` and all below it belong to this identity, if it does not yet.
    pub fn take_ownership(&self, path: &Path) -> Result<()> {
        let (uid, gid) = match self {
            Self::User { uid, gid } => (*uid, *gid),
            Self::Caller | Self::Namespace { .. } => (getuid(), getgid()),
        };
        if std::fs::symlink_metadata(path)?.uid() == uid.as_raw() {
            return Ok(());
        }
        chown_tree(path, uid, gid).with_context(|| format!("cannot give {} to user {uid}", path.display()))
    }

    /// Makes `command` run as this identity, in a process group of its own (so that Ctrl-C in a terminal reaches
    /// only us, who may still need the server), and get `on_death` when the thread that spawns it is gone.
    pub fn bind(&self, command: &mut Command, on_death: Signal) {
        command.process_group(0);
        match self {
            Self::Caller => bind_to_thread(command, None, on_death),
            Self::User { uid, gid } => {
                command.uid(uid.as_raw()).gid(gid.as_raw());
                bind_to_thread(command, None, on_death);
            }
            Self::Namespace { inside } => {
                let map = format!("{inside} {} 1", getuid());
                bind_to_thread(command, Some(map), on_death);
            }
        }
    }
}

/// Makes the kernel send `on_death` to the process that `command` will start when the *thread* that spawns it ends,
/// for whatever reason: our own SIGKILL too. With a `user_map` the process first enters a user namespace.
#[allow(unsafe_code)]
pub fn bind_to_thread(command: &mut Command, user_map: Option<String>, on_death: Signal) {
    let parent = Pid::this();
    let prepare = move || -> io::Result<()> {
        if let Some(map) = &user_map {
            unshare(CloneFlags::CLONE_NEWUSER)?;
            let file = open(c"/proc/self/uid_map", OFlag::O_WRONLY, Mode::empty())?;
            write(&file, map.as_bytes())?;
        }
        // After every change of credentials, because the kernel forgets the signal on each.
        prctl::set_pdeathsig(on_death)?;
        if getppid() != parent {
            return Err(io::ErrorKind::BrokenPipe.into()); // it died before the line above
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes plain system calls
    // (unshare, open, write, close, prctl, getppid) on memory made before the fork; it does not allocate or lock.
    unsafe {
        command.pre_exec(prepare);
    }
}

fn can_reach(uid: Uid, paths: &[&Path]) -> bool {
    paths.iter().all(|path| is_reachable(path, uid))
}

/// Whether a user without privileges and without group memberships may enter every folder on the way to `path`.
fn is_reachable(path: &Path, uid: Uid) -> bool {
    path.ancestors().filter(|folder| !folder.as_os_str().is_empty()).all(|folder| {
        std::fs::metadata(folder).is_ok_and(|meta| {
            let mode = meta.permissions().mode();
            if meta.uid() == uid.as_raw() { mode & 0o100 != 0 } else { mode & 0o001 != 0 }
        })
    })
}

/// The user whose home root works in, say.
fn nearest_ordinary_owner(paths: &[&Path]) -> Option<(Uid, Gid)> {
    let mut owners = paths.iter().flat_map(|path| path.ancestors()).filter_map(|folder| std::fs::metadata(folder).ok());
    owners.find(|meta| meta.uid() != 0).map(|meta| (Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid())))
}

fn chown_tree(path: &Path, uid: Uid, gid: Gid) -> io::Result<()> {
    let mut pending: Vec<PathBuf> = Vec::new();
    if std::fs::symlink_metadata(path)?.is_dir() {
        for entry in std::fs::read_dir(path)? {
            pending.push(entry?.path());
        }
    }
    for entry in pending {
        chown_tree(&entry, uid, gid)?;
    }
    // The top comes last: its owner tells a later start whether the work was finished.
    std::os::unix::fs::lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_is_reachable_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o755)).unwrap();
        let stranger = Uid::from_raw(getuid().as_raw() + 4711);
        assert!(is_reachable(&inner, getuid()));
        assert!(!is_reachable(&inner, stranger));
    }

    #[test]
    fn root_never_runs_the_server_as_root() {
        let identity = Identity::choose(&[Path::new("/usr/bin")]).unwrap();
        if getuid().is_root() {
            assert!(matches!(identity, Identity::User { uid, .. } if !uid.is_root()), "{identity:?}");
        } else {
            assert!(!matches!(identity, Identity::User { .. }), "{identity:?}");
        }
    }
}
