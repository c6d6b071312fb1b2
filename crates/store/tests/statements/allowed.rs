//! The plans that are allowed: those of small tables, and exceptions, each with its reason.

/// Tables with one row, or with a few rows however many certificates there are.
const SMALL_TABLES: &[(&str, &str)] = &[
    ("users", "an installation has one user"),
    ("store", "one row"),
    ("installation", "one row"),
    ("leases", "one row for each background job"),
    ("notification_destinations", "one row for each destination"),
    ("epoch_gaps", "one row for each restored backup"),
    ("writers", "one row for each server"),
    ("schema_migrations", "one row for each version"),
    (
        "indexing",
        "one row for each zone, and none after a migration",
    ),
    (
        "replacement_counting",
        "one row for each zone with renewals, and none after a migration",
    ),
    (
        "event_indexing",
        "one row for each account, and none after a migration",
    ),
];

/// Exceptions: a part of the statement's text, the permitted step of the plan, and the reason.
const EXCEPTIONS: &[(&str, Allowed, &str)] = &[
    (
        "CAST(coalesce(sum(revoked), 0) AS BIGINT) FROM upper_blocks",
        Allowed::Scan,
        "sums the upper blocks: one for 2^18 certificates",
    ),
    (
        "JOIN authorities ON authorities.number = authority_counters.authority",
        Allowed::Filter,
        "a zone has few CAs",
    ),
    (
        "JOIN authorities ON authorities.number = authority_counters.authority",
        Allowed::Sort,
        "a zone has few CAs",
    ),
    (
        "SELECT count(*) FROM tokens",
        Allowed::Scan,
        "lists of tokens are short and counted",
    ),
    (
        "SELECT number, id, certificate_der FROM authorities WHERE NOT retired",
        Allowed::ScanOfIndex("authorities_in_use"),
        "returns every CA",
    ),
    (
        "SELECT number, id, certificate_der FROM authorities WHERE NOT retired",
        Allowed::Scan,
        "returns every CA, on PostgreSQL perhaps without the index",
    ),
    (
        "SELECT number, id, certificate_der FROM authorities WHERE NOT retired",
        Allowed::Sort,
        "returns every CA",
    ),
    (
        "SELECT number, id, certificate_der FROM authorities WHERE NOT retired",
        Allowed::Filter,
        "returns every CA",
    ),
    (
        "UPDATE crl_states SET renew_on = ",
        Allowed::Filter,
        "a CA has 130 CRLs",
    ),
    (
        "WHERE acknowledged_epoch < (SELECT max(last_epoch)",
        Allowed::Scan,
        "compares every enforcement point with its account",
    ),
    (
        "WHERE crl_states.changed_epoch > crl_states.made_epoch",
        Allowed::ScanOfIndex("crl_states_changed"),
        "the index has only the rows that the statement returns",
    ),
    (
        "SELECT number, owner, is_user, entries, head FROM audit_chains",
        Allowed::Scan,
        "the check reads every log",
    ),
    (
        "SELECT number, owner, is_user, entries, head FROM audit_chains",
        Allowed::Sort,
        "the check reads every log",
    ),
    (
        "WHERE chain = (SELECT number FROM audit_chains WHERE owner = ",
        Allowed::Filter,
        "for operators: reads the log to find an entry by its number",
    ),
    (
        "AND resource = $4 AND action = 0 ORDER BY at, number LIMIT 1",
        Allowed::Filter,
        "the entries of a few milliseconds, or of a minute if one request overtook another",
    ),
    (
        "AND resource = $4 AND action = 0 ORDER BY at, number LIMIT 1",
        Allowed::Sort,
        "one entry",
    ),
    (
        "FROM mtls_certificates WHERE account = ",
        Allowed::Sort,
        "returns every certificate of an account, which a quota bounds",
    ),
    (
        "FROM mtls_certificates WHERE account = ",
        Allowed::Filter,
        "returns every CA among the certificates of an account, which a quota bounds",
    ),
    (
        "accounts JOIN authorities ON authorities.account = accounts.id",
        Allowed::Sort,
        "returns every CA of an account",
    ),
    (
        "SELECT hostname FROM hostname_associations WHERE mtls_certificate = ",
        Allowed::Sort,
        "the hostnames of one certificate, which the quota of a list bounds",
    ),
    (
        "FROM users WHERE api_key_hash = ",
        Allowed::Scan,
        "an installation has one user",
    ),
    (
        "FROM tokens ORDER BY issued_on, id LIMIT ",
        Allowed::Scan,
        "lists of tokens are short and skipped",
    ),
    (
        "INSERT INTO authorities (number, ",
        Allowed::Scan,
        "SQLite runs these searches only after a broken reference in the same statement",
    ),
    (
        "WHERE certificates.position >= $1 AND certificates.position < $2 ORDER BY",
        Allowed::Sort,
        "the rows of one page",
    ),
    (
        "FROM users ORDER BY created_on, id LIMIT 1",
        Allowed::Sort,
        "an installation has one user",
    ),
    (
        "WHERE crl_states.changed_epoch > crl_states.made_epoch",
        Allowed::Scan,
        "PostgreSQL may read the CAs once instead of one by one",
    ),
    (
        "FROM hostname_associations WHERE folded_hostname = ",
        Allowed::Filter,
        "one hostname has one row for each CA that it uses",
    ),
    (
        "FROM blocks WHERE block BETWEEN",
        Allowed::Filter,
        "at most the 512 blocks of an upper block",
    ),
    (
        "FROM upper_blocks WHERE block BETWEEN",
        Allowed::Filter,
        "a zone has an upper block for 2^18 certificates",
    ),
    (
        "AND crl_states.made_epoch >= 0",
        Allowed::Filter,
        "a CA has 130 CRLs",
    ),
    (
        "AND crl_states.made_epoch >= 0 ORDER BY crl_states.kind",
        Allowed::Sort,
        "a CA has 130 CRLs",
    ),
    (
        "FROM authorities WHERE account = ",
        Allowed::Sort,
        "returns every CA of an account",
    ),
    (
        "accounts JOIN authorities ON authorities.account = accounts.id",
        Allowed::Filter,
        "returns every CA of an account",
    ),
    (
        "FROM zones WHERE reversed_name > ",
        Allowed::Filter,
        "the zones below a new one, most of them of its own account",
    ),
    (
        "FROM authorities WHERE account = ",
        Allowed::Filter,
        "an account has few CAs",
    ),
    (
        "SELECT min(acknowledged_epoch) FROM enforcement_points WHERE account = ",
        Allowed::Filter,
        "an account has few enforcement points",
    ),
    (
        "FROM audit_chains LEFT JOIN notification_cursors",
        Allowed::Scan,
        "compares the log of each account with its place",
    ),
    (
        "FROM audit_chains LEFT JOIN notification_cursors",
        Allowed::Filter,
        "compares the log of each account with its place",
    ),
    (
        "FROM audit_chains LEFT JOIN notification_cursors",
        Allowed::Sort,
        "the logs with new entries, which are few",
    ),
    (
        "INSERT INTO notification_cursors (destination, log, number, at) SELECT",
        Allowed::Scan,
        "notes the end of each log, once for each destination",
    ),
    (
        "INSERT INTO notification_cursors (destination, log, number, at) SELECT",
        Allowed::Filter,
        "notes the end of each log, once for each destination",
    ),
    (
        "FROM audit_entries WHERE chain = $1 AND (at, number) > ($2, $3) AND number > $3",
        Allowed::Filter,
        "leaves out the entries from before the clock was set back",
    ),
    (
        "FROM audit_entries WHERE chain = $1 AND number = $2 LIMIT 1",
        Allowed::Filter,
        "the first entry after the clock was set back",
    ),
    (
        "SELECT count(*) FROM notification_conditions WHERE number > ",
        Allowed::Scan,
        "a day has few conditions",
    ),
    (
        "DELETE FROM notification_conditions WHERE at < ",
        Allowed::Filter,
        "spares the last row",
    ),
    (
        "DELETE FROM notifications_undelivered WHERE set_aside_on < ",
        Allowed::Scan,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "DELETE FROM notifications_undelivered WHERE set_aside_on < ",
        Allowed::Filter,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "FROM notifications_undelivered ORDER BY set_aside_on DESC",
        Allowed::ScanOfIndex("notifications_undelivered_by_time"),
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "UPDATE notifications_undelivered SET is_retried = TRUE",
        Allowed::Scan,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "UPDATE notifications_undelivered SET is_retried = TRUE",
        Allowed::Filter,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "SELECT count(*) FROM notifications_undelivered WHERE destination = ",
        Allowed::Scan,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "SELECT count(*) FROM notifications_undelivered WHERE destination = ",
        Allowed::Filter,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "DELETE FROM notifications_undelivered WHERE (destination, log, number) IN",
        Allowed::Scan,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "DELETE FROM notifications_undelivered WHERE (destination, log, number) IN",
        Allowed::Sort,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "DELETE FROM notifications_undelivered WHERE (destination, log, number) IN",
        Allowed::Filter,
        "a destination has at most 10,000 undelivered events",
    ),
    (
        "FROM accounts JOIN authorities ON authorities.number = accounts.managed_authority",
        Allowed::Scan,
        "looks at the active CA of each account",
    ),
    (
        "FROM accounts JOIN authorities ON authorities.number = accounts.managed_authority",
        Allowed::Filter,
        "looks at the active CA of each account",
    ),
    (
        "GROUP BY authorities.id, authorities.account, authorities.name",
        Allowed::Sort,
        "groups the CRLs that were not renewed in time",
    ),
    (
        "GROUP BY authorities.id, authorities.account, authorities.name",
        Allowed::Filter,
        "leaves out the CRLs of expired CAs",
    ),
    (
        "GROUP BY authorities.id, authorities.account, authorities.name",
        Allowed::Scan,
        "PostgreSQL may read the CAs once instead of one by one",
    ),
    (
        "(strpos(",
        Allowed::Filter,
        "a search inside names examines the names between two places, 10,000 at once",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    Scan,
    ScanOfIndex(&'static str),
    Sort,
    Filter,
}

pub fn is_allowed(text: &str, wanted: Allowed) -> bool {
    EXCEPTIONS
        .iter()
        .any(|(part, allowed, _)| *allowed == wanted && text.contains(part))
}

pub fn is_small(table: &str) -> bool {
    SMALL_TABLES.iter().any(|(small, _)| *small == table)
}

pub fn is_allowed_index(text: &str, word: &str) -> bool {
    EXCEPTIONS.iter().any(|(part, allowed, _)| {
        matches!(allowed, Allowed::ScanOfIndex(index) if *index == word) && text.contains(part)
    })
}
