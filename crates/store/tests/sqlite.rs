//! Tests of what only SQLite has: files, versions, the write queue, and failures of the disk.

use std::path::Path;
use std::sync::Arc;

use certgate_model::{
    AuthorityRecord, CertificateQuery, EnforcedAuthority, EnforcementPointId,
    EnforcementPointRecord, Event, MtlsCertificateId, Slice, Status, TokenHash, Totals, ZoneId,
};
use certgate_store::conformance::{
    self, SCHEMA_VERSION, authority, by, by_at, certificate, first_records, instant,
    mtls_certificate, zone,
};
use certgate_store::prelude::*;
use certgate_store::{
    CertificateRecorded, FirstRecords, HostnamesReplaced, Neighbours, OpenError, ReadStore,
    SqliteOptions, SqliteStore, Store, StoreError, ZoneRecorded,
};
use tempfile::TempDir;

const FIRST_PAGE: CertificateQuery = CertificateQuery {
    status: None,
    slice: Slice { first: 0, size: 50 },
};

fn open(directory: &TempDir) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(&file(directory), SqliteOptions::default())
}

fn file(directory: &TempDir) -> std::path::PathBuf {
    directory.path().join("store.db")
}

/// Opens a store with a zone and a CA.
async fn begun(
    directory: &TempDir,
    options: SqliteOptions,
) -> (Arc<SqliteStore>, ZoneId, AuthorityRecord) {
    let store = SqliteStore::open(&file(directory), options).expect("an empty directory");
    let records = first_records();
    let authority = authority(0, &records.account);
    store.initialise(records.clone()).await.expect("initialise");
    store
        .record_managed_authority(authority.clone(), by())
        .await
        .expect("record");
    (Arc::new(store), records.zone.id, authority)
}

fn pragma(path: &Path, statement: &str) {
    rusqlite::Connection::open(path)
        .expect("a database")
        .execute_batch(statement)
        .expect("a good statement");
}

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
    let rows = include_str!("version_1/rows.sql");
    let id = |octet: u8| format!("x'{}'", format!("{octet:02x}").repeat(16));
    let rows = rows
        .replace(":user", &id(5))
        .replace(":account", &id(1))
        .replace(":zone", &id(2))
        .replace(":token", &id(4))
        .replace(":hash", &format!("x'{}'", "ab".repeat(32)))
        .replace(":false", "0");
    let tables = include_str!("../src/snapshots/certgate_store__schema__tests__sqlite.snap");
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

