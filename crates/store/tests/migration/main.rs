//! Moving an embedded database to PostgreSQL.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod place;
#[allow(dead_code, reason = "shared with the tests of PostgreSQL")]
#[path = "../postgres_server/mod.rs"]
mod postgres_server;

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;

use certgate_model::{
    CertificateQuery, Coverage, CrlKind, CrlRecord, EnforcementPointId, EnforcementPointRecord,
    Event, RevocationReason, Slice, Status, TokenHash, WhenStale,
};
use certgate_store::conformance::{
    account, authority, by, by_at, certificate, first_records, instant, mtls_certificate, token,
    zone,
};
use certgate_store::prelude::*;
use certgate_store::{
    Migration, MigrationBegun, MigrationError, Neighbours, OpenError, PostgresError,
    PostgresOptions, PostgresStore, ReadStore, SqliteOptions, SqliteStore, Store, TableCompared,
    columns_moved, is_never_moved,
};
use futures_util::future::try_join_all;
use place::Place;
use postgres_server::{Server, server};
use tempfile::TempDir;

/// More than two batches.
const CERTIFICATES: u32 = 1_100;
const EVERYTHING: CertificateQuery = CertificateQuery {
    status: None,
    slice: Slice {
        first: 0,
        size: 10_000,
    },
};

const NOTHING: [&str; 0] = [];

fn different(compared: &[TableCompared]) -> Vec<&'static str> {
    compared
        .iter()
        .filter(|table| !table.is_equal())
        .map(|table| table.table)
        .collect()
}

async fn open(url: &str) -> Result<PostgresStore, PostgresError> {
    PostgresStore::open(url, PostgresOptions::default()).await
}

/// Returns a digest of each table of a database.
fn dump(server: &Server, url: &str) -> String {
    let select = "SELECT table_name, query_to_xml(format('SELECT md5(string_agg(t::text, '','' \
                  ORDER BY t::text)) FROM %I t', \
                  table_name), true, true, '') FROM information_schema.tables \
                  WHERE table_schema = 'public' ORDER BY 1";
    server.sql(url, select)
}

/// Copies until a batch of rows is committed, and stops at the next wait, in the transaction of
/// another batch.
async fn copy_one_batch(migration: &Migration) -> bool {
    let (mut last, reached) = (("", 0), std::cell::Cell::new(false));
    let mut copying = pin!(migration.copy(|progress| {
        let now = (progress.table, progress.table_rows);
        if now.0 == last.0 && now.1 > last.1 {
            reached.set(true);
        }
        last = now;
    }));
    poll_fn(|context| match copying.as_mut().poll(context) {
        Poll::Ready(copied) => {
            copied.unwrap();
            Poll::Ready(true)
        }
        Poll::Pending if reached.get() => Poll::Ready(false),
        Poll::Pending => Poll::Pending,
    })
    .await
}

