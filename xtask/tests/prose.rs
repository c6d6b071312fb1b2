//! The rules of plain English that a machine can check, over code and documentation.
//!
//! Each limit is the figure that the repository has reached. Lower it when a test prints a better
//! figure, and never raise it: rewrite the sentence instead.
//! With `CERTGATE_TEST_PLACES=1`, `cargo test -p xtask` prints every place.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use xtask::sources::lexer::{self, Kind};
use xtask::sources::root;

/// The most doc comments that begin with a question word, per 1,000. Begin with a verb or a noun.
const QUESTIONS_PER_THOUSAND_MAX: f64 = 0.0;

/// The most occurrences of [`LISTED`] in code and documentation.
const LISTED_MAX: f64 = 18.0;

/// The most lines with more than 100 columns, per 1,000 lines.
const LONG_PER_THOUSAND_MAX: f64 = 1.2;

/// The fewest times that documentation says "you" or "your", per 1,000 words. Unlike the other
/// limits it stays, because a higher one rewards sentences that have a "you" without a need.
const YOU_PER_THOUSAND_MIN: f64 = 7.0;

/// The widest line.
const COLUMNS: usize = 100;

/// First words that make a doc comment a question.
const QUESTIONS: [&str; 14] = [
    "what", "whatever", "how", "whether", "who", "whoever", "whom", "whose", "which", "when",
    "whenever", "where", "wherever", "why",
];

/// Words that have a better one: a named actor, a usual verb, a usual word order.
const LISTED: [&[&str]; 18] = [
    &["whoever"],
    &["whomever"],
    &["nobody"],
    &["somebody"],
    &["mend"],
    &["mends"],
    &["mended"],
    &["mending"],
    &["in", "force"],
    &["is", "no"],
    &["are", "no"],
    &["was", "no"],
    &["were", "no"],
    &["own", "authority"],
    &["deed"],
    &["deeds"],
    &["brought", "along"],
    &["is", "whole"],
];

/// "is no longer" is usual English.
const AFTER_NO: [&str; 2] = ["longer", "more"];

/// Folders whose text is ours.
const FOLDERS: [&str; 8] = [
    ".ci", ".github", "crates", "deploy", "docs", "fuzz", "tests", "xtask",
];

/// Extensions of files that people write.
const WRITTEN: [&str; 11] = [
    "md", "py", "rs", "service", "sh", "socket", "sql", "toml", "ts", "yaml", "yml",
];

/// Folders with data of tests, and with what programs make.
const DATA: [&str; 6] = [
    "artifacts",
    "corpus",
    "findings",
    "fixtures",
    "snapshots",
    "target",
];

/// The list itself.
const THIS_FILE: &str = "xtask/tests/prose.rs";

/// Documents that the code writes.
const GENERATED: [&str; 6] = [
    "docs/errors.md",
    "docs/errors-csr.md",
    "docs/errors-ca.md",
    "docs/limits.md",
    "docs/limits-database.md",
    "docs/performance/figures.md",
];

/// A text file: its path from the root of the repository, and its text.
struct Written {
    path: String,
    text: String,
}

impl Written {
    fn is_document(&self) -> bool {
        let is_readme = self.path == "README.md" || self.path.starts_with("docs/");
        self.path.ends_with(".md") && is_readme && !self.is_generated()
    }

    fn is_generated(&self) -> bool {
        GENERATED.contains(&self.path.as_str())
    }
}

/// Returns every file that people write.
fn written() -> Vec<Written> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root()).expect("the root of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            add(&path, &mut files);
        }
    }
    for folder in FOLDERS {
        let folder = root().join(folder);
        if folder.is_dir() {
            collect(&folder, &mut files);
        }
    }
    files
}

fn collect(folder: &Path, files: &mut Vec<Written>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !DATA.contains(&name.as_ref()) && name != "node_modules" {
            collect(&path, files);
        } else if path.is_file() {
            add(&path, files);
        }
    }
}

fn add(path: &Path, files: &mut Vec<Written>) {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if !WRITTEN.contains(&extension.as_ref()) {
        return;
    }
    let text = fs::read_to_string(path).expect("a text file");
    let path = path.strip_prefix(root()).expect("below the root");
    files.push(Written {
        path: path.to_string_lossy().into_owned(),
        text,
    });
}

/// Fails if a figure is above its limit, and prints it if it is below.
fn ratchet(rule: &str, figure: f64, limit: f64, places: &[String]) {
    let shown: Vec<_> = places.iter().take(200).map(String::as_str).collect();
    assert!(
        figure <= limit,
        "{rule}: {figure:.2}, the limit is {limit:.2}. All of them:\n{}",
        shown.join("\n")
    );
    // Unlike println!, this is shown for a test that passes.
    let mut output = std::io::stderr();
    if figure < limit {
        let _ = writeln!(
            output,
            "{rule}: {figure:.2}, so the limit of {limit:.2} can be lowered"
        );
    }
    if std::env::var_os("CERTGATE_TEST_PLACES").is_some() {
        let _ = writeln!(output, "{rule}:\n{}", places.join("\n"));
    }
}

fn per_thousand(part: usize, all: usize) -> f64 {
    1000.0 * part as f64 / all.max(1) as f64
}

