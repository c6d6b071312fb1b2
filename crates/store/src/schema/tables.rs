//! The description of every table.

use super::Kind::{Flag, Integer, Octets, Small, Text};
use super::{Column, Index, Range, Table};

const fn integer(name: &'static str) -> Column {
    Column::new(name, Integer)
}

const fn small(name: &'static str) -> Column {
    Column::new(name, Small)
}

const fn flag(name: &'static str) -> Column {
    Column::new(name, Flag)
}

const fn text(name: &'static str) -> Column {
    Column::new(name, Text)
}

const fn octets(name: &'static str) -> Column {
    Column::new(name, Octets)
}

/// The key of a table with one row.
const ONLY: Column = small("only").within(Range::Between(1, 1));

const fn index(name: &'static str, columns: &'static [&'static str]) -> Index {
    Index {
        name,
        columns,
        is_unique: false,
        only: None,
        since: 1,
        until: i64::MAX,
    }
}

const fn unique_index(name: &'static str, columns: &'static [&'static str]) -> Index {
    Index {
        is_unique: true,
        ..index(name, columns)
    }
}

const fn only(condition: &'static str, index: Index) -> Index {
    Index {
        only: Some(condition),
        ..index
    }
}

/// Marks an index that a version of the schema added.
const fn since(since: i64, index: Index) -> Index {
    Index { since, ..index }
}

/// Marks an index that a version of the schema removed.
const fn until(until: i64, index: Index) -> Index {
    Index { until, ..index }
}

/// The digest of a row, the last column of its table. Rows that only tests write have none.
pub(super) const DIGEST: Column = integer("digest").nullable().unsealed();

/// Every table. A table comes after those that it refers to, except for the active CA of an
/// account.
pub(crate) static TABLES: &[&Table] = &[
    &USERS,
    &ACCOUNTS,
    &AUTHORITIES,
    &AUTHORITY_REQUESTS,
    &ZONES,
    &TOKENS,
    &ISSUANCE_COUNTERS,
    &MTLS_CERTIFICATES,
    &HOSTNAME_ASSOCIATIONS,
    &CERTIFICATES,
    &STATUSES,
    &ADOPTED_CERTIFICATES,
    &REPLACEMENTS,
    &INVITES,
    &INVITE_USES,
    &BLOCKS,
    &UPPER_BLOCKS,
    &LOST_CERTIFICATES,
    &REVOCATIONS,
    &CRL_STATES,
    &CRLS,
    &ENFORCEMENT_POINTS,
    &EPOCH_GAPS,
    &ACCOUNT_EPOCHS,
    &AUDIT_CHAINS,
    &AUDIT_ENTRIES,
    &LEASES,
    &WRITERS,
    &STORE,
    &INSTALLATION,
    &AUTHORITY_COUNTERS,
    &DAY_COUNTERS,
    &INDEXING,
    &REPLACEMENT_COUNTING,
    &CERTIFICATE_NAMES,
    &CERTIFICATE_FINGERPRINTS,
    &CERTIFICATE_EXPIRIES,
    &CERTIFICATE_ISSUE_DATES,
    &CERTIFICATE_AUTHORITIES,
    &CERTIFICATE_REVOCATIONS,
    &CERTIFICATE_EVENTS,
    &EVENT_INDEXING,
    &NOTIFICATION_DESTINATIONS,
    &NOTIFICATION_CURSORS,
    &NOTIFICATION_CONDITIONS,
    &NOTIFICATIONS_UNDELIVERED,
];

/// Columns that version 1 did not have are null in its rows, and outside the digest, because its
/// programs do not know them: an absent `modified_on` means the time of creation.
pub(crate) static USERS: Table = Table::new(
    "users",
    &[
        octets("id"),
        text("email"),
        integer("created_on"),
        octets("api_key_hash").nullable().unsealed(),
        text("first_name").nullable().unsealed().since(2),
        text("last_name").nullable().unsealed().since(2),
        text("telephone").nullable().unsealed().since(2),
        text("country").nullable().unsealed().since(2),
        text("zipcode").nullable().unsealed().since(2),
        integer("modified_on").nullable().unsealed().since(2),
        DIGEST,
    ],
    1,
);

/// Deleted rows of accounts and zones stay, with their time, because certificates and CAs refer to
/// them. Columns of version 2 are null in rows of version 1, and outside the digest.
/// `configuration_epoch` is that of the last change of hostnames or CAs, and null before there is
/// one. `configuration_check` is its complement, which reveals a changed bit.
pub(crate) static ACCOUNTS: Table = Table::new(
    "accounts",
    &[
        octets("id"),
        text("name"),
        text("folded_name"),
        text("authority_algorithm"),
        integer("managed_authority")
            .unsealed()
            .nullable()
            .references("authorities", "number"),
        integer("created_on"),
        integer("deleted_at").nullable().unsealed(),
        text("type").nullable().unsealed().since(2),
        flag("enforce_twofactor").nullable().unsealed().since(2),
        text("abuse_contact_email").nullable().unsealed().since(2),
        integer("configuration_epoch")
            .nullable()
            .unsealed()
            .since(4),
        integer("configuration_check")
            .nullable()
            .unsealed()
            .since(4),
        DIGEST,
    ],
    1,
)
.indexed(&[
    only(
        "deleted_at IS NULL",
        unique_index("accounts_by_name", &["folded_name"]),
    ),
    since(
        4,
        index("accounts_by_configuration_epoch", &["configuration_epoch"]),
    ),
]);

/// `has_signed` is true from the first certificate on, `last_epoch` the epoch of the last change of
/// one of the CA's certificates. The flag `retired` marks a discarded CA, which never signed and
/// made room for a new one: its row stays, without its certificate and its key, because a search
/// for rows that refer to it would read every certificate. `state` has the word of the state, the
/// epochs of publication and activation, and check digits; null in rows of earlier versions means
/// active or superseded.
pub(crate) static AUTHORITIES: Table = Table::new(
    "authorities",
    &[
        integer("number").unsealed(),
        octets("id").unique(),
        octets("account").references("accounts", "id"),
        text("name"),
        text("algorithm"),
        octets("certificate_der"),
        octets("sealed_key"),
        text("public_url"),
        integer("created_on"),
        integer("expires_on"),
        flag("has_signed").unsealed(),
        flag("retired").unsealed(),
        integer("last_epoch").unsealed(),
        text("state").nullable().unsealed().since(5),
        DIGEST,
    ],
    1,
)
.indexed(&[
    until(3, index("authorities_by_account", &["account"])),
    since(3, index("authorities_by_age", &["account", "number"])),
    since(
        3,
        only(
            "NOT retired",
            index("authorities_in_use", &["account", "number"]),
        ),
    ),
    index("authorities_by_last_epoch", &["last_epoch"]),
]);

/// Keys of CAs whose certificates another CA is to sign.
pub(crate) static AUTHORITY_REQUESTS: Table = Table::new(
    "authority_requests",
    &[
        octets("id"),
        octets("account").references("accounts", "id"),
        text("name"),
        text("algorithm"),
        octets("sealed_key"),
        octets("csr_der"),
        integer("created_on"),
        DIGEST,
    ],
    1,
)
.indexed(&[index("authority_requests_by_account", &["account"])])
.since(5);

/// `number` is the upper part of the positions of a zone's certificates. `reversed_name` begins
/// with the last label, so that the zones below a zone are together. `vanity_name_servers` has a
/// name on each line. It, `paused` and `type` are null in rows of version 1, and outside the
/// digest. So is `issuance_rules`, null before version 5: its text has a digest of its own.
pub(crate) static ZONES: Table = Table::new(
    "zones",
    &[
        integer("number")
            .within(Range::Between(1, 134_217_727))
            .unsealed(),
        octets("id").unique(),
        text("name"),
        text("folded_name"),
        text("reversed_name"),
        octets("account").references("accounts", "id"),
        integer("created_on"),
        integer("modified_on"),
        integer("deleted_at").nullable().unsealed(),
        flag("paused").nullable().unsealed().since(2),
        text("type").nullable().unsealed().since(2),
        text("vanity_name_servers").nullable().unsealed().since(2),
        text("issuance_rules").nullable().unsealed().since(5),
        DIGEST,
    ],
    1,
)
.indexed(&[
    only(
        "deleted_at IS NULL",
        unique_index("zones_by_name", &["folded_name"]),
    ),
    only(
        "deleted_at IS NULL",
        index("zones_by_reversed_name", &["reversed_name"]),
    ),
    only(
        "deleted_at IS NULL",
        index("zones_by_account", &["account"]),
    ),
]);

/// Policies have no small limit, so a migration reads few rows at a time. `account` is the owner of
/// a token that is not the user's. Version 1 did not have it, so the digest leaves it out, but each
/// value must be an account. It leaves out `last_used_on` too, which decides nothing: a digest of
/// it would need the whole row for each use of a token.
pub(crate) static TOKENS: Table = Table::new(
    "tokens",
    &[
        octets("id"),
        octets("user").references("users", "id"),
        text("name"),
        octets("hash").unique(),
        text("state"),
        text("policies"),
        text("allowed_addresses"),
        text("refused_addresses"),
        integer("not_before").nullable(),
        integer("expires_on").nullable(),
        integer("issued_on"),
        integer("modified_on"),
        integer("last_used_on").nullable().unsealed(),
        octets("account")
            .nullable()
            .unsealed()
            .references("accounts", "id")
            .since(2),
        text("issuance_rules").nullable().unsealed().since(5),
        DIGEST,
    ],
    1,
)
.indexed(&[
    index("tokens_by_age", &["issued_on", "id"]),
    since(
        2,
        index("tokens_by_account", &["account", "issued_on", "id"]),
    ),
])
.rows_max(50);

/// The certificates of the last day on which a zone or token with a rule `certificates_per_day`
/// issued one. `owner` is the ID of the zone or token, `day` the number of days since the Unix
/// epoch.
pub(crate) static ISSUANCE_COUNTERS: Table = Table::new(
    "issuance_counters",
    &[octets("owner"), integer("day"), integer("count")],
    1,
)
.since(5);

/// Rows hold whole chains.
pub(crate) static MTLS_CERTIFICATES: Table = Table::new(
    "mtls_certificates",
    &[
        octets("id"),
        octets("account").references("accounts", "id"),
        text("name"),
        flag("ca"),
        text("issuer"),
        text("signature"),
        text("serial_number"),
        text("certificates"),
        octets("fingerprint_sha256"),
        octets("sealed_key").nullable(),
        integer("uploaded_on"),
        integer("expires_on"),
        DIGEST,
    ],
    1,
)
.indexed(&[unique_index(
    "mtls_certificates_by_fingerprint",
    &["account", "fingerprint_sha256"],
)])
.rows_max(50);

/// One row for each hostname of a list. `mtls_certificate` is empty for the managed CA, because a
/// key column must not be null. `deployment` grows with every change of a list: the higher, the
/// more recently deployed.
pub(crate) static HOSTNAME_ASSOCIATIONS: Table = Table::new(
    "hostname_associations",
    &[
        integer("zone").references("zones", "number"),
        octets("mtls_certificate"),
        integer("place"),
        text("hostname"),
        text("folded_hostname"),
        integer("deployment"),
        DIGEST,
    ],
    3,
)
.indexed(&[
    index(
        "hostname_associations_by_hostname",
        &["folded_hostname", "deployment"],
    ),
    index(
        "hostname_associations_by_mtls_certificate",
        &["mtls_certificate"],
    ),
]);

/// The part of a certificate that never changes: 2 kB as a rule, 100 kB at most. `serial` has no
/// index: it is random, so each row would change another page, and it leads to `id`. The digest
/// leaves out `der`, which has its own fingerprint, and `folded_name`, which is null unless the
/// indexed name is another one than the common name with its ASCII letters in lower case.
pub(crate) static CERTIFICATES: Table = Table::new(
    "certificates",
    &[
        integer("position"),
        octets("id"),
        integer("authority").references("authorities", "number"),
        octets("serial"),
        text("common_name"),
        text("country"),
        text("state"),
        text("location"),
        text("organization"),
        text("organizational_unit"),
        integer("issued_on"),
        integer("expires_on"),
        integer("validity_days"),
        text("signature"),
        octets("fingerprint_sha256"),
        octets("ski"),
        octets("der").unsealed(),
        text("csr"),
        text("folded_name").nullable().unsealed().since(5),
        DIGEST,
    ],
    1,
)
.indexed(&[unique_index("certificates_by_id", &["id"])])
.rows_max(500);

/// The part of a certificate that changes, one row for each, in a table of its own: PostgreSQL
/// writes a new version of the whole row with each change.
pub(crate) static STATUSES: Table = Table::new(
    "statuses",
    &[
        integer("position"),
        integer("authority"),
        small("status").within(Range::Between(0, 3)),
        integer("epoch").nullable(),
        integer("revoked_on").nullable(),
        small("reason").nullable(),
        integer("settled_on").nullable().since(5),
    ],
    1,
)
.indexed(&[
    index("statuses_by_status", &["status", "position"]),
    only(
        "status IN (1, 2)",
        index("statuses_pending", &["authority", "epoch"]),
    ),
    only(
        "epoch IS NOT NULL",
        index("statuses_by_epoch", &["authority", "epoch"]),
    ),
]);

/// Certificates that an imported CA issued elsewhere, by serial number: only those of certgate lead
/// to the ID.
pub(crate) static ADOPTED_CERTIFICATES: Table = Table::new(
    "adopted_certificates",
    &[
        octets("serial"),
        integer("authority").references("authorities", "number"),
        integer("position").references("certificates", "position"),
    ],
    2,
)
.clustered()
.since(5);

/// Certificates that a newer one of their line has replaced. `renewals` is the number of renewals
/// of the line on the day (UTC) of `replaced_on`, this one included. After `revoke_on` the replaced
/// certificate is to be revoked; null: it is not, or was.
pub(crate) static REPLACEMENTS: Table = Table::new(
    "replacements",
    &[
        integer("position").references("certificates", "position"),
        integer("successor").references("certificates", "position"),
        integer("replaced_on"),
        counter("renewals"),
        integer("revoke_on").nullable(),
    ],
    1,
)
.indexed(&[
    unique_index("replacements_by_successor", &["successor"]),
    only(
        "revoke_on IS NOT NULL",
        index("replacements_due", &["revoke_on", "position"]),
    ),
])
.since(6);

/// The secret of an invite is stored as a hash. `lifetime` is in seconds, `creator_kind` and
/// `creator` are the stored form of an actor. The digest leaves out `wrong_secrets`: each guess
/// would need the whole row.
pub(crate) static INVITES: Table = Table::new(
    "invites",
    &[
        octets("id"),
        octets("zone").references("zones", "id"),
        text("name"),
        text("device"),
        integer("lifetime").nullable(),
        counter("uses_max"),
        octets("hash"),
        small("creator_kind"),
        octets("creator").nullable(),
        integer("created_on"),
        integer("expires_on"),
        integer("withdrawn_on").nullable(),
        counter("wrong_secrets").unsealed(),
        DIGEST,
    ],
    1,
)
.indexed(&[
    index("invites_by_zone", &["zone", "created_on", "id"]),
    index("invites_by_end", &["zone", "expires_on", "id"]),
])
.since(7);

/// The certificates that were issued for invites. `number` counts those of an invite from 1.
pub(crate) static INVITE_USES: Table = Table::new(
    "invite_uses",
    &[
        octets("invite").references("invites", "id"),
        integer("number"),
        integer("position").references("certificates", "position"),
        DIGEST,
    ],
    2,
)
.since(7);

const fn counter(name: &'static str) -> Column {
    integer(name).within(Range::NotNegative)
}

/// A block and the number of its certificates in each status, in the order of the statuses' codes,
/// then of the replaced ones among them.
const COUNTERS: &[Column] = &[
    integer("block"),
    counter("active"),
    counter("pending_reactivation"),
    counter("pending_revocation"),
    counter("revoked"),
    counter("replaced_active").since(9),
    counter("replaced_pending_reactivation").since(9),
    counter("replaced_pending_revocation").since(9),
    counter("replaced_revoked").since(9),
];

pub(crate) static BLOCKS: Table = Table::new("blocks", COUNTERS, 1);

pub(crate) static UPPER_BLOCKS: Table = Table::new("upper_blocks", COUNTERS, 1);

/// Certificates that were issued after a backup that was restored, and revoked: only the journal
/// knows them. Their positions are negative, so that they are in no zone. CAs that issued elsewhere
/// can have used the same serial number.
pub(crate) static LOST_CERTIFICATES: Table = Table::new(
    "lost_certificates",
    &[
        integer("position").within(Range::Negative),
        octets("id"),
        integer("authority").references("authorities", "number"),
        octets("serial").unique_until(5),
        octets("fingerprint_sha256"),
        integer("epoch"),
        integer("revoked_on"),
        small("reason"),
        integer("expires_on"),
        DIGEST,
    ],
    1,
)
.indexed(&[
    index("lost_certificates_by_epoch", &["authority", "epoch"]),
    since(
        5,
        unique_index("lost_certificates_by_serial", &["authority", "serial"]),
    ),
]);

/// One row for each certificate that is revoked, pending or not. CRLs leave out expired
/// certificates, but the rows stay, so that a wrong clock removes nothing from the CRLs for good.
pub(crate) static REVOCATIONS: Table = Table::new(
    "revocations",
    &[
        integer("authority").references("authorities", "number"),
        small("shard").within(Range::Between(0, 127)),
        integer("expires_on"),
        integer("position"),
        octets("serial"),
        integer("revoked_on"),
        small("reason"),
    ],
    4,
)
.clustered();

/// Each CRL of each CA. A change raises `changed_epoch`; a CRL holds every change up to
/// `made_epoch`.
pub(crate) static CRL_STATES: Table = Table::new(
    "crl_states",
    &[
        integer("authority").references("authorities", "number"),
        small("kind").within(Range::Between(0, 129)),
        integer("changed_epoch"),
        integer("made_epoch"),
        integer("number"),
        integer("this_update"),
        integer("next_update"),
        integer("renew_on"),
    ],
    2,
)
.clustered()
.indexed(&[
    only(
        "changed_epoch > made_epoch",
        index("crl_states_changed", &["authority", "kind"]),
    ),
    index("crl_states_by_renewal", &["renew_on"]),
]);

/// The CRLs themselves, beside their states, which are small and change often. A CRL has 40 octets
/// for each certificate on it.
pub(crate) static CRLS: Table = Table::new(
    "crls",
    &[
        integer("authority").references("authorities", "number"),
        small("kind"),
        octets("der"),
    ],
    2,
)
.rows_max(20);

/// `live_until` is the end of the lease. Until then a change waits for the acknowledgement. `token`
/// refers to no row, because a token that registered a point can be deleted. Rows of version 2 get
/// their digest at the next registration. It leaves out the values that each acknowledgement
/// writes, which would read the whole row: a lower epoch only delays changes. `terms` has the words
/// of `covers`, with commas between them, `when_stale`, `forget_seconds` and check digits; null in
/// rows of earlier versions means the defaults. Servers of earlier versions do not move
/// `forget_on`, so that it can be too early.
pub(crate) static ENFORCEMENT_POINTS: Table = Table::new(
    "enforcement_points",
    &[
        octets("id"),
        octets("account").references("accounts", "id"),
        octets("token"),
        text("name"),
        integer("lease_seconds").unsealed(),
        integer("acknowledged_epoch").unsealed(),
        integer("seen_on").unsealed(),
        integer("live_until").unsealed(),
        integer("registered_on"),
        text("terms").nullable().unsealed().since(4),
        integer("forget_on").nullable().unsealed().since(4),
        DIGEST.since(3),
    ],
    1,
)
.indexed(&[
    unique_index("enforcement_points_by_name", &["account", "name"]),
    index("enforcement_points_by_lease", &["live_until"]),
    since(4, index("enforcement_points_by_forgetting", &["forget_on"])),
]);

/// Epochs of changes before a restore that are not known any more.
pub(crate) static EPOCH_GAPS: Table = Table::new(
    "epoch_gaps",
    &[integer("after"), integer("until"), flag("is_all"), DIGEST],
    1,
);

/// The numbers that the changes of an account have for its clients. The epochs from `epoch` to
/// `until` are all of the account, and have the numbers from `number` on. The row with epoch 0 has
/// those of earlier versions, of all accounts, which were their own numbers. No digest covers a
/// row, because the next change moves its end.
pub(crate) static ACCOUNT_EPOCHS: Table = Table::new(
    "account_epochs",
    &[
        octets("account").references("accounts", "id"),
        integer("epoch"),
        integer("until"),
        integer("number"),
    ],
    2,
)
.clustered()
.indexed(&[unique_index(
    "account_epochs_by_number",
    &["account", "number"],
)])
.since(10);

/// The end of the audit log of each account and user.
pub(crate) static AUDIT_CHAINS: Table = Table::new(
    "audit_chains",
    &[
        integer("number"),
        octets("owner").unique(),
        flag("is_user"),
        integer("entries"),
        integer("last_at"),
        octets("head"),
    ],
    1,
);

/// Entries that nothing changes or deletes, in the order of time, in which they are read. The
/// numbers of a chain have no gaps.
pub(crate) static AUDIT_ENTRIES: Table = Table::new(
    "audit_entries",
    &[
        integer("chain"),
        integer("at"),
        integer("number"),
        small("actor_kind"),
        octets("actor").nullable(),
        text("address").nullable(),
        small("action"),
        small("resource_type"),
        octets("resource"),
        octets("zone").nullable(),
        octets("fingerprint_sha256").nullable(),
        text("detail"),
        octets("hash"),
    ],
    3,
)
.clustered()
.indexed(&[index(
    "audit_entries_by_actor",
    &["chain", "actor", "actor_kind", "at", "number"],
)]);

/// The server that runs each background job, and until when.
pub(crate) static LEASES: Table = Table::new(
    "leases",
    &[text("job"), octets("holder"), integer("until")],
    1,
)
.not_moved();

/// The last batch of each process that writes: a process without an answer to COMMIT looks here.
/// `at` is in seconds since the Unix epoch, by the database's clock. `version` is that of the
/// process's tables: a process of a version before 5 does not write it, so that its writes fail
/// and do not miss the counters.
pub(crate) static WRITERS: Table = Table::new(
    "writers",
    &[
        text("id"),
        integer("batch"),
        integer("at"),
        integer("version").within(Range::AtLeast(10)).since(5),
    ],
    1,
)
.not_moved()
.postgres_only();

/// The sizes of the counters' blocks (see [`crate::position`]), the counters of changes, whether
/// the database comes from a backup whose later changes are not replayed yet, and the writes that
/// tested whether the database accepts any.
pub(crate) static STORE: Table = Table::new(
    "store",
    &[
        ONLY,
        integer("block_bits"),
        integer("upper_block_bits"),
        integer("last_epoch"),
        integer("last_deployment"),
        flag("restored"),
        integer("probes"),
    ],
    1,
)
.rows_max(1);

/// The row gets its digest with the key of serial numbers. `public_url` is the address that new CAs
/// get, null before the first start of version 5.
pub(crate) static INSTALLATION: Table = Table::new(
    "installation",
    &[
        ONLY,
        octets("master_key_check"),
        integer("created_on"),
        octets("sealed_serial_key").nullable(),
        text("public_url").nullable().unsealed().since(5),
        DIGEST.since(3),
    ],
    1,
)
.rows_max(1);

/// The number of a zone's certificates of each CA in each status. The counters of version 5 cover
/// the certificates from `indexing.counted_below` on.
pub(crate) static AUTHORITY_COUNTERS: Table = Table::new(
    "authority_counters",
    &[
        integer("zone"),
        integer("authority"),
        integer("active"),
        integer("pending_reactivation"),
        integer("pending_revocation"),
        integer("revoked"),
    ],
    2,
)
.clustered()
.since(5);

/// The number of certificates by day, in days since the Unix epoch (UTC). `kind` 0: not revoked and
/// not replaced, by `expires_on`; 1: all, by `issued_on`; 2: revoked, by `revoked_on`. Zone 0 is
/// the sum of all zones, of kind 0 only.
pub(crate) static DAY_COUNTERS: Table = Table::new(
    "day_counters",
    &[
        integer("zone"),
        small("kind").within(Range::Between(0, 2)),
        integer("day"),
        integer("count"),
    ],
    3,
)
.clustered()
.since(5);

/// Zones whose certificates of earlier versions are not all indexed and counted yet: those at
/// positions below `below` are not in the index, those below `counted_below` not in the counters.
/// Zone 0: PostgreSQL's own indexes are not complete, whatever the zone.
pub(crate) static INDEXING: Table = Table::new(
    "indexing",
    &[integer("zone"), integer("below"), integer("counted_below")],
    1,
)
.since(5);

/// Zones whose replaced certificates of earlier versions are not all counted as replaced yet: those
/// at positions below `below` are counted as the newest of their lines.
pub(crate) static REPLACEMENT_COUNTING: Table = Table::new(
    "replacement_counting",
    &[integer("zone"), integer("below")],
    1,
)
.since(9);

/// The search index: tables in SQLite, where a `CREATE INDEX` would hold the write lock for a
/// minute. PostgreSQL has views of the same names, and indexes of its own (see
/// [`super::search`]).
const fn search_index(name: &'static str, columns: &'static [Column]) -> Table {
    Table::new(name, columns, columns.len())
        .clustered()
        .since(5)
        .sqlite_only()
}

/// By the beginning of the folded common name (see `FoldedName::indexed`).
pub(crate) static CERTIFICATE_NAMES: Table = search_index(
    "certificate_names",
    &[integer("zone"), text("name"), integer("position")],
);

/// By the first 8 octets of the SHA-256 of the DER form.
pub(crate) static CERTIFICATE_FINGERPRINTS: Table = search_index(
    "certificate_fingerprints",
    &[octets("prefix"), integer("position")],
);

pub(crate) static CERTIFICATE_EXPIRIES: Table = search_index(
    "certificate_expiries",
    &[integer("zone"), integer("expires_on"), integer("position")],
);

pub(crate) static CERTIFICATE_ISSUE_DATES: Table = search_index(
    "certificate_issue_dates",
    &[integer("zone"), integer("issued_on"), integer("position")],
);

pub(crate) static CERTIFICATE_AUTHORITIES: Table = search_index(
    "certificate_authorities",
    &[integer("authority"), integer("position")],
);

/// Only certificates that are revoked, pending or not.
pub(crate) static CERTIFICATE_REVOCATIONS: Table = search_index(
    "certificate_revocations",
    &[integer("zone"), integer("revoked_on"), integer("position")],
);

/// The entries of the audit log about a certificate, except the issue of one whose ID is ordered by
/// time: the ID says where that entry is.
pub(crate) static CERTIFICATE_EVENTS: Table = search_index(
    "certificate_events",
    &[
        octets("certificate"),
        integer("chain"),
        integer("at"),
        integer("number"),
    ],
);

/// The chains whose entries of earlier versions are not all in `certificate_events` yet: those
/// before this time and number.
pub(crate) static EVENT_INDEXING: Table = Table::new(
    "event_indexing",
    &[integer("chain"), integer("at"), integer("number")],
    1,
)
.since(5)
.sqlite_only();

/// The destinations of notifications, such as `webhook`. A destination without its setting keeps
/// its row.
pub(crate) static NOTIFICATION_DESTINATIONS: Table = Table::new(
    "notification_destinations",
    &[
        text("name"),
        integer("begun_on"),
        integer("failing_since").nullable(),
        counter("attempts"),
        integer("attempt_on").nullable(),
        text("error").nullable(),
        counter("delivered"),
        integer("delivered_on").nullable(),
        counter("undelivered"),
    ],
    1,
)
.since(8);

/// The last event of each log that a destination has, or does not need. Log 0 has the conditions,
/// the others are audit logs, by the number of their chain. No row: the destination has no event of
/// the log yet.
pub(crate) static NOTIFICATION_CURSORS: Table = Table::new(
    "notification_cursors",
    &[
        text("destination"),
        integer("log"),
        integer("number"),
        integer("at"),
    ],
    2,
)
.clustered()
.since(8);

/// States of objects that are reported once. `since` identifies the state of the object.
/// `certificates` has IDs of 16 octets each, one after another.
pub(crate) static NOTIFICATION_CONDITIONS: Table = Table::new(
    "notification_conditions",
    &[
        integer("number"),
        octets("id"),
        small("kind"),
        octets("object"),
        integer("since"),
        octets("account"),
        integer("at"),
        text("name"),
        counter("count"),
        octets("certificates"),
    ],
    1,
)
.indexed(&[
    unique_index(
        "notification_conditions_by_object",
        &["object", "kind", "since"],
    ),
    index("notification_conditions_by_time", &["at"]),
])
.since(8);

/// Events that were set aside. Their content is in the logs.
pub(crate) static NOTIFICATIONS_UNDELIVERED: Table = Table::new(
    "notifications_undelivered",
    &[
        text("destination"),
        integer("log"),
        integer("number"),
        integer("at"),
        octets("id"),
        small("kind"),
        octets("object"),
        integer("set_aside_on"),
        text("error"),
        flag("is_retried"),
    ],
    3,
)
.indexed(&[
    index(
        "notifications_undelivered_by_time",
        &["set_aside_on", "destination", "log", "number"],
    ),
    only(
        "is_retried",
        index(
            "notifications_undelivered_retried",
            &["destination", "log", "number"],
        ),
    ),
])
.since(8);
