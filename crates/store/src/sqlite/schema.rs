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

const MIGRATIONS: &[&str] = &[FIRST, SECOND, THIRD, FOURTH];

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

/// Hostnames, certificates that accounts bring themselves, several authorities of an account one after another, API keys
/// and the last use of tokens. The token that was made to do everything gets the permissions there were not before.
const SECOND: &str = "
ALTER TABLE authorities ADD COLUMN last_epoch INTEGER NOT NULL DEFAULT 0;
CREATE INDEX authorities_by_account ON authorities (account);
-- Its certificates' highest epoch is not higher; to find it exactly would read them all.
UPDATE authorities SET last_epoch = (SELECT last_epoch FROM store);

ALTER TABLE users ADD COLUMN api_key_hash BLOB;
ALTER TABLE tokens ADD COLUMN last_used_on INTEGER;
UPDATE tokens SET policies = replace(
    policies,
    '[\"c1fde68c7bcc44588cbb6ddbc16d6480\",\"1af1fa2adc104452b74a9a3364202f20\",'
    || '\"0cc3a61731504c89b99ec1be78b77aa0\",\"686d18d5ac6c441c867cbf6771e58a0a\",'
    || '\"7b7216b327b04b8fbc8f524e1f9b7531\",\"c03055bc037c4ea9afb9a9f104b7b721\",'
    || '\"8acbe5bb0d54464ab867149d7f7cf8ac\",\"c8fed203ed3043cba015a93ad1616f1f\",'
    || '\"e6d2666161e84845a636613608cee8d5\"]',
    '[\"c1fde68c7bcc44588cbb6ddbc16d6480\",\"1af1fa2adc104452b74a9a3364202f20\",'
    || '\"a7a233f9604845c787d4c8c39ac09c21\",\"db37e5f1cb1a4e1aabaef8deaea43575\",'
    || '\"0cc3a61731504c89b99ec1be78b77aa0\",\"686d18d5ac6c441c867cbf6771e58a0a\",'
    || '\"7b7216b327b04b8fbc8f524e1f9b7531\",\"c03055bc037c4ea9afb9a9f104b7b721\",'
    || '\"8acbe5bb0d54464ab867149d7f7cf8ac\",\"c8fed203ed3043cba015a93ad1616f1f\",'
    || '\"e6d2666161e84845a636613608cee8d5\"]'
);

CREATE TABLE mtls_certificates (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    ca INTEGER NOT NULL CHECK (ca IN (0, 1)),
    issuer TEXT NOT NULL,
    signature TEXT NOT NULL,
    serial_number TEXT NOT NULL,
    certificates TEXT NOT NULL,
    fingerprint_sha256 BLOB NOT NULL,
    sealed_key BLOB,
    uploaded_on INTEGER NOT NULL,
    expires_on INTEGER NOT NULL
);
CREATE UNIQUE INDEX mtls_certificates_by_fingerprint ON mtls_certificates (account, fingerprint_sha256);

-- One row a hostname. mtls_certificate is empty for the managed authority: a key column must not be null.
-- deployment grows with every change of a list: the higher, the more recently deployed.
CREATE TABLE hostname_associations (
    zone INTEGER NOT NULL REFERENCES zones (number),
    mtls_certificate BLOB NOT NULL,
    place INTEGER NOT NULL,
    hostname TEXT NOT NULL,
    folded_hostname TEXT NOT NULL,
    deployment INTEGER NOT NULL,
    PRIMARY KEY (zone, mtls_certificate, place)
);
CREATE INDEX hostname_associations_by_hostname ON hostname_associations (folded_hostname, deployment);
CREATE INDEX hostname_associations_by_mtls_certificate ON hostname_associations (mtls_certificate);
ALTER TABLE store ADD COLUMN last_deployment INTEGER NOT NULL DEFAULT 0;
";

/// What revocation lists are made of, and the lists. Certificates that were issued before have serial numbers that do not
/// lead to them (see `Store::issued`), so those are indexed, once.
const THIRD: &str = "
ALTER TABLE installation ADD COLUMN sealed_serial_key BLOB;
ALTER TABLE certificates ADD COLUMN reason INTEGER;
UPDATE certificates SET reason = 6 WHERE status IN (2, 3);

CREATE TABLE early_serials (
    serial BLOB NOT NULL PRIMARY KEY,
    id BLOB NOT NULL
);
INSERT INTO early_serials (serial, id) SELECT serial, id FROM certificates;

-- One row for each certificate that is revoked, pending or not. Lists leave out what has expired, and read no row of it: rows
-- stay, so that a clock which was wrong for a while takes nothing off the lists for good.
CREATE TABLE revocations (
    authority INTEGER NOT NULL REFERENCES authorities (number),
    shard INTEGER NOT NULL CHECK (shard BETWEEN 0 AND 127),
    position INTEGER NOT NULL,
    serial BLOB NOT NULL,
    revoked_on INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    expires_on INTEGER NOT NULL,
    PRIMARY KEY (authority, shard, expires_on, position)
) WITHOUT ROWID;
INSERT INTO revocations (authority, shard, position, serial, revoked_on, reason, expires_on)
SELECT authority,
    ((instr('0123456789ABCDEF', substr(hex(serial), 39, 1)) - 1) % 8) * 16
        + instr('0123456789ABCDEF', substr(hex(serial), 40, 1)) - 1,
    position, serial, coalesce(revoked_on, 0), 6, expires_on
