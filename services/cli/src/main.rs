//! The `pesan` command.

mod postgres;
mod with_postgres;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Pesan, an order management suite: runs it, and talks to it.
#[derive(Parser)]
#[command(name = "pesan", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    WithPostgres(with_postgres::WithPostgres),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::WithPostgres(command) => command.run().await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
