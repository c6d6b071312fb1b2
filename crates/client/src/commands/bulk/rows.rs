//! The list of `cert issue --from`: a CSV file with one certificate per line.

use std::collections::HashSet;
use std::io::Read;

use certgate_model::SubjectFields;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files;

/// The columns of a list.
const COLUMNS: [&str; 7] = [
    "common_name",
    "organization",
    "organizational_unit",
    "country",
    "state",
    "location",
    "validity_days",
];

/// The longest list, in bytes: some million certificates.
const LIST_BYTES_MAX: u64 = 128 << 20;

/// The fields of one line, unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    pub common_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub organization: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub organizational_unit: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
}

impl Wanted {
    /// The subject of the request.
    pub fn subject(&self) -> SubjectFields {
        SubjectFields {
            common_name: self.common_name.clone(),
            country: self.country.clone(),
            state: self.state.clone(),
            location: self.location.clone(),
            organization: self.organization.clone(),
            organizational_unit: self.organizational_unit.clone(),
        }
    }
}

/// One valid line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number in the file, from 1. The header is a line too.
    pub line: u64,
    /// The name of its files without the extension. It is unique, also on file systems that ignore
    /// letter case.
    pub name: String,
    /// Its fields.
    pub wanted: Wanted,
}

/// A line without a certificate, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRow {
    /// Its number in the file.
    pub line: u64,
    /// Its common name, empty if it has none.
    pub common_name: String,
    /// The problem.
    pub message: String,
}

/// Reads the list. A wrong line does not stop the other lines. A wrong header stops all of them.
pub fn read(list: impl Read) -> Result<(Vec<Row>, Vec<BadRow>), Failure> {
    let text = files::read_at_most(list, LIST_BYTES_MAX)
        .map_err(|error| Failure::io("cannot read the list", &error))?;
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(false)
        .from_reader(&text[..]);
    let header = reader
        .headers()
        .map_err(|error| Failure::usage(format!("line 1: {error}")))?
        .clone();
    let columns = columns(&header)?;
    let mut rows = Vec::new();
    let mut bad = Vec::new();
    let mut taken = HashSet::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = line_at(&text, reader.position());
        let outcome = match reader.read_record(&mut record) {
            Ok(false) => return Ok((rows, bad)),
            Ok(true) => wanted(&columns, &record)
                .map(|wanted| Row {
                    line,
                    name: free_name(&wanted.common_name, &mut taken),
                    wanted,
                })
                .map_err(|(common_name, message)| BadRow {
                    line,
                    common_name,
                    message,
                }),
            Err(error) => Err(BadRow {
                line,
                common_name: String::new(),
                message: problem(&error),
            }),
        };
        match outcome {
            Ok(row) => rows.push(row),
            Err(row) => bad.push(row),
        }
    }
}

