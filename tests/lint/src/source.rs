//! A parsed Rust file and the facts the rules ask for.

use std::path::{Path, PathBuf};

use anyhow::Context;
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

use crate::workspace::Member;

/// One Rust file of a member.
pub struct SourceFile {
    /// Relative to the root of the tree.
    pub path: PathBuf,
    /// Relative to the crate's folder, as in `src/ops/place.rs`.
    pub inner: PathBuf,
    pub lines: usize,
    /// The parsed file without its `#[cfg(test)]` items and without doc comments.
    pub ast: syn::File,
    pub facts: Facts,
}

/// What a file mentions, with lines.
#[derive(Default)]
pub struct Facts {
    /// Every path in code, in `use` (expanded, one entry a leaf) and inside macro calls.
    pub paths: Vec<(Vec<String>, usize)>,
    /// `async fn` and `async` blocks.
    pub asyncs: Vec<usize>,
    /// `macro_rules!` definitions.
    pub macro_rules: Vec<usize>,
    /// Calls such as `.execute("…")`: SQL given as a bare string.
    pub literal_sql: Vec<usize>,
    /// Modules declared in this file.
    pub modules: Vec<(String, usize)>,
}

impl SourceFile {
    /// The path of the module this file is, from the crate's root: `["ops", "place"]`; empty for `lib` and `main`.
    pub fn module(&self) -> Vec<String> {
        let stem = self.inner.with_extension("");
        let parts = stem.iter().skip(1).map(|part| part.to_string_lossy().into_owned());
        parts.filter(|part| !matches!(part.as_str(), "mod" | "lib" | "main")).collect()
    }

    /// Whether this is product code, not an integration test, a bench or an example.
    pub fn in_src(&self) -> bool {
        self.inner.starts_with("src")
    }

    /// The file's tokens without tests and doc comments.
    pub fn product_tokens(&self) -> TokenStream {
        use quote::ToTokens;
        self.ast.to_token_stream()
    }
}

/// Reads and parses every Rust file of a member; nested members and build output are left to themselves.
pub fn read_all(root: &Path, member: &Member) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    collect(root, &member.folder, &member.folder, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn collect(root: &Path, crate_folder: &Path, folder: &Path, files: &mut Vec<SourceFile>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            let nested_member = root.join(&path).join("Cargo.toml").exists();
            if !nested_member && entry.file_name() != "target" {
                collect(root, crate_folder, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root.join(&path))?;
            let mut ast = syn::parse_file(&text).with_context(|| format!("cannot parse {}", path.display()))?;
            strip(&mut ast);
            let mut facts = Facts::default();
            facts.visit_file(&ast);
            let inner = path.strip_prefix(crate_folder)?.to_path_buf();
            files.push(SourceFile { path, inner, lines: text.lines().count(), ast, facts });
        }
    }
    Ok(())
}

/// Drops items under `#[cfg(test)]` and all doc comments.
fn strip(file: &mut syn::File) {
    struct Stripper;
    impl syn::visit_mut::VisitMut for Stripper {
        fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
            attributes.retain(|attribute| !attribute.path().is_ident("doc"));
        }
        fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
            if let Some((_, items)) = &mut module.content {
                items.retain(|item| !is_test(item));
            }
            syn::visit_mut::visit_item_mod_mut(self, module);
        }
    }
    file.items.retain(|item| !is_test(item));
    syn::visit_mut::VisitMut::visit_file_mut(&mut Stripper, file);
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn line(spanned: &impl Spanned) -> usize {
    spanned.span().start().line
}

impl<'ast> Visit<'ast> for Facts {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        expand(&item.tree, &mut Vec::new(), &mut self.paths);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push((path.segments.iter().map(|segment| segment.ident.to_string()).collect(), line(path)));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.is_ident("macro_rules") {
            self.macro_rules.push(line(call));
        }
        paths_in(call.tokens.clone(), &mut self.paths);
        visit::visit_macro(self, call);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.modules.push((module.ident.to_string(), line(module)));
        visit::visit_item_mod(self, module);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.asyncs.extend(signature.asyncness.map(|keyword| line(&keyword)));
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.asyncs.push(line(block));
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let runs_sql =
            matches!(call.method.to_string().as_str(), "execute" | "fetch_one" | "fetch_all" | "fetch_optional");
        let literal =
            |argument: &syn::Expr| matches!(argument, syn::Expr::Lit(lit) if matches!(lit.lit, syn::Lit::Str(_)));
        if runs_sql && call.args.first().is_some_and(literal) {
            self.literal_sql.push(line(&call.method));
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// `use a::{b, c::d}` as `a::b` and `a::c::d`; a glob ends in `*`.
fn expand(tree: &UseTree, prefix: &mut Vec<String>, paths: &mut Vec<(Vec<String>, usize)>) {
    let (name, rest) = match tree {
        UseTree::Path(path) => (path.ident.to_string(), Some(&*path.tree)),
        UseTree::Name(name) => (name.ident.to_string(), None),
        UseTree::Rename(rename) => (rename.ident.to_string(), None),
        UseTree::Glob(_) => ("*".to_owned(), None),
        UseTree::Group(group) => {
            group.items.iter().for_each(|item| expand(item, prefix, paths));
            return;
        }
    };
    prefix.push(name);
    match rest {
        Some(rest) => expand(rest, prefix, paths),
        None => paths.push((prefix.clone(), line(tree))),
    }
    prefix.pop();
}

/// The `a::b::c` in the tokens of a macro call, which `syn` leaves unparsed.
fn paths_in(tokens: TokenStream, paths: &mut Vec<(Vec<String>, usize)>) {
    let mut current: Vec<String> = Vec::new();
    let (mut colons, mut start) = (0, 0);
    let mut flush = |current: &mut Vec<String>, start| {
        if current.len() > 1 {
            paths.push((std::mem::take(current), start));
        }
        current.clear();
    };
    let mut groups = Vec::new();
    for tree in tokens {
        match tree {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    flush(&mut current, start);
                    start = ident.span().start().line;
                }
                current.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => groups.push(group.stream()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => colons = 0,
        }
    }
    flush(&mut current, start);
    groups.into_iter().for_each(|group| paths_in(group, paths));
}
