//! Development tasks: run `cargo xtask --help` for the list.

mod bench;
mod dist;
mod docs;
mod fuzz;
mod lines;
mod site;
mod test;

use std::process::ExitCode;

use clap::Parser;

/// Development tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Check the format, lint, and run every test, those with outside programs included
    ///
    /// Installs programs and packages that tests need, if it can. A step that cannot run is counted
    /// as skipped, or as failed with CERTGATE_TEST_REQUIRE_ALL=1.
    Test,
    /// Test, measure or photograph the web console in a browser
    Console(test::console::Arguments),
    /// Run the checks of a release: spelling, links, dependencies that are not used, licences and
    /// sources, and a minute of each fuzz target
    ///
    /// Builds cargo-machete and cargo-deny below target/, which takes minutes. cargo-deny checks
    /// licences, banned crates and sources by deny.toml. Check advisories by hand: they need a
    /// network.
    ReleaseChecks,
    /// Fuzz the readers of bytes from outside, from the kept corpus on
    ///
    /// An input that breaks a rule is left in fuzz/findings/, and the command that runs it again is
    /// printed.
    Fuzz(fuzz::Arguments),
    /// Write the pages that are generated from the code: docs/limits*.md, docs/errors.md,
    /// docs/errors-csr.md and docs/errors-ca.md
    Docs,
    /// Build the documentation as a site with a search, in target/site
    ///
    /// Builds mdbook below target/, which takes minutes.
    Site,
    /// Print the number of lines of the product
    ///
    /// Counts the Rust files in crates/*/src and xtask/src, in rustfmt's default format. The first
    /// column counts every line as `wc -l` does, the second one lines that are not only comment or
    /// empty. Left out are tests (items with #[cfg(test)], folders `tests`, files `tests.rs` and
    /// `testing.rs`), crates/testkit and the conformance suite of the store.
    ///
    /// Also prints the longest function, from `fn` to its closing brace, and the number of SQL
    /// statements that stand in the folders of both engines of the store: string literals that are
    /// equal after whitespace, placeholders (?1, $1) and concat! are normalised.
    Lines,
    /// Make the files of a release in target/packages: a Debian package, an archive, a static
    /// executable, the list of components (CycloneDX) and SHA256SUMS
    ///
    /// Builds certgate with the profile `dist` for glibc, and with `dist-static` for musl. You need
    /// rustup's target for musl, and Debian's musl-tools and debhelper. The same commit gives the
    /// same bytes.
    Dist(dist::Arguments),
    /// Measure the build of the dist profile on this machine and print a table
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test => test::run(),
        Task::Console(arguments) => test::console::run(arguments),
        Task::ReleaseChecks => test::release_checks(),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Docs => docs::write(),
        Task::Site => site::build(),
        Task::Lines => lines::print(),
        Task::Dist(arguments) => dist::run(&arguments),
        Task::Bench(arguments) => bench::run(arguments).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