#[tokio::test]
async fn everything_is_stored_after_a_close_and_after_a_drop() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    for n in 0..20 {
        let record = certificate(n, zone, &authority, Status::Active);
        store.record_certificate(record, None, by()).await.unwrap();
    }
    let id = certificate(3, zone, &authority, Status::Active).id;
    store
        .change_status(zone, id, Event::HOLD, by_at(instant(5)))
        .await
        .unwrap();
    let before = store.certificates(zone, FIRST_PAGE).await.unwrap();
    assert_eq!((before.total, before.items.len()), (20, 20));
    drop(store);
    for round in 0..3 {
        let store = open(&directory).unwrap();
        assert_eq!(store.certificates(zone, FIRST_PAGE).await.unwrap(), before);
        assert_eq!(
            store.totals(zone).await.unwrap(),
            Totals::new([19, 0, 1, 0])
        );
        assert_eq!(
            store.installation().await.unwrap(),
            Some(first_records().installation)
        );
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        store.close().await;
        // In the first round the dropped store may still be closing its connections.
        let log = directory.path().join("store.db-wal").exists();
        assert!(!log || round == 0, "a closed store has no log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writers_share_commits_and_each_has_its_own_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    let before = store.statistics();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = Arc::clone(&store);
            // Every tenth certificate repeats the one before it.
            let record = certificate(n - u32::from(n % 10 == 9), zone, &authority, Status::Active);
            tokio::spawn(async move { store.record_certificate(record, None, by()).await })
        })
        .collect();
    let (mut recorded, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(CertificateRecorded::Recorded) => recorded += 1,
            Ok(CertificateRecorded::Exists) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((recorded, refused), (180, 20));
    assert_eq!(store.totals(zone).await.unwrap().all(), 180);
    let after = store.statistics();
    assert_eq!(after.writes - before.writes, 200);
    assert!(after.commits - before.commits < 100, "{before:?} {after:?}");
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn a_full_queue_refuses_and_accepted_writes_are_done() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        queue: 4,
        ..SqliteOptions::default()
    };
    let (store, zone, authority) = begun(&directory, options).await;
    // Another connection holds the write lock, so that only the writes that the thread already has
    // leave the queue.
    let blocker = rusqlite::Connection::open(file(&directory)).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let store = Arc::clone(&store);
            let record = certificate(n, zone, &authority, Status::Active);
            tokio::spawn(async move { store.record_certificate(record, None, by()).await })
        })
        .collect();
    // The tasks run while this one waits for its read, which does not need the lock.
    assert_eq!(store.totals(zone).await.unwrap().all(), 0);
    tokio::task::yield_now().await;
    blocker.execute_batch("ROLLBACK").unwrap();
    let (mut recorded, mut refused) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(outcome) => {
                assert_eq!(outcome, CertificateRecorded::Recorded);
                recorded += 1;
            }
            Err(StoreError::Unavailable(reason)) => {
                assert!(reason.contains("queue is full"), "{reason}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(recorded >= 4 && refused >= 40, "{recorded} {refused}");
    assert_eq!(store.totals(zone).await.unwrap().all(), recorded);
    store.ready().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_loses_none_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    store.limit_growth(Some(40)).await.unwrap();
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let store = Arc::clone(&store);
            let record = certificate(n, zone, &authority, Status::Active);
            tokio::spawn(async move { (n, store.record_certificate(record, None, by()).await) })
        })
        .collect();
    let (mut recorded, mut refused) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            (n, Ok(outcome)) => {
                assert_eq!(outcome, CertificateRecorded::Recorded);
                recorded.push(n);
            }
            (n, Err(StoreError::Unavailable(_))) => refused.push(n),
            (_, Err(other)) => panic!("{other}"),
        }
    }
    assert!(!refused.is_empty());
    assert_eq!(
        store.totals(zone).await.unwrap().all(),
        recorded.len() as u64
    );
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());

    store.limit_growth(None).await.unwrap();
    for n in refused {
        let record = certificate(n, zone, &authority, Status::Active);
        let outcome = store.record_certificate(record, None, by()).await.unwrap();
        assert_eq!(outcome, CertificateRecorded::Recorded);
    }
    assert_eq!(store.totals(zone).await.unwrap().all(), 400);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn corrupt_rows_are_reported_and_found_by_the_check() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    for n in 0..5 {
        let record = certificate(n, zone, &authority, Status::Active);
        store.record_certificate(record, None, by()).await.unwrap();
    }
    let token = first_records().token;
    for statement in [
        "UPDATE certificates SET serial = x'00'",
        "UPDATE certificates SET signature = 'MD5WithRSA'",
        "UPDATE certificates SET expires_on = 9223372036854775807",
        "UPDATE certificates SET csr = x'ff'",
        "UPDATE tokens SET policies = '{'",
        "UPDATE zones SET created_on = -9223372036854775807",
        "UPDATE blocks SET active = 9223372036854775807; \
         UPDATE upper_blocks SET active = 9223372036854775807",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
        let record = certificate(0, zone, &authority, Status::Active);
        store.record_certificate(record, None, by()).await.unwrap();
        store.damage(statement).await.unwrap();
        let active = CertificateQuery {
            status: Some(Status::Active),
            ..FIRST_PAGE
        };
        let outcomes = [
            store.certificates(zone, active).await.map(|_| ()),
            store.token(token.id).await.map(|_| ()),
            store.zone(zone).await.map(|_| ()),
        ];
        let corrupt = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Err(StoreError::Corrupt(_))))
            .count();
        assert_eq!(corrupt, 1, "{statement}: {outcomes:?}");
        assert_ne!(
            store.check().await.unwrap(),
            Vec::<String>::new(),
            "{statement}"
        );
    }

    store
        .damage("UPDATE blocks SET active = active + 1")
        .await
        .unwrap();
    store
        .damage("UPDATE upper_blocks SET revoked = 7")
        .await
        .unwrap();
    let lines = store.check().await.unwrap();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("blocks ") && lines[1].starts_with("upper_blocks "),
        "{lines:?}"
    );
    store.close().await;
}

