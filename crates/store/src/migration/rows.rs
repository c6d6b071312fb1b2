//! The rows that move, in the order of primary keys, and their digest.

use std::ops::ControlFlow;

use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::Hex;

use crate::StoreError;
use crate::db::{Cell, Db, FromCell, Row, Value};
use crate::error::corrupt;
use crate::schema::{self, Kind, Table};

/// At least one of these has changed whenever a server has recorded anything.
const TELLTALES: [&str; 5] = [
    "store",
    "audit_chains",
    "tokens",
    "crl_states",
    "enforcement_points",
];

/// The tables that show whether a server has recorded anything.
pub(crate) fn telltales() -> impl Iterator<Item = &'static Table> {
    schema::moved().filter(|table| TELLTALES.contains(&table.name))
}

/// Returns the next rows after this primary key in its order, or the first rows if the key is
/// empty: the values of one row after another. Returns at most as many rows as the table allows in
/// memory, and an empty list at the end.
pub(crate) async fn rows_after<D: Db>(
    db: &D,
    table: &Table,
    key: &[Value<'_>],
) -> Result<Vec<Value<'static>>, StoreError> {
    let names = table.key_names();
    let after = match key {
        [] => String::new(),
        key => format!("WHERE ({names}) > ({})", marks(key.len())),
    };
    let select = format!(
        "SELECT {} FROM \"{}\" {after} ORDER BY {names} LIMIT {}",
        table.column_names(),
        table.name,
        table.rows_max
    );
    let mut cells = Vec::new();
    let mut read = |row: &dyn Row| {
        for (place, column) in table.columns.iter().enumerate() {
            let value = value(row.cell(place)?, column.kind).map_err(|error| {
                let (table, column, error) = (table.name, column.name, error.into_detail());
                corrupt(format!(
                    "a row of \"{table}\" has a wrong {column}: {error}"
                ))
            })?;
            cells.push(value);
        }
        Ok(ControlFlow::Continue(()))
    };
    db.each(&select, key, &mut read).await?;
    Ok(cells)
}

/// Returns the primary key of the last of these rows.
pub(crate) fn last_key<'r>(table: &Table, cells: &'r [Value<'static>]) -> &'r [Value<'static>] {
    let row = &cells[cells.len() - table.columns.len()..];
    &row[..table.key]
}

fn marks(count: usize) -> String {
    let marks: Vec<_> = (1..=count).map(|n| format!("?{n}")).collect();
    marks.join(", ")
}

/// Counts the rows up to a primary key; all rows without one.
pub(crate) async fn count_up_to<D: Db>(
    db: &D,
    table: &Table,
    key: &[Value<'_>],
) -> Result<u64, StoreError> {
    let up_to = match key {
        [] => String::new(),
        key => format!("WHERE ({}) <= ({})", table.key_names(), marks(key.len())),
    };
    let count = format!("SELECT count(*) FROM \"{}\" {up_to}", table.name);
    db.one(&count, key, |row| row.get(0)).await
}

/// Returns the greatest primary key; an empty list if the table is empty.
pub(crate) async fn greatest_key<D: Db>(
    db: &D,
    table: &Table,
) -> Result<Vec<Value<'static>>, StoreError> {
    let names = table.key_names();
    let backwards = names.replace(',', " DESC,");
    let select = format!(
        "SELECT {names} FROM \"{}\" ORDER BY {backwards} DESC LIMIT 1",
        table.name
    );
    let key = db
        .optional(&select, &[], |row| {
            let key = table.columns[..table.key].iter().enumerate();
            key.map(|(place, column)| value(row.cell(place)?, column.kind))
                .collect()
        })
        .await?;
    Ok(key.unwrap_or_default())
}

/// Adds all rows of a table to a digest; `progress` gets the number of rows that were read.
pub(crate) async fn add_all<D: Db>(
    db: &D,
    table: &Table,
    digester: &mut Digester,
    mut progress: impl FnMut(u64),
) -> Result<(), StoreError> {
    let mut cells = rows_after(db, table, &[]).await?;
    let mut count = 0;
    while !cells.is_empty() {
        for row in cells.chunks(table.columns.len()) {
            digester.add(row);
            count += 1;
        }
        progress(count);
        cells = rows_after(db, table, last_key(table, &cells)).await?;
    }
    Ok(())
}

/// Reads a value of this kind. SQLite's columns hold values of any type.
pub(crate) fn value(cell: Cell<'_>, kind: Kind) -> Result<Value<'static>, StoreError> {
    if matches!(cell, Cell::Null) {
        return Ok(Value::Null);
    }
    Ok(match kind {
        Kind::Integer => Value::Integer(i64::from_cell(cell)?),
        Kind::Small => match i64::from_cell(cell)? {
            number if i16::try_from(number).is_ok() => Value::Integer(number),
            number => return Err(corrupt(format!("{number} is too large"))),
        },
        Kind::Flag => Value::Flag(bool::from_cell(cell)?),
        Kind::Text => Value::Text(String::from_cell(cell)?.into()),
        Kind::Octets => Value::Octets(Vec::from_cell(cell)?.into()),
    })
}

/// The number of rows of a table, and a digest of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDigest {
    /// The number of rows.
    pub rows: u64,
    /// SHA-256, in hexadecimal, over the values of all rows in the order of the primary key.
    pub sha256: String,
}

/// An unfinished [`TableDigest`].
pub(crate) struct Digester {
    rows: u64,
    context: Context,
    /// The row that is being added.
    text: Vec<u8>,
}

impl Digester {
    pub(crate) fn new() -> Self {
        Self {
            rows: 0,
            context: Context::new(&SHA256),
            text: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: &[Value<'_>]) {
        self.rows += 1;
        self.text.clear();
        row.iter().for_each(|value| value.write(&mut self.text));
        self.context.update(&self.text);
    }

    pub(crate) fn finish(self) -> TableDigest {
        TableDigest {
            rows: self.rows,
            sha256: Hex(self.context.finish().as_ref()).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::values;

    #[test]
    fn rows_that_differ_have_digests_that_differ() {
        let digest = |rows: &[&[Value<'_>]]| {
            let mut digester = Digester::new();
            rows.iter().for_each(|row| digester.add(row));
            digester.finish().sha256
        };
        let octets = |text: &'static str| text.as_bytes();
        let all = [
            digest(&[]),
            digest(&[&values![None::<i64>]]),
            digest(&[&values![0_i64]]),
            digest(&[&values![""]]),
            digest(&[&values![octets("")]]),
            digest(&[&values!["a", "b"]]),
            digest(&[&values!["ab", ""]]),
            digest(&[&values!["a", octets("b")]]),
            digest(&[&values!["b", "a"]]),
        ];
        let different = std::collections::BTreeSet::from_iter(&all);
        assert_eq!(different.len(), all.len());
        assert_eq!(
            digest(&[]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn the_tables_that_show_changes_exist() {
        assert_eq!(telltales().count(), TELLTALES.len());
    }

    #[test]
    fn values_of_the_wrong_type_are_reported() {
        let error = |cell, kind| value(cell, kind).unwrap_err().into_detail();
        assert_eq!(
            error(Cell::Integer(2), Kind::Flag),
            "a column has an integer instead of a flag"
        );
        assert_eq!(
            error(Cell::Integer(40_000), Kind::Small),
            "40000 is too large"
        );
        assert_eq!(
            error(Cell::Text("a"), Kind::Octets),
            "a column has text instead of octets"
        );
        assert!(matches!(value(Cell::Null, Kind::Text), Ok(Value::Null)));
    }
}
