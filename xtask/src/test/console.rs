//! The web console: its types, lints and unit tests, and itself in real browsers.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail, ensure};

use super::programs::{Installer, Program};
use super::session::{Job, Outcome};
use super::tally::Tally;
use super::typescript::{compiled, counted, environment, runner, tests_in};
use super::workspace::Workspace;

/// The browsers, and the program that puts certificates into them.
const BROWSERS: [Program; 3] = [
    Program::new("chromium", &["--version"], "chromium"),
    Program::new("firefox-esr", &["--version"], "firefox-esr"),
    // It has no argument with which it does nothing and succeeds.
    Program::new("sh", &["-c", "command -v pk12util"], "libnss3-tools"),
];

/// Moves the clock of the server in pictures.
const CLOCK: Program = Program::new("faketime", &["--version"], "faketime");

/// Certificates of the data that most tests read.
const CERTIFICATES: u64 = 100_000;

/// The time of the pictures: 2026-11-30T12:00:00Z.
const PICTURES_AT: u64 = 1_796_040_000;

/// Certificates of the data in the pictures.
const PICTURES_OF: u64 = 24_000;

/// A task of `cargo xtask console`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand)]
enum Task {
    /// Check the types and lints of the console, and run its tests, as `cargo xtask test` does
    Test {
        /// Names of test files, such as `bulk`. Without any, all files run
        files: Vec<String>,
    },
    /// Write docs/console/*.png: a picture of each page in both themes, and on a telephone
    Pictures,
    /// Measure the release build in Chromium against the targets of the console
    Measure {
        /// Certificates of the data
        #[arg(long, default_value_t = CERTIFICATES)]
        certificates: u64,
        /// Measure on this data directory, which `cargo xtask bench --keep` filled
        #[arg(long, value_name = "DIR", conflicts_with = "certificates")]
        data: Option<PathBuf>,
    },
}

/// Runs a task by hand.
pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let workspace = Workspace::find();
    let mut installer = Installer::new();
    let folder = match folder(&workspace, &mut installer)? {
        Ok(folder) => folder,
        Err(reason) => bail!(reason),
    };
    let is_done = match arguments.task {
        Task::Test { files } => {
            build(&workspace, &["--bin=certgate"])?;
            let tally = test(&workspace, &folder, &files)?;
            println!("{tally}");
            tally.failed == 0
        }
        Task::Pictures => {
            if let Err(reason) = installer.provide(&CLOCK) {
                bail!(reason);
            }
            build(&workspace, &["--bin=certgate"])?;
            let estate = estate(
                &workspace,
                &folder,
                Profile::Debug,
                PICTURES_OF,
                PICTURES_AT,
            )?;
            let variables = [
                ("CERTGATE_TEST_NOW", PICTURES_AT.to_string().into()),
                (
                    "CERTGATE_PICTURES",
                    workspace.root.join("docs/console").into(),
                ),
            ];
            script(
                &workspace,
                &folder,
                "pictures",
                Profile::Debug,
                &estate,
                &variables,
            )?
        }
        Task::Measure { certificates, data } => {
            build(&workspace, &["--release", "--bin=certgate"])?;
            let profile = Profile::Release;
            match data {
                Some(data) => {
                    let data = std::path::absolute(data)?.into_os_string();
                    let variables = [("CERTGATE_MEASURE_DATA", data)];
                    run_script(&workspace, &folder, "measure", profile, &variables)?
                }
                None => {
                    let estate = estate(&workspace, &folder, profile, certificates, now()?)?;
                    script(&workspace, &folder, "measure", profile, &estate, &[])?
                }
            }
        }
    };
    Ok(match is_done {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Returns the suite.
pub(super) fn suite(workspace: &Workspace) -> Job<'_> {
    Job {
        name: "web console",
        run: Box::new(|programs| {
            let folder = folder(workspace, &mut programs.lock())?;
            Ok(match folder {
                Ok(folder) => Outcome::Ran(test(workspace, &folder, &[])?),
                Err(reason) => Outcome::Skipped(reason),
            })
        }),
    }
}

/// Returns a folder with the tests and their packages, or the reason for which there is none.
fn folder(workspace: &Workspace, installer: &mut Installer) -> Result<Result<PathBuf, String>> {
    for browser in &BROWSERS {
        if let Err(reason) = installer.provide(browser) {
            return Ok(Err(reason));
        }
    }
    environment(workspace, "console", installer)
}

/// Checks the console, and runs the tests of these names, or all.
fn test(workspace: &Workspace, folder: &Path, names: &[String]) -> Result<Tally> {
    let console = workspace.root.join("console");
    let modules = folder.join("node_modules");
    let mut types = Command::new("node");
    types
        .arg(modules.join("typescript/bin/tsc"))
        .arg("--project")
        .arg(&console);
    let mut lints = Command::new("node");
    lints.arg(modules.join("oxlint/bin/oxlint"));
    let mut tally = Tally::default();
    for check in [&mut types, &mut lints] {
        let status = check.current_dir(&console).status()?;
        tally += Tally::of(status.success());
    }
    let units = tests_in(&console.join("tests"))?;
    tally += counted(runner(&console).args(units))?;

    let Some(mut files) = compiled(folder)? else {
        return Ok(tally.with_exit(false));
    };
    let is_wanted = |file: &Path| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        names.is_empty()
            || names
                .iter()
                .any(|wanted| *name == *format!("{wanted}.test.js"))
    };
    files.retain(|file| is_wanted(file));
    ensure!(!files.is_empty(), "tests/console has no such test");
    let estate = estate(workspace, folder, Profile::Debug, CERTIFICATES, now()?)?;
    let mut tests = runner(folder);
    tests
        // Each file has a browser and a server of its own.
        .arg("--test-concurrency=2")
        .args(files)
        .env("CERTGATE_TEST_ESTATE", &estate)
        .env("CERTGATE_TEST_BINARY", binary(workspace, Profile::Debug));
    tally += counted(&mut tests)?;
    // It has the size of all other results together.
    fs::remove_dir_all(&estate)?;
    Ok(tally)
}

