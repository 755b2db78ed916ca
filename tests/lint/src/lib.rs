//! The house rules, checked against `cargo metadata` and the source tree.
//!
//! Each module is one group of rules and returns what it found; nothing here changes a file. Rust files are parsed
//! with `syn`, so that comments and strings never count as code, and code inside `#[cfg(test)]` is left alone.

pub mod crates;
pub mod layers;
pub mod migrations;
pub mod rooms;
pub mod sizes;
pub mod source;
pub mod transactions;
pub mod workspace;

use std::fmt;
use std::path::{Path, PathBuf};

use workspace::{Kind, Workspace};

/// The services that have the full set of rooms. `services/cli` is a client of all of them and has its own shape.
pub const SERVICES: [&str; 5] = ["order", "inventory", "fulfilment", "billing", "analytics"];

/// One broken rule, at one place, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Relative to the root of the tree.
    pub path: PathBuf,
    /// Counted from one; one where the whole file or folder is meant.
    pub line: usize,
    /// The rule's short name.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub advice: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path.display(), self.line, self.rule, self.advice)
    }
}

impl Violation {
    pub(crate) fn new(path: &Path, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), line, rule, advice: advice.into() }
    }
}

/// Reads the workspace at `root` and checks every rule.
pub fn check(root: &Path) -> anyhow::Result<(Workspace, Vec<Violation>)> {
    let workspace = Workspace::read(root)?;
    let mut found = Vec::new();
    found.extend(crates::check(&workspace));
    found.extend(rooms::missing_services(&workspace));
    for member in &workspace.members {
        let files = source::read_all(&workspace.root, member)?;
        found.extend(sizes::check(&files));
        found.extend(crates::check_modules(member, &files));
        if member.kind == Kind::Shared {
            found.extend(crates::check_nouns(member, &files));
        }
        if let Kind::Service(service) = &member.kind {
            found.extend(sizes::check_macros(&files));
            found.extend(transactions::check(&files));
            if SERVICES.contains(&service.as_str()) {
                found.extend(rooms::check(&workspace.root, member, &files)?);
                found.extend(layers::check(&files));
                found.extend(migrations::check(&workspace.root, member, service)?);
            }
        }
    }
    found.sort();
    Ok((workspace, found))
}
