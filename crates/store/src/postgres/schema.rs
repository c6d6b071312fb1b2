//! The tables and how a database comes to have them.
//!
//! The same as in SQLite after its migrations, by the same numbers: PostgreSQL begins with version 4. Text is compared octet by
//! octet (`COLLATE "C"`), whatever the database's own collation is. No trigger, no sequence, no extension: what other databases
//! that speak PostgreSQL's protocol understand as well.
//!
//! A migration is never edited once it has been released: a change of the schema is one more entry at the end of [`MIGRATIONS`].
//! Several processes may start at once: whoever changes anything holds the row of `schema_lock`.

use super::db::{Committed, Db};
use super::value::values;
use super::{PostgresError, destination, error};
use crate::StoreError;
use crate::position::Layout;

/// The version this program writes.
pub(super) const VERSION: i64 = 5;

/// One step from the version before to the next.
struct Migration {
    version: i64,
    /// The oldest version that a program has to know to go on with the database after this step: those that run beside the
    /// one that takes it, and go on, or start again, until they are replaced.
    oldest: i64,
    statements: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 4,
        oldest: 4,
        statements: FOURTH,
    },
    Migration {
        version: 5,
        oldest: 4,
        statements: FIFTH,
    },
];

/// How often making the first two tables is tried: of several processes that make a table at the same instant, PostgreSQL refuses
/// all but one, also with IF NOT EXISTS.
const ATTEMPTS_MAX: u32 = 10;

