//! The limits of the server: the constants of its crates whose names end with `_MAX`, `_MIN`
//! or `_TIMEOUT`.
//!
//! The first sentence of a constant's comment is its meaning, so that each limit has one place.
//! Limits of help pages and of the demo are left out: they limit no input.

use std::fmt::Write as _;

use super::Product;

/// The crates with limits that clients and operators meet, and their titles.
const CRATES: [(&str, &str); 4] = [
    ("server", "Listeners and files"),
    ("api", "Requests and answers"),
    ("service", "Accounts, tokens and work"),
    ("pki", "Certificates, keys and OCSP"),
];

/// The crate of the database, whose limits have their own page.
const DATABASE: [(&str, &str); 1] = [("store", "All limits")];

/// The crate of enforcement points, whose limits have their own page.
const ENFORCEMENT: [(&str, &str); 1] = [("enforcement", "All limits")];

/// Limits of this name only shorten what a message shows.
const SHOWN: &str = "SHOWN_";

/// Widest meaning: a line has at most 100 columns.
const MEANING_CHARACTERS_MAX: usize = 86;

/// Folders whose limits only shape what the program itself prints.
const PRINTED: [&str; 2] = ["/src/cli/", "/src/demo/"];

/// A limit.
struct Limit {
    meaning: String,
    value: String,
}

/// Returns the pages with the lists of every limit: their paths and texts.
pub fn pages(product: &[Product]) -> [(&'static str, String); 3] {
    [
        ("docs/limits.md", SERVER_HEAD, &CRATES[..]),
        ("docs/limits-database.md", DATABASE_HEAD, &DATABASE),
        ("docs/limits-enforcement.md", ENFORCEMENT_HEAD, &ENFORCEMENT),
    ]
    .map(|(path, head, crates)| (path, page(product, head, crates)))
}

const SERVER_HEAD: &str = "\
# Limits

Limits that you can change are in [configuration.md](configuration.md).
[The database](limits-database.md) and [enforcement points](limits-enforcement.md) have their own
pages. `cargo xtask docs` writes them.
";

const DATABASE_HEAD: &str = "\
# Limits of the database

[postgresql.md](postgresql.md#when-the-database-fails) says what happens when the database fails.
";

const ENFORCEMENT_HEAD: &str = "\
# Limits of enforcement points

A question is what a proxy asks `authz`; the server is `certgate serve`. Limits that you can change
are those of [the gateway](gateway.md#limits).
";

fn page(product: &[Product], head: &str, crates: &[(&str, &str)]) -> String {
    let mut text = head.to_owned();
    for &(name, title) in crates {
        let mut limits: Vec<_> = product
            .iter()
            .filter(|file| file.crate_name() == name && !is_printed(file))
            .flat_map(limits_of)
            .collect();
        limits.sort_by(|one, other| one.meaning.cmp(&other.meaning));
        if limits.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {title}\n\n");
        for Limit { meaning, value } in limits {
            let _ = writeln!(text, "- {meaning}: {value}");
        }
    }
    text
}

fn is_printed(file: &Product) -> bool {
    PRINTED
        .iter()
        .any(|folder| file.source.path.contains(folder))
}

fn limits_of(file: &Product) -> Vec<Limit> {
    let mut limits = Vec::new();
    let (mut comment, mut statement) = (String::new(), String::new());
    for (index, line) in file.source.text.lines().enumerate() {
        let line = line.trim();
        if file.test_lines.contains(&(index + 1)) {
            continue;
        }
        if let Some(words) = line.strip_prefix("///") {
            comment.push_str(words);
            continue;
        }
        statement.push_str(line);
        // A long value stands on the next line.
        if is_limit(&statement) && !statement.ends_with(';') {
            statement.push(' ');
            continue;
        }
        if let Some(value) = value(&statement).filter(|_| !comment.is_empty()) {
            let meaning = meaning(&comment);
            limits.push(Limit { meaning, value });
        }
        statement.clear();
        if !line.starts_with("#[") {
            comment.clear();
        }
    }
    limits
}

/// Returns true for the beginning of a constant that is a limit.
fn is_limit(statement: &str) -> bool {
    let Some((before, rest)) = statement.split_once("const ") else {
        return false;
    };
    let name = rest.split(':').next().unwrap_or_default();
    let ends = ["_MAX", "_MIN", "_TIMEOUT"]
        .iter()
        .any(|end| name.ends_with(end));
    (before.is_empty() || before.starts_with("pub")) && ends && !name.starts_with(SHOWN)
}

/// Returns the value of a limit: its number, or the code.
fn value(statement: &str) -> Option<String> {
    if !is_limit(statement) {
        return None;
    }
    let (_, value) = statement.strip_suffix(';')?.split_once(" = ")?;
    let duration = |unit: &str| {
        let rest = value.strip_prefix(&format!("Duration::from_{unit}("));
        number(rest?.strip_suffix(')')?)
    };
    let seconds = duration("secs").map(|seconds| format!("{} s", grouped(seconds)));
    let shown = seconds
        .or_else(|| Some(format!("{} ms", grouped(duration("millis")?))))
        .or_else(|| Some(grouped(number(value)?)));
    Some(shown.unwrap_or_else(|| format!("`{value}`")))
}

/// Computes a number that is written as a product or a shift of numbers.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(')
        && let Some((left, right)) = inner.split_once(") - ")
    {
        return number(left)?.checked_sub(number(right)?);
    }
    if let Some((left, right)) = text.split_once(" << ") {
        return number(left)?.checked_shl(u32::try_from(number(right)?).ok()?);
    }
    if let Some((left, right)) = text.split_once(" * ") {
        return number(left)?.checked_mul(number(right)?);
    }
    let digits: String = text.chars().filter(|letter| *letter != '_').collect();
    digits.parse().ok()
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns the first sentence of a comment, up to its first colon or full stop, without an article
/// at its beginning. A longer one ends at a comma or a word.
fn meaning(comment: &str) -> String {
    let comment = comment.trim();
    let ends = [". ", ": ", "; "];
    let end = ends.iter().filter_map(|mark| comment.find(mark)).min();
    let sentence = end.map_or(comment, |end| &comment[..end]);
    let sentence = sentence.trim_end_matches('.').replace(['[', ']'], "");
    let sentence = sentence.replacen("Maximum number of ", "Most ", 1);
    let mut line = match sentence.strip_prefix("The ") {
        Some(rest) => rest[..1].to_uppercase() + &rest[1..],
        None => sentence,
    };
    while line.chars().count() > MEANING_CHARACTERS_MAX {
        let end = line.rfind(", ").or_else(|| line.rfind(' '));
        line.truncate(end.unwrap_or_default());
    }
    line
}
