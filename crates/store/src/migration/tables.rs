//! What is moved: every table of the embedded database and its columns, and how a row is written for a digest.

use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::Hex;

use Kind::{Flag, Integer, Octets, Small, Text};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 64 bits.
    Integer,
    /// 16 bits.
    Small,
    /// 0 or 1 in SQLite.
    Flag,
    Text,
    Octets,
}

impl Kind {
    /// What PostgreSQL calls it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Integer => "bigint",
            Self::Small => "smallint",
            Self::Flag => "boolean",
            Self::Text => "text",
            Self::Octets => "bytea",
        }
    }
}

/// One table.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Its columns, by the same names in both databases; those of the primary key first, in its order.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// How many of them are the primary key.
    pub(crate) key: usize,
    /// How many rows are in memory at a time: few where a row can be large.
    pub(crate) rows_max: usize,
}

/// Rows a batch where a row has a few hundred octets, or a few thousand.
const SMALL_ROWS_MAX: usize = 1_000;

/// Tables that are made anew or say nothing once no server runs: which process has which duty or writes, and the versions of the
/// schema.
#[cfg(feature = "conformance")]
pub(crate) const NOT_MOVED: [&str; 4] = ["duties", "schema_lock", "schema_versions", "writers"];

/// What is moved, in this order: what a row refers to comes before it, but for the authority of an account.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "users",
        columns: &[
            ("id", Octets),
            ("email", Text),
            ("created_on", Integer),
            ("api_key_hash", Octets),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "accounts",
        columns: &[
            ("id", Octets),
            ("name", Text),
            ("folded_name", Text),
            ("authority_algorithm", Text),
            ("managed_authority", Integer),
            ("created_on", Integer),
            ("deleted_at", Integer),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "authorities",
        columns: &[
            ("number", Integer),
            ("id", Octets),
            ("account", Octets),
            ("name", Text),
            ("algorithm", Text),
            ("certificate_der", Octets),
            ("sealed_key", Octets),
            ("public_url", Text),
            ("created_on", Integer),
            ("expires_on", Integer),
            ("last_epoch", Integer),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "zones",
        columns: &[
            ("number", Integer),
            ("id", Octets),
            ("name", Text),
            ("folded_name", Text),
            ("account", Octets),
            ("created_on", Integer),
            ("modified_on", Integer),
            ("deleted_at", Integer),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "tokens",
        columns: &[
            ("id", Octets),
            ("user", Octets),
            ("name", Text),
            ("hash", Octets),
            ("state", Text),
            ("policies", Text),
            ("allowed_addresses", Text),
            ("refused_addresses", Text),
            ("not_before", Integer),
            ("expires_on", Integer),
            ("issued_on", Integer),
            ("modified_on", Integer),
            ("last_used_on", Integer),
        ],
        key: 1,
        // Policies have no small limit.
        rows_max: 50,
    },
    Table {
        name: "mtls_certificates",
        columns: &[
            ("id", Octets),
            ("account", Octets),
            ("name", Text),
            ("ca", Flag),
            ("issuer", Text),
            ("signature", Text),
            ("serial_number", Text),
            ("certificates", Text),
            ("fingerprint_sha256", Octets),
            ("sealed_key", Octets),
            ("uploaded_on", Integer),
            ("expires_on", Integer),
        ],
        key: 1,
        // Bundles of certificates.
        rows_max: 50,
    },
    Table {
        name: "hostname_associations",
        columns: &[
            ("zone", Integer),
            ("mtls_certificate", Octets),
            ("place", Integer),
            ("hostname", Text),
            ("folded_hostname", Text),
            ("deployment", Integer),
        ],
        key: 3,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "certificates",
        columns: &[
            ("position", Integer),
            ("id", Octets),
            ("authority", Integer),
            ("status", Small),
            ("epoch", Integer),
            ("revoked_on", Integer),
            ("reason", Small),
            ("serial", Octets),
            ("common_name", Text),
            ("country", Text),
            ("state", Text),
            ("location", Text),
            ("organization", Text),
            ("organizational_unit", Text),
            ("issued_on", Integer),
            ("expires_on", Integer),
            ("validity_days", Integer),
            ("signature", Text),
            ("fingerprint_sha256", Octets),
            ("ski", Octets),
            ("der", Octets),
            ("csr", Text),
        ],
        key: 1,
        // 2 kB each as a rule, 100 kB at the most.
        rows_max: 500,
    },
    Table {
        name: "blocks",
        columns: COUNTERS,
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "upper_blocks",
        columns: COUNTERS,
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "early_serials",
        columns: &[("serial", Octets), ("id", Octets)],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "lost_certificates",
        columns: &[
            ("position", Integer),
            ("id", Octets),
            ("authority", Integer),
            ("serial", Octets),
            ("fingerprint_sha256", Octets),
            ("epoch", Integer),
            ("revoked_on", Integer),
            ("reason", Small),
            ("expires_on", Integer),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "revocations",
        columns: &[
            ("authority", Integer),
            ("shard", Small),
            ("expires_on", Integer),
            ("position", Integer),
            ("serial", Octets),
            ("revoked_on", Integer),
            ("reason", Small),
        ],
        key: 4,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "crl_states",
        columns: &[
            ("authority", Integer),
            ("part", Small),
            ("changed_epoch", Integer),
            ("made_epoch", Integer),
            ("number", Integer),
            ("this_update", Integer),
            ("next_update", Integer),
            ("renew_on", Integer),
        ],
        key: 2,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "crls",
        columns: &[("authority", Integer), ("part", Small), ("der", Octets)],
        key: 2,
        // 40 octets for each certificate that is on the list: of ten million that are revoked, 3 MB each.
        rows_max: 20,
    },
    Table {
        name: "enforcement_points",
        columns: &[
            ("id", Octets),
            ("account", Octets),
            ("name", Text),
            ("lease_seconds", Integer),
            ("acknowledged_epoch", Integer),
            ("seen_on", Integer),
            ("live_until", Integer),
            ("registered_on", Integer),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "epoch_gaps",
        columns: &[("after", Integer), ("until", Integer), ("is_all", Flag)],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "audit_chains",
        columns: &[
            ("number", Integer),
            ("owner", Octets),
            ("is_user", Flag),
            ("entries", Integer),
            ("last_at", Integer),
            ("head", Octets),
        ],
        key: 1,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "audit_entries",
        columns: &[
            ("chain", Integer),
            ("at", Integer),
            ("number", Integer),
            ("actor_kind", Small),
            ("actor", Octets),
            ("address", Text),
            ("action", Small),
            ("resource_type", Small),
            ("resource", Octets),
            ("zone", Octets),
            ("fingerprint_sha256", Octets),
            ("detail", Text),
            ("hash", Octets),
        ],
        key: 3,
        rows_max: SMALL_ROWS_MAX,
    },
    Table {
        name: "store",
        columns: &[
            ("only", Small),
            ("block_bits", Integer),
            ("upper_block_bits", Integer),
            ("last_epoch", Integer),
            ("last_deployment", Integer),
            ("restored", Small),
            ("probes", Integer),
        ],
        key: 1,
        rows_max: 1,
    },
    Table {
        name: "installation",
        columns: &[
            ("only", Small),
            ("master_key_check", Octets),
            ("created_on", Integer),
            ("sealed_serial_key", Octets),
        ],
        key: 1,
        rows_max: 1,
    },
];

const COUNTERS: &[(&str, Kind)] = &[
    ("block", Integer),
    ("active", Integer),
    ("pending_reactivation", Integer),
    ("pending_revocation", Integer),
    ("revoked", Integer),
];

/// One of these has changed whenever a server has recorded anything.
const TELLTALES: [&str; 5] = [
    "store",
    "audit_chains",
    "tokens",
    "crl_states",
    "enforcement_points",
];

impl Table {
    /// Those by which it is seen whether a server has been at work.
    pub(crate) fn telltales() -> impl Iterator<Item = &'static Self> {
        TABLES
            .iter()
            .filter(|table| TELLTALES.contains(&table.name))
    }

    /// The names of its columns, quoted and separated by commas; both databases understand them.
    pub(crate) fn column_names(&self) -> String {
        quoted(self.columns)
    }

    /// The names of the columns of its primary key, likewise.
    pub(crate) fn key_names(&self) -> String {
        quoted(&self.columns[..self.key])
    }
}

fn quoted(columns: &[(&str, Kind)]) -> String {
    columns
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

/// One value, whichever database it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    /// Flags too: 0 or 1.
    Integer(i64),
    Text(String),
    Octets(Vec<u8>),
}

/// The values of a row, in the order of [`Table::columns`].
pub(crate) type Row = Vec<Cell>;

/// How many rows a table has, and what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDigest {
    /// How many rows.
    pub rows: u64,
    /// SHA-256, in hexadecimal, over all rows in the order of the primary key. For each value: a zero octet for none; or 1 and
    /// the integer in 8 octets; or 2 for text (UTF-8), 3 for octets, then their number in 8 octets and they themselves. Numbers are
    /// big-endian.
    pub sha256: String,
}

/// A [`TableDigest`] in the making.
pub(crate) struct Digester {
    rows: u64,
    context: Context,
}

impl Digester {
    pub(crate) fn new() -> Self {
        Self {
            rows: 0,
            context: Context::new(&SHA256),
        }
    }

    pub(crate) fn add(&mut self, row: &[Cell]) {
        self.rows += 1;
        for cell in row {
            match cell {
                Cell::Null => self.context.update(&[0]),
                Cell::Integer(number) => {
                    self.context.update(&[1]);
                    self.context.update(&number.to_be_bytes());
                }
                Cell::Text(text) => self.add_octets(2, text.as_bytes()),
                Cell::Octets(octets) => self.add_octets(3, octets),
            }
        }
    }

    fn add_octets(&mut self, kind: u8, octets: &[u8]) {
        self.context.update(&[kind]);
        self.context.update(&(octets.len() as u64).to_be_bytes());
        self.context.update(octets);
    }

    pub(crate) fn finish(self) -> TableDigest {
        TableDigest {
            rows: self.rows,
            sha256: Hex(self.context.finish().as_ref()).to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_differ_have_digests_that_differ() {
        let digest = |rows: &[&[Cell]]| {
            let mut digester = Digester::new();
            rows.iter().for_each(|row| digester.add(row));
            digester.finish().sha256
        };
        let text = |text: &str| Cell::Text(text.into());
        let octets = |text: &str| Cell::Octets(text.into());
        let all = [
            digest(&[]),
            digest(&[&[Cell::Null]]),
            digest(&[&[Cell::Integer(0)]]),
            digest(&[&[text("")]]),
            digest(&[&[octets("")]]),
            digest(&[&[text("a"), text("b")]]),
            digest(&[&[text("ab"), text("")]]),
            digest(&[&[text("a"), octets("b")]]),
            digest(&[&[text("b"), text("a")]]),
        ];
        let different = std::collections::BTreeSet::from_iter(&all);
        assert_eq!(different.len(), all.len());
        assert_eq!(
            digest(&[]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn the_telltales_are_tables() {
        assert_eq!(Table::telltales().count(), TELLTALES.len());
    }
}
