//! The tables in SQLite: creating them, migrating them, and comparing them with those that this
//! version makes.

use std::collections::BTreeSet;

use rusqlite::{Connection, TransactionBehavior, params_from_iter};

use crate::StoreError;
use crate::dialect::Dialect;
use crate::position::Layout;
use crate::schema::{self, MIGRATIONS, Migration, STORE, VERSION};

/// Marks a database as certgate's (`application_id`): "cgt1".
pub(super) const APPLICATION_ID: i64 = 0x6367_7431;

/// Migrates a database from version `from` (0: an empty file) to [`VERSION`], one transaction a
/// step, so that a crash leaves a version that exists. A new database is complete at once.
pub(super) fn migrate(
    connection: &mut Connection,
    from: i64,
    layout: Layout,
) -> Result<(), StoreError> {
    if from == 0 {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        create(&transaction, MIGRATIONS)?;
        let row = schema::first_store_row(layout.block_bits(), layout.upper_block_bits());
        transaction.execute(STORE.insert(Dialect::Sqlite), params_from_iter(&row))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        return Ok(());
    }
    for step in MIGRATIONS.iter().filter(|step| step.version > from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step.sqlite)?;
        transaction.pragma_update(None, "user_version", step.version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Creates the tables of version 1 and migrates them, as every database of this version was made.
fn create(connection: &Connection, steps: &[Migration]) -> rusqlite::Result<()> {
    connection.execute_batch(&schema::create_all(Dialect::Sqlite, 1))?;
    for step in steps {
        connection.execute_batch(step.sqlite)?;
    }
    Ok(())
}

/// Finds tables and indexes whose stored definition is not the one that `steps` lead to, a line
/// each. Others may exist: an operator may add an index.
pub(super) fn differences(
    connection: &Connection,
    steps: &[Migration],
) -> Result<Vec<String>, StoreError> {
    let expected = Connection::open_in_memory()?;
    create(&expected, steps)?;
    let stored = definitions(connection)?;
    let missing = |definition: &Definition| !stored.contains(definition);
    Ok(definitions(&expected)?
        .into_iter()
        .filter(missing)
        .map(|[kind, name, ..]| format!("\"sqlite_schema\": differs from {kind} \"{name}\""))
        .collect())
}

/// The kind of a table or index, its name, its table, and the statement that creates it, which is
/// empty for an index that SQLite makes for a column.
type Definition = [String; 4];

fn definitions(connection: &Connection) -> Result<BTreeSet<Definition>, StoreError> {
    let select = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema";
    let mut statement = connection.prepare(select)?;
    let read = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]);
    let rows = statement.query_map((), read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(sqlite: &'static str) -> Migration {
        Migration {
            version: VERSION + 1,
            oldest: 1,
            sqlite,
            postgres: "",
        }
    }

    /// A database of version 1 that was migrated, after which `change` corrupted it.
    fn migrated(steps: &[Migration], change: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        create(&connection, &[]).unwrap();
        for step in steps {
            connection.execute_batch(step.sqlite).unwrap();
        }
        connection.execute_batch(change).unwrap();
        connection
    }

    #[test]
    fn a_migrated_database_equals_a_new_one_and_a_corrupt_definition_does_not() {
        let steps = [
            step("ALTER TABLE zones ADD COLUMN \"paused\" INTEGER NOT NULL DEFAULT 0"),
            step("CREATE INDEX zones_paused ON zones (paused); DROP INDEX zones_by_account"),
        ];
        let found = |steps: &[Migration], change: &str| {
            differences(&migrated(steps, change), steps).unwrap()
        };
        assert_eq!(found(&steps, ""), Vec::<String>::new());
        assert_eq!(found(&[], ""), Vec::<String>::new());
        let operator = "CREATE INDEX an_operators_own ON zones (name); ANALYZE";
        assert_eq!(found(&steps, operator), Vec::<String>::new());
        for (change, line) in [
            ("DROP INDEX zones_paused", "index \"zones_paused\""),
            (
                "DROP INDEX zones_by_name; CREATE UNIQUE INDEX zones_by_name ON zones (name)",
                "index \"zones_by_name\"",
            ),
            (
                "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = \
                 replace(sql, '\"paused\"', '\"pausee\"') WHERE name = 'zones'",
                "table \"zones\"",
            ),
            (
                "PRAGMA writable_schema = 1; UPDATE sqlite_schema \
                 SET name = 'sqlite_autoindex_zonet_1' WHERE name = 'sqlite_autoindex_zones_1'",
                "index \"sqlite_autoindex_zones_1\"",
            ),
        ] {
            let expected = format!("\"sqlite_schema\": differs from {line}");
            assert_eq!(found(&steps, change), [expected], "{change}");
        }
        // A step that was not run.
        let connection = migrated(&steps[..1], "");
        let lines = differences(&connection, &steps[..1]).unwrap();
        assert_eq!(lines, Vec::<String>::new());
        assert_eq!(differences(&connection, &[]).unwrap().len(), 1);
    }

    /// The form of every table: columns with their types, keys and references, and indexes.
    fn shape(connection: &Connection) -> BTreeSet<String> {
        let select = "
            SELECT 'column', t.name, c.name, c.type, c.\"notnull\", c.pk, c.hidden
            FROM sqlite_schema t, pragma_table_xinfo(t.name) c WHERE t.type = 'table'
            UNION ALL SELECT 'reference', t.name, r.\"from\", r.\"table\", r.\"to\", '', ''
            FROM sqlite_schema t, pragma_foreign_key_list(t.name) r WHERE t.type = 'table'
            UNION ALL SELECT 'index', t.name, i.name, i.\"unique\", i.partial, c.name, c.seqno
            FROM sqlite_schema t, pragma_index_list(t.name) i, pragma_index_xinfo(i.name) c
            WHERE t.type = 'table' AND c.cid >= 0
            UNION ALL SELECT 'condition', tbl_name, name, substr(sql, instr(sql, ' WHERE ')), '',
            '', '' FROM sqlite_schema WHERE type = 'index' AND instr(sql, ' WHERE ') > 0
            UNION ALL SELECT 'table', name, (length(sql) - length(replace(sql, 'CHECK', ''))),
            instr(sql, 'WITHOUT ROWID') > 0, '', '', '' FROM sqlite_schema WHERE type = 'table'";
        let mut statement = connection.prepare(select).unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            let cells = (0..7).map(|place| Ok(format!("{:?}", row.get_ref(place)?)));
            cells.collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = statement.query_map((), read).unwrap();
        rows.map(|row| row.unwrap().join(" ")).collect()
    }

    #[test]
    fn the_steps_lead_to_the_description() {
        let described = Connection::open_in_memory().unwrap();
        let text = schema::create_all(Dialect::Sqlite, VERSION);
        described.execute_batch(&text).unwrap();
        let expected = shape(&described);
        assert!(expected.len() > 200, "{}", expected.len());
        assert_eq!(shape(&migrated(MIGRATIONS, "")), expected);
    }
}
