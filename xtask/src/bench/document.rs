//! The table, and what docs/performance.md has of the figures.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::figures::{Database, Figure, Figures, What};
use super::machine::Machine;
use super::plot;
use super::units::{cell, thousands};

const BEGIN: &str = "<!-- Begin of what `cargo xtask bench --plot` writes. -->";
const END: &str = "<!-- End of what `cargo xtask bench --plot` writes. -->";

/// Puts the figures of a file into docs/performance.md, and the plots and the file itself beside it.
pub fn write(path: &Path) -> anyhow::Result<()> {
    let figures = Figures::read(path)?;
    let docs = super::root().join("docs");
    let directory = docs.join("performance");
    std::fs::create_dir_all(&directory)?;
    // Read before: it may be the same file.
    let lines = std::fs::read(path)?;
    std::fs::write(directory.join("figures.jsonl"), lines)?;
    let mut written = runs(&figures.machines);
    write!(written, "\n{}", table(&figures))?;
    for (file, words, svg) in plot::all(&figures) {
        std::fs::write(directory.join(file), svg)?;
        write!(written, "\n![{words}](performance/{file})\n")?;
    }
    let page = docs.join("performance.md");
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .with_context(|| format!("no line {BEGIN:?}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("no line {END:?}"))?;
    std::fs::write(&page, format!("{before}{BEGIN}\n\n{written}\n{END}{after}"))?;
    eprintln!("written: {} and {}", page.display(), directory.display());
    Ok(())
}

/// When and where it was measured, a line for each run.
fn runs(machines: &[Machine]) -> String {
    let mut text = String::new();
    for machine in machines {
        let Machine {
            at,
            commit,
            rust,
            processors,
            memory_bytes,
            system,
            postgres,
            sqlite,
            seconds,
        } = machine;
        let memory = memory_bytes >> 30;
        let _ = write!(
            text,
            "- {at}, commit {commit}, `--seconds {seconds}`: {processors}, {memory} GiB, {system}, {rust}, {sqlite}"
        );
        text.push_str(
            &postgres
                .as_ref()
                .map(|postgres| format!("; {postgres}"))
                .unwrap_or_default(),
        );
        text.push('\n');
    }
    text
}

/// A row for each thing that was measured, a column for each database and size.
pub fn table(figures: &Figures) -> String {
    let listed: Vec<_> = figures
        .figures
        .iter()
        .filter(|figure| figure.which.is_some())
        .collect();
    let columns: BTreeSet<(u64, Database)> = listed
        .iter()
        .map(|figure| (figure.certificates, figure.database))
        .collect();
    let mut rows: Vec<(What, &str)> = Vec::new();
    for figure in &listed {
        let row = row_of(figure);
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let mut text = "| what | ratio to |".to_owned();
    for (certificates, database) in &columns {
        let _ = write!(
            text,
            " {}, {} |",
            database.name(),
            thousands(*certificates as f64)
        );
    }
    text.push_str(&format!("\n|---|---|{}\n", "---|".repeat(columns.len())));
    for row in rows {
        let (label, unit, ratio_to) = row.0.describe();
        let separator = if row.1.is_empty() { "" } else { ": " };
        let of_row = |figure: &&&Figure| row_of(figure) == row;
        let has_ratio = listed
            .iter()
            .filter(of_row)
            .any(|figure| figure.ratio.is_some());
        let _ = write!(
            text,
            "| {label}{separator}{} | {} |",
            row.1,
            if has_ratio { ratio_to } else { "" }
        );
        for column in &columns {
            let found = listed
                .iter()
                .filter(of_row)
                .find(|figure| (figure.certificates, figure.database) == *column);
            let cell = found.map(|figure| cell(figure, unit).replace("; ", "<br>"));
            let _ = write!(text, " {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn row_of(figure: &Figure) -> (What, &str) {
    (figure.what, figure.which.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures;

    #[test]
    fn of_each_figure_the_last_one_is_in_the_table() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("figures.jsonl");
        let machine = Machine {
            at: "2026-11-25T18:00:00Z".to_owned(),
            commit: "first".to_owned(),
            rust: "rustc".to_owned(),
            processors: "2 × some".to_owned(),
            memory_bytes: 24 << 30,
            system: "Linux".to_owned(),
            postgres: None,
            sqlite: "SQLite".to_owned(),
            seconds: 5,
        };
        for (commit, page, ratio) in [("first", 3e-4, 2.0), ("second", 2.5e-4, 1.25)] {
            let file = figures::begin(
                &path,
                &Machine {
                    commit: commit.to_owned(),
                    ..machine.clone()
                },
            )
            .unwrap();
            let mut report = figures::Report::new(&file, Database::Postgres, 10_000).unwrap();
            let figure = report
                .figure(What::HttpPage, page)
                .ratio(page / ratio)
                .which("last pages");
            report.add(figure.at(500)).unwrap();
            report
                .add(report.figure(What::SqlPage, 1.0).unlisted().at(10))
                .unwrap();
        }
        let read = Figures::read(&path).unwrap();
        assert_eq!(
            table(&read),
            "| what | ratio to | PostgreSQL, 10,000 |\n|---|---|---|\n\
             | page of 20 over HTTP, one client: last pages | page 1 | 250 µs<br>1.25 × |\n"
        );
        assert!(runs(&read.machines).contains("second") && !runs(&read.machines).contains("first"));
    }
}
