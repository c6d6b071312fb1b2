//! The tables. Each is described once; the statements that create it, insert rows, move it to
//! another database and check its references come from that description.
//!
//! Instants are microseconds since the Unix epoch, IDs are 16 octets, statuses are the codes of
//! `Status::code`. Text is compared octet by octet in both databases.
//!
//! A new database is created at version 1 and migrated to [`VERSION`], as an old one is: equal
//! versions have equal tables. Each later change of the tables is one more entry of
//! [`MIGRATIONS`] and, in the same commit, a change of the description, marked with `since`.

mod search;
mod tables;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

pub(crate) use self::search::{POSTGRES_INDEXES, SEARCH_VERSION};
pub(crate) use self::tables::*;
use crate::db::{Value, values};
use crate::dialect::Dialect;

/// The version of the schema that this program writes.
pub(crate) const VERSION: i64 = 1 + MIGRATIONS.len() as i64;

/// The steps from version 1 to [`VERSION`], in order. A released step is never edited.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 2,
        oldest: 1,
        sqlite: include_str!("schema/version_2.sqlite.sql"),
        postgres: include_str!("schema/version_2.postgres.sql"),
    },
    Migration {
        version: 3,
        oldest: 1,
        sqlite: include_str!("schema/version_3.sqlite.sql"),
        postgres: include_str!("schema/version_3.postgres.sql"),
    },
    Migration {
        version: 4,
        oldest: 1,
        sqlite: include_str!("schema/version_4.sqlite.sql"),
        postgres: include_str!("schema/version_4.postgres.sql"),
    },
    Migration {
        version: 5,
        // Programs of earlier versions would not count what they record.
        oldest: 5,
        sqlite: include_str!("schema/version_5.sqlite.sql"),
        postgres: include_str!("schema/version_5.postgres.sql"),
    },
    Migration {
        version: 6,
        oldest: 5,
        sqlite: include_str!("schema/version_6.sqlite.sql"),
        postgres: include_str!("schema/version_6.postgres.sql"),
    },
    Migration {
        version: 7,
        oldest: 5,
        sqlite: include_str!("schema/version_7.sqlite.sql"),
        postgres: include_str!("schema/version_7.postgres.sql"),
    },
    Migration {
        version: 8,
        oldest: 5,
        sqlite: include_str!("schema/version_8.sqlite.sql"),
        postgres: include_str!("schema/version_8.postgres.sql"),
    },
    Migration {
        version: 9,
        // Programs of earlier versions would not count what they replace.
        oldest: 9,
        sqlite: include_str!("schema/version_9.sqlite.sql"),
        postgres: include_str!("schema/version_9.postgres.sql"),
    },
    Migration {
        version: 10,
        // Programs of earlier versions would not number the changes of accounts.
        oldest: 10,
        sqlite: include_str!("schema/version_10.sqlite.sql"),
        postgres: include_str!("schema/version_10.postgres.sql"),
    },
];

/// One step from a version of the schema to the next.
pub(crate) struct Migration {
    /// The version after the step.
    pub(crate) version: i64,
    /// The oldest version that a program has to know to work with the database after the step.
    /// During a rolling upgrade, nodes of that version continue, and can restart, beside newer
    /// nodes.
    pub(crate) oldest: i64,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// The type of a column.
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
    /// The type's name in PostgreSQL.
    pub(crate) const fn postgres(self) -> &'static str {
        match self {
            Self::Integer => "BIGINT",
            Self::Small => "SMALLINT",
            Self::Flag => "BOOLEAN",
            Self::Text => "TEXT",
            Self::Octets => "BYTEA",
        }
    }

    const fn sqlite(self) -> &'static str {
        match self {
            Self::Integer | Self::Small | Self::Flag => "INTEGER",
            Self::Text => "TEXT",
            Self::Octets => "BLOB",
        }
    }
}

