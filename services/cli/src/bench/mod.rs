//! `pesan bench`: bounded load against a running suite.
//!
//! A closed loop: so many callers, each with one call at a time. What it needs (items, stock, customers, accounts) it
//! makes itself. Figures of different machines do not compare; the ratio to what the same Postgres can do, measured
//! before and after in the same run, does.

mod fill;
mod handler;
mod load;
mod prepare;
mod quiet;
mod report;
mod stored;
mod table;
mod work;
mod yardstick;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::endpoints::{Endpoints, Suite};
use crate::output::Output;
use report::Report;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(60);
/// HTTP/2 connections to each service: one alone is served by one task.
const CONNECTIONS: usize = 4;

/// Load on a running suite, with ratios against the database's own limit
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan bench place\n  \
    pesan bench place --batch 50 --yardstick DIR\n  \
    pesan bench reserve --skus 10000 --output json\n  \
    pesan bench table --rounds 5 --yardstick DIR\n  \
    pesan bench fill --data FILLED --orders 5000000     then: pesan up --data FILLED, beside an empty suite\n  \
    pesan bench table --rounds 5 --stored FILLED")]
pub struct Bench {
    /// What to measure
    name: Name,
    /// Callers at the same time, each with one call at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    /// How long
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Items to choose from; 10,000, for reserve 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    skus: Option<u32>,
    /// Lines of an order
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lines: u32,
    /// Orders in a call
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    batch: u32,
    /// Wait in each call until its orders are settled
    #[arg(long)]
    settled: bool,
    /// Rounds of the table; its figures are medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// A folder with a run.sh that measures Postgres itself
    #[arg(long, value_name = "DIR")]
    yardstick: Option<PathBuf>,
    /// What run.sh is to measure; fn, for reserve with one item fn_hot
    #[arg(long, value_name = "VARIANT")]
    yardstick_variant: Option<String>,
    /// Finished orders that the databases are filled with
    #[arg(long, value_name = "N", default_value_t = 5_000_000, value_parser = clap::value_parser!(i64).range(6..=5_900_000))]
    orders: i64,
    /// Of how many of them, the newest, the feeds have events, as if older partitions had been dropped; of all. The proof
    /// names those without
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    events: Option<i64>,
    /// The data folder of another suite that runs, with orders stored: the table has it by the first one, row by row
    #[arg(long, value_name = "DIR")]
    stored: Option<PathBuf>,
    /// The data folder of the suite: for the yardstick's access to its Postgres, and the services' memory
    #[arg(long, env = "PESAN_DATA", default_value = ".pesan", value_name = "DIR")]
    data: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Orders accepted
    Place,
    /// Orders confirmed, and all services through with them
    Confirm,
    /// Reservations of one hot item
    Reserve,
    /// An empty call
    Rpc,
    /// The whole table of ratios, in rounds; needs --yardstick, --stored or both
    Table,
    /// Nothing: fills the databases of a suite that does not run with finished orders, to be measured
    Fill,
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::Confirm => "confirm",
            Self::Reserve => "reserve",
            Self::Rpc => "rpc",
            Self::Table => "table",
            Self::Fill => "fill",
        }
    }
}

impl Bench {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        if self.name == Name::Fill {
            return fill::fill(&self.data, self.orders, self.events, output).await;
        }
        let suites = connect(endpoints)?;
        let skus = self.skus.unwrap_or(if self.name == Name::Reserve { 1 } else { 10_000 });
        if self.name != Name::Rpc {
            prepare::prepare(&suites[0], skus.max(self.lines)).await?;
        }
        if self.name == Name::Table {
            let stored = match &self.stored {
                Some(data) => Some(stored::open(data, skus).await?),
                None => None,
            };
            let yardstick = self.yardstick.as_deref().map(|folder| (folder, self.data.as_path()));
            let plan = table::Plan { yardstick, stored: stored.as_deref(), rounds: self.rounds, seconds: self.seconds };
            return table::table(&suites, plan).await?.print(output);
        }
        let mut yardstick = None;
        if let (Some(folder), true) = (&self.yardstick, self.name != Name::Rpc) {
            let hot = self.name == Name::Reserve && skus == 1;
            let variant =
                self.yardstick_variant.clone().unwrap_or_else(|| if hot { "fn_hot" } else { "fn" }.to_owned());
            yardstick = Some(yardstick::Yardstick::new(folder, &self.data, variant)?);
        }
        if let Some(yardstick) = &mut yardstick {
            yardstick.measure().await?;
        }
        let shape = work::Shape { skus, lines: self.lines.min(skus), batch: self.batch, settled: self.settled };
        let duration = Duration::from_secs(self.seconds);
        let bounds = load::Bounds { concurrency: self.concurrency, duration, ..load::Bounds::default() };
        let measured = match self.name {
            Name::Place => work::place(&suites, shape, bounds).await?.0,
            Name::Confirm => quiet::confirm(&suites, shape, bounds).await?,
            Name::Reserve => work::reserve(&suites, shape, bounds).await?,
            Name::Rpc | Name::Table | Name::Fill => work::rpc(endpoints, bounds).await?,
        };
        if let Some(yardstick) = &mut yardstick {
            yardstick.measure().await?;
        }
        let yardstick = yardstick.and_then(yardstick::Yardstick::best);
        let memory = report::memory(&self.data);
        Report::new(self.name, self.concurrency, shape, &measured, yardstick, memory).print(output)
    }
}

/// Several connections to each service.
fn connect(endpoints: &Endpoints) -> Result<Vec<Suite>> {
    (0..CONNECTIONS).map(|_| endpoints.connect(CALL)).collect()
}
