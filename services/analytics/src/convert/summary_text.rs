//! Words for counts.

/// "1 unit", "3 units".
pub fn count(number: i64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// "3 units in 2 lines" of the lines' quantities.
pub fn units_in_lines(quantities: impl Iterator<Item = i64>) -> String {
    let (lines, units) = quantities.fold((0, 0), |(lines, units), quantity| (lines + 1, units + quantity));
    format!("{} in {}", count(units, "unit"), count(lines, "line"))
}

/// What is there, joined by ", ".
pub fn list(parts: impl IntoIterator<Item = Option<String>>) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// "2 units backordered" where there are any.
pub fn some_units(units: i64, what: &str) -> Option<String> {
    (units > 0).then(|| format!("{} {what}", count(units, "unit")))
}
