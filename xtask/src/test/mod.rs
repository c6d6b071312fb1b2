//! `cargo xtask test`: everything that can be checked, and one line that says how it went.

mod programs;
mod python;
mod tally;
mod typescript;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use self::tally::Tally;
use crate::fuzz;

/// Seconds for each fuzz target: from the kept corpus on, a few hundred thousand executions.
const FUZZ_SECONDS: u32 = 10;

/// Runs everything. The last line on standard output is `N passed, N failed`, and `, N skipped` if anything was.
pub fn run() -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let mut session = Session::from_environment();

    session.step("format", |_| {
        workspace.component("rustfmt", &["fmt", "--all", "--check"])
    })?;
    session.step("lints", |_| {
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
    })?;
    session.step("Rust tests", |programs| {
        // Debian keeps its programs off the path. Where it cannot be had, the tests that need it say so.
        let postgresql = programs::Program {
            name: "sh",
            probe: &[
                "-c",
                "command -v pg_ctl || ls /usr/lib/postgresql/*/bin/pg_ctl",
            ],
            package: "postgresql",
        };
        let _ = programs.provide(&postgresql);
        workspace.rust_tests()
    })?;
    session.step("fuzzing", fuzzing)?;
    let built = session.step("certgate for the tests from outside", |_| {
        let build = [
            "build",
            "--quiet",
            "--package",
            "certgate",
            "--features",
            "fault-points",
        ];
        let built = workspace.cargo(&build).status()?.success();
        Ok(Outcome::Ran(Tally::of(built)))
    })?;
    // Without the program there is nothing to test from outside, and the failure is counted already.
    if built {
        python::suites(&workspace, &mut session)?;
        typescript::suite(&workspace, &mut session)?;
    }

    println!("\n{}", session.tally);
    Ok(if session.tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A finding fails, and so does what does not build; each target counts.
fn fuzzing(programs: &mut programs::Installer) -> Result<Outcome> {
    // libFuzzer is built from its sources.
    let compiler = programs::Program {
        name: "c++",
        probe: &["--version"],
        package: "g++",
    };
    if let Err(why) = programs.provide(&compiler) {
        return Ok(Outcome::Skipped(why));
    }
    let held = fuzz::each(&fuzz::Arguments {
        seconds: FUZZ_SECONDS,
        target: None,
        keep: false,
    });
    let mut tally = Tally::default();
    match held {
        Ok(held) => held.into_iter().for_each(|held| tally += Tally::of(held)),
        Err(error) => {
            println!("{error:#}");
            tally += Tally::of(false);
        }
    }
    Ok(Outcome::Ran(tally))
}

/// What a step has to tell.
enum Outcome {
    /// It ran.
    Ran(Tally),
    /// It could not run, and why.
    Skipped(String),
}

/// The steps so far.
struct Session {
    tally: Tally,
    /// Whether what cannot be run is a failure.
    require_all: bool,
    /// What the environment lacks is told once.
    programs: programs::Installer,
}

impl Session {
    fn from_environment() -> Self {
        let require_all =
            std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
        Self {
            tally: Tally::default(),
            require_all,
            programs: programs::Installer::new(),
        }
    }

    /// Runs a step; whether it ran without a failure.
    #[expect(clippy::disallowed_methods, reason = "tells how long the step took")]
    fn step(
        &mut self,
        name: &str,
        run: impl FnOnce(&mut programs::Installer) -> Result<Outcome>,
    ) -> Result<bool> {
        println!("\n==> {name}");
        let started = Instant::now();
        let tally = match run(&mut self.programs)
            .with_context(|| format!("cannot run the step \"{name}\""))?
        {
            Outcome::Ran(tally) => tally,
            Outcome::Skipped(why) => {
                let verdict = if self.require_all {
                    "FAILED"
                } else {
                    "SKIPPED"
                };
                println!("{verdict}: {name} did not run: {why}");
                Tally::not_run(self.require_all)
            }
        };
        println!(
            "==> {name}: {tally} ({:.1} s)",
            started.elapsed().as_secs_f64()
        );
        self.tally += tally;
        Ok(tally.failed == 0 && tally.skipped == 0)
    }
}

/// Where the sources are, where what is built goes, and the cargo that runs this.
struct Workspace {
    root: PathBuf,
    target: PathBuf,
    cargo: PathBuf,
}

impl Workspace {
    fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .parent()
            .context("xtask lies in the workspace")?
            .to_owned();
        let cargo = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
        let target =
            root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
        Ok(Self {
            root,
            target,
            cargo,
        })
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Runs a cargo command of a component of the toolchain, which is installed if rustup can do that.
    fn component(&self, component: &str, arguments: &[&str]) -> Result<Outcome> {
        let command = arguments.first().context("a cargo command")?;
        if !programs::answers(self.cargo(&[command, "--version"])) {
            let mut rustup = Command::new("rustup");
            rustup
                .current_dir(&self.root)
                .args(["component", "add", component]);
            if !rustup.status().is_ok_and(|status| status.success()) {
                return Ok(Outcome::Skipped(format!(
                    "install it with: rustup component add {component}"
                )));
            }
        }
        Ok(Outcome::Ran(Tally::of(
            self.cargo(arguments).status()?.success(),
        )))
    }

    fn rust_tests(&self) -> Result<Outcome> {
        let mut command = self.cargo(&[
            "test",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
            "--color",
            "never",
        ]);
        // A snapshot that differs must fail, not be written anew.
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
}

/// Runs a command and hands over each line of its standard output as it comes; whether it succeeded.
fn lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let output = child.stdout.take().context("standard output is piped")?;
    for text in BufReader::new(output).split(b'\n') {
        line(String::from_utf8_lossy(&text?).trim_end());
    }
    Ok(child.wait()?.success())
}
