//! The search index in PostgreSQL: views with the names and columns of SQLite's tables, and the
//! indexes behind them.
//!
//! A step of a migration cannot create the indexes: that takes minutes, in which no certificate
//! could be issued. A database without certificates gets them at once, another one from a
//! background job, outside a transaction.

/// The version that added the search index.
pub(crate) const SEARCH_VERSION: i64 = 5;

/// An index of PostgreSQL alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PostgresIndex {
    pub(crate) name: &'static str,
    /// The table, the columns and the condition.
    on: &'static str,
}

impl PostgresIndex {
    const fn new(name: &'static str, on: &'static str) -> Self {
        Self { name, on }
    }

    /// The statement that creates the index, while other transactions wait or while they write.
    pub(crate) fn create(&self, concurrently: bool) -> String {
        let how = if concurrently { "CONCURRENTLY " } else { "" };
        format!("CREATE INDEX {how}\"{}\" ON {}", self.name, self.on)
    }
}

/// Every index of the search.
///
/// Names: an index on an expression answers alone only if it includes the columns of the
/// expression; reading the row of each of 10,000 matches would take 50 ms. Names that are longer
/// than the indexed part have a `folded_name`, because a row of an index has at most 2,704 octets.
///
/// Dates and CAs: new rows come at the end, or close to it, so that the pages before need no room.
pub(crate) const POSTGRES_INDEXES: [PostgresIndex; 8] = [
    PostgresIndex::new(
        "certificates_by_name",
        "\"certificates\" ((\"position\" >> 36), lower(\"common_name\"), \"position\") \
         INCLUDE (\"common_name\") WHERE \"folded_name\" IS NULL",
    ),
    PostgresIndex::new(
        "certificates_by_folded_name",
        "\"certificates\" ((\"position\" >> 36), \"folded_name\", \"position\") \
         WHERE \"folded_name\" IS NOT NULL",
    ),
    PostgresIndex::new(
        "certificates_by_fingerprint",
        "\"certificates\" (substr(\"fingerprint_sha256\", 1, 8))",
    ),
    PostgresIndex::new(
        "certificates_by_expiry",
        "\"certificates\" ((\"position\" >> 36), \"expires_on\", \"position\") \
         WITH (fillfactor = 100)",
    ),
    PostgresIndex::new(
        "certificates_by_issue_date",
        "\"certificates\" ((\"position\" >> 36), \"issued_on\", \"position\") \
         WITH (fillfactor = 100)",
    ),
    PostgresIndex::new(
        "certificates_by_authority",
        "\"certificates\" (\"authority\", \"position\") \
         WITH (fillfactor = 100)",
    ),
    PostgresIndex::new(
        "statuses_by_revocation",
        "\"statuses\" ((\"position\" >> 36), \"revoked_on\", \"position\") \
         WHERE \"revoked_on\" IS NOT NULL",
    ),
    // 7 in the seventh octet: the ID is ordered by time.
    PostgresIndex::new(
        "audit_entries_of_certificates",
        "\"audit_entries\" (\"resource\", \"chain\", \"at\", \"number\") \
         WHERE \"resource_type\" = 0 \
         AND (\"action\" <> 0 OR get_byte(\"resource\", 6) >> 4 <> 7)",
    ),
];

const VIEWS: [(&str, &str); 7] = [
    (
        "certificate_names",
        "SELECT \"position\" >> 36 AS \"zone\", lower(\"common_name\") AS \"name\", \"position\" \
         FROM \"certificates\" WHERE \"folded_name\" IS NULL \
         UNION ALL SELECT \"position\" >> 36, \"folded_name\", \"position\" \
         FROM \"certificates\" WHERE \"folded_name\" IS NOT NULL",
    ),
    (
        "certificate_fingerprints",
        "SELECT substr(\"fingerprint_sha256\", 1, 8) AS \"prefix\", \"position\" \
         FROM \"certificates\"",
    ),
    (
        "certificate_expiries",
        "SELECT \"position\" >> 36 AS \"zone\", \"expires_on\", \"position\" FROM \"certificates\"",
    ),
    (
        "certificate_issue_dates",
        "SELECT \"position\" >> 36 AS \"zone\", \"issued_on\", \"position\" FROM \"certificates\"",
    ),
    (
        "certificate_authorities",
        "SELECT \"authority\", \"position\" FROM \"certificates\"",
    ),
    (
        "certificate_revocations",
        "SELECT \"position\" >> 36 AS \"zone\", \"revoked_on\", \"position\" FROM \"statuses\" \
         WHERE \"revoked_on\" IS NOT NULL",
    ),
    (
        "certificate_events",
        "SELECT \"resource\" AS \"certificate\", \"chain\", \"at\", \"number\" \
         FROM \"audit_entries\" WHERE \"resource_type\" = 0 \
         AND (\"action\" <> 0 OR get_byte(\"resource\", 6) >> 4 <> 7)",
    ),
];

/// The statements that create the views and indexes, as a version has them.
pub(super) fn create_in_postgres(version: i64) -> String {
    if version < SEARCH_VERSION {
        return String::new();
    }
    let views = VIEWS
        .iter()
        .map(|(name, select)| format!("CREATE VIEW \"{name}\" AS {select};\n"));
    let indexes = POSTGRES_INDEXES
        .iter()
        .map(|index| format!("{};\n", index.create(false)));
    views.chain(indexes).collect()
}