/// The first line of each doc comment of a Rust file, with its line number.
fn doc_comments(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut previous = None;
    for token in lexer::tokens(text) {
        let is_doc = matches!(token.kind, Kind::OuterDoc | Kind::InnerDoc);
        if is_doc && previous != Some((token.kind, token.line - 1)) {
            let words = token.text.trim_start_matches(['/', '!', '*', ' ']);
            found.push((token.line, words));
        }
        previous = is_doc.then(|| (token.kind, token.last_line()));
    }
    found
}

#[test]
fn doc_comments_begin_with_a_verb_or_a_noun() {
    let mut all = 0;
    let mut questions = Vec::new();
    for file in written().iter().filter(|file| file.path.ends_with(".rs")) {
        for (line, text) in doc_comments(&file.text) {
            all += 1;
            let end = |c: char| !c.is_alphabetic();
            let first = text.split(end).next().unwrap_or_default().to_lowercase();
            if QUESTIONS.contains(&first.as_str()) {
                questions.push(format!("{}:{line}: {text}", file.path));
            }
        }
    }
    let rule = "doc comments per 1,000 that begin with a question word";
    let figure = per_thousand(questions.len(), all);
    ratchet(rule, figure, QUESTIONS_PER_THOUSAND_MAX, &questions);
}

/// A word, its line, and the characters between it and the word before.
struct Word<'a> {
    text: String,
    line: usize,
    before: &'a str,
}

/// The words of a text in lower case. An underscore separates words.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut found: Vec<Word<'_>> = Vec::new();
    let (mut end, mut line) = (0, 1);
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphabetic) {
        let length = rest[start..]
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len() - start);
        let before = &rest[..start];
        line += before.matches('\n').count();
        found.push(Word {
            text: rest[start..start + length].to_lowercase(),
            line,
            before,
        });
        end += start + length;
        rest = &text[end..];
    }
    found
}

/// The lines at which one of [`LISTED`] stands in a text, with the words.
fn listed(text: &str) -> Vec<(usize, String)> {
    let words = words(text);
    let continues = |word: &Word<'_>| {
        let joins = |c: char| c.is_whitespace() || "_/!#*`|\\".contains(c);
        word.before.chars().all(joins)
    };
    let mut found = Vec::new();
    for at in 0..words.len() {
        for phrase in LISTED {
            let Some(here) = words.get(at..at + phrase.len()) else {
                continue;
            };
            let is_equal = here
                .iter()
                .zip(phrase)
                .all(|(word, listed)| word.text == *listed);
            let is_joined = here[1..].iter().all(continues);
            let is_usual = phrase.last() == Some(&"no")
                && words
                    .get(at + phrase.len())
                    .is_some_and(|next| AFTER_NO.contains(&next.text.as_str()));
            if is_equal && is_joined && !is_usual {
                found.push((words[at].line, phrase.join(" ")));
            }
        }
    }
    found
}

#[test]
fn listed_words_are_not_used() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut places = Vec::new();
    for file in written().iter().filter(|file| file.path != THIS_FILE) {
        for (line, phrase) in listed(&file.text) {
            places.push(format!("{}:{line}: {phrase}", file.path));
            *counts.entry(phrase).or_default() += 1;
        }
    }
    let rule = format!("listed words {counts:?}");
    ratchet(&rule, places.len() as f64, LISTED_MAX, &places);
}

#[test]
fn lines_have_at_most_a_hundred_columns() {
    let mut all = 0;
    let mut long = Vec::new();
    for file in written() {
        for (number, line) in (1..).zip(file.text.lines()) {
            all += 1;
            // An address cannot be broken, and tables that the code writes are not broken.
            let is_excused = line.contains("://") || (file.is_generated() && line.starts_with('|'));
            if line.chars().count() > COLUMNS && !is_excused {
                long.push(format!("{}:{number}", file.path));
            }
        }
    }
    let rule = "lines per 1,000 with more than 100 columns";
    ratchet(
        rule,
        per_thousand(long.len(), all),
        LONG_PER_THOUSAND_MAX,
        &long,
    );
}

#[test]
fn documents_speak_to_the_reader() {
    let (mut all, mut you) = (0, 0);
    for file in written().iter().filter(|file| file.is_document()) {
        let mut is_code = false;
        for line in file.text.lines() {
            if line.trim_start().starts_with("```") {
                is_code = !is_code;
            } else if !is_code {
                let words = words(line);
                all += words.len();
                let counted = ["you", "your", "yours", "yourself"];
                you += words
                    .iter()
                    .filter(|word| counted.contains(&word.text.as_str()))
                    .count();
            }
        }
    }
    let figure = per_thousand(you, all);
    assert!(
        figure >= YOU_PER_THOUSAND_MIN,
        "documents say \"you\" {figure:.2} times per 1,000 words, not {YOU_PER_THOUSAND_MIN:.2}"
    );
}

#[test]
fn the_measures_find_what_they_look_for() {
    let text = "/// What it is.\n/// More.\nfn a() {}\n//! The file.\n// Why not\n";
    assert_eq!(doc_comments(text), [(1, "What it is."), (4, "The file.")]);

    let phrases =
        |text: &str| -> Vec<String> { listed(text).into_iter().map(|(_, p)| p).collect() };
    assert_eq!(phrases("It is\n/// no list"), ["is no"]);
    assert_eq!(phrases("fn nobody_is_told() {}"), ["nobody"]);
    assert_eq!(phrases("the CA in_force"), ["in force"]);
    assert_eq!(
        phrases("as it is. No list is no longer there"),
        Vec::<String>::new()
    );
}
