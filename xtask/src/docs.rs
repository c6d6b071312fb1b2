//! `cargo xtask docs`: the documents that come from the code.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Writes docs/errors.md. The table is private to its crate: the test that compares the two writes the document as well.
pub fn write() -> Result<ExitCode> {
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