FROM certificates WHERE status IN (2, 3);

-- Each list of each authority. A change raises changed_epoch; a list that was made holds everything up to made_epoch.
CREATE TABLE crl_states (
    authority INTEGER NOT NULL REFERENCES authorities (number),
    part INTEGER NOT NULL CHECK (part BETWEEN 0 AND 129),
    changed_epoch INTEGER NOT NULL,
    made_epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    renew_on INTEGER NOT NULL,
    PRIMARY KEY (authority, part)
) WITHOUT ROWID;
CREATE INDEX crl_states_changed ON crl_states (authority, part) WHERE changed_epoch > made_epoch;
CREATE INDEX crl_states_by_renewal ON crl_states (renew_on);
WITH RECURSIVE parts (part) AS (SELECT 0 UNION ALL SELECT part + 1 FROM parts WHERE part < 129)
INSERT INTO crl_states (authority, part, changed_epoch, made_epoch, number, this_update, next_update, renew_on)
SELECT authorities.number, parts.part, (SELECT last_epoch FROM store), -1, 0, 0, 0, 0 FROM authorities, parts;

-- live_until is when the lease of an enforcement point ends; until then a change waits for its acknowledgement.
CREATE TABLE enforcement_points (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    lease_seconds INTEGER NOT NULL,
    acknowledged_epoch INTEGER NOT NULL,
    seen_on INTEGER NOT NULL,
    live_until INTEGER NOT NULL,
    registered_on INTEGER NOT NULL
);
CREATE UNIQUE INDEX enforcement_points_by_name ON enforcement_points (account, name);
CREATE INDEX enforcement_points_by_lease ON enforcement_points (live_until);
-- By authority, so that those which have to wait are skipped at once.
DROP INDEX certificates_pending;
CREATE INDEX certificates_pending ON certificates (authority, epoch) WHERE status IN (1, 2);
CREATE INDEX certificates_by_epoch ON certificates (authority, epoch) WHERE epoch IS NOT NULL;

UPDATE tokens SET policies = replace(
    policies,
    '\"a7a233f9604845c787d4c8c39ac09c21\",\"db37e5f1cb1a4e1aabaef8deaea43575\",'
    || '\"0cc3a61731504c89b99ec1be78b77aa0\",\"686d18d5ac6c441c867cbf6771e58a0a\",'
    || '\"7b7216b327b04b8fbc8f524e1f9b7531\",',
    '\"a7a233f9604845c787d4c8c39ac09c21\",\"db37e5f1cb1a4e1aabaef8deaea43575\",'
    || '\"0cc3a61731504c89b99ec1be78b77aa0\",\"686d18d5ac6c441c867cbf6771e58a0a\",'
    || '\"bd4322d121c9edaee5b1d7a660678da4\",\"f48df003baa6a710aff2442069eee2b8\",'
    || '\"7b7216b327b04b8fbc8f524e1f9b7531\",'
);

-- Beside their states, which change often and are small.
CREATE TABLE crls (
    authority INTEGER NOT NULL REFERENCES authorities (number),
    part INTEGER NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (authority, part)
);
";

/// Who did what, when, to what: entries that nobody changes or deletes, in a chain for each account and user. In the order of
/// time, which is what they are read by; the numbers of a chain have no gaps.
const FOURTH: &str = "
CREATE TABLE audit_chains (
    number INTEGER PRIMARY KEY,
    owner BLOB NOT NULL UNIQUE,
    is_user INTEGER NOT NULL CHECK (is_user IN (0, 1)),
    entries INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    head BLOB NOT NULL
);
CREATE TABLE audit_entries (
    chain INTEGER NOT NULL,
    at INTEGER NOT NULL,
    number INTEGER NOT NULL,
    actor_kind INTEGER NOT NULL,
    actor BLOB,
    address TEXT,
    action INTEGER NOT NULL,
    resource_type INTEGER NOT NULL,
    resource BLOB NOT NULL,
    zone BLOB,
    fingerprint_sha256 BLOB,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (chain, at, number)
) WITHOUT ROWID;
CREATE INDEX audit_entries_by_actor ON audit_entries (chain, actor, actor_kind, at, number);