#[tokio::test]
async fn every_table_and_column_is_copied() {
    let Some(server) = server() else { return };
    let (url, directory) = (server.database(), tempfile::tempdir().unwrap());
    open(&url).await.unwrap().close().await;
    let path = directory.path().join("store.db");
    SqliteStore::open(&path, SqliteOptions::default())
        .unwrap()
        .close()
        .await;

    let lines = |text: String| text.lines().map(String::from).collect::<Vec<_>>();
    let moved = columns_moved();
    let names: BTreeSet<_> = moved
        .iter()
        .map(|(table, ..)| (*table).to_owned())
        .collect();
    let must_be_moved = |tables: Vec<String>| {
        tables
            .into_iter()
            .filter(|table| !is_never_moved(table))
            .collect::<BTreeSet<_>>()
    };
    let in_postgres =
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(
        must_be_moved(lines(server.sql(&url, in_postgres))),
        names,
        "the tables of PostgreSQL"
    );
    let sqlite = rusqlite::Connection::open(&path).unwrap();
    let query = |select: &str| -> Vec<String> {
        let mut statement = sqlite.prepare(select).unwrap();
        statement
            .query_map((), |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let in_sqlite =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    assert_eq!(
        must_be_moved(query(in_sqlite)),
        names,
        "the tables of SQLite"
    );

    for (table, columns, key) in moved {
        let typed: BTreeSet<_> = columns
            .iter()
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        let select = format!(
            "SELECT column_name || ' ' || data_type FROM information_schema.columns \
             WHERE table_name = '{table}'"
        );
        assert_eq!(
            lines(server.sql(&url, &select))
                .into_iter()
                .collect::<BTreeSet<_>>(),
            typed,
            "{table}"
        );
        let named: BTreeSet<_> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let select = format!("SELECT name FROM pragma_table_info('{table}')");
        assert_eq!(
            query(&select).into_iter().collect::<BTreeSet<_>>(),
            named,
            "{table}"
        );

        let key: Vec<_> = columns[..key]
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let select =
            format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
        assert_eq!(query(&select), key, "the primary key of {table} in SQLite");
        let select = format!(
            "SELECT a.attname FROM pg_index i \
             CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (number, place) \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
             WHERE i.indisprimary AND i.indrelid = '\"{table}\"'::regclass ORDER BY k.place"
        );
        assert_eq!(
            lines(server.sql(&url, &select)),
            key,
            "the primary key of {table} in PostgreSQL"
        );
    }
}

#[tokio::test]
async fn everything_is_copied_and_the_source_is_unchanged() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    let before = place.files();

    let migration = place.begin(&url, 1).await.unwrap();
    assert_eq!(migration.begun(), MigrationBegun::Anew);
    let mut last = None;
    migration
        .copy(|progress| last = Some(progress))
        .await
        .unwrap();
    let last = last.unwrap();
    assert_eq!(
        (last.rows, last.table_rows),
        (last.of_rows, last.of_table_rows)
    );
    let compared = migration.compare(|_| ()).await.unwrap();
    assert_eq!(different(&compared), NOTHING);
    assert_eq!(
        compared.iter().map(|table| table.source.rows).sum::<u64>(),
        last.of_rows
    );
    let empty: Vec<_> = compared
        .iter()
        .filter(|table| table.source.rows == 0)
        .map(|table| table.table)
        .collect();
    // Only a database of an earlier version is not indexed and counted completely.
    let of_earlier = ["indexing", "replacement_counting"];
    assert_eq!(empty, of_earlier, "the test has a row of each table");
    migration.finish().await.unwrap();
    assert_eq!(place.files(), before);

    // The copy is the same as a database that was made by servers.
    let fresh = server.database();
    open(&fresh).await.unwrap().close().await;
    for select in [
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace ORDER BY 1",
        "SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' \
         || coalesce(collation_name, '') \
         FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1",
    ] {
        assert_eq!(server.sql(&url, select), server.sql(&fresh, select));
    }

    let (old, new) = (place.store(), open(&url).await.unwrap());
    assert_eq!(
        new.installation().await.unwrap(),
        old.installation().await.unwrap()
    );
    for zone in [zone(0, &account(0)).id, zone(1, &account(1)).id] {
        assert_eq!(
            new.certificates(zone, EVERYTHING).await.unwrap(),
            old.certificates(zone, EVERYTHING).await.unwrap()
        );
        assert_eq!(
            new.totals(zone).await.unwrap(),
            old.totals(zone).await.unwrap()
        );
    }
    assert_eq!(new.check().await.unwrap(), old.check().await.unwrap());
    // Servers can continue with it.
    let record = certificate(
        CERTIFICATES,
        zone(0, &account(0)).id,
        &authority(0, &account(0)),
        Status::Active,
    );
    new.record_certificate(record, None, by()).await.unwrap();
    new.close().await;
}

#[tokio::test]
async fn a_migration_that_was_stopped_at_any_point_continues() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    let before = place.files();
    let mut runs = 0;
    loop {
        let migration = place.begin(&url, runs).await.unwrap();
        assert_eq!(
            migration.begun(),
            if runs == 0 {
                MigrationBegun::Anew
            } else {
                MigrationBegun::Again
            }
        );
        if copy_one_batch(&migration).await {
            break;
        }
        drop(migration);
        assert!(matches!(
            open(&url).await.err(),
            Some(PostgresError::Unfinished)
        ));
        runs += 1;
    }
    // One batch at a time: those of every table, and several of the larger tables.
    assert!(usize::from(runs) > columns_moved().len(), "{runs}");
    place.moved(&url).await;
    assert_eq!(place.files(), before);
    open(&url).await.unwrap().close().await;
}

#[tokio::test]
async fn a_finished_migration_is_compared_again_and_unchanged() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    place.moved(&url).await;
    let before = dump(&server, &url);
    let again = place.begin(&url, 2).await.unwrap();
    assert_eq!(again.begun(), MigrationBegun::Finished);
    again.copy(|_| ()).await.unwrap();
    assert_eq!(different(&again.compare(|_| ()).await.unwrap()), NOTHING);
    again.finish().await.unwrap();
    assert_eq!(dump(&server, &url), before);

    let store = open(&url).await.unwrap();
    store
        .record_token_uses(vec![(token(3, &first_records().user).id, instant(999))])
        .await
        .unwrap();
    store.close().await;
    let again = place.begin(&url, 3).await.unwrap();
    assert_eq!(different(&again.compare(|_| ()).await.unwrap()), ["tokens"]);
}