/// Runs a script that is not a test on data that [`estate`] made, and removes these. Returns true
/// if it succeeds.
fn script(
    workspace: &Workspace,
    folder: &Path,
    name: &str,
    profile: Profile,
    estate: &Path,
    variables: &[(&str, OsString)],
) -> Result<bool> {
    let mut variables = variables.to_vec();
    variables.push(("CERTGATE_TEST_ESTATE", estate.into()));
    let succeeds = run_script(workspace, folder, name, profile, &variables)?;
    fs::remove_dir_all(estate)?;
    Ok(succeeds)
}

fn run_script(
    workspace: &Workspace,
    folder: &Path,
    name: &str,
    profile: Profile,
    variables: &[(&str, OsString)],
) -> Result<bool> {
    ensure!(
        compiled(folder)?.is_some(),
        "tests/console does not compile"
    );
    let status = Command::new("node")
        .current_dir(folder)
        .arg(format!("built/{name}.js"))
        .env("CERTGATE_TEST_BINARY", binary(workspace, profile))
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .status()?;
    Ok(status.success())
}

/// The profile of a build.
#[derive(Clone, Copy)]
enum Profile {
    Debug,
    Release,
}

fn binary(workspace: &Workspace, profile: Profile) -> PathBuf {
    workspace.target.join(match profile {
        Profile::Debug => "debug/certgate",
        Profile::Release => "release/certgate",
    })
}

fn build(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    let build = ["build", "--quiet", "--workspace", "--all-features"];
    let status = workspace.cargo(&build).args(arguments).status()?;
    ensure!(status.success(), "it does not build");
    Ok(())
}

fn now() -> Result<u64> {
    Ok(std::time::UNIX_EPOCH.elapsed()?.as_secs())
}

/// Makes the data directory of which servers get a copy. Its certificates end at an instant, in
/// Unix seconds.
fn estate(
    workspace: &Workspace,
    folder: &Path,
    profile: Profile,
    certificates: u64,
    until: u64,
) -> Result<PathBuf> {
    let estate = folder.join("estate");
    if estate.exists() {
        fs::remove_dir_all(&estate)?;
    }
    let (flag, examples) = match profile {
        Profile::Debug => (None, "debug/examples"),
        Profile::Release => (Some("--release"), "release/examples"),
    };
    let arguments: Vec<_> = flag.into_iter().chain(["--example=estate"]).collect();
    build(workspace, &arguments)?;
    let made = Command::new(workspace.target.join(examples).join("estate"))
        .arg(format!("--directory={}", estate.display()))
        .arg(format!("--certificates={certificates}"))
        .arg(format!("--until={until}"))
        .output()?;
    let errors = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "no data for the console: {errors}");
    fs::write(estate.with_extension("json"), made.stdout)?;
    Ok(estate)
}
