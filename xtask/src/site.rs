//! `cargo xtask site`: the documentation as a site that browsers can search.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use xtask::index;

use crate::test::tools;
use crate::test::workspace::Workspace;

/// The settings of mdBook. The links of the pages lead to files of the repository too, so the
/// sources of the site have its folders.
const SETTINGS: &str = "\
[book]
title = \"certgate\"
language = \"en\"

[build]
create-missing = false
use-default-preprocessors = false

[output.html]
no-section-label = true
";

/// The files and folders that the site has.
const CONTENT: [&str; 9] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "deploy",
    "docs",
];

/// Builds the site in `target/site`.
pub fn build() -> Result<ExitCode> {
    let workspace = Workspace::find();
    let program =
        tools::install(&workspace, &tools::MDBOOK)?.context("cargo cannot install mdbook")?;
    let book = workspace.target.join("site-sources");
    if book.exists() {
        fs::remove_dir_all(&book)?;
    }
    let sources = book.join("src");
    for name in CONTENT {
        copy(&workspace.root.join(name), &sources.join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    fs::write(book.join("book.toml"), SETTINGS)?;
    fs::write(sources.join("SUMMARY.md"), index::summary(&workspace.root)?)?;
    let site = workspace.target.join("site");
    let built = Command::new(program)
        .arg("build")
        .arg("--dest-dir")
        .arg(&site)
        .arg(&book)
        .status()?
        .success();
    ensure!(built, "mdbook failed");
    println!("{}", site.join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

/// Copies a file or a folder.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
    fs::copy(from, to)?;
    Ok(())
}
