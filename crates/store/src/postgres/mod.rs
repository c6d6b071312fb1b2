//! The engine on a PostgreSQL database, which several processes may share.
//!
//! - [`connect`] reads the URL and says how connections behave, [`hosts`] makes them, [`tls`] says
//!   what is verified and shown; [`db`] is one connection; [`admission`] checks a database before
//!   its use, and [`open_error`] says why it cannot be used; [`schema`] creates and migrates the
//!   tables.
//! - [`writer`] is the one thread of this process that writes, and says how processes take turns;
//!   [`readers`] are a few connections that read.
//! - [`inspector`] reads a database that servers use; [`destination`] takes in an embedded one.
//!
//! The engine caches nothing between two transactions, because another process may have changed it.
//!
//! Statements are plain SQL that other databases with PostgreSQL's protocol understand: no advisory
//! locks, no LISTEN, no extension. They are prepared once for each connection, so between this
//! program and the database there can be a pooler of sessions, not one of transactions.

mod admission;
mod connect;
mod db;
mod destination;
mod error;
mod hosts;
mod index_states;
mod indexes;
mod inspector;
mod open_error;
mod readers;
mod schema;
mod tls;
mod writer;

use self::connect::Address;
pub use self::connect::PostgresUrl;
pub(crate) use self::db::PostgresDb;
pub(crate) use self::destination::Destination;
pub use self::destination::MigrationBegun;
pub use self::inspector::PostgresInspector;
pub use self::open_error::PostgresError;
use self::readers::Readers;
#[cfg(feature = "conformance")]
pub(crate) use self::readers::SEARCH_SETTINGS;
use self::writer::Writer;
use crate::StoreError;
use crate::index_work::Built;
use crate::position::Layout;
use crate::store::{Engine, SqlStore, View};
use crate::writes::{Verb, Write};

/// The store in a PostgreSQL database.
pub type PostgresStore = SqlStore<PostgresEngine>;

/// The connections to a PostgreSQL database.
pub struct PostgresEngine {
    writer: Writer,
    readers: Readers,
    /// For connections that build an index.
    address: Address,
}

impl Engine for PostgresEngine {
    type Db = PostgresDb;

    const IS_SHARED: bool = true;

    async fn read<A, T>(
        &self,
        view: View,
        args: A,
        verb: Verb<PostgresDb, A, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.readers.read(view, args, verb).await
    }

    fn push(&self, write: Write<PostgresDb>) {
        self.writer.push(write);
    }

    async fn writer_lost(&self) {
        self.writer.lost().await;
    }

    async fn build_index(&self) -> Result<Built, StoreError> {
        indexes::build_next(&self.address).await
    }

    async fn close(&self) {
        self.writer.close().await;
        self.readers.close();
    }
}

/// Settings of a [`PostgresStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The most writes that may wait; one more is refused as unavailable. Default 1,024, as in the
    /// embedded store.
    pub queue: usize,
    /// The most writes that share a transaction. Default 256: other processes wait until it ends.
    pub batch: usize,
    /// The most reads at a time. Default 8: they wait for the network more than for a processor.
    pub readers: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            queue: 1_024,
            batch: 256,
            readers: 8,
        }
    }
}

impl PostgresStore {
    /// Connects to the database at `url` (`postgres://user:password@host:port/name?sslmode=…`);
    /// creates the tables if there are none, migrates them if an earlier version wrote them. The
    /// time does not depend on the number of stored records.
    ///
    /// Without `sslmode`, or with `require`, `verify-ca` or `verify-full`, nothing is sent in clear
    /// text, and the server's certificate and name are verified against the file `sslrootcert` or
    /// the system's roots. `prefer` continues in clear text with a server that has no TLS,
    /// `disable` always does. A Unix socket (`postgres://user@%2Frun%2Fpostgresql/name`) has no
    /// TLS.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, PostgresError> {
        Self::open_with(url, &options, Layout::DEFAULT).await
    }

    /// Does the same, but a new database counts blocks of 2^`block_bits` and 2^`upper_block_bits`,
    /// so that a test crosses their borders with few rows.
    #[cfg(feature = "conformance")]
    pub async fn open_with_blocks(
        url: &str,
        options: PostgresOptions,
        block_bits: u32,
        upper_block_bits: u32,
    ) -> Result<Self, PostgresError> {
        let layout = Layout::new(block_bits, upper_block_bits).unwrap_or(Layout::DEFAULT);
        Self::open_with(url, &options, layout).await
    }

    async fn open_with(
        url: &str,
        options: &PostgresOptions,
        layout: Layout,
    ) -> Result<Self, PostgresError> {
        let address = Address::parse(url)?;
        let pool = address.pool(options.readers)?;
        let db = admission::connect(&address).await?;
        admission::check_rights(&db).await?;
        schema::migrate(&db, layout)
            .await
            .map_err(|error| error.at(&address))?;
        let layout = schema::layout(&db).await?;
        drop(db);
        let engine = PostgresEngine {
            writer: Writer::start(address.clone(), layout, options.queue, options.batch)?,
            readers: Readers::new(pool, layout),
            address,
        };
        Ok(Self::new(engine))
    }

    /// Runs a statement that corrupts the database.
    #[cfg(feature = "conformance")]
    pub async fn damage(&self, statement: &'static str) -> Result<(), StoreError> {
        self.write(statement, |db, statement| Box::pin(db.run(statement)))
            .await
    }
}
