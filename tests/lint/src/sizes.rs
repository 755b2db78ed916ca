//! How long files are, and flow that hides in macros.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use crate::Violation;
use crate::source::{self, SourceFile};
use crate::workspace::Workspace;

/// A file past this is split.
const LIMIT: usize = 500;
/// A file past this is looked at.
pub const LOOK: usize = 300;

pub fn check(files: &[SourceFile]) -> Vec<Violation> {
    let long = files.iter().filter(|file| file.lines > LIMIT);
    long.map(|file| Violation::new(&file.path, 1, "size", format!("{} lines, past {LIMIT}: split it", file.lines)))
        .collect()
}

pub fn check_macros(files: &[SourceFile]) -> Vec<Violation> {
    let uses = files.iter().flat_map(|file| file.facts.macro_rules.iter().map(move |line| (file, *line)));
    uses.map(|(file, line)| {
        Violation::new(&file.path, line, "macros", "a macro hides flow: write a function, or the lines themselves")
    })
    .collect()
}

/// Lines of Rust for each crate and for each file.
pub struct Sizes {
    crates: BTreeMap<String, usize>,
    /// Longest first.
    files: Vec<(usize, PathBuf)>,
}

pub fn measure(workspace: &Workspace) -> anyhow::Result<Sizes> {
    let mut sizes = Sizes { crates: BTreeMap::new(), files: Vec::new() };
    for member in &workspace.members {
        let files = source::read_all(&workspace.root, member)?;
        sizes.crates.insert(member.name.clone(), files.iter().map(|file| file.lines).sum());
        sizes.files.extend(files.into_iter().map(|file| (file.lines, file.path)));
    }
    sizes.files.sort_by(|a, b| b.cmp(a));
    Ok(sizes)
}

impl Sizes {
    /// Files that are long enough to be looked at and not yet too long.
    pub fn to_look_at(&self) -> impl Iterator<Item = &(usize, PathBuf)> {
        self.files.iter().filter(|(lines, _)| (LOOK + 1..=LIMIT).contains(lines))
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut table = String::from("lines of Rust per crate\n");
        for (name, lines) in &self.crates {
            let _ = writeln!(table, "{lines:>8}  {name}");
        }
        let _ = writeln!(table, "{:>8}  in all\n\nthe largest files", self.crates.values().sum::<usize>());
        for (lines, path) in self.files.iter().take(10) {
            let _ = writeln!(table, "{lines:>8}  {}", path.display());
        }
        table
    }
}