#[tokio::test]
async fn the_check_finds_a_page_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    for n in 0..50 {
        store
            .record_certificate(certificate(n, zone, &authority, Status::Active), None, by())
            .await
            .unwrap();
    }
    store.close().await;
    drop(store);
    let path = file(&directory);
    let database = rusqlite::Connection::open(&path).unwrap();
    let number = |sql: &str| {
        database
            .query_row(sql, (), |row| row.get::<_, u64>(0))
            .unwrap()
    };
    let size = number("PRAGMA page_size");
    let index = number("SELECT rootpage FROM sqlite_schema WHERE name = 'statuses_by_status'");
    drop(database);
    let mut bytes = std::fs::read(&path).unwrap();
    let start = usize::try_from((index - 1) * size).unwrap();
    bytes[start..start + usize::try_from(size).unwrap()].fill(0xff);
    std::fs::write(&path, bytes).unwrap();

    let store = open(&directory).unwrap();
    let lines = store.check().await.unwrap();
    assert_eq!(
        lines,
        ["not everything could be read: database disk image is malformed"]
    );
    store.close().await;
}

#[tokio::test]
async fn certificates_of_a_deleted_zone_cannot_reach_another() {
    let directory = tempfile::tempdir().unwrap();
    let (store, first, authority) = begun(&directory, SqliteOptions::default()).await;
    for n in 0..3 {
        let record = certificate(n, first, &authority, Status::Revoked);
        store.record_certificate(record, None, by()).await.unwrap();
    }
    store.delete_zone(first, by_at(instant(9))).await.unwrap();
    let next = zone(1, &first_records().account);
    assert_eq!(
        store
            .record_zone(next.clone(), Neighbours::Every, by())
            .await
            .unwrap(),
        ZoneRecorded::Recorded
    );
    assert_eq!(
        store.certificates(next.id, FIRST_PAGE).await.unwrap().total,
        0
    );
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

/// Three uploaded certificates of account 0: the CAs 1 and 2, and 3, which is not a CA.
const UPLOADED: &str = "
    INSERT INTO mtls_certificates SELECT x'01010101010101010101010101010101', id, '', 1, '', '', \
    '', 'PEM 1', x'0101010101010101010101010101010101010101010101010101010101010101', NULL, 0, 0, NULL
    FROM accounts WHERE name = 'Account 0';
    INSERT INTO mtls_certificates SELECT x'02020202020202020202020202020202', id, '', 1, '', '', \
    '', 'PEM 2', x'0202020202020202020202020202020202020202020202020202020202020202', NULL, 0, 0, NULL
    FROM accounts WHERE name = 'Account 0';
    INSERT INTO mtls_certificates SELECT x'03030303030303030303030303030303', id, '', 0, '', '', \
    '', 'PEM 3', x'0303030303030303030303030303030303030303030303030303030303030303', NULL, 0, 0, NULL
    FROM accounts WHERE name = 'Account 0';";

fn uploaded(n: u8) -> Option<MtlsCertificateId> {
    Some(MtlsCertificateId::from_bytes([n; 16]))
}

/// Returns the CAs of a hostname in a readable form.
async fn enforced(store: &SqliteStore, hostname: &str) -> Vec<String> {
    let found = store
        .enforcement(hostname)
        .await
        .expect("read")
        .expect("it is listed");
    let name = |authority| match authority {
        EnforcedAuthority::Managed { id, .. } => format!("managed {id}"),
        EnforcedAuthority::Uploaded { certificates, .. } => certificates,
    };
    found.authorities.into_iter().map(name).collect()
}

#[tokio::test]
async fn cas_apply_in_the_order_of_their_deployment() {
    let directory = tempfile::tempdir().unwrap();
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    store.damage(UPLOADED).await.unwrap();
    let replace = async |authority, hostnames: &[&str]| {
        let hostnames = hostnames.iter().map(|name| (*name).to_owned()).collect();
        store
            .replace_hostname_associations(zone, authority, hostnames, by())
            .await
            .unwrap()
    };
    let managed = format!("managed {}", authority.id);
    assert_eq!(
        replace(uploaded(3), &["a.example"]).await,
        HostnamesReplaced::NotAnAuthority
    );
    assert_eq!(
        replace(uploaded(4), &["a.example"]).await,
        HostnamesReplaced::NoCertificate
    );
    for authority in [uploaded(1), None, uploaded(2)] {
        assert_eq!(
            replace(authority, &["a.example"]).await,
            HostnamesReplaced::Replaced
        );
    }
    assert_eq!(
        enforced(&store, "a.example").await,
        ["PEM 2", &managed, "PEM 1"]
    );

    // A hostname that stays in a list keeps its time of deployment, and one that returns gets a new
    // one.
    assert_eq!(
        replace(uploaded(1), &["b.example", "A.example"]).await,
        HostnamesReplaced::Replaced
    );
    assert_eq!(
        enforced(&store, "a.example").await,
        ["PEM 2", &managed, "PEM 1"]
    );
    assert_eq!(enforced(&store, "b.example").await, ["PEM 1"]);
    for list in [&[][..], &["a.example"]] {
        assert_eq!(
            replace(uploaded(1), list).await,
            HostnamesReplaced::Replaced
        );
    }
    assert_eq!(
        enforced(&store, "a.example").await,
        ["PEM 1", "PEM 2", &managed]
    );
    assert_eq!(store.enforcement("b.example").await.unwrap(), None);

    // The managed CA of an account is replaced: both apply to the hostnames of the first one, with
    // the newer one first.
    store
        .damage(
            "INSERT INTO authorities (number, id, account, name, algorithm, certificate_der, \
             sealed_key, public_url, created_on, expires_on, has_signed, retired, last_epoch) \
             SELECT 2, x'77777777777777777777777777777777', account, name, algorithm, \
             certificate_der, sealed_key, public_url, created_on, expires_on, TRUE, FALSE, 0
             FROM authorities;
             INSERT INTO crl_states SELECT 2, kind, changed_epoch, made_epoch, number, this_update,
             next_update, renew_on FROM crl_states;
             UPDATE accounts SET managed_authority = 2 WHERE managed_authority = 1;",
        )
        .await
        .unwrap();
    let newer = "managed 77777777-7777-7777-7777-777777777777";
    assert_eq!(
        enforced(&store, "a.example").await,
        ["PEM 1", "PEM 2", newer, &managed]
    );
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn the_check_finds_corrupt_lists_and_epochs() {
    for (statement, finding) in [
        (
            "UPDATE hostname_associations SET folded_hostname = 'b.example' WHERE place = 0",
            "is looked up as",
        ),
        (
            "UPDATE zones SET deleted_at = 0",
            "in a zone that is deleted",
        ),
        (
            "DELETE FROM mtls_certificates",
            "that its zone's account does not have",
        ),
        (
            "UPDATE mtls_certificates SET ca = 0",
            "that its zone's account does not have",
        ),
        (
            "UPDATE hostname_associations SET mtls_certificate = x'01'",
            "that its zone's account does not have",
        ),
        (
            "UPDATE hostname_associations SET deployment = 2",
            "but the last one is 1",
        ),
        (
            "UPDATE hostname_associations SET hostname = 'c.example', folded_hostname = \
             'c.example'",
            "listed twice",
        ),
        (
            "INSERT INTO zones (number, id, name, folded_name, reversed_name, account, created_on,
             modified_on) SELECT 2, x'22', 'z', 'z', 'z', account, 0, 0 FROM zones;
             INSERT INTO hostname_associations SELECT 2, x'', 0, hostname, folded_hostname, 1, NULL
             FROM hostname_associations WHERE place = 0",
            "listed in two zones",
        ),
        (
            "UPDATE authorities SET last_epoch = 0",
            "has the last epoch 0, but its certificates' highest is 1",
        ),
        (
            "UPDATE authorities SET last_epoch = 9",
            "has the last epoch 9",
        ),
        (
            "UPDATE accounts SET managed_authority = NULL",
            "managed_authority is not its latest CA",
        ),
        (
            "UPDATE authorities SET has_signed = FALSE",
            "has_signed is impossible",
        ),
        (
            "UPDATE authorities SET retired = TRUE",
            "retired is impossible",
        ),
        (
            "DELETE FROM crl_states WHERE kind = 7",
            "retired is impossible",
        ),
        (
            "UPDATE users SET api_key_hash = zeroblob(32)",
            "api_key_hash differs",
        ),
        (
            "UPDATE users SET api_key_hash = NULL",
            "api_key_hash differs",
        ),
        (
            "UPDATE enforcement_points SET token = zeroblob(16)",
            "differs from its digest",
        ),
        (
            "UPDATE enforcement_points SET registered_on = registered_on + 1",
            "differs from its digest",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
        store.damage(UPLOADED).await.unwrap();
        let FirstRecords {
            user,
            token,
            account,
            ..
        } = first_records();
        let hash = Some(TokenHash([7; 32]));
        assert!(store.replace_api_key(user.id, hash, by()).await.unwrap());
        let point = EnforcementPointRecord {
            id: EnforcementPointId::from_bytes([1; 16]),
            account: account.id,
            token: token.id,
            name: "edge".into(),
            lease_seconds: 60,
            acknowledged_epoch: 0,
            seen_on: instant(1),
            registered_on: instant(1),
        };
        store
            .register_enforcement_point(point, 9, by())
            .await
            .unwrap();
        let record = certificate(0, zone, &authority, Status::PendingRevocation);
        store.record_certificate(record, None, by()).await.unwrap();
        let hostnames = vec!["A.example".to_owned(), "b.example".to_owned()];
        store
            .replace_hostname_associations(zone, uploaded(1), hostnames, by())
            .await
            .unwrap();
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
        store.damage(statement).await.unwrap();
        let lines = store.check().await.unwrap();
        assert!(
            lines.iter().any(|line| line.contains(finding)),
            "{statement}: {lines:?}"
        );
        store.close().await;
    }
}

#[tokio::test]
async fn the_check_finds_a_corrupt_uploaded_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _, _) = begun(&directory, SqliteOptions::default()).await;
    let account = first_records().account;
    store
        .record_mtls_certificate(mtls_certificate(1, &account), None, by())
        .await
        .unwrap();
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store
        .damage("UPDATE mtls_certificates SET expires_on = -9223372036854775807")
        .await
        .unwrap();
    assert!(matches!(
        store.mtls_certificates(account.id).await,
        Err(StoreError::Corrupt(_))
    ));
    let lines = store.check().await.unwrap();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("uploaded certificates")),
        "{lines:?}"
    );
}

