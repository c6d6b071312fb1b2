//! `cargo xtask test` runs every check and every test, and counts the results.

mod programs;
mod python;
mod session;
mod tally;
mod tools;
mod typescript;
pub(crate) mod workspace;

use std::process::ExitCode;

use anyhow::Result;

use self::session::{Outcome, Session};
use self::tally::Tally;
use self::workspace::{Workspace, lines};
use crate::fuzz;

/// Seconds for each fuzz target, which is a few hundred thousand executions.
const FUZZ_SECONDS: u32 = 10;

/// Runs everything.
///
/// Prints a table with the seconds of each step. The last line on standard output is
/// `N passed, N failed`, with `, N skipped` after it if tests were skipped.
pub fn run() -> Result<ExitCode> {
    let workspace = Workspace::find();
    let mut session = Session::from_environment();
    session.step("format", |_| {
        workspace.component("rustfmt", &["fmt", "--all", "--check"])
    })?;
    session.step("lints", |_| lints(&workspace))?;
    tools::quick(&workspace, &mut session)?;
    session.step("Rust tests", |programs| {
        // Debian installs these programs outside the path. Tests that do not find them say so.
        let _ = programs.provide(&POSTGRESQL);
        rust_tests(&workspace)
    })?;
    session.step("fuzzing", fuzzing)?;
    let is_built = session.step("certgate for the tests from outside", |_| build(&workspace))?;
    // Without the program, tests from outside cannot run. The failed build is counted already.
    if is_built {
        python::suites(&workspace, &mut session)?;
        typescript::suite(&workspace, &mut session)?;
    }
    Ok(session.finish())
}

/// Checks that a release needs and that take too long for every change.
///
/// Prints the same table and the same last line as [`run`].
pub fn release_checks() -> Result<ExitCode> {
    let workspace = Workspace::find();
    let mut session = Session::from_environment();
    tools::quick(&workspace, &mut session)?;
    tools::slow(&workspace, &mut session)?;
    Ok(session.finish())
}

const POSTGRESQL: programs::Program = programs::Program::new(
    "sh",
    &[
        "-c",
        "command -v pg_ctl || ls /usr/lib/postgresql/*/bin/pg_ctl",
    ],
    "postgresql",
);

fn lints(workspace: &Workspace) -> Result<Outcome> {
    let arguments = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    workspace.component("clippy", &arguments)
}

fn rust_tests(workspace: &Workspace) -> Result<Outcome> {
    let mut command = workspace.cargo(&[
        "test",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        "--color",
        "never",
    ]);
    // A different snapshot must fail the test instead of replacing the stored one.
    command.env("INSTA_UPDATE", "no");
    let mut tally = Tally::default();
    let succeeded = lines(&mut command, |line| {
        if let Some(suite) = Tally::from_libtest(line) {
            tally += suite;
        }
        if !line.ends_with("... ok") && !line.is_empty() {
            println!("{line}");
        }
    })?;
    Ok(Outcome::Ran(tally.with_exit(succeeded)))
}

/// Runs each fuzz target. A target counts as one test, and a build that fails as one failure.
fn fuzzing(programs: &mut programs::Installer) -> Result<Outcome> {
    // Cargo compiles libFuzzer from its sources.
    let compiler = programs::Program::new("c++", &["--version"], "g++");
    if let Err(reason) = programs.provide(&compiler) {
        return Ok(Outcome::Skipped(reason));
    }
    let results = fuzz::each(&fuzz::Arguments {
        seconds: FUZZ_SECONDS,
        target: None,
        keep: false,
    });
    let mut tally = Tally::default();
    match results {
        Ok(results) => results
            .into_iter()
            .for_each(|is_clean| tally += Tally::of(is_clean)),
        Err(error) => {
            println!("{error:#}");
            tally += Tally::of(false);
        }
    }
    Ok(Outcome::Ran(tally))
}

fn build(workspace: &Workspace) -> Result<Outcome> {
    let arguments = [
        "build",
        "--quiet",
        "--package",
        "certgate",
        "--features",
        "fault-points",
    ];
    let is_built = workspace.cargo(&arguments).status()?.success();
    Ok(Outcome::Ran(Tally::of(is_built)))
}
