//! The usual way to write a list, on the same data and with the same drivers: LIMIT and OFFSET for
//! the page, COUNT for the total.
//!
//! The two statements do not share a transaction, so that page and total may disagree. The database
//! has one zone, so that the statements need no condition on it. Each has the index that suits it
//! best.

use std::collections::HashSet;
use std::pin::pin;

use anyhow::Context;
use certgate_model::Status;
use futures_util::TryStreamExt;
use rusqlite::OpenFlags;
use tokio::task::JoinHandle;

use super::installation::Installation;

macro_rules! page {
    ($rest:literal) => {
        concat!(
            "SELECT certificates.position, id, certificates.authority, status, revoked_on, serial, \
             common_name, country, state, location, organization, organizational_unit, issued_on, \
             expires_on, validity_days, signature, fingerprint_sha256, ski, der, csr, reason \
             FROM certificates JOIN statuses ON statuses.position = certificates.position ",
            $rest
        )
    };
}

/// A connection to the database of an installation.
pub enum Sql {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Prepared>),
}

pub struct Prepared {
    client: tokio_postgres::Client,
    connection: JoinHandle<Result<(), tokio_postgres::Error>>,
    /// The statements of the page and the total, without a condition.
    of_all: [tokio_postgres::Statement; 2],
    of_status: [tokio_postgres::Statement; 2],
}

/// The size of a page, and the total.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub rows: usize,
    pub total: u64,
}

impl Sql {
    pub async fn open(installation: &Installation) -> anyhow::Result<Self> {
        match &installation.database_url {
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connection =
                    rusqlite::Connection::open_with_flags(installation.database(), flags)?;
                // The store's connections have the same size.
                connection.pragma_update(None, "cache_size", -(4 << 10))?;
                Ok(Self::Sqlite(connection))
            }
            Some(url) => {
                let (client, connection) =
                    tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
                let connection = tokio::spawn(connection);
                let of_all = [
                    client
                        .prepare(page!(
                            "ORDER BY certificates.position DESC LIMIT $1 OFFSET $2"
                        ))
                        .await?,
                    client.prepare("SELECT count(*) FROM certificates").await?,
                ];
                let of_status =
                    page!("WHERE status = $3 ORDER BY statuses.position DESC LIMIT $1 OFFSET $2");
                let of_status = [
                    client.prepare(of_status).await?,
                    client
                        .prepare("SELECT count(*) FROM statuses WHERE status = $1")
                        .await?,
                ];
                Ok(Self::Postgres(Box::new(Prepared {
                    client,
                    connection,
                    of_all,
                    of_status,
                })))
            }
        }
    }

    /// Reads the data into the system's page cache, and updates the statistics of PostgreSQL.
    pub async fn warm_up(&self, installation: &Installation) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(_) => {
                let mut file = std::fs::File::open(installation.database())?;
                std::io::copy(&mut file, &mut std::io::sink())?;
            }
            Self::Postgres(prepared) => {
                prepared.client.batch_execute("VACUUM (ANALYZE)").await?;
                let read = "SELECT count(der), sum(position) FROM certificates WHERE csr <> ''";
                prepared.client.query(read, &[]).await?;
            }
        }
        Ok(())
    }

    /// Reads `size` certificates after the first `offset`, newest first, of all or of one status.
    pub async fn page(
        &self,
        status: Option<Status>,
        offset: u64,
        size: u32,
    ) -> anyhow::Result<Page> {
        let (size, offset) = (i64::from(size), i64::try_from(offset)?);
        match self {
            Self::Sqlite(connection) => sqlite_page(connection, status, size, offset),
            Self::Postgres(prepared) => postgres_page(prepared, status, size, offset).await,
        }
    }

    /// Returns the positions of the certificates whose name begins with an ASCII text, without an
    /// index.
    pub async fn named(&self, begin: &str) -> anyhow::Result<HashSet<i64>> {
        let pattern = format!("{}%", begin.to_lowercase());
        let mut found = HashSet::new();
        match self {
            Self::Sqlite(connection) => {
                let select = "SELECT position FROM certificates WHERE lower(common_name) LIKE ?1";
                let mut select = connection.prepare(select)?;
                let mut rows = select.query((pattern,))?;
                while let Some(row) = rows.next()? {
                    found.insert(row.get(0)?);
                }
            }
            Self::Postgres(prepared) => {
                let select = "SELECT position FROM certificates \
                              WHERE lower(common_name) || '' LIKE $1";
                let rows = prepared.client.query_raw(select, [pattern]).await?;
                let mut rows = pin!(rows);
                while let Some(row) = rows.try_next().await? {
                    found.insert(row.try_get(0)?);
                }
            }
        }
        Ok(found)
    }

    /// Returns the status of every certificate, by position.
    pub async fn statuses(&self) -> anyhow::Result<Vec<(i64, Status)>> {
        let select = "SELECT position, status FROM statuses ORDER BY position";
        let read = |position, code: i64| {
            let status = u8::try_from(code).ok().and_then(Status::from_code);
            anyhow::Ok((position, status.context("an unknown status")?))
        };
        let mut all = Vec::new();
        match self {
            Self::Sqlite(connection) => {
                let mut select = connection.prepare(select)?;
                let mut rows = select.query(())?;
                while let Some(row) = rows.next()? {
                    all.push(read(row.get(0)?, row.get(1)?)?);
                }
            }
            Self::Postgres(prepared) => {
                let none: [i64; 0] = [];
                let rows = prepared.client.query_raw(select, none).await?;
                let mut rows = pin!(rows);
                while let Some(row) = rows.try_next().await? {
                    let code: i16 = row.try_get(1)?;
                    all.push(read(row.try_get(0)?, code.into())?);
                }
            }
        }
        Ok(all)
    }

    /// Returns the bytes of each table of PostgreSQL with its indexes, or of the SQLite file.
    pub async fn sizes(&self, installation: &Installation) -> anyhow::Result<Vec<(String, u64)>> {
        match self {
            Self::Sqlite(_) => Ok(vec![(
                "file".to_owned(),
                installation.database().metadata()?.len(),
            )]),
            Self::Postgres(prepared) => {
                let select = "SELECT relname::text, pg_total_relation_size(oid) FROM pg_class \
                              WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
                              ORDER BY pg_total_relation_size(oid) DESC";
                let rows = prepared.client.query(select, &[]).await?;
                rows.iter()
                    .map(|row| Ok((row.try_get(0)?, u64::try_from(row.try_get::<_, i64>(1)?)?)))
                    .collect()
            }
        }
    }

    pub async fn close(self) -> anyhow::Result<()> {
        if let Self::Postgres(prepared) = self {
            let Prepared {
                client, connection, ..
            } = *prepared;
            drop(client);
            connection.await??;
        }
        Ok(())
    }
}

