//! `cargo xtask bench` measures the build of the `dist` profile, and prints a table and plots of
//! the figures.
//!
//! Most figures also stand as a ratio to another figure of the same run.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures elapsed time"
)]

mod arguments;
mod attack;
mod bulk;
mod crl;
mod crypto;
mod device;
mod document;
mod enrol;
mod figures;
mod fill;
pub(crate) mod fleet;
mod hostile;
mod http;
mod inputs;
mod installation;
mod issue;
mod keeper;
mod list;
mod machine;
mod ocsp;
mod peers;
mod plot;
mod postgres;
mod report;
mod revocation;
mod run;
mod search;
mod served;
mod server;
mod size;
mod sql;
mod statistics;
mod svg;
mod system;
mod units;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, bail, ensure};
use xtask::sources::root;

pub use self::arguments::Arguments;
use self::arguments::{Beside, Databases};
use self::keeper::Keeper;
use self::run::{CLUSTER, Run};

/// The profile of Cargo.toml whose programs are measured and published.
const PROFILE: &str = "dist";

/// Builds everything with [`PROFILE`] and measures it. With `--plot`, draws earlier figures
/// instead.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.attack {
        return attack::run();
    }
    if let Some(path) = &arguments.plot {
        return document::write(path);
    }
    let peers = arguments.beside.as_ref().map(|Beside::Peers(peers)| peers);
    if let Some(path) = peers.and_then(|peers| peers.plot.as_ref()) {
        return peers::table::write(path);
    }
    if !arguments.inner {
        return run_optimised();
    }
    let binary = root().join("target").join(PROFILE).join("certgate");
    if let Some(peers) = peers {
        return peers::run(peers, binary, directory_in(&std::env::temp_dir())?);
    }
    let programs = match arguments.database {
        Some(Databases::Sqlite) => None,
        None | Some(Databases::Postgres | Databases::Both) => postgres::programs(),
    };
    match (arguments.database, &programs) {
        (Some(Databases::Postgres | Databases::Both), None) => {
            bail!("PostgreSQL is not installed: install it, or choose --database sqlite")
        }
        (None, None) => eprintln!("PostgreSQL is not installed: SQLite alone is measured"),
        _ => {}
    }
    let parent = arguments
        .directory
        .clone()
        .unwrap_or_else(std::env::temp_dir);
    let temporary = directory_in(&parent)?;
    // Not below `parent`: the address of a socket has at most about a hundred characters (unix(7)).
    let sockets = directory_in(&std::env::temp_dir())?;
    let directory = std::path::absolute(arguments.keep.as_ref().unwrap_or(&temporary))?;
    let run = Run {
        binary,
        keeper: Rc::new(Keeper::start(
            &directory.join(CLUSTER),
            &[&temporary, &sockets],
        )?),
        directory,
        arguments,
    };
    // The client has one thread, because it shares the processors with the server.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run.all(programs, &sockets))
}

/// Makes a new directory. The keeper removes it, because this process may be killed.
fn directory_in(parent: &Path) -> anyhow::Result<PathBuf> {
    let made = tempfile::Builder::new()
        .prefix("certgate-bench-")
        .tempdir_in(parent);
    let made = made
        .with_context(|| format!("cannot make a directory in {}", parent.display()))?
        .keep();
    // If this process is root, PostgreSQL runs as another user and has its directory in this one.
    std::fs::set_permissions(&made, PermissionsExt::from_mode(0o711))?;
    Ok(made)
}

/// Replaces this process with an optimised build, so that the user has one process to stop.
fn run_optimised() -> anyhow::Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let build = Command::new(&cargo)
        .args(["build", "--profile", PROFILE, "--package", "certgate"])
        .status()?;
    ensure!(build.success(), "the server does not build");
    let own = std::env::args_os().skip(1);
    let mut run = Command::new(&cargo);
    run.args(["run", "--quiet", "--profile", PROFILE])
        .args(["--package", "xtask", "--"])
        .args(own)
        .arg("--inner");
    Err(run.exec()).context("cannot run cargo")
}
