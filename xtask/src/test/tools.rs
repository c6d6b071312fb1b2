//! Checks of the repository by programs of others: spelling, links, dependencies and licences.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::programs::Installer;
use super::python;
use super::session::{Outcome, Session};
use super::tally::Tally;
use super::workspace::Workspace;

/// A program that cargo builds from its sources.
pub(crate) struct Tool {
    name: &'static str,
    version: &'static str,
    /// More arguments of `cargo install`.
    arguments: &'static [&'static str],
}

const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    arguments: &[],
};

const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    arguments: &[],
};

/// Makes the site of the documentation. Its server is not needed.
pub(crate) const MDBOOK: Tool = Tool {
    name: "mdbook",
    version: "0.5.4",
    arguments: &["--no-default-features", "--features", "search"],
};

/// The pages whose links are checked: lychee reads the patterns.
const PAGES: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/**/*.md",
];

/// Checks the spelling of every file, and that each link of a page leads to a file and a heading
/// that exist. Addresses of other sites are not asked.
pub(super) fn texts(workspace: &Workspace, session: &mut Session) -> Result<()> {
    session.step("spelling", |installer| {
        check(workspace, installer, "typos", &[])
    })?;
    session.step("links", |installer| {
        let mut arguments = vec!["--offline", "--include-fragments", "--no-progress"];
        arguments.extend(PAGES);
        check(workspace, installer, "lychee", &arguments)
    })?;
    Ok(())
}

/// Runs a program of the Python environment `checks` in the root.
fn check(
    workspace: &Workspace,
    installer: &mut Installer,
    program: &str,
    arguments: &[&str],
) -> Result<Outcome> {
    let python = match python::environment(workspace, "checks", installer)? {
        Ok(python) => python,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let mut command = Command::new(python.with_file_name(program));
    command.current_dir(&workspace.root).args(arguments);
    Ok(Outcome::Ran(Tally::of(command.status()?.success())))
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
pub(crate) fn install(workspace: &Workspace, tool: &Tool) -> Result<Option<PathBuf>> {
    let Tool {
        name,
        version,
        arguments,
    } = tool;
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
    command
        .arg(&root)
        .arg(format!("{name}@{version}"))
        .args(*arguments);
    Ok(command.status()?.success().then_some(program))
}
