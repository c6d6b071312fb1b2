//! `cargo xtask docs`: the pages that are generated from the code.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use xtask::sources::{self, limits};

/// Writes the pages of limits and of error codes. The table of errors is private to
/// its crate, so the test that compares table and pages also writes the pages.
pub fn write() -> Result<ExitCode> {
    for (path, text) in limits::pages(&sources::product()?) {
        let page = sources::root().join(path);
        fs::write(&page, text).with_context(|| format!("cannot write {}", page.display()))?;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "test",
            "--quiet",
            "--package",
            "certgate-api",
            "--lib",
            "--all-features",
            "code::tests",
        ])
        .env("CERTGATE_WRITE_DOCS", "1");
    let written = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?
        .success();
    Ok(if written {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
