//! `cargo xtask test` runs every check and every test, and counts the results.

pub(crate) mod console;
mod failures;
mod programs;
mod python;
mod session;
mod tally;
pub(crate) mod tools;
mod typescript;
pub(crate) mod workspace;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use self::session::{Job, Outcome, Session};
use self::tally::Tally;
use self::workspace::{Workspace, lines};
use crate::bench::fleet;
use crate::fuzz;

/// Seconds for each fuzz target before a release: a million executions or more.
const FUZZ_SECONDS: u32 = 60;

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
    tools::texts(&workspace, &mut session)?;
    session.step("Rust tests", |programs| {
        // Debian installs these programs outside the path. Tests that do not find them say so.
        let _ = programs.provide(&POSTGRESQL);
        rust_tests(&workspace)
    })?;
    let is_built = session.step("certgate for the tests from outside", |_| build(&workspace))?;
    let mut jobs = Vec::new();
    // Without the program, tests from outside cannot run. The failed build is counted already.
    if is_built {
        jobs.extend(python::suites(&workspace));
        jobs.push(typescript::suite(&workspace));
        jobs.push(console::suite(&workspace));
        jobs.push(Job {
            name: "a fleet that renews",
            run: Box::new(|programs| fleet_renews(&workspace, programs)),
        });
    }
    jobs.push(Job {
        name: "fuzz targets resolve",
        run: Box::new(|_| fuzz_lock(&workspace)),
    });
    jobs.push(Job {
        name: "dependencies that are not used",
        run: Box::new(|_| tools::unused(&workspace)),
    });
    session.parallel(&jobs)?;
    Ok(session.finish())
}

/// Checks that a release needs and that take too long for every change.
///
/// Prints the same table and the same last line as [`run`].
pub fn release_checks() -> Result<ExitCode> {
    let workspace = Workspace::find();
    let mut session = Session::from_environment();
    tools::texts(&workspace, &mut session)?;
    session.step("dependencies that are not used", |_| {
        tools::unused(&workspace)
    })?;
    tools::slow(&workspace, &mut session)?;
    session.step("fuzzing", fuzzing)?;
    Ok(session.finish())
}

/// Tests the files of a release in a folder, as a user installs them.
pub fn check_packages(folder: &Path) -> Result<ExitCode> {
    let workspace = Workspace::find();
    let mut session = Session::from_environment();
    session.step("packages", |programs| {
        python::packages(&workspace, folder, programs)
    })?;
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

/// Simulates a small fleet with the real server.
fn fleet_renews(workspace: &Workspace, programs: &session::Programs) -> Result<Outcome> {
    for program in &[
        programs::Program::new("faketime", &["--version"], "faketime"),
        programs::Program::new("openssl", &["version"], "openssl"),
    ] {
        if let Err(reason) = programs.lock().provide(program) {
            return Ok(Outcome::Skipped(reason));
        }
    }
    let spread = fleet::simulate_few(&workspace.target.join("debug/certgate"))?;
    println!("{spread}");
    if let Err(error) = spread.check() {
        println!("{error:#}");
        return Ok(Outcome::Ran(Tally::of(false)));
    }
    Ok(Outcome::Ran(Tally::of(true)))
}

/// Checks the lock file of the fuzz targets, which are a separate workspace. The Rust tests run the
/// targets themselves, on the corpus and on mutations of it.
fn fuzz_lock(workspace: &Workspace) -> Result<Outcome> {
    let arguments = [
        "metadata",
        "--locked",
        "--format-version=1",
        "--manifest-path=fuzz/Cargo.toml",
    ];
    let mut command = workspace.cargo(&arguments);
    command.stdout(std::process::Stdio::null());
    Ok(Outcome::Ran(Tally::of(command.status()?.success())))
}

/// Builds the program that the Rust tests run too: other features would compile it again.
fn build(workspace: &Workspace) -> Result<Outcome> {
    let arguments = [
        "test",
        "--quiet",
        "--workspace",
        "--all-features",
        "--no-run",
        "--test=process",
    ];
    let is_built = workspace.cargo(&arguments).status()?.success();
    Ok(Outcome::Ran(Tally::of(is_built)))
}
