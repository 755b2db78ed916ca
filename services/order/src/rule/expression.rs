//! Expressions in CEL, bounded so that whatever somebody writes is either refused when it is written or evaluated in
//! bounded time and memory: text, terms and depth are limited, loops are not nested, and what a loop collects is not
//! looped over and multiplied again.

use super::subject::FIELDS;
use cel::common::ast::{EntryExpr, Expr};
use cel::parser::Expression as Node;
use cel::{Context, Env, Program, Value};
use regex::{Regex, RegexBuilder};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Most characters.
pub const MOST_CHARACTERS: usize = 1000;
/// Most nodes of the tree, before loops are written out.
const MOST_TERMS: usize = 300;
/// Most levels of the tree; also of brackets.
const MOST_LEVELS: usize = 40;
/// Most additions: each can double a text.
const MOST_ADDITIONS: usize = 24;
/// Most memory of a compiled pattern, bytes.
const PATTERN_BYTES: usize = 1 << 18;
/// Most patterns kept compiled.
const PATTERNS: usize = 256;
/// Stack of the thread that reads an expression: what nobody has limited yet may be deep.
const STACK: usize = 16 << 20;

/// What there is besides operators. Conversions of text to numbers fail where the text is none.
const FUNCTIONS: [&str; 14] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lower",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "dyn",
    "type",
    "has",
];

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
static COMPILED: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);

/// An expression that can be evaluated.
#[derive(Clone, Debug)]
pub struct Expression {
    /// Or why there is none.
    program: Result<Arc<Program>, String>,
    /// It reads `lines`.
    reads_lines: bool,
}

/// Why a text is no expression, and where, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line and column; none where it is about the whole.
    pub at: Option<(usize, usize)>,
    /// For people.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl Fault {
    fn whole(what: impl Into<String>) -> Self {
        Self { at: None, what: what.into() }
    }
}

impl Expression {
    /// Compiles a text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(text: &str) -> Result<Self, Fault> {
        let length = text.chars().count();
        if length == 0 || length > MOST_CHARACTERS {
            return Err(Fault::whole(format!("must have 1 to {MOST_CHARACTERS} characters, not {length}")));
        }
        if bracket_depth(text) > MOST_LEVELS {
            return Err(Fault::whole(format!("must not have more than {MOST_LEVELS} brackets within one another")));
        }
        let read = || {
            let program = ENVIRONMENT.compile(text).map_err(|errors| fault(text, &errors))?;
            let mut judge = Judge::new(text, &program);
            judge.node(program.expression(), 0, &Scope::default())?;
            let reads_lines = judge.reads_lines;
            Ok(Self { program: Ok(Arc::new(program)), reads_lines })
        };
        // The reader goes down as deep as the text is nested, and its own limits come after that.
        let done = std::thread::scope(|scope| {
            let reader = std::thread::Builder::new().stack_size(STACK);
            reader.spawn_scoped(scope, || catch_unwind(AssertUnwindSafe(read))).ok()?.join().ok()
        });
        match done {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) | None => Err(Fault::whole("cannot be read")),
        }
    }

    /// One that was accepted once and cannot be read any more: whoever evaluates it is told so.
    pub fn broken(fault: &Fault) -> Self {
        Self { program: Err(fault.to_string()), reads_lines: false }
    }

    /// Whether evaluating it needs `lines`.
    pub fn reads_lines(&self) -> bool {
        self.reads_lines
    }

    /// Whether it holds for a subject.
    ///
    /// # Errors
    /// Why that cannot be said, at most 300 characters.
    pub fn holds(&self, subject: &Context<'_, '_>) -> Result<bool, String> {
        // The interpreter is not ours: should it panic, one expression has failed, not the order.
        let program = self.program.as_ref().map_err(Clone::clone)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| program.execute(subject)));
        let why = match outcome {
            Ok(Ok(Value::Bool(holds))) => return Ok(holds),
            Ok(Ok(other)) => format!("it is {} and not true or false", other.type_of()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it cannot be evaluated".to_owned(),
        };
        Err(why.chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

/// Where variables of a subject go, with the functions that are ours.
pub fn context<'v>() -> Context<'static, 'v> {
    let mut context = Context::with_env(ENVIRONMENT.clone());
    // Refused only where the name is taken, and then every expression that uses it fails, which its tests would show.
    let added = context.add_function("matches", matches).and_then(|()| context.add_function("lower", lower));
    debug_assert!(added.is_ok());
    context
}

fn lower(cel::extractors::This(text): cel::extractors::This<Arc<String>>) -> String {
    text.to_lowercase()
}

fn matches(
    cel::extractors::This(text): cel::extractors::This<Arc<String>>,
    pattern: Arc<String>,
) -> Result<bool, cel::ExecutionError> {
    let compiled = {
        let mut known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PATTERNS && !known.contains_key(pattern.as_str()) {
            known.clear();
        }
        known
            .entry(pattern.as_str().to_owned())
            .or_insert_with(|| RegexBuilder::new(&pattern).size_limit(PATTERN_BYTES).build().ok())
            .clone()
    };
    match compiled {
        Some(regex) => Ok(regex.is_match(&text)),
        None => Err(cel::ExecutionError::FunctionError {
            function: "matches".to_owned(),
            message: "the pattern is wrong or too large".to_owned(),
        }),
    }
}

/// How many brackets are open at once, quotes included: more than are read as such, never fewer.
fn bracket_depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn fault(text: &str, errors: &cel::ParseErrors) -> Fault {
    let Some(first) = errors.errors.first() else { return Fault::whole("cannot be read") };
    let lines = text.lines().count().max(1);
    let position = usize::try_from(first.pos.0).ok().zip(usize::try_from(first.pos.1).ok());
    let at = position.filter(|(line, _)| (1..=lines).contains(line)).map(|(line, column)| (line, column.max(1)));
    Fault { at, what: first.msg.lines().next().unwrap_or("cannot be read").chars().take(300).collect() }
}

/// What a name means at some place of an expression.
#[derive(Clone, Default)]
struct Scope<'e> {
    /// Names that loops have given.
    given: Vec<&'e str>,
    /// Of those, the ones that are elements of `lines`.
    elements: Vec<&'e str>,
}

