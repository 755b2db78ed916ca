//! The members of the workspace and what they depend on, from `cargo metadata`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// Which part of the tree a crate belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `shared/*`
    Shared,
    /// `services/<name>`
    Service(String),
    /// Everything else: `tests` and what is below it.
    Other,
}

/// A crate of this workspace.
#[derive(Debug)]
pub struct Member {
    pub name: String,
    /// The crate's folder, relative to the root.
    pub folder: PathBuf,
    pub kind: Kind,
    /// Dependencies on other members, of every kind (normal, dev, build), by package name.
    pub depends_on: Vec<String>,
}

/// The tree under check.
#[derive(Debug)]
pub struct Workspace {
    pub root: PathBuf,
    pub members: Vec<Member>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Only dependencies by path have one.
    path: Option<PathBuf>,
}

impl Workspace {
    /// Asks cargo for the members of the workspace at `root`.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let root = root.canonicalize().with_context(|| format!("no such folder: {}", root.display()))?;
        let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
            .current_dir(&root)
            .output()
            .context("cargo metadata could not be started")?;
        ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata is not readable")?;
        let members = metadata.packages.into_iter().map(|package| member(&root, package)).collect::<Result<_, _>>()?;
        Ok(Self { root, members })
    }

    /// The member with this package name.
    pub fn find(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

fn member(root: &Path, package: Package) -> anyhow::Result<Member> {
    let folder = package.manifest_path.parent().context("a manifest has a folder")?;
    let folder = folder.strip_prefix(root).context("a member lies outside the root")?.to_path_buf();
    let mut parts = folder.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    let kind = match (parts.next().as_deref(), parts.next()) {
        (Some("shared"), _) => Kind::Shared,
        (Some("services"), Some(service)) => Kind::Service(service),
        _ => Kind::Other,
    };
    let depends_on = package.dependencies.into_iter().filter(|d| d.path.is_some()).map(|d| d.name).collect();
    Ok(Member { name: package.name, folder, kind, depends_on })
}
