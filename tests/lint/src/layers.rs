//! Inside a service: `main → app → rpc/follow → ops → {noun, store}`, and who may touch SQL and gRPC statuses.

use crate::Violation;
use crate::source::SourceFile;

/// A room of a service, by what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// `main`, `lib`, `app`: they wire everything.
    Wiring,
    /// `rpc`, and `dashboard` for people: what the outside calls.
    Rpc,
    Follow,
    Convert,
    Ops,
    Store,
    Error,
    Config,
    /// Any other module: types and rules, pure.
    Noun,
}

fn room(module: Option<&str>) -> Room {
    match module {
        None | Some("app") => Room::Wiring,
        Some("rpc" | "dashboard") => Room::Rpc,
        Some("follow") => Room::Follow,
        Some("convert") => Room::Convert,
        Some("ops") => Room::Ops,
        Some("store") => Room::Store,
        Some("error") => Room::Error,
        Some("config") => Room::Config,
        Some(_) => Room::Noun,
    }
}

/// The rooms whose code `from` may name. `ops` and `convert` may name each other: commands are parsed in `convert`
/// and facts are encoded by it.
fn may_use(from: Room, to: Room) -> bool {
    use Room::{Config, Convert, Error, Follow, Noun, Ops, Rpc, Store, Wiring};
    if from == to {
        return true;
    }
    match from {
        Wiring => true,
        Rpc | Follow => matches!(to, Convert | Ops | Store | Error | Config | Noun),
        Ops => matches!(to, Convert | Store | Error | Config | Noun),
        Convert => matches!(to, Ops | Error | Config | Noun),
        Store => matches!(to, Error | Config | Noun),
        Error => matches!(to, Ops | Store | Config | Noun),
        Noun | Config => matches!(to, Error | Noun | Config),
    }
}

/// Names that run SQL, wherever they are imported from.
const SQL: [&str; 12] = [
    "query",
    "query_as",
    "query_as_with",
    "query_file",
    "query_file_as",
    "query_file_scalar",
    "query_scalar",
    "query_scalar_with",
    "query_unchecked",
    "query_with",
    "raw_sql",
    "QueryBuilder",
];

/// Every path of a service's own files against the rules of its room.
pub fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.in_src()) {
        let module = file.module();
        let here = room(module.first().map(String::as_str));
        let mut report = |line, rule, advice| found.push(Violation::new(&file.path, line, rule, advice));
        for (path, line) in &file.facts.paths {
            if let Some(target) = own_module(&module, path)
                && !may_use(here, room(Some(target)))
            {
                let advice = format!(
                    "`{}` points the wrong way: main, app, rpc/follow, ops, then nouns and store",
                    path.join("::")
                );
                report(*line, "layers", advice);
            }
            if let Some((rule, advice)) = forbidden(here, path) {
                report(*line, rule, format!("`{}`: {advice}", path.join("::")));
            }
        }
        if here != Room::Store {
            for line in &file.facts.literal_sql {
                report(*line, "sql", "SQL outside src/store: give the statement a name there".to_owned());
            }
        }
        if here == Room::Noun {
            for line in &file.facts.asyncs {
                report(*line, "pure-nouns", "a noun is pure: no async; waiting belongs to ops".to_owned());
            }
        }
    }
    found
}

/// The module of this crate that a path points to: `crate::store::x` is `store`, `super::super::rpc` in `ops/place` is
/// `rpc`. None for paths of other crates, and for what lies at the crate's root.
fn own_module<'a>(module: &'a [String], path: &'a [String]) -> Option<&'a str> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => path.get(1),
        "super" => match module.len().checked_sub(supers)? {
            0 => path.get(supers),
            _ => module.first(),
        },
        _ => None,
    }
    .map(String::as_str)
    .filter(|name| *name != "*" && !name.starts_with(char::is_uppercase))
}

/// What a room may not take from other crates.
fn forbidden(here: Room, path: &[String]) -> Option<(&'static str, &'static str)> {
    let head = path.first()?.as_str();
    let is_sql = head == "sqlx" && path.iter().any(|part| SQL.contains(&part.as_str()));
    if is_sql && here != Room::Store {
        return Some(("sql", "SQL outside src/store: give the statement a name there"));
    }
    let is_status = head == "tonic" && path.get(1).is_some_and(|part| part == "Status" || part == "*");
    if is_status && !matches!(here, Room::Wiring | Room::Rpc | Room::Convert | Room::Error) {
        return Some(("status", "a Status is made in rpc, convert and error only: return the service's error"));
    }
    match (here, head) {
        (Room::Noun, "sqlx" | "tonic" | "tokio") => Some(("pure-nouns", "a noun is pure: no SQL, no gRPC, no runtime")),
        (Room::Store, "tonic") => Some(("layers", "the store knows no gRPC")),
        // The pool is a handle that rpc passes on; everything else of sqlx is a way to run SQL.
        (Room::Rpc, "sqlx") if path.last().is_some_and(|name| name != "PgPool") => {
            Some(("layers", "rpc parses, calls and converts: database work belongs to ops and store"))
        }
        _ => None,
    }
}
