//! Every service has the same rooms, so that whoever knows one knows all.

use std::collections::HashSet;
use std::path::Path;

use syn::visit::{self, Visit};

use crate::source::SourceFile;
use crate::workspace::{Kind, Member, Workspace};
use crate::{SERVICES, Violation};

const MAIN_LINES: usize = 60;

/// The rooms and what goes into each.
const ROOMS: [(&str, &str); 10] = [
    ("main", "config, telemetry, build, run"),
    ("lib", "the crate's story; MIGRATOR"),
    ("config", "one clap struct"),
    ("app", "Application::build / run_until_stopped"),
    ("rpc", "tonic trait impls: parse, call, convert"),
    ("convert", "proto <-> domain"),
    ("ops", "one file per use case: lock, decide, write, publish"),
    ("store", "every SQL statement"),
    ("follow", "what it does with the facts of others"),
    ("error", "the error enum and the only place that makes it a Status"),
];

/// All five services exist.
pub fn missing_services(workspace: &Workspace) -> Vec<Violation> {
    let exists = |service: &str| workspace.members.iter().any(|m| m.kind == Kind::Service(service.to_owned()));
    let missing = SERVICES.into_iter().filter(|service| !exists(service));
    missing
        .map(|service| Violation::new(&Path::new("services").join(service), 1, "rooms", "this service is missing"))
        .collect()
}

/// The rooms of one service.
pub fn check(root: &Path, member: &Member, files: &[SourceFile]) -> anyhow::Result<Vec<Violation>> {
    let mut found = Vec::new();
    for (room, holds) in ROOMS {
        let is_room =
            |file: &&SourceFile| file.in_src() && file.inner.with_extension("").iter().nth(1) == Some(room.as_ref());
        if !files.iter().any(|file| is_room(&file)) {
            let path = member.folder.join("src").join(room).with_extension("rs");
            found.push(Violation::new(&path, 1, "rooms", format!("missing: every service has it ({holds})")));
        }
    }
    for (folder, holds) in [("migrations", "the schema's history"), ("tests", "real Postgres, real tonic")] {
        let path = member.folder.join(folder);
        if !root.join(&path).read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            found.push(Violation::new(&path, 1, "rooms", format!("missing or empty: every service has it ({holds})")));
        }
    }
    for file in files {
        match file.inner.to_string_lossy().as_ref() {
            "src/main.rs" if file.lines >= MAIN_LINES => {
                let advice = format!("{} lines: main stays below {MAIN_LINES}; build in app.rs", file.lines);
                found.push(Violation::new(&file.path, 1, "rooms", advice));
            }
            "src/lib.rs" if !declares_migrator(file) => {
                let advice = "declares no MIGRATOR: tests and the host run the migrations through it";
                found.push(Violation::new(&file.path, 1, "rooms", advice));
            }
            "src/error.rs" => found.extend(catch_alls(file)),
            _ => {}
        }
    }
    Ok(found)
}

fn declares_migrator(file: &SourceFile) -> bool {
    file.ast.items.iter().any(|item| matches!(item, syn::Item::Static(s) if s.ident == "MIGRATOR"))
}

/// A match over the service's own errors names every variant, so that a new one cannot be mapped by accident.
/// Matches over other things (SQL states, constraint names, `sqlx::Error`) may have a catch-all.
fn catch_alls(file: &SourceFile) -> Vec<Violation> {
    let enums = file.ast.items.iter().filter_map(|item| match item {
        syn::Item::Enum(item) => Some(item),
        _ => None,
    });
    let own = enums.flat_map(|item| item.variants.iter().map(|variant| variant.ident.to_string())).collect();
    let mut matches = CatchAlls { own, lines: Vec::new() };
    matches.visit_file(&file.ast);
    let advice = "a catch-all arm hides new variants: name every one";
    matches.lines.into_iter().map(|line| Violation::new(&file.path, line, "exhaustive-errors", advice)).collect()
}

struct CatchAlls {
    /// Variants of the enums of this file.
    own: HashSet<String>,
    lines: Vec<usize>,
}

impl CatchAlls {
    fn names_own(&self, pattern: &syn::Pat) -> bool {
        let path = match pattern {
            syn::Pat::Path(path) => &path.path,
            syn::Pat::Struct(pattern) => &pattern.path,
            syn::Pat::TupleStruct(pattern) => &pattern.path,
            syn::Pat::Or(pattern) => return pattern.cases.iter().any(|case| self.names_own(case)),
            syn::Pat::Reference(pattern) => return self.names_own(&pattern.pat),
            syn::Pat::Ident(pattern) => return self.own.contains(&pattern.ident.to_string()),
            _ => return false,
        };
        path.segments.last().is_some_and(|segment| self.own.contains(&segment.ident.to_string()))
    }

    /// `_`, or a plain name that takes whatever is left.
    fn takes_all(&self, pattern: &syn::Pat) -> bool {
        match pattern {
            syn::Pat::Wild(_) => true,
            syn::Pat::Ident(name) => name.subpat.is_none() && !self.own.contains(&name.ident.to_string()),
            _ => false,
        }
    }
}

impl<'ast> Visit<'ast> for CatchAlls {
    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        if expression.arms.iter().any(|arm| self.names_own(&arm.pat)) {
            let catching = expression.arms.iter().filter(|arm| self.takes_all(&arm.pat));
            let lines: Vec<usize> = catching.map(|arm| arm.fat_arrow_token.spans[0].start().line).collect();
            self.lines.extend(lines);
        }
        visit::visit_expr_match(self, expression);
    }
}
