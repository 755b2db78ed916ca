//! `house-lint`: the rules of the house, checked.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Checks the rules of the house over the workspace. Exits 1 when one is broken.
#[derive(Parser)]
struct Arguments {
    /// The root of the tree.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Also print lines of Rust per crate and the ten largest files.
    #[arg(long)]
    sizes: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let (workspace, violations) = house_lint::check(&arguments.root)?;
    let sizes = house_lint::sizes::measure(&workspace)?;
    for (lines, path) in sizes.to_look_at() {
        println!("{}:1: note: {lines} lines, past {}: worth a look", path.display(), house_lint::sizes::LOOK);
    }
    for violation in &violations {
        println!("{violation}");
    }
    if arguments.sizes {
        println!("\n{}", sizes.table());
    }
    match violations.len() {
        0 => println!("house-lint: {} crates, every rule holds", workspace.members.len()),
        broken => println!("house-lint: {broken} places to mend"),
    }
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