/// The values that a column of integers accepts.
#[derive(Debug, Clone, Copy)]
enum Range {
    Any,
    Between(i64, i64),
    AtLeast(i64),
    NotNegative,
    Negative,
}

/// One column. Unless stated otherwise it is not null.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    is_nullable: bool,
    /// The version that removed the constraint of unique values; 0 if there never was one.
    unique_until: i64,
    range: Range,
    /// True if the row's digest covers it: nothing changes it.
    pub(crate) is_sealed: bool,
    /// The table and column that a value refers to.
    pub(crate) references: Option<(&'static str, &'static str)>,
    /// The version of the schema that added it.
    since: i64,
}

impl Column {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            is_nullable: false,
            unique_until: 0,
            range: Range::Any,
            is_sealed: true,
            references: None,
            since: 1,
        }
    }

    const fn nullable(self) -> Self {
        Self {
            is_nullable: true,
            ..self
        }
    }

    const fn unique(self) -> Self {
        self.unique_until(i64::MAX)
    }

    /// Marks a column whose values were unique until a version of the schema.
    const fn unique_until(self, unique_until: i64) -> Self {
        Self {
            unique_until,
            ..self
        }
    }

    /// Leaves the column out of the row's digest.
    const fn unsealed(self) -> Self {
        Self {
            is_sealed: false,
            ..self
        }
    }

    const fn within(self, range: Range) -> Self {
        Self { range, ..self }
    }

    const fn references(self, table: &'static str, column: &'static str) -> Self {
        Self {
            references: Some((table, column)),
            ..self
        }
    }

    /// Marks a column that a version of the schema added.
    const fn since(self, since: i64) -> Self {
        Self { since, ..self }
    }
}

/// An index over columns, all rows or those for which `only` holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Index {
    name: &'static str,
    columns: &'static [&'static str],
    is_unique: bool,
    only: Option<&'static str>,
    /// The version of the schema that added it.
    since: i64,
    /// The version that removed it.
    until: i64,
}

/// One table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns, those of the primary key first and in its order.
    pub(crate) columns: &'static [Column],
    /// The number of columns of the primary key.
    pub(crate) key: usize,
    indexes: &'static [Index],
    /// SQLite stores the rows in the primary key itself (`WITHOUT ROWID`).
    is_clustered: bool,
    /// The most rows that a migration holds in memory: few where a row can be large.
    pub(crate) rows_max: usize,
    /// True if the rows have a meaning while no server runs, so that a migration copies them.
    pub(crate) is_moved: bool,
    /// True if only PostgreSQL has the table.
    is_postgres_only: bool,
    /// True if only SQLite has the table.
    is_sqlite_only: bool,
    /// The version of the schema that added it.
    since: i64,
}

impl Table {
    const fn new(name: &'static str, columns: &'static [Column], key: usize) -> Self {
        Self {
            name,
            columns,
            key,
            indexes: &[],
            is_clustered: false,
            // A few hundred octets each, or a few thousand.
            rows_max: 1_000,
            is_moved: true,
            is_postgres_only: false,
            is_sqlite_only: false,
            since: 1,
        }
    }

    const fn indexed(self, indexes: &'static [Index]) -> Self {
        Self { indexes, ..self }
    }

    const fn clustered(self) -> Self {
        Self {
            is_clustered: true,
            ..self
        }
    }

    const fn rows_max(self, rows_max: usize) -> Self {
        Self { rows_max, ..self }
    }

    const fn not_moved(self) -> Self {
        Self {
            is_moved: false,
            ..self
        }
    }

    const fn postgres_only(self) -> Self {
        Self {
            is_postgres_only: true,
            ..self
        }
    }

    /// SQLite derives the rows from those of other tables, so that they are not moved.
    const fn sqlite_only(self) -> Self {
        Self {
            is_sqlite_only: true,
            is_moved: false,
            ..self
        }
    }

