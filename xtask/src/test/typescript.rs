//! The tests with the TypeScript SDK: compiled strictly and run by Node.js, against the built program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::programs::{Installer, Program};
use super::tally::Tally;
use super::{Outcome, Session, Workspace, lines};

const PROGRAMS: [Program; 3] = [
    Program {
        name: "openssl",
        probe: &["version"],
        package: "openssl",
    },
    // 20 is the first whose test runner has reporters that are told where to write.
    Program {
        name: "node",
        probe: &[
            "-e",
            "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)",
        ],
        package: "nodejs",
    },
    Program {
        name: "npm",
        probe: &["--version"],
        package: "npm",
    },
];

/// Runs the suite.
pub(super) fn suite(workspace: &Workspace, session: &mut Session) -> Result<()> {
    session.step(
        "tests from outside, TypeScript SDK 7",
        |installer| match environment(workspace, installer)? {
            Ok(place) => run(workspace, &place),
            Err(why) => Ok(Outcome::Skipped(why)),
        },
    )?;
    Ok(())
}

/// A directory with the tests and the packages of the lock file; otherwise why there is none. Packages are looked for
/// above the file that imports them: the tests are copied, so that nothing is installed among the sources.
fn environment(
    workspace: &Workspace,
    installer: &mut Installer,
) -> Result<Result<PathBuf, String>> {
    for program in &PROGRAMS {
        if let Err(why) = installer.provide(program) {
            return Ok(Err(why));
        }
    }
    let place = workspace.target.join("typescript");
    let sources = workspace.root.join("tests/typescript");
    fs::create_dir_all(&place)?;
    // What an earlier state of the tests left must not run.
    forget_tests(&place)?;
    for entry in
        fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))?
    {
        let entry = entry?;
        fs::copy(entry.path(), place.join(entry.file_name()))?;
    }
    let wanted = fs::read(place.join("package-lock.json"))?;
    // Written last: an environment without it is unfinished.
    let stamp = place.join("installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(place));
    }
    println!(
        "installing the packages of {} into {}",
        sources.display(),
        place.display()
    );
    let mut npm = Command::new("npm");
    npm.current_dir(&place).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    if !npm.status()?.success() {
        return Ok(Err(
            "its packages could not be installed; is the package index within reach?".to_owned(),
        ));
    }
    fs::write(&stamp, wanted)?;
    Ok(Ok(place))
}

fn forget_tests(place: &Path) -> Result<()> {
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ts") {
            fs::remove_file(path)?;
        }
    }
    let built = place.join("built");
    if built.exists() {
        fs::remove_dir_all(built)?;
    }
    Ok(())
}

fn run(workspace: &Workspace, place: &Path) -> Result<Outcome> {
    let mut compiler = Command::new("node");
    compiler
        .current_dir(place)
        .arg("node_modules/typescript/bin/tsc");
    if !compiler.status()?.success() {
        return Ok(Outcome::Ran(Tally::of(false)));
    }
    let mut command = Command::new("node");
    command
        .current_dir(place)
        .arg("--test")
        // One report for people, one to count.
        .args(["--test-reporter=spec", "--test-reporter-destination=stderr"])
        .args(["--test-reporter=tap", "--test-reporter-destination=stdout"])
        .args(test_files(place)?)
        .env(
            "CERTGATE_TEST_RECIPES",
            workspace.root.join("docs/recipes.md"),
        )
        .env(
            "CERTGATE_TEST_BINARY",
            workspace.target.join("debug/certgate"),
        );
    let mut tally = Tally::default();
    let succeeded = lines(&mut command, |line| {
        tally += Tally::from_node(line).unwrap_or_default()
    })?;
    // A run that found no test tested nothing.
    let found = tally != Tally::default();
    Ok(Outcome::Ran(tally.with_exit(succeeded && found)))
}

/// The compiled tests, by name: what a pattern or a directory means differs between the versions of Node.js.
fn test_files(place: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(place.join("built"))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.js") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
