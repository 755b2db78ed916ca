//! A small made-up tree that keeps every rule, to be broken one rule at a time.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// The rooms of a made-up service.
const ROOMS: [(&str, &str); 10] = [
    ("src/main.rs", "fn main() {}\n"),
    ("src/lib.rs", "mod order;\npub mod app;\n\npub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();\n"),
    ("src/config.rs", "pub struct Config;\n"),
    ("src/app.rs", "use crate::{config::Config, follow, rpc};\nuse tonic::Status;\n"),
    ("src/rpc.rs", "use crate::{convert, ops};\nuse sqlx::PgPool;\nuse tonic::{Request, Status};\n"),
    ("src/convert.rs", "use crate::ops::Place;\nuse tonic::Status;\n"),
    ("src/ops.rs", "use crate::{convert, order, store};\nuse sqlx::PgPool;\nasync fn place() {}\n"),
    ("src/store.rs", "use crate::order::Order;\nfn load() { sqlx::query(\"select 1\"); c.execute(\"select 1\") }\n"),
    ("src/follow.rs", "use crate::ops;\nuse sqlx::PgConnection;\n"),
    (
        "src/error.rs",
        "enum Error { A, B }\nfn f(e: Error) { match e { Error::A | Error::B => tonic::Status::internal(\"x\") }; }\n",
    ),
];

pub struct Tree(TempDir);

impl Tree {
    pub fn clean() -> Self {
        let tree = Self(tempfile::tempdir().expect("a temporary folder"));
        let members = "[workspace]\nresolver = \"3\"\nmembers = [\"shared/*\", \"services/*\", \"tests/lint\"]\n";
        tree.write("Cargo.toml", members);
        tree.add_crate("shared/host", "pesan-host");
        tree.add_crate("services/cli", "pesan-cli");
        tree.add_crate("tests/lint", "house-lint");
        for service in house_lint::SERVICES {
            let folder = format!("services/{service}");
            tree.add_crate(&folder, &format!("pesan-{service}"));
            for (path, text) in ROOMS {
                tree.write(&format!("{folder}/{path}"), text);
            }
            tree.write(&format!("{folder}/src/order.rs"), "//! Pure.\nuse crate::error::Error;\n");
            tree.write(&format!("{folder}/migrations/0001_init.sql"), "create table t (id uuid primary key);\n");
            tree.write(&format!("{folder}/tests/api.rs"), "async fn f() { sqlx::query(\"select 1\"); }\n");
        }
        tree
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn add_crate(&self, folder: &str, name: &str) {
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n");
        self.write(&format!("{folder}/Cargo.toml"), &manifest);
        self.write(&format!("{folder}/src/lib.rs"), "//! Nothing.\n");
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    pub fn append(&self, path: &str, text: &str) {
        let before = fs::read_to_string(self.root().join(path)).expect("readable");
        self.write(path, &(before + text));
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.root().join(path)).expect("removed");
    }

    pub fn remove_all(&self, path: &str) {
        fs::remove_dir_all(self.root().join(path)).expect("removed");
    }

    /// Every violation, as printed.
    pub fn broken(&self) -> Vec<String> {
        let (_, violations) = house_lint::check(self.root()).expect("the tree is readable");
        violations.iter().map(ToString::to_string).collect()
    }

    /// Exactly one violation, at this place and of this rule.
    #[track_caller]
    pub fn breaks(&self, start: &str) {
        let broken = self.broken();
        assert!(broken.len() == 1 && broken[0].starts_with(start), "expected one `{start}…`, found {broken:#?}");
    }
}