    /// Marks a table that a version of the schema added.
    const fn since(self, since: i64) -> Self {
        Self { since, ..self }
    }

    /// Returns true if this database has the table.
    pub(crate) const fn is_in(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Sqlite => !self.is_postgres_only,
            Dialect::Postgres => !self.is_sqlite_only,
        }
    }

    /// Returns true if each row has a digest, in its last column.
    pub(crate) fn is_sealed(&self) -> bool {
        self.columns
            .last()
            .is_some_and(|last| last.name == DIGEST.name)
    }

    /// The quoted names of the columns, separated by commas.
    pub(crate) fn column_names(&self) -> String {
        names(self.columns)
    }

    /// The quoted names of the columns of the primary key, separated by commas.
    pub(crate) fn key_names(&self) -> String {
        names(&self.columns[..self.key])
    }

    /// The statement that inserts rows: one in SQLite, an array per column in PostgreSQL.
    pub(crate) fn insert(&self, dialect: Dialect) -> &'static str {
        let [sqlite, postgres] = &INSERTS[self.name];
        match dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
        }
    }

    fn create(&self, dialect: Dialect, version: i64, text: &mut String) {
        let mut lines: Vec<String> = Vec::new();
        let columns = self.columns.iter().enumerate();
        for (place, column) in columns.filter(|(_, column)| column.since <= version) {
            lines.push(self.column(dialect, version, place, column));
        }
        if self.key > 1 {
            lines.push(format!("PRIMARY KEY ({})", self.key_names()));
        }
        let end = match dialect {
            Dialect::Sqlite if self.is_clustered => " WITHOUT ROWID",
            _ => "",
        };
        writeln!(
            text,
            "CREATE TABLE \"{}\" (\n    {}\n){end};",
            self.name,
            lines.join(",\n    ")
        )
        .expect("writing to a String cannot fail");
        let exists = |index: &&Index| (index.since..index.until).contains(&version);
        for index in self.indexes.iter().filter(exists) {
            let Index {
                name,
                columns,
                is_unique,
                only,
                ..
            } = index;
            let unique = if *is_unique { "UNIQUE " } else { "" };
            let only = only
                .map(|only| format!(" WHERE {only}"))
                .unwrap_or_default();
            let columns: Vec<_> = columns
                .iter()
                // SQLite's indexes end with the row number anyway.
                .filter(|name| !(dialect == Dialect::Sqlite && self.row_number() == Some(name)))
                .map(|name| format!("\"{name}\""))
                .collect();
            writeln!(
                text,
                "CREATE {unique}INDEX \"{name}\" ON \"{}\" ({}){only};",
                self.name,
                columns.join(", ")
            )
            .expect("writing to a String cannot fail");
        }
    }

    /// The column that is SQLite's row number.
    fn row_number(&self) -> Option<&'static str> {
        let key = &self.columns[0];
        let is_integer = matches!(key.kind, Kind::Integer | Kind::Small);
        (self.key == 1 && is_integer && !self.is_clustered).then_some(key.name)
    }

    fn column(&self, dialect: Dialect, version: i64, place: usize, column: &Column) -> String {
        let name = format!("\"{}\"", column.name);
        let is_key = self.key == 1 && place == 0;
        let mut line = match dialect {
            Dialect::Sqlite => format!("{name} {}", column.kind.sqlite()),
            Dialect::Postgres => format!("{name} {}", column.kind.postgres()),
        };
        if dialect == Dialect::Postgres && column.kind == Kind::Text {
            line.push_str(" COLLATE \"C\"");
        }
        if !column.is_nullable {
            line.push_str(" NOT NULL");
        }
        if is_key {
            line.push_str(" PRIMARY KEY");
        }
        if version < column.unique_until {
            line.push_str(" UNIQUE");
        }
        let range = match (column.range, column.kind, dialect) {
            (Range::Between(least, most), ..) => format!("{name} BETWEEN {least} AND {most}"),
            (Range::AtLeast(least), ..) => format!("{name} >= {least}"),
            (Range::NotNegative, ..) => format!("{name} >= 0"),
            (Range::Negative, ..) => format!("{name} < 0"),
            (Range::Any, Kind::Flag, Dialect::Sqlite) => format!("{name} IN (0, 1)"),
            (Range::Any, ..) => String::new(),
        };
        if !range.is_empty() {
            write!(line, " CHECK ({range})").expect("writing to a String cannot fail");
        }
        if let Some((table, key)) = column.references
            && !is_forward(dialect, self.name, table)
        {
            write!(line, " REFERENCES \"{table}\" (\"{key}\")")
                .expect("writing to a String cannot fail");
        }
        line
    }
}

