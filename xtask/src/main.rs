//! Development tasks: `cargo xtask test`, `cargo xtask fuzz`, `cargo xtask bench` and `cargo xtask docs`.

mod bench;
mod docs;
mod fuzz;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Check the format, lint, and run every test, those with outside programs included
    ///
    /// Installs what they need where it may. What cannot be run is said and counted as skipped; with
    /// CERTGATE_TEST_REQUIRE_ALL=1 as failed.
    Test,
    /// Fuzz what reads bytes from outside, from the kept corpus on
    ///
    /// An input for which something does not hold is left in fuzz/findings/, and how to run it again is said.
    Fuzz(fuzz::Arguments),
    /// Write the pages that are generated from the code: docs/errors.md and docs/errors-ca.md
    Docs,
    /// Measure the release build on this machine and print a table
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test => test::run(),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Docs => docs::write(),
        Task::Bench(arguments) => bench::run(arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
