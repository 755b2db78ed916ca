//! The table of ratios: rounds in which every benchmark and its yardstick take turns, and the medians of their ratios.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::load::Bounds;
use super::work::{self, Shape};
use super::yardstick::Yardstick;
use super::{handler, quiet};
use crate::endpoints::Suite;
use crate::output::{self, Output};

/// Orders of two lines in lists of fifty, by 32 callers.
const LISTS: Shape = Shape { skus: 10_000, lines: 2, batch: 50, settled: false };
const LIST_CALLERS: u32 = 32;
/// Reservations that are under way at the same time.
const IN_FLIGHT: u32 = 256;

/// What was found.
#[derive(Debug, Serialize)]
pub struct Table {
    rounds: u32,
    rows: Vec<Row>,
}

/// A ratio over all rounds.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    name: &'static str,
    median: f64,
    lowest: f64,
    highest: f64,
    /// Medians of what was divided by what.
    measured: f64,
    yardstick: f64,
}

/// What the rounds of one row gave: dividend and divisor.
type Rounds = BTreeMap<&'static str, Vec<(f64, f64)>>;

/// What is measured.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// The yardstick's folder, and the data folder of the suite.
    pub yardstick: Option<(&'a Path, &'a Path)>,
    /// Another suite, with orders stored.
    pub stored: Option<&'a [Suite]>,
    pub rounds: u32,
    /// Of each benchmark.
    pub seconds: u64,
}

/// Measures it.
pub async fn table(suites: &[Suite], plan: Plan<'_>) -> Result<Table> {
    ensure!(plan.yardstick.is_some() || plan.stored.is_some(), "the table needs --yardstick, --stored or both");
    let duration = Duration::from_secs(plan.seconds);
    let lists = Bounds { concurrency: LIST_CALLERS, duration, ..Bounds::default() };
    let mut found = Rounds::new();
    for round in 0..plan.rounds {
        let mut add = |name, dividend, divisor| found.entry(name).or_default().push((dividend, divisor));

        if let Some(stored) = plan.stored {
            // Neither is always the first one, with a disk that is still busy with what was before.
            let (with, without) = if round % 2 == 0 {
                let with = place_and_confirm(stored, lists).await?;
                (with, place_and_confirm(suites, lists).await?)
            } else {
                let without = place_and_confirm(suites, lists).await?;
                (place_and_confirm(stored, lists).await?, without)
            };
            add("7 placed with orders stored, by without", with.0, without.0);
            add("7 confirmed with orders stored, by without", with.1, without.1);
        }

        let Some((folder, data)) = plan.yardstick else { continue };
        let one_function = yardstick(folder, data, "fn", "8 32").await?;
        let (placed, confirmed) = place_and_confirm(suites, lists).await?;
        add("1 placed, by one function", placed, one_function);
        add("2 confirmed, by one function", confirmed, one_function);

        let hot = Shape { skus: 1, lines: 1, batch: 1, settled: false };
        let spread = Shape { skus: 10_000, ..hot };
        let in_flight = Bounds { concurrency: IN_FLIGHT, ..lists };
        let handled = handler::per_second(data, IN_FLIGHT, duration).await?;
        let calls = work::reserve(suites, hot, in_flight).await?.per_second();
        let many = work::reserve(suites, spread, in_flight).await?.per_second();
        let list = Shape { batch: 16, ..hot };
        let lists_of_16 = Bounds { concurrency: IN_FLIGHT / list.batch, ..lists };
        let listed = work::reserve(suites, list, lists_of_16).await?.per_second();
        let listed_many = work::reserve(suites, Shape { batch: 16, ..spread }, lists_of_16).await?.per_second();
        add("3 hot item reserved in single calls, by FOR UPDATE", calls, handled);
        add("3 hot item reserved in lists of 16, by FOR UPDATE", listed, handled);
        add("4 one hot item, by 10,000 items, single calls", calls, many);
        add("4 one hot item, by 10,000 items, lists of 16", listed, listed_many);

        let statements = 1000.0 / yardstick(folder, data, "stmts", "1").await?;
        let single = Shape { batch: 1, settled: true, ..LISTS };
        // Nothing else is running: not what the reservations left, and not what follows from the order before.
        quiet::wait(&suites[0], "bench").await?;
        let one_by_one = Bounds { concurrency: 1, pause: Duration::from_millis(50), ..lists };
        let (alone, channel) = work::place(suites, single, one_by_one).await?;
        quiet::wait(&suites[0], &channel).await?;
        add("5 milliseconds of one order to its confirmation, by 8 statements", alone.median_ms(), statements);

        let long = once(suites, Shape { skus: 1_000, lines: 1_000, batch: 1, settled: true }, 1).await?;
        let short = once(suites, Shape { skus: 10_000, lines: 1, batch: 500, settled: true }, 2).await?;
        add("6 milliseconds of an order of 1,000 lines, by 1,000 orders of one", long, short);
    }
    let rows = found.into_iter().map(|(name, found)| Row::of(name, &found)).collect();
    Ok(Table { rounds: plan.rounds, rows })
}

