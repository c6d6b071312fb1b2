//! A database that moves to PostgreSQL. It is read row by row and not changed.

use std::path::{Path, PathBuf};

use certgate_model::Installation;
use rusqlite::{Connection, OpenFlags};

use super::db::SqliteDb;
use super::journal::{self, Journal};
use super::open::{self, BUSY_TIMEOUT, OpenError};
use super::replay;
use crate::StoreError;
use crate::db::{Value, now};
use crate::migration::error::MigrationError;
use crate::migration::rows::{self, Digester, TableDigest};
use crate::schema::{Table, VERSION};
use crate::verbs::{revocations, tenants};

/// The database, of one instant.
pub(crate) struct Source {
    db: SqliteDb,
    installation: Installation,
}

impl Source {
    /// Opens the database of a server that does not run. `journal` is the journal of revocations
    /// beside it.
    pub(crate) fn open(path: &Path, journal: &Path) -> Result<Self, MigrationError> {
        let failed = |error: rusqlite::Error| OpenError::from_sqlite(path, &error);
        if !path.exists() {
            return Err(OpenError::Io {
                path: path.to_owned(),
                detail: "the file does not exist".to_owned(),
            }
            .into());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match has_log(path) {
            true => Connection::open_with_flags(path, flags),
            // SQLite would otherwise create a log and leave it there. No other process uses it.
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
        if found != VERSION {
            return Err(OpenError::OlderVersion {
                path: path.to_owned(),
                found,
                known: VERSION,
            }
            .into());
        }
        // One instant: SQLite begins it with the first read.
        connection
            .execute_batch("BEGIN; SELECT last_epoch FROM store")
            .map_err(failed)?;
        let db = open::with_layout(connection).map_err(MigrationError::Source)?;
        let installation = now(tenants::installation(&db)).map_err(MigrationError::Source)?;
        let installation = installation.ok_or(MigrationError::NoInstallation)?;
        let source = Self { db, installation };
        if source.is_behind(journal).map_err(MigrationError::Source)? {
            return Err(MigrationError::Restored);
        }
        Ok(source)
    }

    /// Returns whether it was restored from a backup and the journal was not replayed yet.
    fn is_behind(&self, journal: &Path) -> Result<bool, StoreError> {
        let known = now(revocations::last_epoch(&self.db))?;
        let name = journal::installation_name(&self.installation);
        let (_, content) = Journal::read(journal, &name, known)?;
        Ok(now(replay::is_restored(&self.db))? || content.to_epoch > known)
    }

    /// The installation in it.
    pub(crate) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Returns a digest that changes as soon as a server records anything.
    pub(crate) fn state(&self) -> Result<String, StoreError> {
        let mut digester = Digester::new();
        for table in rows::telltales() {
            now(rows::add_all(&self.db, table, &mut digester, |_| {}))?;
        }
        Ok(digester.finish().sha256)
    }

    /// Counts the rows of a table.
    pub(crate) fn count(&self, table: &Table) -> Result<u64, StoreError> {
        now(rows::count_up_to(&self.db, table, &[]))
    }

    /// Counts the rows up to a primary key.
    pub(crate) fn count_up_to(&self, table: &Table, key: &[Value<'_>]) -> Result<u64, StoreError> {
        now(rows::count_up_to(&self.db, table, key))
    }

    /// Returns a table's digest.
    pub(crate) fn digest(&self, table: &Table) -> Result<TableDigest, StoreError> {
        let mut digester = Digester::new();
        now(rows::add_all(&self.db, table, &mut digester, |_| {}))?;
        Ok(digester.finish())
    }

    /// Returns the next rows after this key: see [`rows::rows_after`].
    pub(crate) fn rows_after(
        &self,
        table: &Table,
        key: &[Value<'_>],
    ) -> Result<Vec<Value<'static>>, StoreError> {
        now(rows::rows_after(&self.db, table, key))
    }
}

/// Returns whether a server that was killed has left changes in the log beside the database.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// Returns the name of a database that nothing changes, in SQLite's form.
fn immutable(path: &Path) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_has_a_name_for_sqlite() {
        let name = |path: &str| immutable(Path::new(path)).display().to_string();
        assert_eq!(
            name("/a b/c?d#e%f/ü.db"),
            "file:///a%20b/c%3Fd%23e%25f/%C3%BC.db?immutable=1"
        );
        assert_eq!(name("./data/a.db"), "file:./data/a.db?immutable=1");
        assert_eq!(name("//x/a.db"), "file:////x/a.db?immutable=1");
    }
}
