//! README.md and docs/: short pages, narrow tables and a complete index. `cargo xtask test` checks
//! the links with lychee.

#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use xtask::index;
use xtask::sources::{self, limits};

/// Most words of a page: about six minutes of reading.
const WORDS_MAX: usize = 1_500;

/// Widest row of a table, in characters: a terminal beside an editor shows it.
const TABLE_COLUMNS_MAX: usize = 100;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// The text of each page, by its path below the root.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for folder in ["", "docs"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
                pages.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    pages
}

/// The lines of a page that are not code.
fn prose(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            lines.push(line);
        }
    }
    lines
}

/// Adds the paths of the pages in a folder below `docs`, relative to it.
fn add_pages(folder: &Path, pages: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_pages(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let page = path.strip_prefix(root().join("docs")).unwrap();
            pages.insert(page.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn the_index_links_every_page() {
    let mut pages = BTreeSet::new();
    add_pages(&root().join("docs"), &mut pages);
    assert!(pages.remove("README.md"));
    let text = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let sections = index::sections(&text);
    let linked: BTreeSet<String> = sections.into_iter().flat_map(|one| one.pages).collect();
    assert_eq!(linked, pages);
    let summary = index::summary(root()).unwrap();
    assert!(summary.contains("- [Use PostgreSQL](docs/postgresql.md)\n"));
}

#[test]
fn pages_are_short_and_tables_are_narrow() {
    for (page, text) in pages() {
        if page == "CHANGELOG.md" {
            continue;
        }
        let words = text
            .split_whitespace()
            .filter(|word| word.contains(char::is_alphanumeric))
            .count();
        assert!(
            words <= WORDS_MAX,
            "{page} has {words} words: split it by question"
        );
        for line in prose(&text) {
            let width = line.chars().count();
            assert!(
                !line.trim_start().starts_with('|') || width <= TABLE_COLUMNS_MAX,
                "{page}: a row has {width} columns, use a list: {line}"
            );
        }
    }
}

#[test]
fn each_alert_has_an_entry() {
    let rules = fs::read_to_string(root().join("deploy/prometheus/certgate.rules.yml")).unwrap();
    let alerts: Vec<_> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() >= 9, "{alerts:?}");
    let pages = pages();
    for alert in alerts {
        let heading = format!("\n### {alert}\n");
        assert!(
            pages["docs/alerts.md"].contains(&heading),
            "docs/alerts.md lacks {alert}"
        );
    }
}

#[test]
fn each_limit_can_be_understood_alone() {
    let pages = limits::pages(&sources::product().unwrap());
    let rows = pages.iter().flat_map(|(_, text)| text.lines());
    let rows = rows.filter(|line| line.starts_with("- "));
    let unclear = |row: &&str| {
        let has_open_bracket = row.matches('(').count() != row.matches(')').count();
        let (meaning, value) = row.rsplit_once(": ").unwrap();
        let refers = ["The same", "these", "those", "the thread"];
        has_open_bracket
            || value.starts_with('`')
            || refers.iter().any(|word| meaning.contains(word))
    };
    let unclear: Vec<_> = rows.filter(unclear).collect();
    assert!(
        unclear.is_empty(),
        "complete the first sentence at each constant: {unclear:#?}"
    );
}

#[test]
fn the_list_of_limits_is_that_of_the_code() {
    let pages = pages();
    let expected = limits::pages(&sources::product().unwrap());
    for (path, text) in &expected {
        assert_eq!(pages[*path], *text, "run `cargo xtask docs`");
    }
    // A limit of each crate, a product, a shift, and a value of several lines.
    for row in [
        "- Longest accepted request, in bytes of PEM: 16,384",
        "- Largest prime that an RSA modulus is divided by: 65,536",
        "- Open connections of a listener of `authz`: 10,000",
    ] {
        let mut lines = expected.iter().flat_map(|(_, text)| text.lines());
        assert!(lines.any(|line| line == row), "{row}");
    }
}

/// Paths in code spans, each with the function that is named after it, as in "`a/src/b.rs`, `f`" and
/// "`a/src/b.rs` (`f`)".
fn named_paths(text: &str) -> Vec<(String, Option<String>)> {
    let prose = prose(text).join(" ");
    // Every second part is a code span.
    let parts: Vec<&str> = prose.split('`').collect();
    let spans = (1..parts.len()).step_by(2);
    spans
        .filter(|&at| parts[at].contains('/') && !parts[at].contains(' '))
        .map(|at| {
            let is_named = matches!(parts.get(at + 1).map(|text| text.trim()), Some("(" | ","));
            let name = parts
                .get(at + 2)
                .filter(|name| is_named && !name.contains('/'));
            (parts[at].to_owned(), name.map(|name| (*name).to_owned()))
        })
        .collect()
}

#[test]
fn the_architecture_names_files_and_functions_that_exist() {
    let pages = pages();
    let text = &pages["ARCHITECTURE.md"];
    assert!(
        text.lines().count() <= 150,
        "ARCHITECTURE.md is longer than 150 lines"
    );
    let mut found = 0;
    let mut missing = Vec::new();
    for (path, name) in named_paths(text) {
        let file = [root().join("crates").join(&path), root().join(&path)]
            .into_iter()
            .find(|file| file.exists());
        match (file, name) {
            (None, _) => missing.push(path),
            (Some(file), Some(name)) => {
                let source = fs::read_to_string(file).unwrap();
                if !source.contains(&format!("fn {name}")) {
                    missing.push(format!("{name} in {path}"));
                }
            }
            (Some(_), None) => {}
        }
        found += 1;
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:#?}");
    assert!(
        found >= 20,
        "only {found} paths are found in ARCHITECTURE.md"
    );
}

/// Replaces the names of parameters, which differ between pages.
fn without_names(path: &str) -> String {
    let parts: Vec<_> = path
        .split('{')
        .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest))
        .collect();
    parts.join("{}")
}

/// Each paragraph of the routes names the base of its paths: "below `/client/v4`".
#[test]
fn the_page_of_the_api_has_each_route_with_its_base_path() {
    let snapshot = root().join("crates/api/tests/snapshots/openapi.snap");
    let snapshot = fs::read_to_string(snapshot).unwrap();
    let document = snapshot.splitn(3, "---\n").nth(2).unwrap();
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let page = fs::read_to_string(root().join("docs/api.md")).unwrap();
    let routes = page.split("\n## ").find(|part| part.starts_with("Routes"));
    let mut known = BTreeSet::new();
    // The ends of paths that a page begins with "…", with the base before them.
    let mut ends = Vec::new();
    for paragraph in routes.unwrap().split("\n**") {
        let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let base = text.split_once(" below `").map_or("", |(_, rest)| rest);
        let base = without_names(base.split('`').next().unwrap());
        for code in text.split('`').skip(1).step_by(2) {
            match code.strip_prefix('…') {
                Some(end) => ends.push((base.clone(), without_names(end))),
                None => drop(known.insert(base.clone() + &without_names(code))),
            }
        }
    }
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "{}", paths.len());
    for path in paths.keys() {
        let plain = without_names(path);
        let is_end =
            |(base, end): &(String, String)| plain.starts_with(base) && plain.ends_with(end);
        assert!(
            known.contains(&plain) || ends.iter().any(is_end),
            "docs/api.md lacks {path}, or has it with another base path"
        );
    }
}
