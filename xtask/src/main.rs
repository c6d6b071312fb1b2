//! Development tasks.

mod bench;

use clap::Parser;

/// Development tasks.
#[derive(Parser)]
enum Task {
    /// Measure the release build on this machine and print a table
    Bench(bench::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Bench(arguments) => bench::run(arguments),
    }
}
