//! `cargo xtask docs`: the pages that are generated from the code.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use xtask::sources::{self, limits};

/// Writes docs/limits.md and the pages of error codes. The table of errors is private to
/// its crate, so the test that compares table and pages also writes the pages.
pub fn write() -> Result<ExitCode> {
    let page = sources::root().join("docs/limits.md");
    fs::write(&page, limits::page(&sources::product()?))
        .with_context(|| format!("cannot write {}", page.display()))?;
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
