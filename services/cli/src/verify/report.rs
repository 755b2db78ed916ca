//! What the proof tells.

use anyhow::Result;
use serde::Serialize;

use crate::output::{self, GREEN, Output, RED};

/// How many violations of an invariant are listed.
pub const LISTED: usize = 100;

/// The answer of `pesan verify`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// No violation, and every service answered.
    pub ok: bool,
    pub invariants: Vec<Invariant>,
    pub followers: Vec<Follower>,
    pub seconds: f64,
}

/// Something that must hold, and where it does not.
#[derive(Clone, Debug, Serialize)]
pub struct Invariant {
    pub name: String,
    pub rows_checked: u64,
    pub violations: Vec<Violation>,
    /// Violations that are not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<u64>,
    /// What a reader must know: nothing was looked at, say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    pub id: String,
    pub what: String,
}

/// A service's place in another's feed.
#[derive(Clone, Debug, Serialize)]
pub struct Follower {
    pub service: &'static str,
    pub source: String,
    /// Whether the source can go on from there without a loss.
    pub reachable: bool,
    /// Events not read yet, counted up to 100,000.
    pub behind: i64,
}

impl Invariant {
    pub fn new(name: String, rows_checked: u64, violations: Vec<Violation>, more: u64) -> Self {
        let note = (rows_checked == 0).then_some("0 rows were looked at: nothing is proven");
        Self { name, rows_checked, violations, more: (more > 0).then_some(more), note }
    }

    fn count(&self) -> u64 {
        self.violations.len() as u64 + self.more.unwrap_or(0)
    }
}

impl Report {
    pub fn new(invariants: Vec<Invariant>, followers: Vec<Follower>, seconds: f64) -> Self {
        let ok = !invariants.is_empty() && invariants.iter().all(|invariant| invariant.violations.is_empty());
        Self { ok, invariants, followers, seconds }
    }

    pub fn print(&self, output: Output) -> Result<()> {
        if output == Output::Json {
            return output::json_line(self);
        }
        let row = |invariant: &Invariant| {
            let verdict = match (invariant.count(), invariant.note) {
                (0, None) => "ok".to_owned(),
                (0, Some(note)) => note.to_owned(),
                (count, _) => format!("{count} violations"),
            };
            vec![invariant.name.clone(), invariant.rows_checked.to_string(), verdict]
        };
        output::rows(&["invariant", "rows", "verdict"], self.invariants.iter().map(row));
        let behind = self.followers.iter().filter(|follower| follower.behind > 0);
        for follower in behind {
            output::line(&format!("{} is {} events behind {}", follower.service, follower.behind, follower.source))?;
        }
        for invariant in &self.invariants {
            for violation in &invariant.violations {
                output::line(&format!("{}: {}: {}", invariant.name, violation.id, violation.what))?;
            }
        }
        let (verdict, colour) = if self.ok { ("everything holds", GREEN) } else { ("it does not hold", RED) };
        output::line(&output::coloured(&format!("{verdict} ({:.1} s)", self.seconds), colour))
    }
}
