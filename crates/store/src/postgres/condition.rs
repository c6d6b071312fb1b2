//! Lists of tenants by filters: statements that are made for the filter, and not kept, as there are too many of them.

use std::fmt::Write as _;

use certgate_model::{Direction, Join, Page, Slice, TextMatch, ZoneFilter};

use super::db::Db;
use super::row::{self, Row};
use super::tenants::folded;
use super::value::Value;
use crate::StoreError;

/// A pattern of more octets matches no name: as in the other implementation, which has to refuse them.
const PATTERN_MAX: usize = 8_192;

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

/// One page of a filtered list and its total. Lists of tenants are short: unlike those of certificates they may be counted and
/// skipped.
pub(super) async fn page<T>(
    db: &Db,
    columns: &str,
    tables: &str,
    condition: Condition<'_>,
    order: &str,
    slice: Slice,
    record: fn(&Row) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let Condition { text, mut values } = condition;
    let counted = db
        .rows_once(
            &format!("SELECT count(*) FROM {tables} WHERE {text}"),
            &values,
        )
        .await?;
    let total = counted.first().map_or(Ok(0), |row| row.get(0))?;
    values.push(slice.size.into());
    values.push(row::offset(slice.first).into());
    let (size, first) = (values.len() - 1, values.len());
    let rows = db
        .rows_once(
            &format!(
                "SELECT {columns} FROM {tables} WHERE {text} ORDER BY {order} LIMIT ${size} OFFSET ${first}"
            ),
            &values,
        )
        .await?;
    Ok(Page {
        items: rows.iter().map(record).collect::<Result<_, _>>()?,
        total,
    })
}

/// The text of a WHERE clause and its values, in step.
pub(super) struct Condition<'v> {
    text: String,
    values: Vec<Value<'v>>,
}

impl<'v> Condition<'v> {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn and_one_of(&mut self, column: &str, values: impl Iterator<Item = Value<'v>>) {
        self.push(" AND ");
        self.one_of(column, values);
    }

    pub(super) fn and_none_of(&mut self, column: &str, values: impl Iterator<Item = Value<'v>>) {
        self.push(" AND NOT (");
        self.one_of(column, values);
        self.push(")");
    }

    /// Nothing is one of no values: `IN ()` is no SQL.
    pub(super) fn one_of(&mut self, column: &str, values: impl Iterator<Item = Value<'v>>) {
        let before = self.values.len();
        self.values.extend(values);
        if self.values.len() == before {
            return self.push("FALSE");
        }
        let marks: Vec<_> = (before + 1..=self.values.len())
            .map(|number| format!("${number}"))
            .collect();
        write!(self.text, "{column} IN ({})", marks.join(", "))
            .expect("writing to a String cannot fail");
    }

    pub(super) fn and_zone_filter(&mut self, filter: &'v ZoneFilter) {
        let ZoneFilter {
            name,
            account,
            account_name,
            ..
        } = filter;
        if name.is_none() && account.is_none() && account_name.is_none() {
            return;
        }
        // The neutral element of the join, so that every condition is appended in the same way.
        let (neutral, join) = match filter.join {
            Join::All => (" AND (TRUE", " AND "),
            Join::Any => (" AND (FALSE", " OR "),
        };
        self.push(neutral);
        if let Some(name) = name {
            self.push(join);
            self.matches("zones.folded_name", name);
        }
        if let Some(account) = account {
            self.push(join);
            self.one_of("zones.account", std::iter::once(account.as_bytes().into()));
        }
        if let Some(name) = account_name {
            self.push(join);
            self.matches("accounts.folded_name", name);
        }
        self.push(")");
    }

    pub(super) fn matches(&mut self, column: &str, condition: &TextMatch) {
        let (operator, escape, pattern) = match condition {
            TextMatch::Equal(text) => ("=", "", folded(text)),
            TextMatch::NotEqual(text) => ("<>", "", folded(text)),
            TextMatch::StartsWith(text) => ("LIKE", " ESCAPE '\\'", format!("{}%", escaped(text))),
            TextMatch::EndsWith(text) => ("LIKE", " ESCAPE '\\'", format!("%{}", escaped(text))),
            TextMatch::Contains(text) => ("LIKE", " ESCAPE '\\'", format!("%{}%", escaped(text))),
        };
        if operator == "LIKE" && pattern.len() > PATTERN_MAX {
            return self.push("FALSE");
        }
        self.values.push(pattern.into());
        write!(
            self.text,
            "{column} {operator} ${}{escape}",
            self.values.len()
        )
        .expect("writing to a String cannot fail");
    }
}

/// The text folded, with the characters that LIKE gives a meaning to taken literally.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in folded(text).chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
