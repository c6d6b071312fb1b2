//! A database that is moved elsewhere: read row by row, and left as it is.

use std::path::Path;

use certgate_model::Installation;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::error::corrupt;
use super::journal::{self, Journal};
use super::open::{self, BUSY_TIMEOUT, OpenError};
use super::{replay, revocations, schema, tenants};
use crate::StoreError;
use crate::migration::{Cell, Digester, Kind, MigrationError, Row, Table, TableDigest};

/// The database, of one instant.
pub(crate) struct Source {
    connection: Connection,
    installation: Installation,
}

impl Source {
    /// Opens the database of a server that does not run. `journal` is the journal of revocations beside it.
    pub(crate) fn open(path: &Path, journal: &Path) -> Result<Self, MigrationError> {
        let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
        if !path.exists() {
            let detail = "there is no such file".to_owned();
            return Err(OpenError::Io {
                path: path.to_owned(),
                detail,
            }
            .into());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match has_log(path) {
            true => Connection::open_with_flags(path, flags),
            // To read beside others SQLite would make a log and leave it there; nobody else is at it.
            false => {
                Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)
            }
        };
        let connection = connection.map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        let found = open::version(path, &connection)?;
        if found == 0 {
            return Err(MigrationError::NoInstallation);
        }
        if found != schema::VERSION {
            return Err(OpenError::OlderVersion {
                path: path.to_owned(),
                found,
                known: schema::VERSION,
            }
            .into());
        }
        // One instant: SQLite begins it with the first read.
        connection
            .execute_batch("BEGIN; SELECT last_epoch FROM store")
            .map_err(failed)?;
        let installation = tenants::installation(&connection).map_err(MigrationError::Source)?;
        let installation = installation.ok_or(MigrationError::NoInstallation)?;
        let source = Self {
            connection,
            installation,
        };
        if source.is_behind(journal).map_err(MigrationError::Source)? {
            return Err(MigrationError::Restored);
        }
        Ok(source)
    }

    /// Whether it was restored from a backup and the journal has yet to be done again.
    fn is_behind(&self, journal: &Path) -> Result<bool, StoreError> {
        let known = revocations::last_epoch(&self.connection)?;
        let name = journal::installation_name(&self.installation);
        let (_, told) = Journal::read(journal, &name, known)?;
        Ok(replay::is_restored(&self.connection)? || told.to_epoch > known)
    }

    /// Whose it is.
    pub(crate) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// A digest that is another one after a server has recorded anything.
    pub(crate) fn state(&self) -> Result<String, StoreError> {
        let mut digester = Digester::new();
        for table in Table::telltales() {
            self.add(table, &mut digester)?;
        }
        Ok(digester.finish().sha256)
    }

    /// How many rows there are.
    pub(crate) fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let select = format!("SELECT count(*) FROM \"{}\"", table.name);
        Ok(self.connection.query_row(&select, (), |row| row.get(0))?)
    }

    /// How many rows there are up to a primary key.
    pub(crate) fn count_up_to(&self, table: &Table, key: &[Cell]) -> Result<u64, StoreError> {
        let numbers = vec!["?"; key.len()].join(", ");
        let select = format!(
            "SELECT count(*) FROM \"{}\" WHERE ({}) <= ({numbers})",
            table.name,
            table.key_names()
        );
        let key = params_from_iter(key.iter().map(value));
        Ok(self.connection.query_row(&select, key, |row| row.get(0))?)
    }

    /// A table's digest.
    pub(crate) fn digest(&self, table: &Table) -> Result<TableDigest, StoreError> {
        let mut digester = Digester::new();
        self.add(table, &mut digester)?;
        Ok(digester.finish())
    }

    fn add(&self, table: &Table, digester: &mut Digester) -> Result<(), StoreError> {
        let mut rows = self.rows_after(table, None)?;
        while let Some(last) = rows.last() {
            rows.iter().for_each(|row| digester.add(row));
            rows = self.rows_after(table, Some(&last[..table.key]))?;
        }
        Ok(())
    }

    /// The next rows in the order of the primary key, behind this key; none: there are none.
    pub(crate) fn rows_after(
        &self,
        table: &Table,
        key: Option<&[Cell]>,
    ) -> Result<Vec<Row>, StoreError> {
        let names = table.key_names();
        let after = match key {
            None => String::new(),
            Some(key) => format!("WHERE ({names}) > ({})", vec!["?"; key.len()].join(", ")),
        };
        let select = format!(
            "SELECT {} FROM \"{}\" {after} ORDER BY {names} LIMIT {}",
            table.column_names(),
            table.name,
            table.rows_max
        );
        let mut statement = self.connection.prepare_cached(&select)?;
        let mut rows =
            statement.query(params_from_iter(key.unwrap_or_default().iter().map(value)))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = table.columns.iter().enumerate().map(|(n, (name, kind))| {
                cell(row.get_ref(n)?, *kind).map_err(|what| {
                    corrupt(format!("a row of \"{}\" has {what} as {name}", table.name))
                })
            });
            found.push(cells.collect::<Result<_, _>>()?);
        }
        Ok(found)
    }
}

