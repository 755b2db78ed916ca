//! Migrations are numbered without gaps and stay inside their own schema.

use std::path::Path;

use crate::workspace::Member;
use crate::{SERVICES, Violation};

/// The migrations of one service.
pub fn check(root: &Path, member: &Member, service: &str) -> anyhow::Result<Vec<Violation>> {
    let folder = member.folder.join("migrations");
    let Ok(entries) = root.join(&folder).read_dir() else {
        return Ok(Vec::new()); // its absence is reported with the rooms
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    let mut found = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let path = folder.join(name);
        let expected = format!("{:04}_", index + 1);
        if !name.strip_prefix(&expected).and_then(|rest| rest.strip_suffix(".sql")).is_some_and(is_snake_case) {
            let advice = format!("expected {expected}<name>.sql: numbers have no gaps, names are snake_case");
            found.push(Violation::new(&path, 1, "migrations", advice));
        }
        let sql = without_comments_and_strings(&std::fs::read_to_string(root.join(&path))?);
        for (index, line) in sql.lines().enumerate() {
            for advice in problems(&line.to_lowercase(), service) {
                found.push(Violation::new(&path, index + 1, "migrations", advice));
            }
        }
    }
    Ok(found)
}

fn is_snake_case(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

fn problems(line: &str, service: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if line.contains("search_path") {
        problems.push("the host sets the search_path: a migration does not".to_owned());
    }
    for other in SERVICES.into_iter().filter(|other| *other != service) {
        if names_schema(line, other) || names_schema(line, &format!("pesan_{other}")) {
            problems.push(format!("names the schema of {other}: ask it by RPC or follow its feed"));
        }
    }
    problems
}

/// Whether `schema.` or `"schema".` stands in the line as a name of its own.
fn names_schema(line: &str, schema: &str) -> bool {
    line.match_indices(schema).any(|(start, _)| {
        let before = line[..start].trim_end_matches('"').chars().next_back();
        let after = line[start + schema.len()..].trim_start_matches('"');
        after.starts_with('.') && !before.is_some_and(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.'))
    })
}

/// Blanks `-- …`, `/* … */` and `'…'`, keeping line breaks so that line numbers stay true.
fn without_comments_and_strings(sql: &str) -> String {
    let mut kept = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(letter) = rest.chars().next() {
        let skipped = match letter {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ => {
                kept.push(letter);
                rest = &rest[letter.len_utf8()..];
                continue;
            }
        };
        kept.extend(rest[..skipped].chars().filter(|letter| *letter == '\n'));
        rest = &rest[skipped..];
    }
    kept
}