/// Returns the line of the first field of the record that begins at `start`: the reader counts the
/// empty lines before it as a part of the record.
fn line_at(text: &[u8], start: &csv::Position) -> u64 {
    let rest = text.get(start.byte() as usize..).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    start.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("has {len} fields where the header has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

/// The edits by which a column that is meant may differ from what is written.
const TYPING_ERRORS_MAX: usize = 2;

/// Returns advice for a column that is not known.
fn hint(name: &str) -> String {
    let distance = |column: &&str| strsim::damerau_levenshtein(column, name);
    let nearest = COLUMNS.into_iter().min_by_key(distance);
    match nearest.filter(|nearest| distance(nearest) <= TYPING_ERRORS_MAX) {
        Some(nearest) if name.len() > TYPING_ERRORS_MAX => {
            format!("the nearest known one is {nearest}")
        }
        _ => format!("the known ones are {}", COLUMNS.join(", ")),
    }
}

/// Returns the known column of each field of a line.
fn columns(header: &csv::StringRecord) -> Result<Vec<&'static str>, Failure> {
    let mut columns = Vec::new();
    for name in header {
        // Spreadsheets write a byte order mark first.
        let name = name
            .trim_start_matches('\u{feff}')
            .trim_matches('"')
            .to_lowercase();
        let known = COLUMNS.into_iter().find(|column| *column == name);
        let column = known.ok_or_else(|| {
            Failure::usage(format!("unknown column {name:?} in the first line")).hint(hint(&name))
        })?;
        if columns.contains(&column) {
            return Err(Failure::usage(format!("the column {column} occurs twice"))
                .hint("remove one of them"));
        }
        columns.push(column);
    }
    match columns.contains(&"common_name") {
        true => Ok(columns),
        false => Err(Failure::usage(
            "the first line must name the columns, common_name among them",
        )),
    }
}

/// Returns the fields of a line, or its common name and the problem.
fn wanted(columns: &[&str], record: &csv::StringRecord) -> Result<Wanted, (String, String)> {
    let field = |column: &str| {
        let at = columns.iter().position(|known| *known == column)?;
        record
            .get(at)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let text = |column| field(column).unwrap_or_default();
    let common_name = text("common_name");
    if common_name.is_empty() {
        return Err((common_name, "has no common_name".to_owned()));
    }
    let validity_days =
        match field("validity_days").map(|days| days.parse::<u32>().map_err(|_| days)) {
            None => None,
            Some(Ok(days)) if days > 0 => Some(days),
            Some(Ok(_)) => {
                return Err((
                    common_name,
                    "validity_days is 0: use a whole number of days, at least 1".to_owned(),
                ));
            }
            Some(Err(days)) => {
                return Err((
                    common_name,
                    format!("validity_days is {days:?}: use a whole number of days, at least 1"),
                ));
            }
        };
    Ok(Wanted {
        common_name,
        organization: text("organization"),
        organizational_unit: text("organizational_unit"),
        country: text("country"),
        state: text("state"),
        location: text("location"),
        validity_days,
    })
}

/// Returns an unused file name: `alice`, then `alice-2`. The same list always gives the same names,
/// and lines added at its end change none.
fn free_name(common_name: &str, taken: &mut HashSet<String>) -> String {
    let first = files::safe_name(common_name);
    let mut name = first.clone();
    for number in 2.. {
        if taken.insert(name.to_lowercase()) {
            break;
        }
        name = format!("{first}-{number}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Vec<Row>, Vec<BadRow>) {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn lines_are_read_with_their_numbers() {
        let (rows, bad) = read_text(
            "\u{feff}Common_Name, organization,validity_days\n\
             alice,\"Acme, Inc\",30\n\
             \n\
             bob,,\n",
        );
        assert_eq!(bad, []);
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].line, rows[0].wanted.organization.as_str()),
            (2, "Acme, Inc")
        );
        assert_eq!(rows[0].wanted.validity_days, Some(30));
        assert_eq!(
            (
                rows[1].line,
                rows[1].name.as_str(),
                rows[1].wanted.validity_days
            ),
            (4, "bob", None)
        );
    }

    #[test]
    fn bad_lines_do_not_stop_the_good_ones() {
        let (rows, bad) = read_text("common_name,validity_days\na,1\n,5\nb,0\nc,x\nd\ne,2\n");
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["a", "e"]);
        let told: Vec<_> = bad
            .iter()
            .map(|row| format!("{} {:?} {}", row.line, row.common_name, row.message))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        3 "" has no common_name
        4 "b" validity_days is 0: use a whole number of days, at least 1
        5 "c" validity_days is "x": use a whole number of days, at least 1
        6 "" has 1 fields where the header has 2
        "#);
    }

    #[test]
    fn file_names_are_unique_and_stay_the_same_when_lines_are_added() {
        let names = |text: &str| {
            read_text(text)
                .0
                .into_iter()
                .map(|row| row.name)
                .collect::<Vec<_>>()
        };
        let list = "common_name\nalice\nAlice\na/b\na_b\nalice-2\nalice\n";
        assert_eq!(
            names(list),
            ["alice", "Alice-2", "a_b", "a_b-2", "alice-2-2", "alice-3"]
        );
        assert_eq!(names(&format!("{list}zed\n"))[..6], names(list));
    }

    #[test]
    fn a_wrong_header_is_refused() {
        for (text, told) in [
            ("", "common_name among them"),
            ("alice\nbob\n", "unknown column \"alice\""),
            (
                "common_name,organisation\n",
                "nearest known one is organization",
            ),
            ("cn,organization\n", "the known ones are common_name, "),
            ("common_name,common_name\n", "occurs twice"),
            ("organization\n", "common_name among them"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
