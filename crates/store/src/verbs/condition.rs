//! Filtered lists of accounts and zones. Their statements are made for the filter and not kept
//! prepared, because there are too many of them.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use certgate_model::{Direction, Join, Page, Slice, TextMatch, ZoneFilter};

use super::names::folded;
use crate::StoreError;
use crate::db::{Db, Row, Value};

/// Longest pattern of a name, in octets: a longer one matches nothing. SQLite refuses patterns past 50,000.
const PATTERN_MAX: usize = 8_192;

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

/// Returns one page of a filtered list and its total. Lists of accounts and zones are short: unlike
/// those of certificates they may be counted and skipped.
pub(super) async fn page<D: Db, T: Send>(
    db: &D,
    columns: &str,
    tables: &str,
    condition: Condition<'_>,
    order: &str,
    slice: Slice,
    record: fn(&dyn Row) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let Condition { text, mut values } = condition;
    let mut total = 0;
    let count = format!("SELECT count(*) FROM {tables} WHERE {text}");
    let mut counted = |row: &dyn Row| {
        total = row.get(0)?;
        Ok(ControlFlow::Break(()))
    };
    db.stream(&count, &values, &mut counted).await?;
    values.push(slice.size.into());
    values.push(slice.first.into());
    let (size, first) = (values.len() - 1, values.len());
    let select = format!(
        "SELECT {columns} FROM {tables} WHERE {text} ORDER BY {order} LIMIT ?{size} OFFSET ?{first}"
    );
    let mut items = Vec::new();
    let mut read = |row: &dyn Row| {
        items.push(record(row)?);
        Ok(ControlFlow::Continue(()))
    };
    db.stream(&select, &values, &mut read).await?;
    Ok(Page { items, total })
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

    /// Without values the condition is false: `IN ()` is not SQL.
    pub(super) fn one_of(&mut self, column: &str, values: impl Iterator<Item = Value<'v>>) {
        let before = self.values.len();
        self.values.extend(values);
        if self.values.len() == before {
            return self.push("FALSE");
        }
        let marks: Vec<_> = (before + 1..=self.values.len())
            .map(|number| format!("?{number}"))
            .collect();
        write!(self.text, "{column} IN ({})", marks.join(", "))
            .expect("writing to a String cannot fail");
    }

    pub(super) fn and_zone_filter(&mut self, filter: &ZoneFilter) {
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
            self.one_of("zones.account", std::iter::once(Value::from(*account)));
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
            "{column} {operator} ?{}{escape}",
            self.values.len()
        )
        .expect("writing to a String cannot fail");
    }
}

/// Returns the folded text, in which the characters that have a meaning in LIKE are literal.
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