fn names(columns: &[Column]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    names.join(", ")
}

/// A table in PostgreSQL can only refer to tables that exist.
fn is_forward(dialect: Dialect, table: &str, parent: &str) -> bool {
    let place = |name| TABLES.iter().position(|table| table.name == name);
    dialect == Dialect::Postgres && place(parent) > place(table)
}

/// The references that PostgreSQL gets after all tables exist: constraint, table, column, parent
/// and its key.
fn forward(version: i64) -> impl Iterator<Item = (String, &'static str, &'static Column)> {
    TABLES.iter().flat_map(move |table| {
        let is_forward = move |column: &&Column| {
            let parent = column.references.map(|(parent, _)| parent);
            column.since <= version
                && parent.is_some_and(|parent| is_forward(Dialect::Postgres, table.name, parent))
        };
        let named = |column: &'static Column| {
            (
                format!("{}_{}", table.name, column.name),
                table.name,
                column,
            )
        };
        table.columns.iter().filter(is_forward).map(named)
    })
}

/// The statements that add the references from a table to a later one, as a version has them.
pub(crate) fn add_forward_references(version: i64) -> String {
    let mut text = String::new();
    for (constraint, table, column) in forward(version) {
        let (parent, key) = column.references.unwrap_or_default();
        writeln!(
            text,
            "ALTER TABLE \"{table}\" ADD CONSTRAINT \"{constraint}\" \
             FOREIGN KEY (\"{}\") REFERENCES \"{parent}\" (\"{key}\");",
            column.name
        )
        .expect("writing to a String cannot fail");
    }
    text
}

/// The statements that remove these references while tables are filled one after another.
pub(crate) fn drop_forward_references() -> String {
    forward(VERSION)
        .map(|(constraint, table, _)| {
            format!("ALTER TABLE \"{table}\" DROP CONSTRAINT \"{constraint}\";\n")
        })
        .collect()
}

/// The statements that create every table as a version of the schema has it. A server creates
/// version 1 and migrates it, because a migrated table differs from a new one in the order of its
/// columns and in its stored text.
pub(crate) fn create_all(dialect: Dialect, version: i64) -> String {
    let mut text = String::new();
    for table in TABLES.iter().filter(|table| table.since <= version) {
        if table.is_in(dialect) {
            table.create(dialect, version, &mut text);
        }
    }
    if dialect == Dialect::Postgres {
        text.push_str(&add_forward_references(version));
        text.push_str(&search::create_in_postgres(version));
    }
    text
}

/// The row of a new database's table `store`. The bits are those of the counters' blocks.
pub(crate) fn first_store_row(block_bits: u32, upper_bits: u32) -> [Value<'static>; 7] {
    let (none, not_restored) = (0_i64, false);
    values![
        1_i64,
        block_bits,
        upper_bits,
        none,
        none,
        not_restored,
        none
    ]
}

/// Every table whose rows a migration moves, in an order in which references are satisfied, except
/// those of [`add_forward_references`].
pub(crate) fn moved() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().copied().filter(|table| table.is_moved)
}

