//! Development tasks: `cargo xtask test`.

mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check the format, lint, and run every test, those with outside programs included
    ///
    /// Installs what they need where it may. What cannot be run is said and counted as skipped; with
    /// CERTGATE_TEST_REQUIRE_ALL=1 as failed.
    Test,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test => test::run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