// Without the notice of what is there already, which would be in the log of every start.
const BEFORE_ALL: &str = "
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS schema_lock (\"only\" SMALLINT NOT NULL PRIMARY KEY CHECK (\"only\" = 1));
CREATE TABLE IF NOT EXISTS schema_versions (version BIGINT NOT NULL PRIMARY KEY);
INSERT INTO schema_lock (\"only\") VALUES (1) ON CONFLICT (\"only\") DO NOTHING;
";

const FOURTH: &str = "
CREATE TABLE store (
    \"only\" SMALLINT NOT NULL PRIMARY KEY CHECK (\"only\" = 1),
    block_bits BIGINT NOT NULL,
    upper_block_bits BIGINT NOT NULL,
    last_epoch BIGINT NOT NULL,
    last_deployment BIGINT NOT NULL,
    restored SMALLINT NOT NULL,
    probes BIGINT NOT NULL
);

CREATE TABLE installation (
    \"only\" SMALLINT NOT NULL PRIMARY KEY CHECK (\"only\" = 1),
    master_key_check BYTEA NOT NULL,
    created_on BIGINT NOT NULL,
    sealed_serial_key BYTEA
);

CREATE TABLE users (
    id BYTEA NOT NULL PRIMARY KEY,
    email TEXT COLLATE \"C\" NOT NULL,
    created_on BIGINT NOT NULL,
    api_key_hash BYTEA
);

CREATE TABLE accounts (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT COLLATE \"C\" NOT NULL,
    folded_name TEXT COLLATE \"C\" NOT NULL,
    authority_algorithm TEXT COLLATE \"C\" NOT NULL,
    managed_authority BIGINT,
    created_on BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX accounts_by_name ON accounts (folded_name) WHERE deleted_at IS NULL;

CREATE TABLE authorities (
    number BIGINT NOT NULL PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE,
    account BYTEA NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE \"C\" NOT NULL,
    algorithm TEXT COLLATE \"C\" NOT NULL,
    certificate_der BYTEA NOT NULL,
    sealed_key BYTEA NOT NULL,
    public_url TEXT COLLATE \"C\" NOT NULL,
    created_on BIGINT NOT NULL,
    expires_on BIGINT NOT NULL,
    last_epoch BIGINT NOT NULL
);
CREATE INDEX authorities_by_account ON authorities (account);
CREATE INDEX authorities_by_last_epoch ON authorities (last_epoch);
ALTER TABLE accounts ADD CONSTRAINT accounts_managed_authority
    FOREIGN KEY (managed_authority) REFERENCES authorities (number);

CREATE TABLE zones (
    number BIGINT NOT NULL PRIMARY KEY CHECK (number BETWEEN 1 AND 134217727),
    id BYTEA NOT NULL UNIQUE,
    name TEXT COLLATE \"C\" NOT NULL,
    folded_name TEXT COLLATE \"C\" NOT NULL,
    account BYTEA NOT NULL REFERENCES accounts (id),
    created_on BIGINT NOT NULL,
    modified_on BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX zones_by_name ON zones (folded_name) WHERE deleted_at IS NULL;
CREATE INDEX zones_by_account ON zones (account) WHERE deleted_at IS NULL;

CREATE TABLE tokens (
    id BYTEA NOT NULL PRIMARY KEY,
    \"user\" BYTEA NOT NULL REFERENCES users (id),
    name TEXT COLLATE \"C\" NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    state TEXT COLLATE \"C\" NOT NULL,
    policies TEXT COLLATE \"C\" NOT NULL,
    allowed_addresses TEXT COLLATE \"C\" NOT NULL,
    refused_addresses TEXT COLLATE \"C\" NOT NULL,
    not_before BIGINT,
    expires_on BIGINT,
    issued_on BIGINT NOT NULL,
    modified_on BIGINT NOT NULL,
    last_used_on BIGINT
);
CREATE INDEX tokens_by_age ON tokens (issued_on, id);

CREATE TABLE certificates (
    position BIGINT NOT NULL PRIMARY KEY,
    id BYTEA NOT NULL,
    authority BIGINT NOT NULL REFERENCES authorities (number),
    status SMALLINT NOT NULL CHECK (status BETWEEN 0 AND 3),
    epoch BIGINT,
    revoked_on BIGINT,
    reason SMALLINT,
    serial BYTEA NOT NULL,
    common_name TEXT COLLATE \"C\" NOT NULL,
    country TEXT COLLATE \"C\" NOT NULL,
    state TEXT COLLATE \"C\" NOT NULL,
    location TEXT COLLATE \"C\" NOT NULL,
    organization TEXT COLLATE \"C\" NOT NULL,
    organizational_unit TEXT COLLATE \"C\" NOT NULL,
    issued_on BIGINT NOT NULL,
    expires_on BIGINT NOT NULL,
    validity_days BIGINT NOT NULL,
    signature TEXT COLLATE \"C\" NOT NULL,
    fingerprint_sha256 BYTEA NOT NULL,
    ski BYTEA NOT NULL,
    der BYTEA NOT NULL,
    csr TEXT COLLATE \"C\" NOT NULL
);
-- No index on serial: it is random, so that every row would dirty a page of it, and nothing looks one up.
CREATE UNIQUE INDEX certificates_by_id ON certificates (id);
CREATE INDEX certificates_by_status ON certificates (status, position);
CREATE INDEX certificates_pending ON certificates (authority, epoch) WHERE status IN (1, 2);
CREATE INDEX certificates_by_epoch ON certificates (authority, epoch) WHERE epoch IS NOT NULL;

CREATE TABLE blocks (
    block BIGINT NOT NULL PRIMARY KEY,
    active BIGINT NOT NULL CHECK (active >= 0),
    pending_reactivation BIGINT NOT NULL CHECK (pending_reactivation >= 0),
    pending_revocation BIGINT NOT NULL CHECK (pending_revocation >= 0),
    revoked BIGINT NOT NULL CHECK (revoked >= 0)
);

CREATE TABLE upper_blocks (
    block BIGINT NOT NULL PRIMARY KEY,
    active BIGINT NOT NULL CHECK (active >= 0),
    pending_reactivation BIGINT NOT NULL CHECK (pending_reactivation >= 0),
    pending_revocation BIGINT NOT NULL CHECK (pending_revocation >= 0),
    revoked BIGINT NOT NULL CHECK (revoked >= 0)
);

CREATE TABLE mtls_certificates (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE \"C\" NOT NULL,
    ca BOOLEAN NOT NULL,
    issuer TEXT COLLATE \"C\" NOT NULL,
    signature TEXT COLLATE \"C\" NOT NULL,
    serial_number TEXT COLLATE \"C\" NOT NULL,
    certificates TEXT COLLATE \"C\" NOT NULL,
    fingerprint_sha256 BYTEA NOT NULL,
    sealed_key BYTEA,
    uploaded_on BIGINT NOT NULL,
    expires_on BIGINT NOT NULL
);
CREATE UNIQUE INDEX mtls_certificates_by_fingerprint ON mtls_certificates (account, fingerprint_sha256);

-- One row a hostname. mtls_certificate is empty for the managed authority: a key column must not be null.
-- deployment grows with every change of a list: the higher, the more recently deployed.
CREATE TABLE hostname_associations (
    zone BIGINT NOT NULL REFERENCES zones (number),
    mtls_certificate BYTEA NOT NULL,
    place BIGINT NOT NULL,
    hostname TEXT COLLATE \"C\" NOT NULL,
    folded_hostname TEXT COLLATE \"C\" NOT NULL,
    deployment BIGINT NOT NULL,
    PRIMARY KEY (zone, mtls_certificate, place)
);
CREATE INDEX hostname_associations_by_hostname ON hostname_associations (folded_hostname, deployment);
CREATE INDEX hostname_associations_by_mtls_certificate ON hostname_associations (mtls_certificate);

-- What only a copy of an SQLite database has in it: serial numbers from before they led to their certificates, and what was
-- revoked after a backup that was restored.
CREATE TABLE early_serials (
    serial BYTEA NOT NULL PRIMARY KEY,
    id BYTEA NOT NULL
);
CREATE TABLE lost_certificates (
    position BIGINT NOT NULL PRIMARY KEY CHECK (position < 0),
    id BYTEA NOT NULL,
    authority BIGINT NOT NULL REFERENCES authorities (number),
    serial BYTEA NOT NULL UNIQUE,
    fingerprint_sha256 BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    revoked_on BIGINT NOT NULL,
    reason SMALLINT NOT NULL,
    expires_on BIGINT NOT NULL
);
CREATE INDEX lost_certificates_by_epoch ON lost_certificates (authority, epoch);

-- One row for each certificate that is revoked, pending or not, also if it has expired.
CREATE TABLE revocations (
    authority BIGINT NOT NULL REFERENCES authorities (number),
    shard SMALLINT NOT NULL CHECK (shard BETWEEN 0 AND 127),
    position BIGINT NOT NULL,
    serial BYTEA NOT NULL,
    revoked_on BIGINT NOT NULL,
    reason SMALLINT NOT NULL,
    expires_on BIGINT NOT NULL,
    PRIMARY KEY (authority, shard, expires_on, position)
);

-- Each list of each authority. A change raises changed_epoch; a list that was made holds everything up to made_epoch.
CREATE TABLE crl_states (
    authority BIGINT NOT NULL REFERENCES authorities (number),
    part SMALLINT NOT NULL CHECK (part BETWEEN 0 AND 129),
    changed_epoch BIGINT NOT NULL,
    made_epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    this_update BIGINT NOT NULL,
    next_update BIGINT NOT NULL,
    renew_on BIGINT NOT NULL,
    PRIMARY KEY (authority, part)
);
CREATE INDEX crl_states_changed ON crl_states (authority, part) WHERE changed_epoch > made_epoch;
CREATE INDEX crl_states_by_renewal ON crl_states (renew_on);

-- Beside their states, which change often and are small.
CREATE TABLE crls (
    authority BIGINT NOT NULL REFERENCES authorities (number),
    part SMALLINT NOT NULL,
    der BYTEA NOT NULL,
    PRIMARY KEY (authority, part)
);

-- live_until is when the lease of an enforcement point ends; until then a change waits for its acknowledgement.
CREATE TABLE enforcement_points (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE \"C\" NOT NULL,
    lease_seconds BIGINT NOT NULL,
    acknowledged_epoch BIGINT NOT NULL,
    seen_on BIGINT NOT NULL,
    live_until BIGINT NOT NULL,
    registered_on BIGINT NOT NULL
);
CREATE UNIQUE INDEX enforcement_points_by_name ON enforcement_points (account, name);
CREATE INDEX enforcement_points_by_lease ON enforcement_points (live_until);

CREATE TABLE audit_chains (
    number BIGINT NOT NULL PRIMARY KEY,
    owner BYTEA NOT NULL UNIQUE,
    is_user BOOLEAN NOT NULL,
    entries BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    head BYTEA NOT NULL
);
CREATE TABLE audit_entries (
    chain BIGINT NOT NULL,
    at BIGINT NOT NULL,
    number BIGINT NOT NULL,
    actor_kind SMALLINT NOT NULL,
    actor BYTEA,
    address TEXT COLLATE \"C\",
    action SMALLINT NOT NULL,
    resource_type SMALLINT NOT NULL,
    resource BYTEA NOT NULL,
    zone BYTEA,
    fingerprint_sha256 BYTEA,
    detail TEXT COLLATE \"C\" NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (chain, at, number)
);
CREATE INDEX audit_entries_by_actor ON audit_entries (chain, actor, actor_kind, at, number);

-- What only one process does at a time.
CREATE TABLE duties (
    duty TEXT COLLATE \"C\" NOT NULL PRIMARY KEY,
    holder BYTEA NOT NULL,
    until BIGINT NOT NULL
);
-- Epochs that were given before a restore to changes that are not known any more: whoever restores writes them down.
CREATE TABLE epoch_gaps (
    after BIGINT NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL,
    is_all BOOLEAN NOT NULL
);
";

// Version 5 is PostgreSQL's alone. Its tables take nothing from programs that know only version 4.
const FIFTH: &str = "
-- The last batch of each process that writes: who gets no answer to a COMMIT looks here.
CREATE TABLE writers (
    id TEXT COLLATE \"C\" NOT NULL PRIMARY KEY,
    batch BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
-- What a program has to know to go on with this version; NULL: the version itself.
ALTER TABLE schema_versions ADD COLUMN oldest BIGINT;
";

/// Makes the tables or brings them to [`VERSION`]; a new database gets `layout`. One that an embedded database is being moved to is
/// left alone.
pub(super) async fn migrate(db: &Db, layout: Layout) -> Result<(), PostgresError> {
    make_lock(db).await?;
    let outcome = migrate_locked(db, layout).await;
    if outcome.is_err() {
        // The first error tells more.
        let _ = db.go_back("ROLLBACK").await;
    }
    outcome
}

/// Makes what [`lock`] locks.
pub(super) async fn make_lock(db: &Db) -> Result<(), PostgresError> {
    let mut attempts = 0;
    while let Err(error) = db.run(BEFORE_ALL).await {
        attempts += 1;
        // 23505 of the catalogue, or what PostgreSQL says of a table, or of its type, that has come into being meanwhile.
        let text = error.to_string();
        let is_race = matches!(error, StoreError::Conflict(_))
            || text.contains("(42P07)")
            || text.contains("(42710)");
        if !is_race || attempts == ATTEMPTS_MAX {
            return Err(error.into());
        }
    }
    Ok(())
}

async fn migrate_locked(db: &Db, layout: Layout) -> Result<(), PostgresError> {
    lock(db).await?;
    if destination::is_unfinished(db).await? {
        return Err(PostgresError::Unfinished);
    }
    make_tables(db, layout, VERSION).await?;
    match db.commit().await {
        Committed::Yes => Ok(()),
        Committed::No(trouble) => Err(StoreError::from(trouble).into()),
        Committed::Unknown(text) => Err(StoreError::Unavailable(text).into()),
    }
}

/// Begins a transaction in which nobody else changes the tables.
pub(super) async fn lock(db: &Db) -> Result<(), StoreError> {
    // Another process may be at a long migration.
    db.begin("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    db.run_for_long("SELECT \"only\" FROM schema_lock WHERE \"only\" = 1 FOR UPDATE")
        .await
}

/// The version that the tables have; 0: there are none.
pub(super) async fn version(db: &Db) -> Result<i64, StoreError> {
    db.one(
        "SELECT coalesce(max(version), 0) FROM schema_versions",
        values![],
    )
    .await?
    .get(0)
}

/// Makes what is missing up to a version, in the transaction that [`lock`] has begun.
pub(super) async fn make_tables(db: &Db, layout: Layout, wanted: i64) -> Result<(), PostgresError> {
    let found = version(db).await?;
    if found > VERSION {
        return allow_newer(db, found).await;
    }
    let steps = MIGRATIONS
        .iter()
        .filter(|step| step.version > found && step.version <= wanted);
    for Migration {
        version,
        oldest,
        statements,
    } in steps
    {
        db.run_for_long(statements).await?;
        if *version == 4 {
            db.execute(
                "INSERT INTO store (\"only\", block_bits, upper_block_bits, last_epoch, last_deployment, restored, probes) \
                 VALUES (1, $1, $2, 0, 0, 0, 0)",
                values![layout.block_bits(), layout.upper_block_bits()],
            )
            .await?;
        }
        db.execute(
            "INSERT INTO schema_versions (version) VALUES ($1)",
            values![*version],
        )
        .await?;
        if *version >= 5 {
            let note = "UPDATE schema_versions SET oldest = $2 WHERE version = $1";
            db.execute(note, values![*version, *oldest]).await?;
        }
    }
    Ok(())
}

/// The tables as an earlier release left them.
#[cfg(feature = "conformance")]
pub(super) async fn make_earlier(db: &Db, version: i64) -> Result<(), PostgresError> {
    make_lock(db).await?;
    lock(db).await?;
    make_tables(db, Layout::DEFAULT, version).await?;
    match db.commit().await {
        Committed::Yes => Ok(()),
        Committed::No(_) | Committed::Unknown(_) => {
            Err(PostgresError::Damaged("tables could not be made".into()))
        }
    }
}

/// Whether this program can use the tables as they are, without making any.
pub(super) async fn is_usable(db: &Db) -> Result<(), PostgresError> {
    match version(db).await? {
        0 => Err(PostgresError::Empty),
        found if found > VERSION => allow_newer(db, found).await,
        _ if destination::is_unfinished(db).await? => Err(PostgresError::Unfinished),
        _ => Ok(()),
    }
}

/// A newer program has been here: this one goes on if every step that it does not know lets it.
async fn allow_newer(db: &Db, found: i64) -> Result<(), PostgresError> {
    let needed = "SELECT coalesce(max(coalesce(oldest, version)), 0) FROM schema_versions WHERE version > $1";
    let needed: i64 = db.one(needed, values![VERSION]).await?.get(0)?;
    if needed > VERSION {
        return Err(PostgresError::NewerVersion {
            found,
            known: VERSION,
        });
    }
    tracing::info!(
        found,
        known = VERSION,
        "a newer certgate has migrated the database, which this one can use"
    );
    Ok(())
}

/// The layout that the database was made with.
pub(super) async fn layout(db: &Db) -> Result<Layout, StoreError> {
    let row = db
        .optional(
            "SELECT block_bits, upper_block_bits FROM store WHERE \"only\" = 1",
            values![],
        )
        .await?;
    let row = row.ok_or_else(|| error::corrupt("the table \"store\" has no row"))?;
    let (block_bits, upper_block_bits) = (row.get(0)?, row.get(1)?);
    Layout::new(block_bits, upper_block_bits).ok_or_else(|| {
        error::corrupt(format!(
            "impossible block sizes: {block_bits}, {upper_block_bits} bits"
        ))
    })
}
