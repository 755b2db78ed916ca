//! A transaction is never held across a gRPC call: a slow peer would keep rows locked and a connection taken.
//!
//! A heuristic, because types are not known: in the order of the source, no `.await` on something that was declared
//! with a `…Client` type (a local, a parameter, or a field anywhere in the crate) or is called `…client` may stand
//! between `begin(…)` and `commit()` of the same function.

use std::collections::HashSet;

use quote::ToTokens;
use syn::visit::{self, Visit};

use crate::Violation;
use crate::source::SourceFile;

/// All functions of a service.
pub fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut fields = ClientFields::default();
    files.iter().for_each(|file| fields.visit_file(&file.ast));
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.in_src()) {
        let mut functions = Functions { fields: &fields.0, lines: Vec::new() };
        functions.visit_file(&file.ast);
        let advice = "a gRPC call inside a transaction: ask before begin() or after commit()";
        found.extend(functions.lines.into_iter().map(|line| Violation::new(&file.path, line, "transactions", advice)));
    }
    found
}

fn mentions_client(tokens: &impl ToTokens) -> bool {
    tokens.to_token_stream().to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word.ends_with("Client"))
}

#[derive(Default)]
struct ClientFields(HashSet<String>);

impl<'ast> Visit<'ast> for ClientFields {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if mentions_client(&field.ty) {
            self.0.extend(field.ident.as_ref().map(ToString::to_string));
        }
    }
}

struct Functions<'a> {
    fields: &'a HashSet<String>,
    lines: Vec<usize>,
}

impl Functions<'_> {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let mut flow =
            Flow { fields: self.fields, locals: HashSet::new(), open: false, held: Vec::new(), lines: Vec::new() };
        flow.visit_signature(signature);
        flow.visit_block(body);
        self.lines.extend(flow.lines);
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
    }
}

/// One function, read from top to bottom.
struct Flow<'a> {
    fields: &'a HashSet<String>,
    /// Names bound to a client in this function.
    locals: HashSet<String>,
    /// Whether a transaction is open here.
    open: bool,
    /// Lines of client calls since `begin`.
    held: Vec<usize>,
    lines: Vec<usize>,
}

impl Flow<'_> {
    /// Whether the thing a chain of calls starts from is a client.
    fn is_client(&self, expression: &syn::Expr) -> bool {
        match expression {
            syn::Expr::MethodCall(call) => self.is_client(&call.receiver),
            syn::Expr::Paren(inner) => self.is_client(&inner.expr),
            syn::Expr::Reference(inner) => self.is_client(&inner.expr),
            syn::Expr::Try(inner) => self.is_client(&inner.expr),
            syn::Expr::Call(call) => mentions_client(&call.func),
            syn::Expr::Path(path) => path.path.get_ident().is_some_and(|name| self.names_client(&name.to_string())),
            syn::Expr::Field(field) => match &field.member {
                syn::Member::Named(name) => {
                    self.fields.contains(&name.to_string()) || name.to_string().ends_with("client")
                }
                syn::Member::Unnamed(_) => self.is_client(&field.base),
            },
            _ => false,
        }
    }

    fn names_client(&self, name: &str) -> bool {
        self.locals.contains(name) || name.ends_with("client")
    }

    fn bind(&mut self, pattern: &syn::Pat) {
        match pattern {
            syn::Pat::Ident(name) => drop(self.locals.insert(name.ident.to_string())),
            syn::Pat::Type(typed) => self.bind(&typed.pat),
            _ => {}
        }
    }
}

impl<'ast> Visit<'ast> for Flow<'_> {
    fn visit_pat_type(&mut self, typed: &'ast syn::PatType) {
        if mentions_client(&typed.ty) {
            self.bind(&typed.pat);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        // `let mut inventory = self.inventory.clone();`, not `let reply = self.inventory.reserve(…).await?;`
        let made = local.init.as_ref().is_some_and(|init| !is_awaited(&init.expr) && self.is_client(&init.expr));
        if made {
            self.bind(&local.pat);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        visit::visit_expr_method_call(self, call);
        if call.method == "begin" {
            self.open = true;
            self.held.clear();
        } else if (call.method == "commit" || call.method == "rollback") && self.open {
            self.open = false;
            self.lines.append(&mut self.held);
        }
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        visit::visit_expr_await(self, expression);
        if self.open && matches!(&*expression.base, syn::Expr::MethodCall(_)) && self.is_client(&expression.base) {
            self.held.push(expression.await_token.span.start().line);
        }
    }
}

fn is_awaited(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Await(_) => true,
        syn::Expr::Try(inner) => is_awaited(&inner.expr),
        syn::Expr::MethodCall(call) => is_awaited(&call.receiver),
        _ => false,
    }
}
