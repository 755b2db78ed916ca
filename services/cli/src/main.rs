//! The `pesan` command.

mod amount;
mod bench;
mod by_hand;
mod demo;
mod endpoints;
mod feed;
mod instant;
mod journey;
mod kpi;
mod output;
mod patience;
mod postgres;
mod refusal;
mod replay;
mod tree;
mod up;
mod verify;
mod with_postgres;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand};

use endpoints::Endpoints;
use output::Output;

/// Pesan, an order management suite: runs it, and talks to it.
///
/// Exit codes: 0 it is done, 1 it was refused or failed, 2 the command line is not understood.
#[derive(Parser)]
#[command(name = "pesan", version)]
#[command(after_help = "Examples:\n  \
    pesan up                  the suite on this machine\n  \
    pesan demo                a guided order through all services\n  \
    pesan verify              the proof that nothing was lost")]
struct Cli {
    #[command(flatten)]
    endpoints: Endpoints,
    /// How answers are printed
    #[arg(long, global = true, env = "PESAN_OUTPUT", value_enum, default_value_t = Output::Table, help_heading = "Suite")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Up),
    Demo(demo::Demo),
    Replay(replay::Replay),
    Journey(journey::Journey),
    Kpi(kpi::Kpi),
    Feed(feed::Feed),
    Verify(verify::Verify),
    Bench(bench::Bench),
    Order(by_hand::order::Order),
    Customer(by_hand::customer::Customer),
    Item(by_hand::item::Item),
    Location(by_hand::location::Location),
    Stock(by_hand::stock::Stock),
    Reserve(by_hand::reserve::Reserve),
    Fulfilment(by_hand::fulfilment::Fulfilment),
    Return(by_hand::returns::Return),
    Invoice(by_hand::invoice::Invoice),
    Account(by_hand::account::Account),
    Payment(by_hand::payment::Payment),
    Ledger(by_hand::ledger::Ledger),
    WithPostgres(with_postgres::WithPostgres),
    /// Completions for a shell
    #[command(after_help = "Example:\n  pesan completions bash > /etc/bash_completion.d/pesan")]
    Completions {
        shell: clap_complete::Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli).await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(Cli { endpoints, output, command }: Cli) -> Result<ExitCode> {
    match command {
        Command::Up(command) => return command.run().await,
        Command::Replay(command) => return command.run(&endpoints, output).await,
        Command::Verify(command) => return command.run(&endpoints, output).await,
        Command::WithPostgres(command) => return command.run().await,
        Command::Journey(command) => command.run(&endpoints, output).await?,
        Command::Kpi(command) => command.run(&endpoints, output).await?,
        Command::Demo(command) => command.run(&endpoints, output).await?,
        Command::Feed(command) => command.run(&endpoints, output).await?,
        Command::Bench(command) => command.run(&endpoints, output).await?,
        Command::Order(command) => command.run(&endpoints, output).await?,
        Command::Customer(command) => command.run(&endpoints, output).await?,
        Command::Item(command) => command.run(&endpoints, output).await?,
        Command::Location(command) => command.run(&endpoints, output).await?,
        Command::Stock(command) => command.run(&endpoints, output).await?,
        Command::Reserve(command) => command.run(&endpoints, output).await?,
        Command::Fulfilment(command) => command.run(&endpoints, output).await?,
        Command::Return(command) => command.run(&endpoints, output).await?,
        Command::Invoice(command) => command.run(&endpoints, output).await?,
        Command::Account(command) => command.run(&endpoints, output).await?,
        Command::Payment(command) => command.run(&endpoints, output).await?,
        Command::Ledger(command) => command.run(&endpoints, output).await?,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "pesan", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