/// Whether a server that was killed has left changes in the log beside the database.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// The name of a database that nobody changes, as SQLite reads it.
fn immutable(path: &Path) -> std::path::PathBuf {
    let path = path.as_os_str().as_encoded_bytes();
    // A relative path must not be taken for a host.
    let mut name = String::from(if path.starts_with(b"/") {
        "file://"
    } else {
        "file:"
    });
    for byte in path {
        match byte {
            b'/' | b'.' | b'-' | b'_' => name.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => name.push(char::from(*byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    (name + "?immutable=1").into()
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Text(text) => Value::Text(text.clone()),
        Cell::Octets(octets) => Value::Blob(octets.clone()),
    }
}

/// SQLite's columns hold values of any type.
fn cell(value: ValueRef<'_>, kind: Kind) -> Result<Cell, &'static str> {
    match (value, kind) {
        (ValueRef::Null, _) => Ok(Cell::Null),
        (ValueRef::Integer(number), Kind::Flag) if !(0..=1).contains(&number) => {
            Err("a number that is no flag")
        }
        (ValueRef::Integer(number), Kind::Small) if i16::try_from(number).is_err() => {
            Err("too large a number")
        }
        (ValueRef::Integer(number), Kind::Integer | Kind::Small | Kind::Flag) => {
            Ok(Cell::Integer(number))
        }
        (ValueRef::Text(text), Kind::Text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Cell::Text(text.to_owned())),
            Err(_) => Err("text that is not UTF-8"),
        },
        (ValueRef::Blob(octets), Kind::Octets) => Ok(Cell::Octets(octets.to_owned())),
        (ValueRef::Integer(_), _) => Err("a number"),
        (ValueRef::Real(_), _) => Err("a fraction"),
        (ValueRef::Text(_), _) => Err("text"),
        (ValueRef::Blob(_), _) => Err("octets"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_named_for_sqlite() {
        let name = |path: &str| immutable(Path::new(path)).display().to_string();
        assert_eq!(
            name("/a b/c?d#e%f/ü.db"),
            "file:///a%20b/c%3Fd%23e%25f/%C3%BC.db?immutable=1"
        );
        assert_eq!(name("./data/a.db"), "file:./data/a.db?immutable=1");
        assert_eq!(name("//x/a.db"), "file:////x/a.db?immutable=1");
    }

    #[test]
    fn values_of_the_wrong_type_are_told() {
        assert_eq!(
            cell(ValueRef::Integer(2), Kind::Flag),
            Err("a number that is no flag")
        );
        assert_eq!(
            cell(ValueRef::Integer(40_000), Kind::Small),
            Err("too large a number")
        );
        assert_eq!(
            cell(ValueRef::Text(b"\xff"), Kind::Text),
            Err("text that is not UTF-8")
        );
        assert_eq!(cell(ValueRef::Text(b"a"), Kind::Octets), Err("text"));
        assert_eq!(cell(ValueRef::Null, Kind::Text), Ok(Cell::Null));
    }
}