/// Runs a statement on the log of the first account, and returns the findings of the check.
async fn logged(tampering: &'static str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
    for n in 0..5 {
        let record = certificate(n, zone, &authority, Status::Active);
        store
            .record_certificate(record, None, by_at(instant(n)))
            .await
            .expect("it can be read and written");
    }
    assert_eq!(
        store.check().await.expect("it can be read and written"),
        Vec::<String>::new()
    );
    store
        .damage(tampering)
        .await
        .expect("it can be read and written");
    store.check().await.expect("it can be read and written")
}

#[tokio::test]
async fn tampering_with_the_log_is_found() {
    // The first entries are those of the account, the zone and the CA.
    let cases = [
        (
            "UPDATE audit_entries SET address = '192.0.2.2' WHERE number = 5 AND detail = ''",
            "entry 5 was changed",
        ),
        ("DELETE FROM audit_entries WHERE number = 5 AND detail = ''", "entry 5 is missing"),
        ("DELETE FROM audit_entries WHERE number = 8", "ends with entry 7, but 8 were recorded"),
        (
            "UPDATE audit_entries SET number = 1000 - number WHERE number IN (5, 6) AND detail = '';
             UPDATE audit_entries SET number = CASE number WHEN 995 THEN 6 ELSE 5 END \
             WHERE number > 900",
            "entry 5 was changed",
        ),
        (
            "DELETE FROM audit_entries WHERE number = 8; UPDATE audit_chains SET entries = 7 \
             WHERE entries = 8",
            "entry 7, the last one, was changed",
        ),
        (
            "UPDATE audit_entries SET action = 99 WHERE number = 5 AND detail = ''",
            "entry 5 cannot be read",
        ),
        ("DELETE FROM audit_chains WHERE entries = 8", "belong to no log"),
    ];
    for (tampering, expected) in cases {
        let lines = logged(tampering).await;
        assert!(
            lines.first().is_some_and(|line| line.contains(expected)),
            "{tampering}: {lines:?}"
        );
    }
}