/// The inserting statements of each table, by its name.
static INSERTS: LazyLock<HashMap<&'static str, [String; 2]>> = LazyLock::new(|| {
    let statements = |table: &&'static Table| {
        let (name, columns) = (table.name, table.column_names());
        let marks: Vec<_> = (1..=table.columns.len()).map(|n| format!("?{n}")).collect();
        let arrays: Vec<_> = (1..)
            .zip(table.columns)
            .map(|(n, column)| format!("${n}::{}[]", column.kind.postgres()))
            .collect();
        let sqlite = format!(
            "INSERT INTO \"{name}\" ({columns}) VALUES ({})",
            marks.join(", ")
        );
        let postgres = format!(
            "INSERT INTO \"{name}\" ({columns}) \
             SELECT {columns} FROM UNNEST({}) AS rows ({columns})",
            arrays.join(", ")
        );
        (name, [sqlite, postgres])
    };
    TABLES.iter().map(statements).collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statements_that_create_version_1_are_these_for_ever() {
        insta::assert_snapshot!("sqlite", create_all(Dialect::Sqlite, 1));
        insta::assert_snapshot!("postgres", create_all(Dialect::Postgres, 1));
    }

    /// Returns the first statement of a step that breaks nodes of earlier versions, which continue
    /// while the first newer node migrates. Their statements name no new column, so it must not
    /// demand a value; and a new rule on an old table could refuse their rows.
    fn breaks_older_nodes(step: &str) -> Option<&'static str> {
        let step = step.to_uppercase();
        let demands = step.split(';').any(|statement| {
            statement.contains("ADD COLUMN")
                && statement.contains("NOT NULL")
                && !statement.contains("DEFAULT")
        });
        let forbidden = [
            "DROP TABLE",
            "DROP COLUMN",
            "DROP CONSTRAINT",
            "RENAME ",
            "ADD CONSTRAINT",
            "SET NOT NULL",
            "ALTER COLUMN",
        ];
        let forbidden = forbidden.into_iter().find(|word| step.contains(word));
        forbidden.or(demands.then_some("a column that demands a value"))
    }

    #[test]
    fn migration_steps_are_in_order_and_do_not_break_permitted_nodes() {
        for (version, step) in (2..).zip(MIGRATIONS) {
            assert_eq!(step.version, version);
            assert!((1..=version).contains(&step.oldest));
            if step.oldest < version {
                assert_eq!(breaks_older_nodes(step.postgres), None, "step {version}");
            }
        }
        for harmless in [
            "CREATE TABLE a (b BIGINT NOT NULL)",
            "ALTER TABLE a ADD COLUMN b BIGINT",
            "ALTER TABLE a ADD COLUMN b BIGINT NOT NULL DEFAULT 0",
            "DROP INDEX a",
            "CREATE TABLE a (b BIGINT NOT NULL); ALTER TABLE c ADD COLUMN d BIGINT",
        ] {
            assert_eq!(breaks_older_nodes(harmless), None, "{harmless}");
        }
        for harmful in [
            "DROP TABLE a",
            "ALTER TABLE a DROP COLUMN b",
            "ALTER TABLE a DROP CONSTRAINT b",
            "ALTER TABLE a RENAME COLUMN b TO c",
            "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0)",
            "ALTER TABLE a ADD COLUMN b BIGINT NOT NULL",
        ] {
            assert!(breaks_older_nodes(harmful).is_some(), "{harmful}");
        }
    }

    #[test]
    fn every_reference_leads_to_a_key() {
        for table in TABLES {
            for (parent, key) in table.columns.iter().filter_map(|column| column.references) {
                let parent = TABLES.iter().find(|table| table.name == parent).unwrap();
                let place = parent
                    .columns
                    .iter()
                    .position(|column| column.name == key)
                    .unwrap();
                assert!(
                    place == 0 && parent.key == 1 || parent.columns[place].unique_until > VERSION
                );
            }
        }
    }
}
