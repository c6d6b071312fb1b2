//! The workspace, and commands in it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use xtask::sources::root;

use super::failures::Failures;
use super::programs;
use super::session::Outcome;
use super::tally::Tally;

/// The folders of the workspace, and the cargo that runs this program.
pub(crate) struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    cargo: PathBuf,
}

impl Workspace {
    /// Finds the workspace in which this program was built.
    pub fn find() -> Self {
        let variable = |name, default: &str| std::env::var_os(name).unwrap_or(default.into());
        Self {
            root: root().to_owned(),
            target: root().join(variable("CARGO_TARGET_DIR", "target")),
            cargo: variable("CARGO", "cargo").into(),
        }
    }

    /// Returns a cargo command that runs in the root.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root).args(arguments);
        command
    }

    /// Runs a cargo command of a component of the toolchain. Installs the component if rustup can.
    pub(super) fn component(&self, component: &str, arguments: &[&str]) -> Result<Outcome> {
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
        let succeeded = self.cargo(arguments).status()?.success();
        Ok(Outcome::Ran(Tally::of(succeeded)))
    }
}

/// Runs the tests of a suite and passes on each line of its standard output. Returns true if it
/// succeeded.
pub(super) fn lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    let output = child.stdout.take().context("standard output is piped")?;
    let mut failures = Failures::default();
    for text in BufReader::new(output).split(b'\n') {
        let text = text?;
        let text = String::from_utf8_lossy(&text);
        failures.read(text.trim_end());
        line(text.trim_end());
    }
    failures.keep();
    Ok(child.wait()?.success())
}