#[tokio::test]
async fn every_kind_of_difference_is_found() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    let migration = place.begin(&url, 1).await.unwrap();
    migration.copy(|_| ()).await.unwrap();
    for (table, change) in [
        (
            "certificates",
            "UPDATE certificates SET csr = csr || ' ' WHERE position % 1000 = 40",
        ),
        ("users", "UPDATE users SET api_key_hash = NULL"),
        ("epoch_gaps", "UPDATE epoch_gaps SET is_all = true"),
        (
            "statuses",
            "UPDATE statuses SET epoch = 7 WHERE position % 1000 = 40",
        ),
        ("crls", "UPDATE crls SET der = der || '\\x00'"),
        ("blocks", "INSERT INTO blocks VALUES (99999999, 0, 0, 0, 0)"),
        (
            "hostname_associations",
            "UPDATE hostname_associations SET place = place + 10",
        ),
    ] {
        server.sql(&url, &format!("CREATE TABLE kept AS TABLE \"{table}\""));
        server.sql(&url, change);
        assert_eq!(
            different(&migration.compare(|_| ()).await.unwrap()),
            [table]
        );
        // Without checking foreign keys.
        let back = format!(
            "SET session_replication_role = replica; DELETE FROM \"{table}\"; \
             INSERT INTO \"{table}\" SELECT * FROM kept; \
             DROP TABLE kept"
        );
        server.sql(&url, &back);
    }
    assert_eq!(
        different(&migration.compare(|_| ()).await.unwrap()),
        NOTHING
    );
    assert!(matches!(
        open(&url).await.err(),
        Some(PostgresError::Unfinished)
    ));
}

#[tokio::test]
async fn a_second_migration_takes_over_and_the_first_ends() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    let first = place.begin(&url, 1).await.unwrap();
    for _ in 0..8 {
        assert!(!copy_one_batch(&place.begin(&url, 1).await.unwrap()).await);
    }
    let second = place.begin(&url, 2).await.unwrap();
    assert!(matches!(
        first.copy(|_| ()).await,
        Err(MigrationError::TakenOver { .. })
    ));
    assert!(matches!(
        first.finish().await,
        Err(MigrationError::TakenOver { .. })
    ));
    second.copy(|_| ()).await.unwrap();
    assert_eq!(different(&second.compare(|_| ()).await.unwrap()), NOTHING);
    second.finish().await.unwrap();
    assert!(matches!(
        first.finish().await,
        Err(MigrationError::TakenOver { .. })
    ));
    open(&url).await.unwrap().close().await;
}

#[tokio::test]
async fn another_database_is_refused_and_unchanged() {
    let Some(server) = server() else { return };
    let place = Place::new().await;
    let refused = async |url: &str| {
        let before = dump(&server, url);
        let error = place.begin(url, 1).await.err().unwrap();
        assert_eq!(dump(&server, url), before, "{error}");
        error
    };
    let others = server.database();
    server.sql(
        &others,
        "CREATE TABLE things (thing TEXT); INSERT INTO things VALUES ('a')",
    );
    let error = refused(&others).await;
    assert!(
        matches!(&error, MigrationError::NotEmpty { tables, .. } if tables == "things"),
        "{error}"
    );

    let tables_only = server.database();
    open(&tables_only).await.unwrap().close().await;
    assert!(matches!(
        refused(&tables_only).await,
        MigrationError::NotEmpty { .. }
    ));

    let other = server.database();
    let store = open(&other).await.unwrap();
    let mut records = first_records();
    records.installation.master_key_check = vec![8; 48];
    store.initialise(records).await.unwrap();
    store.close().await;
    assert!(matches!(
        refused(&other).await,
        MigrationError::OtherInstallation { .. }
    ));

    let newer = server.database();
    assert!(!copy_one_batch(&place.begin(&newer, 1).await.unwrap()).await);
    server.sql(&newer, "INSERT INTO schema_migrations VALUES (99, 99)");
    assert!(matches!(
        refused(&newer).await,
        MigrationError::OtherVersion { .. }
    ));

    let unfinished = server.database();
    assert!(!copy_one_batch(&place.begin(&unfinished, 1).await.unwrap()).await);
    server.sql(
        &unfinished,
        "UPDATE unfinished_migration SET master_key_check = '\\x00'",
    );
    assert!(matches!(
        refused(&unfinished).await,
        MigrationError::OtherInstallation { .. }
    ));

    let changed = server.database();
    assert!(!copy_one_batch(&place.begin(&changed, 1).await.unwrap()).await);
    let store = place.store();
    store
        .delete_token(token(3, &first_records().user).id, by())
        .await
        .unwrap();
    store.close().await;
    drop(store);
    assert!(matches!(
        refused(&changed).await,
        MigrationError::Changed { .. }
    ));
}