-- What is to be written to the journal, and what was found only there after a restore: certificates that were issued after the
-- backup, and revoked. Their positions are negative, so that they are in no zone.
CREATE INDEX authorities_by_last_epoch ON authorities (last_epoch);
ALTER TABLE store ADD COLUMN restored INTEGER NOT NULL DEFAULT 0;
CREATE TABLE lost_certificates (
    position INTEGER PRIMARY KEY CHECK (position < 0),
    id BLOB NOT NULL,
    authority INTEGER NOT NULL REFERENCES authorities (number),
    serial BLOB NOT NULL UNIQUE,
    fingerprint_sha256 BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    revoked_on INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    expires_on INTEGER NOT NULL
);
CREATE INDEX lost_certificates_by_epoch ON lost_certificates (authority, epoch);
-- What only one process does at a time.
CREATE TABLE duties (
    duty TEXT NOT NULL PRIMARY KEY,
    holder BLOB NOT NULL,
    until INTEGER NOT NULL
);
-- Epochs that were given before a restore to changes that are not known any more.
CREATE TABLE epoch_gaps (
    after INTEGER PRIMARY KEY,
    until INTEGER NOT NULL,
    is_all INTEGER NOT NULL CHECK (is_all IN (0, 1))
);
";

/// Brings the database from version `from` to [`VERSION`], one transaction a step, so that a crash leaves a version
/// that exists. A new database gets `layout`.
pub(super) fn migrate(
    connection: &mut Connection,
    from: i64,
    layout: Layout,
) -> rusqlite::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A database as version 1 left it.
    fn of_version_1() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(FIRST).unwrap();
        connection
            .execute_batch(
                "INSERT INTO store VALUES (1, 9, 18, 42, 0);
                 INSERT INTO users VALUES (x'01', 'a@b', 0);
                 INSERT INTO accounts VALUES (x'02', 'a', 'a', 'P-256', NULL, 0, NULL);
                 INSERT INTO authorities VALUES (1, x'03', x'02', 'a', 'P-256', x'', x'', 'http://a', 0, 0);",
            )
            .unwrap();
        connection
    }

    fn policies_after(policies: &str) -> String {
        let mut connection = of_version_1();
        connection
            .execute(
                "INSERT INTO tokens VALUES (x'04', x'01', 't', x'05', 'active', ?1, '[]', '[]', NULL, NULL, 0, 0)",
                (policies,),
            )
            .unwrap();
        migrate(&mut connection, 1, Layout::DEFAULT).unwrap();
        connection
            .query_row("SELECT policies FROM tokens", (), |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn the_token_that_may_do_everything_still_does_after_an_upgrade() {
        use certgate_model::PermissionGroup;
        let is_new = |group: &PermissionGroup| {
            ["Account: SSL", "Enforcement"]
                .iter()
                .any(|new| group.name().starts_with(new))
        };
        let ids = |groups: Vec<PermissionGroup>| {
            let quoted: Vec<_> = groups
                .iter()
                .map(|group| format!("\"{}\"", group.id()))
                .collect();
            format!(
                r#"[{{"id":"","effect":"allow","permission_groups":[{}],"resources":[]}}]"#,
                quoted.join(",")
            )
        };
        let (new, old): (Vec<_>, Vec<_>) = PermissionGroup::ALL.into_iter().partition(is_new);
        assert_eq!(new.len(), 4);
        assert_eq!(
            policies_after(&ids(old.clone())),
            ids(PermissionGroup::ALL.to_vec())
        );
        let less = ids(old[1..].to_vec());
        assert_eq!(policies_after(&less), less, "a limited token stays limited");
    }

    #[test]
    fn what_was_revoked_before_is_put_on_lists() {
        let mut connection = of_version_1();
        connection
            .execute_batch(
                "INSERT INTO certificates VALUES (7, x'06', 1, 3, 42, 1000, x'41000000000000000000000000000000000000fd', \
                 '', '', '', '', '', '', 0, 9000, 1, 'PureEd25519', x'', x'', x'', '');
                 INSERT INTO certificates VALUES (8, x'08', 1, 0, NULL, NULL, x'4100000000000000000000000000000000000001', \
                 '', '', '', '', '', '', 0, 9000, 1, 'PureEd25519', x'', x'', x'', '');",
            )
            .unwrap();
        migrate(&mut connection, 1, Layout::DEFAULT).unwrap();
        let revoked: (i64, i64, i64, i64, i64) = connection
            .query_row(
                "SELECT shard, position, revoked_on, reason, expires_on FROM revocations",
                (),
                |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                    ))
                },
            )
            .unwrap();
        assert_eq!(revoked, (0x7d, 7, 1000, 6, 9000));
        let count = |statement: &str| -> i64 {
            connection
                .query_row(statement, (), |row| row.get(0))
                .unwrap()
        };
        assert_eq!(count("SELECT count(*) FROM early_serials"), 2);
        assert_eq!(
            count("SELECT count(*) FROM crl_states WHERE changed_epoch > made_epoch"),
            130
        );
    }

    #[test]
    fn an_authority_of_version_1_has_an_epoch() {
        let mut connection = of_version_1();
        migrate(&mut connection, 1, Layout::DEFAULT).unwrap();
        let epoch: i64 = connection
            .query_row("SELECT last_epoch FROM authorities", (), |row| row.get(0))
            .unwrap();
        assert_eq!(epoch, 42);
    }
}