/// Looks at every node once.
struct Judge<'e> {
    text: &'e str,
    program: &'e Program,
    terms: usize,
    additions: usize,
    maps: usize,
    reads_lines: bool,
}

impl<'e> Judge<'e> {
    fn new(text: &'e str, program: &'e Program) -> Self {
        Self { text, program, terms: 0, additions: 0, maps: 0, reads_lines: false }
    }

    /// A fault at a node.
    fn at(&self, node: &Node, what: impl Into<String>) -> Fault {
        let offset = self.program.source_info().offset_for(node.id).map(|(start, _)| start as usize);
        let at = offset.map(|offset| {
            let before: Vec<char> = self.text.chars().take(offset).collect();
            let line = before.iter().filter(|c| **c == '\n').count() + 1;
            let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
            (line, column)
        });
        Fault { at, what: what.into() }
    }

    fn node(&mut self, node: &'e Node, level: usize, scope: &Scope<'e>) -> Result<(), Fault> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(self.at(node, format!("must not have more than {MOST_TERMS} terms")));
        }
        if level > MOST_LEVELS {
            return Err(self.at(node, format!("must not have more than {MOST_LEVELS} levels")));
        }
        let mut each = |nodes: &mut dyn Iterator<Item = &'e Node>| -> Result<(), Fault> {
            for node in nodes {
                self.node(node, level + 1, scope)?;
            }
            Ok(())
        };
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(node, name, scope),
            Expr::Select(select) => {
                self.field(node, &select.operand, &select.field, scope)?;
                self.node(&select.operand, level + 1, scope)
            }
            Expr::Call(call) => {
                each(&mut call.target.iter().map(|target| &**target).chain(&call.args))?;
                self.function(node, &call.func_name)
            }
            Expr::List(list) => each(&mut list.elements.iter()),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        each(&mut [&entry.key, &entry.value].into_iter())?;
                    }
                }
                Ok(())
            }
            Expr::Struct(_) => Err(self.at(node, "messages cannot be made here")),
            Expr::Comprehension(fold) => {
                if !scope.given.is_empty() {
                    return Err(self.at(node, "a loop must not stand within another one"));
                }
                // `map` and `filter` collect into a list; only `map` makes something new of each element.
                let collects = matches!(&fold.accu_init.expr, Expr::List(_));
                if collects && !matches!(&fold.loop_step.expr, Expr::Call(step) if step.func_name == "_?_:_") {
                    self.maps += 1;
                    if self.maps > 1 {
                        return Err(self.at(node, "there must be one map at most"));
                    }
                }
                self.node(&fold.iter_range, level + 1, scope)?;
                let mut given = vec![fold.iter_var.as_str(), fold.accu_var.as_str()];
                given.extend(fold.iter_var2.as_deref());
                let elements = if is_lines(&fold.iter_range) { vec![fold.iter_var.as_str()] } else { Vec::new() };
                let within = Scope { given, elements };
                for part in [&fold.accu_init, &fold.loop_cond, &fold.loop_step, &fold.result] {
                    self.node(part, level + 1, &within)?;
                }
                Ok(())
            }
        }
    }

    fn name(&mut self, node: &'e Node, name: &str, scope: &Scope<'e>) -> Result<(), Fault> {
        if scope.given.contains(&name) {
            return Ok(());
        }
        if name == "lines" {
            self.reads_lines = true;
            return if scope.given.is_empty() {
                Ok(())
            } else {
                Err(self.at(node, "`lines` must not be read within a loop: use the loop's own name"))
            };
        }
        let is_type = ["int", "uint", "double", "string", "bool", "list", "map", "null_type"].contains(&name);
        if name == "now" || is_type || FIELDS.iter().any(|(known, _)| *known == name) {
            Ok(())
        } else {
            Err(self.at(node, format!("there is no {name:?}: there are order, ship_to, customer, lines and now")))
        }
    }

    fn field(&self, node: &Node, operand: &Node, field: &str, scope: &Scope<'e>) -> Result<(), Fault> {
        let Expr::Ident(name) = &operand.expr else { return Ok(()) };
        let of = if scope.elements.contains(&name.as_str()) { "lines" } else { name.as_str() };
        if of == name && scope.given.contains(&of) {
            return Ok(()); // an element of a list that the expression made
        }
        match FIELDS.iter().find(|(known, _)| *known == of) {
            Some((_, fields)) if !fields.contains(&field) => {
                Err(self.at(node, format!("{name} has no {field:?}: it has {}", fields.join(", "))))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn function(&mut self, node: &Node, name: &str) -> Result<(), Fault> {
        if name == "_+_" {
            self.additions += 1;
            if self.additions > MOST_ADDITIONS {
                return Err(self.at(node, format!("must not add more than {MOST_ADDITIONS} times")));
            }
        }
        // Operators and what loops are written out to have names that nobody can write.
        let is_operator = name.contains(['_', '@', '!']) && !name.contains(|c: char| c.is_ascii_alphabetic());
        let is_hidden = name.starts_with('@') || name == "_[?_]" || name == "_?._";
        if is_operator || is_hidden || FUNCTIONS.contains(&name) {
            Ok(())
        } else {
            Err(self.at(node, format!("there is no function {name:?}: there are {}", FUNCTIONS.join(", "))))
        }
    }
}

/// `lines`, or a part of it.
fn is_lines(range: &Node) -> bool {
    match &range.expr {
        Expr::Ident(name) => name == "lines",
        Expr::Comprehension(fold) => {
            let filters = matches!(&fold.loop_step.expr, Expr::Call(step) if step.func_name == "_?_:_");
            filters && is_lines(&fold.iter_range)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject::tests::example;
    use super::*;
    use proptest::prelude::*;

    fn holds(text: &str) -> Result<bool, String> {
        let expression = Expression::compile(text).map_err(|fault| fault.to_string())?;
        expression.holds(&example().context(true))
    }

    #[test]
    fn expressions_read_the_order_its_customer_and_its_lines() {
        for (text, expected) in [
            ("order.total > 100.0", true),
            ("order.total > 100", true),
            ("order.total == 112.5", true),
            ("order.line_count == 2 && order.units == 5", true),
            ("order.channel in ['web', 'edi']", true),
            ("order.payment_method == 'PROVIDER' && order.reservation_policy == 'BACKORDER'", true),
            ("order.fulfilment_policy == 'STANDARD'", true),
            ("customer.known && customer.segment == 'wholesale'", true),
            ("!customer.email.endsWith('@example.com')", false),
            ("lines.exists(l, l.sku.startsWith('KNIFE') && l.quantity >= 2)", true),
            ("lines.all(l, l.unit_price < 100.0)", true),
            ("lines.filter(l, l.quantity > 2).size() == 1", true),
            ("lines.filter(l, l.quantity > 2).all(l, l.sku == 'KNIFE-1')", true),
            ("size(lines.map(l, l.sku)) == 2", true),
            ("'TEA' in lines.map(l, l.sku)", true),
            ("lines.exists_one(l, l.sku == 'TEA')", true),
            ("lines.exists(l, l.sku.matches('^T.A$'))", true),
            ("matches(ship_to.postal_code, '^[0-9]{5}$')", true),
            ("ship_to.recipient.lower() == 'budi'", true),
            ("ship_to.country == 'ID' ? order.priority < 9 : false", true),
            ("size(ship_to.problems) == 0", true),
            ("order.placed_weekday == 7 && order.placed_hour == 3", true),
            ("now - order.placed_at < 3600", true),
            ("int(order.total) % 2 == 0", true),
            ("has(order.tags) && size(order.tags) == 0", true),
            ("lines[0].sku == 'KNIFE-1'", true),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, at, what) in [
            ("order.totl > 5", Some((1, 6)), "order has no \"totl\""),
            ("true &&\n  ordr.total > 5", Some((2, 3)), "there is no \"ordr\""),
            ("lines.exists(l, l.weight > 5)", Some((1, 18)), "l has no \"weight\""),
            ("order.total.sqrt() > 2", Some((1, 17)), "there is no function \"sqrt\""),
            ("order.total >", Some((1, 14)), ""),
            ("lines.exists(l, lines.exists(m, m.sku == l.sku))", None, ""),
            ("", None, "must have 1 to 1000 characters"),
        ] {
            let fault = Expression::compile(text).unwrap_err();
            assert!(fault.what.contains(what), "{text}: {fault}");
            if at.is_some() {
                assert_eq!(fault.at, at, "{text}: {fault}");
            }
        }
    }

    #[test]
    fn what_could_run_away_is_refused() {
        let deep = format!("{}true{}", "(".repeat(400), ")".repeat(400));
        let nots = format!("{}true", "!".repeat(999));
        let sums = format!("{}1 > 0", "1+".repeat(400));
        let ors = format!("{}true", "true||".repeat(160));
        let members = format!("order{} == 1", ".a".repeat(480));
        let ternaries = format!("{}false", "true?true:".repeat(99));
        let doublings = format!("size(['x']{}) > 0", ".map(x,x+x)".repeat(20));
        let patterns = r"lines.exists(l, l.sku.matches('((\\w{99}){99}){99}'))";
        for text in [&deep, &nots, &sums, &members, &ternaries, &doublings] {
            assert!(Expression::compile(text).is_err(), "{text}");
        }
        drop(Expression::compile(&ors));
        assert!(holds(patterns).unwrap_err().contains("pattern"), "refused when it is evaluated");
        for text in [
            "lines.map(l, lines.map(m, m.sku)).size() > 0",
            "lines.all(l, l in lines)",
            "lines.map(l, l.sku).map(s, s).size() > 0",
        ] {
            assert!(Expression::compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_an_error_and_not_false() {
        for text in ["order.total", "1 / 0 == 1", "int('x') == 1", "lines[7].sku == 'A'", "order.total > 'a'"] {
            assert!(holds(text).is_err(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = holds(&text);
        }

        #[test]
        fn no_mixture_of_what_the_language_knows_panics(parts in prop::collection::vec(prop::sample::select(vec![
            "order", ".total", ".tags", "lines", ".exists(l,", ".map(x,", ".filter(y,", "l.sku", "(", ")", "[", "]", "{", "}",
            "&&", "||", "!", "-", "+", "*", "/", "%", "==", "<", "in", "?", ":", ",", "1", "9223372036854775807", "-1.5e300",
            "'a'", "b'\\xff'", "r\"\\d\"", "null", "true", "now", "size(", "matches(", "int(", "has(", ".a", "\"\\u00e9\"",
        ]), 0..24)) {
            let _ = holds(&parts.concat());
            let _ = holds(&parts.join(" "));
        }
    }
}