#[tokio::test]
async fn databases_that_a_server_must_open_first_are_refused() {
    let Some(server) = server() else { return };
    let url = server.database();
    let refused = async |place: &Place| {
        let error = place.begin(&url, 1).await.err().unwrap();
        assert_eq!(dump(&server, &url), "", "{error}");
        error
    };
    // A backup that has replaced the database.
    let place = Place::new().await;
    place.tamper("UPDATE store SET restored = 1");
    assert!(matches!(refused(&place).await, MigrationError::Restored));

    // Certificates of an earlier version whose names are not folded yet.
    let place = Place::new().await;
    place.tamper("INSERT INTO indexing VALUES (1, 68719476736, 68719476737)");
    assert!(matches!(refused(&place).await, MigrationError::NotIndexed));

    // An old copy, beside a journal with later changes.
    let place = Place::new().await;
    let old = std::fs::read(place.database()).unwrap();
    let store = place.store();
    store
        .begin_journal(&place.journal(), instant(0))
        .await
        .unwrap();
    let zone = first_records().zone.id;
    let id = certificate(2, zone, &authority(0, &account(0)), Status::Active).id;
    store
        .change_status(zone, id, Event::HOLD, by())
        .await
        .unwrap();
    store.close().await;
    drop(store);
    std::fs::write(place.database(), old).unwrap();
    assert!(matches!(refused(&place).await, MigrationError::Restored));

    let place = Place::new().await;
    place.tamper("PRAGMA application_id = 1667719540");
    assert!(matches!(
        refused(&place).await,
        MigrationError::Open(OpenError::DevelopmentVersion { .. })
    ));

    let place = Place {
        directory: tempfile::tempdir().unwrap(),
    };
    assert!(matches!(
        refused(&place).await,
        MigrationError::Open(OpenError::Io { .. })
    ));
    place.store().close().await;
    assert!(matches!(
        refused(&place).await,
        MigrationError::NoInstallation
    ));
}

#[tokio::test]
async fn values_that_postgresql_cannot_store_are_reported() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    place.tamper(
        "PRAGMA foreign_keys = off; UPDATE certificates SET authority = 77 WHERE rowid % 1000 = 40",
    );
    let migration = place.begin(&url, 1).await.unwrap();
    let error = migration.copy(|_| ()).await.unwrap_err();
    assert!(
        matches!(
            error,
            MigrationError::Row {
                table: "certificates",
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(
        open(&url).await.err(),
        Some(PostgresError::Unfinished)
    ));

    let place = Place::new().await;
    place.tamper("UPDATE certificates SET serial = 5 WHERE rowid % 1000 = 40");
    let error = place
        .begin(&server.database(), 1)
        .await
        .unwrap()
        .copy(|_| ())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a row of \"certificates\" has a wrong serial: a column has an integer"),
        "{error}"
    );
}

/// Checks that rows that a killed server has left in its log are copied, and stay there.
#[tokio::test]
async fn rows_in_the_log_of_a_killed_server_are_copied() {
    let Some(server) = server() else { return };
    let (place, url) = (Place::new().await, server.database());
    let store = place.store();
    store
        .delete_token(token(3, &first_records().user).id, by())
        .await
        .unwrap();
    // A copy of the files at this instant.
    let copy = Place {
        directory: tempfile::tempdir().unwrap(),
    };
    for entry in std::fs::read_dir(place.directory.path()).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if Path::new(name)
            .extension()
            .is_none_or(|extension| extension != "db-shm")
        {
            std::fs::copy(&path, copy.directory.path().join(name)).unwrap();
        }
    }
    store.close().await;
    drop(store);
    let before = copy.files();
    assert!(
        before
            .iter()
            .any(|(path, content)| path.ends_with("store.db-wal") && !content.is_empty())
    );
    copy.moved(&url).await;
    assert_eq!(server.sql(&url, "SELECT count(*) FROM tokens"), "2");
    let mut after = copy.files();
    after.remove(&copy.directory.path().join("store.db-shm"));
    assert_eq!(after, before);
}