/// Orders placed a second, and orders confirmed a second.
async fn place_and_confirm(suites: &[Suite], lists: Bounds) -> Result<(f64, f64)> {
    let (placed, channel) = work::place(suites, LISTS, lists).await?;
    quiet::wait(&suites[0], &channel).await?;
    let confirmed = quiet::confirm(suites, LISTS, lists).await?;
    let error = placed.first_error.as_ref().or(confirmed.first_error.as_ref());
    ensure!(placed.errors == 0 && confirmed.errors == 0, "orders were refused: {error:?}");
    Ok((placed.per_second(), confirmed.per_second()))
}

async fn yardstick(folder: &Path, data: &Path, variant: &str, clients: &'static str) -> Result<f64> {
    let mut yardstick = Yardstick::new(folder, data, variant.to_owned())?.with_clients(clients);
    yardstick.measure().await?;
    Ok(yardstick.best().map_or(f64::NAN, |best| best.per_second))
}

/// Milliseconds of so many calls at once, each made once.
async fn once(suites: &[Suite], shape: Shape, calls: u32) -> Result<f64> {
    let started = Instant::now();
    let bounds = Bounds { concurrency: calls, ..Bounds::default() };
    let (placed, channel) = work::place(suites, shape, bounds).await?;
    let took = started.elapsed();
    ensure!(placed.errors == 0, "orders were refused: {:?}", placed.first_error);
    quiet::wait(&suites[0], &channel).await?;
    Ok(took.as_secs_f64() * 1000.0)
}

impl Row {
    fn of(name: &'static str, rounds: &[(f64, f64)]) -> Self {
        let mut ratios: Vec<f64> = rounds.iter().map(|(dividend, divisor)| dividend / divisor).collect();
        let median_of = |figures: &mut Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            let middle = figures.len() / 2;
            match figures.len() {
                0 => f64::NAN,
                odd if odd % 2 == 1 => figures[middle],
                _ => f64::midpoint(figures[middle - 1], figures[middle]),
            }
        };
        Self {
            name,
            median: median_of(&mut ratios),
            lowest: ratios.first().copied().unwrap_or(f64::NAN),
            highest: ratios.last().copied().unwrap_or(f64::NAN),
            measured: median_of(&mut rounds.iter().map(|(dividend, _)| *dividend).collect()),
            yardstick: median_of(&mut rounds.iter().map(|(_, divisor)| *divisor).collect()),
        }
    }
}

impl Table {
    pub fn print(&self, output: Output) -> Result<()> {
        if output == Output::Json {
            return output::json_line(self);
        }
        let rows = self.rows.iter().map(|row| {
            vec![
                row.name.to_owned(),
                format!("{:.2}", row.median),
                format!("{:.2} to {:.2}", row.lowest, row.highest),
                format!("{:.1}", row.measured),
                format!("{:.1}", row.yardstick),
            ]
        });
        output::rows(&["ratio", "median", "range", "measured", "yardstick"], rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_median_and_the_range_of_its_ratios() {
        let row = Row::of("x", &[(8.0, 2.0), (1.0, 2.0), (6.0, 3.0)]);
        assert_eq!((row.median, row.lowest, row.highest), (2.0, 0.5, 4.0));
        assert_eq!((row.measured, row.yardstick), (6.0, 2.0));
        let even = Row::of("x", &[(1.0, 1.0), (3.0, 1.0)]);
        assert_eq!((even.median, even.lowest, even.highest), (2.0, 1.0, 3.0));
    }
}
