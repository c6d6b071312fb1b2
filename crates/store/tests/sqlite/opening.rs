//! Files that are opened: versions, other files, permissions.

use super::*;

#[tokio::test]
async fn a_database_of_a_development_version_is_refused_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    open(&directory).unwrap().close().await;
    // "cgat", the mark of versions before the first release.
    pragma(&file(&directory), "PRAGMA application_id = 1667719540");
    let before = std::fs::read(file(&directory)).unwrap();
    let error = open(&directory).err().unwrap();
    assert!(
        matches!(error, OpenError::DevelopmentVersion { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("made by a development version"));
    assert_eq!(std::fs::read(file(&directory)).unwrap(), before);
}

#[tokio::test]
async fn a_newer_version_is_refused_and_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    open(&directory).unwrap().close().await;
    pragma(&file(&directory), "PRAGMA user_version = 4711");
    let error = open(&directory).err().unwrap();
    assert!(
        matches!(
            error,
            OpenError::NewerVersion {
                found: 4711,
                known: SCHEMA_VERSION,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("start the newer certgate"),
        "{error}"
    );
    let version = format!("PRAGMA user_version = {SCHEMA_VERSION}");
    pragma(&file(&directory), &version);
    open(&directory).unwrap().close().await;
}

/// Returns the statements that make the database of version 1 with a row in the tables that version
/// 2 changes.
fn version_1() -> String {
    let rows = include_str!("../version_1/rows.sql");
    let id = |octet: u8| format!("x'{}'", format!("{octet:02x}").repeat(16));
    let rows = rows
        .replace(":user", &id(5))
        .replace(":account", &id(1))
        .replace(":zone", &id(2))
        .replace(":token", &id(4))
        .replace(":hash", &format!("x'{}'", "ab".repeat(32)))
        .replace(":false", "0");
    let tables = include_str!("../../src/snapshots/certgate_store__schema__tests__sqlite.snap");
    let tables = tables
        .splitn(3, "---\n")
        .last()
        .expect("a snapshot has statements");
    format!("{tables}{rows}PRAGMA application_id = 1667724337; PRAGMA user_version = 1;")
}

#[tokio::test]
async fn a_database_of_version_1_becomes_one_of_this_version() {
    let directory = tempfile::tempdir().unwrap();
    pragma(&file(&directory), &version_1());
    let store = open(&directory).unwrap();
    conformance::upgraded(&store).await;
    store.close().await;
}

#[tokio::test]
async fn followers_of_an_earlier_version_skip_no_change() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    let first = authority.account;
    let second = conformance::account(1).id;
    store
        .record_account(conformance::account(1), by())
        .await
        .unwrap();
    let ids = [1, 2, 3].map(|n| certificate(n, zone, &authority, Status::Active).id);
    for n in [1, 2, 3] {
        let record = certificate(n, zone, &authority, Status::Active);
        store.record_certificate(record, None, by()).await.unwrap();
    }
    let revoke = async |store: &SqliteStore, n: usize| {
        let changed = store.change_status(zone, ids[n], Event::HOLD, by()).await;
        changed.unwrap().unwrap();
    };
    revoke(&store, 0).await;
    revoke(&store, 1).await;
    store.close().await;
    drop(store);
    // Version 9 has no numbers: each account sees the three epochs of the store.
    pragma(
        &file(&directory),
        "DROP TABLE account_epochs; PRAGMA user_version = 9",
    );
    let store = open(&directory).unwrap();
    for account in [first, second] {
        for epoch in 0..=3 {
            let known = store.known_epoch(account, epoch).await.unwrap();
            assert_eq!(known, Some(epoch));
        }
        assert_eq!(store.known_epoch(account, 4).await.unwrap(), None);
        assert_eq!(store.last_epochs(account).await.unwrap().of_account, 3);
    }
    let changes = store.revocation_changes(first, 2, 9).await.unwrap();
    assert_eq!(changes.len(), 1);
    // A server of version 9 that still runs shows the next epochs of the store. They are refused.
    revoke(&store, 2).await;
    let last = store.last_epochs(first).await.unwrap();
    assert_eq!((last.of_store, last.of_account), (4, (1 << 32) + 4));
    for unknown in [4, 5, 1 << 32, last.of_account - 1, last.of_account + 1] {
        assert_eq!(store.known_epoch(first, unknown).await.unwrap(), None);
    }
    let changes = store.revocation_changes(first, 3, 9).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].epoch(), last.of_account);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

/// Returns the statements that make a database of version 4 with 4,000 certificates.
fn version_4() -> String {
    let steps = concat!(
        include_str!("../../src/schema/version_2.sqlite.sql"),
        include_str!("../../src/schema/version_3.sqlite.sql"),
        include_str!("../../src/schema/version_4.sqlite.sql"),
    );
    let rows = version_4::rows(|number, octets| match octets {
        // The beginning of a fingerprint is the number.
        32 => format!("unhex(replace(printf('%4s', ''), ' ', printf('%016x', {number})))"),
        _ => format!("unhex(printf('%0{}x', {number}))", 2 * octets),
    });
    let rows = rows
        .replace(":account", &format!("x'{}'", "01".repeat(16)))
        .replace(":true", "1")
        .replace(":false", "0");
    format!("{}{steps}{rows}PRAGMA user_version = 4;", version_1())
}

#[tokio::test]
async fn certificates_of_version_4_are_indexed_while_the_store_is_used() {
    let directory = tempfile::tempdir().unwrap();
    pragma(&file(&directory), &version_4());
    // Stopped while it reads, inserts, and counts.
    for steps in [2, 12, 25, 10] {
        let store = open(&directory).unwrap();
        if steps == 2 {
            version_4::begin(&store, steps).await;
        } else {
            version_4::go_on(&store, steps).await;
        }
        store.close().await;
    }
    let store = open(&directory).unwrap();
    version_4::finish(&store).await;
    store.close().await;
    let connection = rusqlite::Connection::open(file(&directory)).unwrap();
    for table in [
        "names",
        "fingerprints",
        "expiries",
        "issue_dates",
        "authorities",
    ] {
        let count = format!("SELECT count(*) FROM certificate_{table}");
        let count: u64 = connection.query_row(&count, (), |row| row.get(0)).unwrap();
        assert_eq!(count, 4_000, "{table}");
    }
}

#[tokio::test]
async fn other_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let garbage = "not a database, but long enough to be mistaken for one. ".repeat(100);
    std::fs::write(file(&directory), &garbage).unwrap();
    let error = open(&directory).err().unwrap();
    assert!(matches!(error, OpenError::NotOurs { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(file(&directory)).unwrap(), garbage);

    for statements in [
        "CREATE TABLE other (a)",
        "CREATE TABLE other (a); PRAGMA application_id = 77",
    ] {
        let directory = tempfile::tempdir().unwrap();
        pragma(&file(&directory), statements);
        let error = open(&directory).err().unwrap();
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error:?}");
    }
    let nowhere = directory.path().join("missing").join("store.db");
    let error = SqliteStore::open(&nowhere, SqliteOptions::default())
        .err()
        .unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[tokio::test]
async fn a_corrupt_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    open(&directory).unwrap().close().await;
    pragma(&file(&directory), "DELETE FROM store");
    let error = open(&directory).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_second_open_is_refused_until_the_first_store_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).unwrap();
    let error = open(&directory).err().unwrap();
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
    drop(store);
    open(&directory).unwrap().close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let (store, ..) = begun(&directory, SqliteOptions::default()).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"]
    );
    store.close().await;
}
