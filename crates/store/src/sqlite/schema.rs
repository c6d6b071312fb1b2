//! The tables and how a database comes to have them.
//!
//! Plain SQL that another database can mirror: integers, text, blobs, no triggers, no generated columns. Instants are
//! microseconds since the Unix epoch, ids are blobs of 16 octets, statuses are the codes of `Status::code`.
//!
//! A migration is never edited once it has been released: a change of the schema is one more entry at the end of
//! [`MIGRATIONS`], whose length is the version that the database carries in `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use super::counters::Layout;

/// Marks a database as certgate's (`application_id`), so that another program's database is refused: "cgat".
pub(super) const APPLICATION_ID: i32 = 0x6367_6174;

/// The version this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

const MIGRATIONS: &[&str] = &[FIRST];

const FIRST: &str = "
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    block_bits INTEGER NOT NULL,
    upper_block_bits INTEGER NOT NULL,
    last_epoch INTEGER NOT NULL,
    probes INTEGER NOT NULL
);

CREATE TABLE installation (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    master_key_check BLOB NOT NULL,
    created_on INTEGER NOT NULL
);

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    created_on INTEGER NOT NULL
);

CREATE TABLE authorities (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    certificate_der BLOB NOT NULL,
    sealed_key BLOB NOT NULL,
    public_url TEXT NOT NULL,
    created_on INTEGER NOT NULL,
    expires_on INTEGER NOT NULL
);

CREATE TABLE accounts (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    authority_algorithm TEXT NOT NULL,
    managed_authority INTEGER REFERENCES authorities (number),
    created_on INTEGER NOT NULL,
    deleted_at INTEGER
);
CREATE UNIQUE INDEX accounts_by_name ON accounts (folded_name) WHERE deleted_at IS NULL;

CREATE TABLE zones (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 134217727),
    id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    folded_name TEXT NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    created_on INTEGER NOT NULL,
    modified_on INTEGER NOT NULL,
    deleted_at INTEGER
);
CREATE UNIQUE INDEX zones_by_name ON zones (folded_name) WHERE deleted_at IS NULL;
CREATE INDEX zones_by_account ON zones (account) WHERE deleted_at IS NULL;

CREATE TABLE tokens (
    id BLOB NOT NULL PRIMARY KEY,
    user BLOB NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL,
    policies TEXT NOT NULL,
    allowed_addresses TEXT NOT NULL,
    refused_addresses TEXT NOT NULL,
    not_before INTEGER,
    expires_on INTEGER,
    issued_on INTEGER NOT NULL,
    modified_on INTEGER NOT NULL
);
CREATE INDEX tokens_by_age ON tokens (issued_on, id);

CREATE TABLE certificates (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    authority INTEGER NOT NULL REFERENCES authorities (number),
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
    epoch INTEGER,
    revoked_on INTEGER,
    serial BLOB NOT NULL,
    common_name TEXT NOT NULL,
    country TEXT NOT NULL,
    state TEXT NOT NULL,
    location TEXT NOT NULL,
    organization TEXT NOT NULL,
    organizational_unit TEXT NOT NULL,
    issued_on INTEGER NOT NULL,
    expires_on INTEGER NOT NULL,
    validity_days INTEGER NOT NULL,
    signature TEXT NOT NULL,
    fingerprint_sha256 BLOB NOT NULL,
    ski BLOB NOT NULL,
    der BLOB NOT NULL,
    csr TEXT NOT NULL
);
-- No index on serial: it is random, so that every row would dirty a page of it, and nothing looks one up.
CREATE UNIQUE INDEX certificates_by_id ON certificates (id);
CREATE INDEX certificates_by_status ON certificates (status);
CREATE INDEX certificates_pending ON certificates (epoch) WHERE status IN (1, 2);

CREATE TABLE blocks (
    block INTEGER PRIMARY KEY,
    active INTEGER NOT NULL CHECK (active >= 0),
    pending_reactivation INTEGER NOT NULL CHECK (pending_reactivation >= 0),
    pending_revocation INTEGER NOT NULL CHECK (pending_revocation >= 0),
    revoked INTEGER NOT NULL CHECK (revoked >= 0)
);

CREATE TABLE upper_blocks (
    block INTEGER PRIMARY KEY,
    active INTEGER NOT NULL CHECK (active >= 0),
    pending_reactivation INTEGER NOT NULL CHECK (pending_reactivation >= 0),
    pending_revocation INTEGER NOT NULL CHECK (pending_revocation >= 0),
    revoked INTEGER NOT NULL CHECK (revoked >= 0)
);
";

/// Brings the database from version `from` to [`VERSION`], one transaction a step, so that a crash leaves a version
/// that exists. A new database gets `layout`.
pub(super) fn migrate(connection: &mut Connection, from: i64, layout: Layout) -> rusqlite::Result<()> {
    for (version, statements) in (1..).zip(MIGRATIONS) {
        if version <= from {
            continue;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(statements)?;
        if version == 1 {
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.execute(
                "INSERT INTO store (only, block_bits, upper_block_bits, last_epoch, probes) VALUES (1, ?1, ?2, 0, 0)",
                (layout.block_bits(), layout.upper_block_bits()),
            )?;
        }
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
