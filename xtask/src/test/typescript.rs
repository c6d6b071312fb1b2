//! Tests in TypeScript, compiled strictly and run by Node.js against the built program, and those of
//! them with the TypeScript SDK.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::programs::{Installer, Program};
use super::session::{Job, Outcome};
use super::tally::Tally;
use super::workspace::{Workspace, lines};

/// Programs of every test in TypeScript.
const PROGRAMS: [Program; 3] = [
    Program::new("openssl", &["version"], "openssl"),
    // The test runner of version 20 is the first with destinations for reporters.
    Program::new(
        "node",
        &[
            "-e",
            "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)",
        ],
        "nodejs",
    ),
    Program::new("npm", &["--version"], "npm"),
];

/// Returns the suite with the SDK.
pub(super) fn suite(workspace: &Workspace) -> Job<'_> {
    Job {
        name: "tests from outside, TypeScript SDK 7",
        run: Box::new(|programs| {
            let folder = environment(workspace, "typescript", &mut programs.lock())?;
            match folder {
                Ok(folder) => run(workspace, &folder),
                Err(reason) => Ok(Outcome::Skipped(reason)),
            }
        }),
    }
}

/// Returns a folder with the tests in `tests/<name>` and the packages of their lock file, or the
/// reason for which there is none.
///
/// Node.js looks for packages above the file that imports them. The tests are copied, so that
/// packages are not installed among the sources.
pub(super) fn environment(
    workspace: &Workspace,
    name: &str,
    installer: &mut Installer,
) -> Result<Result<PathBuf, String>> {
    for program in &PROGRAMS {
        if let Err(reason) = installer.provide(program) {
            return Ok(Err(reason));
        }
    }
    let folder = workspace.target.join(name);
    let sources = workspace.root.join("tests").join(name);
    fs::create_dir_all(&folder)?;
    // Tests that exist no longer must not run.
    remove_tests(&folder)?;
    for entry in
        fs::read_dir(&sources).with_context(|| format!("cannot read {}", sources.display()))?
    {
        let entry = entry?;
        fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    let wanted = fs::read(folder.join("package-lock.json"))?;
    // This file is written last: a folder without it is unfinished.
    let stamp = folder.join("installed.json");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ok(folder));
    }
    println!(
        "installing the packages of {} into {}",
        sources.display(),
        folder.display()
    );
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    if !npm.status()?.success() {
        return Ok(Err(
            "its packages could not be installed: check that npm reaches its registry".to_owned(),
        ));
    }
    fs::write(&stamp, wanted)?;
    Ok(Ok(folder))
}

fn remove_tests(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ts") {
            fs::remove_file(path)?;
        }
    }
    let built = folder.join("built");
    if built.exists() {
        fs::remove_dir_all(built)?;
    }
    Ok(())
}

fn run(workspace: &Workspace, folder: &Path) -> Result<Outcome> {
    let Some(files) = compiled(folder)? else {
        return Ok(Outcome::Ran(Tally::of(false)));
    };
    let mut command = runner(folder);
    command
        .args(files)
        .env(
            "CERTGATE_TEST_RECIPES",
            workspace.root.join("docs/recipes.md"),
        )
        .env(
            "CERTGATE_TEST_BINARY",
            workspace.target.join("debug/certgate"),
        );
    Ok(Outcome::Ran(counted(&mut command)?))
}

/// Compiles the tests of a folder. Returns their files by name, or [`None`] if they do not compile.
///
/// Versions of Node.js differ in the meaning of a pattern or a folder.
pub(super) fn compiled(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let mut compiler = Command::new("node");
    compiler
        .current_dir(folder)
        .arg("node_modules/typescript/bin/tsc");
    if !compiler.status()?.success() {
        return Ok(None);
    }
    tests_in(&folder.join("built")).map(Some)
}

/// Returns the tests in a folder, by name.
pub(super) fn tests_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.js") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Returns a command that runs the tests of the files that are added to it.
pub(super) fn runner(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command
        .current_dir(folder)
        .arg("--test")
        // One report is for people, the other one is counted.
        .args(["--test-reporter=spec", "--test-reporter-destination=stderr"])
        .args(["--test-reporter=tap", "--test-reporter-destination=stdout"]);
    command
}

/// Runs tests and counts them. A run without a test is a failure.
pub(super) fn counted(command: &mut Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let succeeded = lines(command, |line| {
        tally += Tally::from_node(line).unwrap_or_default()
    })?;
    let found = tally != Tally::default();
    Ok(tally.with_exit(succeeded && found))
}
