//! Checks of the repository by programs of others: spelling, dependencies and licences.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::python;
use super::session::{Outcome, Session};
use super::tally::Tally;
use super::workspace::Workspace;

/// A program that cargo builds from its sources.
struct Tool {
    name: &'static str,
    version: &'static str,
}

const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
};

const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Checks the spelling.
pub(super) fn spelling(workspace: &Workspace, session: &mut Session) -> Result<()> {
    session.step("spelling", |installer| {
        let python = match python::environment(workspace, "checks", installer)? {
            Ok(python) => python,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let mut typos = Command::new(python.with_file_name("typos"));
        typos.current_dir(&workspace.root);
        Ok(Outcome::Ran(Tally::of(typos.status()?.success())))
    })?;
    Ok(())
}

/// Searches the folders for the names of the dependencies, without a build.
pub(super) fn unused(workspace: &Workspace) -> Result<Outcome> {
    run(workspace, &MACHETE, &["crates", "xtask", "fuzz"])
}

/// Runs the check whose program takes minutes to build.
pub(super) fn slow(workspace: &Workspace, session: &mut Session) -> Result<()> {
    session.step("licences and sources of dependencies", |_| {
        let arguments = ["--locked", "check", "licenses", "bans", "sources"];
        run(workspace, &DENY, &arguments)
    })?;
    Ok(())
}

/// Installs a tool if it is missing, and runs it in the root.
fn run(workspace: &Workspace, tool: &Tool, arguments: &[&str]) -> Result<Outcome> {
    let Some(program) = install(workspace, tool)? else {
        return Ok(Outcome::Skipped(format!(
            "cargo cannot install {}",
            tool.name
        )));
    };
    let mut command = Command::new(program);
    // With this variable, cargo-machete takes its first argument for its own name.
    command
        .current_dir(&workspace.root)
        .args(arguments)
        .env_remove("CARGO");
    Ok(Outcome::Ran(Tally::of(command.status()?.success())))
}

/// Installs a tool below `target`, in a folder of its version. Returns its program.
fn install(workspace: &Workspace, tool: &Tool) -> Result<Option<PathBuf>> {
    let Tool { name, version } = tool;
    let root = workspace
        .target
        .join("tools")
        .join(format!("{name}-{version}"));
    let program = root.join("bin").join(name);
    if program.exists() {
        return Ok(Some(program));
    }
    println!("building {name} {version}");
    // A debug build takes a third of the time, and these checks take seconds.
    let mut command = workspace.cargo(&["install", "--quiet", "--locked", "--debug", "--root"]);
    command.arg(&root).arg(format!("{name}@{version}"));
    Ok(command.status()?.success().then_some(program))
}
