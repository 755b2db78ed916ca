//! Answers, for people as tables and for programs as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use pesan_grpc::json;

use crate::tree::Tree;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

/// A line below the header, and no others.
const TABLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// What enum values begin with, for programs only.
const ENUM_PREFIXES: [&str; 9] = [
    "ORDER_STATE_",
    "FULFILMENT_STATE_",
    "FULFILMENT_ACTION_",
    "ITEM_KIND_",
    "BASE_UNIT_",
    "MOVEMENT_KIND_",
    "DOCUMENT_KIND_",
    "LEDGER_ACCOUNT_",
    "PAYMENT_METHOD_",
];

impl Output {
    /// One message: as JSON, or its fields and below them its lists.
    pub fn message<M: prost::Message + prost::Name>(self, message: &M) -> Result<()> {
        let text = json::from_message(message, true).context("the answer cannot be shown")?;
        match self {
            Self::Json => line(&text),
            Self::Table => fields(&serde_json::from_str(&text)?),
        }
    }

    /// A list in a message: as JSON the whole message, as a table these columns (paths such as `quantities.ordered`).
    pub fn list<M: prost::Message + prost::Name>(self, message: &M, list: &str, columns: &[&str]) -> Result<()> {
        let text = json::from_message(message, true).context("the answer cannot be shown")?;
        if self == Self::Json {
            return line(&text);
        }
        let tree: Tree = serde_json::from_str(&text)?;
        let items = tree.get(list).map_or(&[][..], Tree::elements);
        rows(columns, items.iter().map(|item| columns.iter().map(|path| cell(item.at(path))).collect()));
        if let Some(token) = tree.get("next_page_token").and_then(Tree::text) {
            line(&format!("more: --page-token {token}"))?;
        }
        Ok(())
    }
}

/// A line on stdout. A reader that has seen enough (`head`) ends us, and that is no failure of ours.
pub fn line(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        outcome => Ok(outcome?),
    }
}

/// A value as one line of JSON.
pub fn json_line<T: serde::Serialize>(value: &T) -> Result<()> {
    line(&serde_json::to_string(value)?)
}

/// A table on stdout. Columns of numbers are aligned to the right.
pub fn rows(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let mut table = Table::new();
    table.load_style(TABLE).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.to_vec());
    for row in &rows {
        table.add_row(row);
    }
    for (index, _) in header.iter().enumerate() {
        let is_number = |text: &String| text.is_empty() || text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if rows.iter().all(|row| row.get(index).is_none_or(is_number))
            && let Some(column) = table.column_mut(index)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // The only failure is a reader that went away.
    let _gone = line(&table.trim_fmt());
}

/// Whether to colour: a terminal, and NO_COLOR not set.
fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text in a colour (an ANSI code), where colours are wanted.
pub fn coloured(text: &str, code: u8) -> String {
    if colours() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// ANSI codes.
pub const GREEN: u8 = 32;
pub const RED: u8 = 31;
pub const BOLD: u8 = 1;

fn fields(tree: &Tree) -> Result<()> {
    // An answer that holds one thing is that thing.
    if let Tree::Object(fields) = tree
        && let [(_, only @ Tree::Object(_))] = fields.as_slice()
    {
        return self::fields(only);
    }
    let mut flat = Vec::new();
    let mut lists = Vec::new();
    flatten("", tree, &mut flat, &mut lists);
    if !flat.is_empty() {
        rows(&["field", "value"], flat.into_iter().map(|(name, text)| vec![name, text]));
    }
    for (name, items) in lists {
        line(&coloured(&name, BOLD))?;
        list_of_objects(items);
    }
    Ok(())
}

/// Scalars by path, and lists of objects for tables of their own.
fn flatten<'a>(path: &str, tree: &'a Tree, flat: &mut Vec<(String, String)>, lists: &mut Vec<(String, &'a [Tree])>) {
    match tree {
        Tree::Object(fields) if money(fields).is_none() => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, field, flat, lists);
            }
        }
        Tree::List(items) if items.first().is_some_and(Tree::is_object) => lists.push((path.to_owned(), items)),
        other => flat.push((path.to_owned(), cell(Some(other)))),
    }
}

fn list_of_objects(items: &[Tree]) {
    let mut columns: Vec<String> = Vec::new();
    let mut table = Vec::with_capacity(items.len());
    for item in items {
        let (mut flat, mut lists) = (Vec::new(), Vec::new());
        flatten("", item, &mut flat, &mut lists);
        flat.extend(
            lists.into_iter().map(|(name, parts)| (name, parts.iter().map(compact).collect::<Vec<_>>().join("; "))),
        );
        for (name, _) in &flat {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        table.push(flat);
    }
    let header: Vec<&str> = columns.iter().map(String::as_str).collect();
    let find = |row: &[(String, String)], column: &str| {
        row.iter().find(|(name, _)| name == column).map(|(_, text)| text.clone()).unwrap_or_default()
    };
    rows(&header, table.iter().map(|row| columns.iter().map(|column| find(row, column)).collect()));
}

fn compact(tree: &Tree) -> String {
    let (mut flat, mut lists) = (Vec::new(), Vec::new());
    flatten("", tree, &mut flat, &mut lists);
    flat.into_iter().map(|(name, text)| format!("{name} {text}")).collect::<Vec<_>>().join(", ")
}

/// The amount, where these fields are one.
fn money(fields: &[(String, Tree)]) -> Option<String> {
    let (mut code, mut units, mut nanos) = (None, 0, 0);
    for (name, field) in fields {
        match (name.as_str(), field) {
            ("currency_code", Tree::Text(text)) => code = Some(text),
            ("units", Tree::Plain(number)) => units = number.parse().ok()?,
            ("nanos", Tree::Plain(number)) => nanos = number.parse().ok()?,
            _ => return None,
        }
    }
    pesan_money::Money::from_units_nanos(code?, units, nanos).ok().map(|money| money.to_string())
}

fn cell(tree: Option<&Tree>) -> String {
    match tree {
        None | Some(Tree::Nothing) => String::new(),
        Some(Tree::Plain(text)) => text.clone(),
        Some(Tree::Text(text)) => {
            let short = ENUM_PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix));
            short.map_or_else(|| text.clone(), |short| short.to_lowercase().replace('_', " "))
        }
        Some(Tree::List(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(", "),
        Some(object @ Tree::Object(fields)) => money(fields).unwrap_or_else(|| compact(object)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(json: &str) -> Tree {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn cells_are_for_people() {
        let shown = |json| cell(Some(&tree(json)));
        assert_eq!(shown(r#"{"currency_code": "GBP", "units": 12, "nanos": 500000000}"#), "12.50 GBP");
        assert_eq!(shown(r#""ORDER_STATE_PARTIALLY_SHIPPED""#), "partially shipped");
        assert_eq!(shown(r#"["a", "b"]"#), "a, b");
        assert_eq!(shown(r#"{"line_no": 1, "what": "x"}"#), "line_no 1, what x");
        assert_eq!(cell(None), "");
    }

    #[test]
    fn scalars_are_flattened_and_lists_kept_apart() {
        let order = tree(r#"{"number": "SO-000001", "quantities": {"ordered": 3}, "lines": [{"line_no": 1}]}"#);
        let (mut flat, mut lists) = (Vec::new(), Vec::new());
        flatten("", &order, &mut flat, &mut lists);
        let expected = [("number", "SO-000001"), ("quantities.ordered", "3")];
        assert!(flat.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(expected));
        assert_eq!(lists.len(), 1);
    }
}
