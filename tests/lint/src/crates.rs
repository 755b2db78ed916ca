//! Who may depend on whom, and what crates and modules may be called and know.

use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::Violation;
use crate::source::SourceFile;
use crate::workspace::{Kind, Member, Workspace};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["common", "core", "util", "utils", "prelude", "helper", "helpers", "misc"];

/// Words of the business, as they appear in identifiers split into lower-case words. A plain "order" is missing on
/// purpose ("order by", "in order", `Ordering`): the compounds below are what only the business says.
const NOUNS: [&str; 28] = [
    "backorder",
    "backorders",
    "backordered",
    "customer",
    "customers",
    "fulfilment order",
    "goods issue",
    "invoice",
    "invoices",
    "order id",
    "order ids",
    "order line",
    "order lines",
    "order number",
    "pick list",
    "purchase order",
    "refund",
    "reorder",
    "reservation",
    "reservations",
    "sales order",
    "shipment",
    "shipments",
    "sku",
    "skus",
    "stock",
    "warehouse",
    "warehouses",
];

/// Dependencies point from services to shared, never sideways and never back.
pub fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in &workspace.members {
        let manifest = member.folder.join("Cargo.toml");
        if let Some(word) = member.name.split('-').find(|word| EMPTY_NAMES.contains(word)) {
            let advice = format!("crate `{}`: `{word}` says nothing; name it after what it does", member.name);
            found.push(Violation::new(&manifest, 1, "names", advice));
        }
        for target in member.depends_on.iter().filter_map(|name| workspace.find(name)) {
            let advice = match (&member.kind, &target.kind) {
                (Kind::Shared, Kind::Service(_)) => "a shared crate knows no service: move the code or invert the call",
                (Kind::Shared, Kind::Other) => "a shared crate does not depend on tests",
                (Kind::Service(service), Kind::Service(_)) if service != "cli" => {
                    "services meet over gRPC only: use pesan-api, or move what is shared (and has no nouns) to shared/"
                }
                _ => continue,
            };
            let line = line_of(&workspace.root.join(&manifest), &target.name);
            let advice = format!("`{}` depends on `{}`: {advice}", member.name, target.name);
            found.push(Violation::new(&manifest, line, "dependencies", advice));
        }
    }
    found
}

fn line_of(manifest: &Path, dependency: &str) -> usize {
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    text.lines().position(|line| line.starts_with(dependency)).map_or(1, |index| index + 1)
}

/// No module is called `common`, `core`, `util`, …, in services as in shared crates.
pub fn check_modules(member: &Member, files: &[SourceFile]) -> Vec<Violation> {
    if member.kind == Kind::Other {
        return Vec::new();
    }
    let modules = files.iter().flat_map(|file| file.facts.modules.iter().map(move |found| (file, found)));
    modules
        .filter(|(_, (name, _))| EMPTY_NAMES.contains(&name.as_str()))
        .map(|(file, (name, line))| {
            let advice = format!("module `{name}` says nothing; name it after what it does");
            Violation::new(&file.path, *line, "names", advice)
        })
        .collect()
}

/// Shared crates know no business: none of [`NOUNS`] in an identifier or a string. `pesan-api` is generated code.
pub fn check_nouns(member: &Member, files: &[SourceFile]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.in_src() && member.name != "pesan-api") {
        for (text, line) in words(file.product_tokens()) {
            let padded = format!(" {text} ");
            if let Some(noun) = NOUNS.iter().find(|noun| padded.contains(&format!(" {noun} "))) {
                let advice = format!("`{noun}` is a word of the business: a shared crate does not know it");
                found.push(Violation::new(&file.path, line, "nouns", advice));
            }
        }
    }
    found
}

/// Every identifier and string literal as lower-case words: `OrderId`, `order_id` and `"order-id"` are all `order id`.
fn words(tokens: TokenStream) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for tree in tokens {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => found.extend(words(group.stream())),
            TokenTree::Punct(_) => {}
            TokenTree::Ident(ident) => found.push((split(&ident.to_string()), line)),
            TokenTree::Literal(literal) => found.push((split(&literal.to_string()), line)),
        }
    }
    found
}

fn split(text: &str) -> String {
    let mut words = String::new();
    let mut previous = ' ';
    for letter in text.chars() {
        if letter.is_uppercase() && previous.is_lowercase() {
            words.push(' ');
        }
        words.extend(if letter.is_alphanumeric() { letter.to_lowercase().next() } else { Some(' ') });
        previous = letter;
    }
    words
}
