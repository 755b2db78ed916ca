//! `pesan replay`: real order history through the live services.

mod analytics;
mod credits;
mod masterdata;
mod matching;
mod orders;
mod plan;
mod rows;
mod summary;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use rust_decimal::Decimal;

use crate::amount;
use crate::endpoints::{Endpoints, Suite};
use crate::output::Output;
use crate::patience::Patience;
use plan::Plan;
use summary::{Held, Replayed, Summary};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(60);

/// Real order history through the live services
///
/// Replaying the same file again changes nothing, and a replay that was interrupted goes on where it stopped.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan replay online-retail online-retail.csv.gz\n  \
    pesan replay online-retail online-retail.csv.gz --limit-days 30 --output json")]
pub struct Replay {
    /// What kind of file it is
    format: Format,
    /// The file
    file: PathBuf,
    /// Only the first days of it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit_days: Option<u32>,
    /// Seconds to go on while a service does not answer or nothing moves
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
    /// Write the rows that cannot be used, with their reasons, to this file (CSV)
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// UCI Online Retail: a CSV, gzipped or not
    OnlineRetail,
}

impl Replay {
    /// Replays; the exit code tells whether everything in the file is in the suite.
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<ExitCode> {
        let Format::OnlineRetail = self.format;
        let started = Instant::now();
        let suite = endpoints.connect(CALL)?;
        let mut phases = Phases::default();
        let (file, days) = (self.file.clone(), self.limit_days);
        let plan = tokio::task::spawn_blocking(move || plan::plan(rows::read(&file)?, days)).await??;
        phases.end("plan");
        if let Some(file) = &self.rejects {
            write_rejects(&plan, file)?;
        }
        eprintln!("{}", announce(&plan));
        let replayed = replay(&suite, Patience(Duration::from_secs(self.patience)), &plan, phases, started).await?;
        let summary = Summary::new(&plan, replayed);
        summary.print(output)?;
        Ok(if summary.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn replay(
    suite: &Suite,
    patience: Patience,
    plan: &Plan,
    mut phases: Phases,
    started: Instant,
) -> Result<Replayed> {
    let ids = masterdata::customers(suite, patience, plan).await.context("customers")?;
    phases.end("customers");
    masterdata::items(suite, patience, plan).await.context("items")?;
    masterdata::stock(suite, patience, plan).await.context("stock")?;
    phases.end("stock");

    let bar = progress_bar("orders", plan.orders.len());
    let refused = orders::place(suite, patience, plan, &bar).await.context("orders")?;
    bar.finish_and_clear();
    phases.end("orders");
    orders::settle(suite, patience, plan).await?;
    phases.end("settle");

    let bar = progress_bar("returns", plan.returns.len() + plan.credit_notes.len());
    let returns = credits::returns(suite, patience, plan, &bar).await.context("returns")?;
    let notes = credits::notes(suite, patience, plan, &ids, &bar).await.context("credit notes")?;
    bar.finish_and_clear();
    let credits = credits::together(returns, notes);
    phases.end("returns");

    let held = Held::count(&orders::held(suite, patience, plan).await?);
    let revenue = held.gross - credits.value;
    let kpis =
        analytics::catch_up(suite, patience, plan, Decimal::from(held.orders), revenue).await.context("analytics")?;
    phases.end("analytics");
    Ok(Replayed { held, refused, credits, kpis, seconds: rounded(started.elapsed()), phases: phases.ended })
}

/// Seconds by phase.
struct Phases {
    since: Instant,
    ended: Vec<(&'static str, f64)>,
}

impl Default for Phases {
    fn default() -> Self {
        Self { since: Instant::now(), ended: Vec::new() }
    }
}

impl Phases {
    fn end(&mut self, name: &'static str) {
        self.ended.push((name, rounded(self.since.elapsed())));
        self.since = Instant::now();
    }
}

/// Seconds, to the millisecond.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn announce(plan: &Plan) -> String {
    let totals = &plan.totals;
    format!(
        "{} to {}: {} orders ({} by guests) with {} lines, {} units, gross {} {}; {} customers, {} items; \
         {} return invoices of {} rows worth {}: {} returns and {} credit notes; {} rows rejected",
        plan.from.strftime("%Y-%m-%d"),
        plan.to.strftime("%Y-%m-%d"),
        totals.orders,
        totals.guest_orders,
        totals.lines,
        totals.units,
        amount::text(totals.gross),
        plan::CURRENCY,
        totals.customers,
        plan.items.len(),
        totals.return_invoices,
        totals.return_rows,
        amount::text(totals.returns_value),
        plan.returns.len(),
        plan.credit_notes.len(),
        plan.rejects.len(),
    )
}

/// Shown on a terminal only.
fn progress_bar(name: &'static str, length: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>8} {wide_bar} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::new(length as u64).with_prefix(name);
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn write_rejects(plan: &Plan, file: &Path) -> Result<()> {
    let mut writer = csv::Writer::from_path(file).with_context(|| format!("cannot write {}", file.display()))?;
    writer.write_record(["line", "invoice", "stock_code", "reason"])?;
    for reject in &plan.rejects {
        writer.write_record([&reject.line.to_string(), &reject.invoice, &reject.stock_code, reject.reason])?;
    }
    Ok(writer.flush()?)
}
