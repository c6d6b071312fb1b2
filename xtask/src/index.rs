//! The index of the documentation, `docs/README.md`, as the chapters of a book.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Pages of the repository that follow the documentation.
const PROJECT: [&str; 4] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];

/// A section of the index.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// The pages below `docs` that it links and that no earlier section links, in their order.
    pub pages: Vec<String>,
}

/// Returns the sections of the text of the index.
pub fn sections(index: &str) -> Vec<Section> {
    let mut known = BTreeSet::new();
    let mut sections = Vec::new();
    for part in index.split("\n## ").skip(1) {
        let (title, text) = part.split_once('\n').unwrap_or((part, ""));
        let targets = text.split("](").skip(1);
        let pages = targets
            .filter_map(|rest| rest.split_once(')'))
            .map(|(target, _)| target.split('#').next().unwrap_or(target))
            .filter(|page| page.ends_with(".md") && !page.starts_with("../"))
            .filter(|page| known.insert((*page).to_owned()))
            .map(str::to_owned)
            .collect();
        let title = title.to_owned();
        sections.push(Section { title, pages });
    }
    sections
}

/// Returns the list of chapters that mdBook reads, `SUMMARY.md`, of the pages below a folder.
///
/// # Errors
///
/// If a page cannot be read or has no heading.
pub fn summary(root: &Path) -> Result<String> {
    let index = fs::read_to_string(root.join("docs/README.md"))?;
    let mut text =
        "# Summary\n\n[certgate](README.md)\n[Documentation](docs/README.md)\n".to_owned();
    for Section { title, pages } in sections(&index) {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n# {title}\n\n");
        for page in pages {
            let path = format!("docs/{page}");
            let _ = writeln!(text, "- [{}]({path})", heading(&root.join(&path))?);
        }
    }
    let _ = write!(text, "\n# The project\n\n");
    for page in PROJECT {
        let _ = writeln!(text, "- [{}]({page})", heading(&root.join(page))?);
    }
    Ok(text)
}

/// Returns the heading of a page.
fn heading(page: &Path) -> Result<String> {
    let shown = page.display();
    let text = fs::read_to_string(page).with_context(|| format!("cannot read {shown}"))?;
    let first = text.lines().next().and_then(|line| line.strip_prefix("# "));
    Ok(first
        .with_context(|| format!("{shown} does not begin with a heading"))?
        .to_owned())
}