fn sqlite_page(
    connection: &rusqlite::Connection,
    status: Option<Status>,
    size: i64,
    offset: i64,
) -> anyhow::Result<Page> {
    // IDs grow with time, and their index is much smaller than the table.
    let (mut page, mut count) = match status {
        None => (
            connection.prepare_cached(page!("ORDER BY id DESC LIMIT ?1 OFFSET ?2"))?,
            connection.prepare_cached("SELECT count(*) FROM certificates")?,
        ),
        Some(_) => (
            connection.prepare_cached(page!(
                "WHERE status = ?3 ORDER BY statuses.position DESC LIMIT ?1 OFFSET ?2"
            ))?,
            connection.prepare_cached("SELECT count(*) FROM statuses WHERE status = ?1")?,
        ),
    };
    let status = status.map(Status::code);
    let mut rows = match status {
        None => page.query((size, offset))?,
        Some(code) => page.query((size, offset, code))?,
    };
    let mut found = 0;
    while let Some(row) = rows.next()? {
        for column in 0..21 {
            row.get::<_, rusqlite::types::Value>(column)?;
        }
        found += 1;
    }
    let total = match status {
        None => count.query_row((), |row| row.get(0))?,
        Some(code) => count.query_row((code,), |row| row.get(0))?,
    };
    Ok(Page { rows: found, total })
}

async fn postgres_page(
    prepared: &Prepared,
    status: Option<Status>,
    size: i64,
    offset: i64,
) -> anyhow::Result<Page> {
    let Prepared {
        client,
        of_all,
        of_status,
        ..
    } = prepared;
    let (rows, total) = match status.map(|status| i16::from(status.code())) {
        None => (
            client.query(&of_all[0], &[&size, &offset]).await?,
            client.query_one(&of_all[1], &[]).await?,
        ),
        Some(code) => (
            client
                .query(&of_status[0], &[&size, &offset, &code])
                .await?,
            client.query_one(&of_status[1], &[&code]).await?,
        ),
    };
    Ok(Page {
        rows: rows.len(),
        total: u64::try_from(total.try_get::<_, i64>(0)?)?,
    })
}
