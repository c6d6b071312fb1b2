//! Tests of what only SQLite has: files, versions, the write queue, and failures of the disk.

mod check;
mod opening;
#[path = "../version_4/mod.rs"]
mod version_4;

use std::path::Path;
use std::sync::Arc;

use certgate_model::{
    AuthorityRecord, CertificateQuery, Coverage, EnforcedAuthority, EnforcementPointId,
    EnforcementPointRecord, Event, MtlsCertificateId, Slice, Status, TokenHash, Totals, WhenStale,
    ZoneId,
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
             certificate_der, sealed_key, public_url, created_on, expires_on, FALSE, FALSE, 0
             FROM authorities;
             INSERT INTO crl_states SELECT 2, kind, changed_epoch, made_epoch, number, this_update,
             next_update, renew_on FROM crl_states;
             UPDATE authorities SET state = NULL;
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

/// A server of an earlier version renews the lease of a point without `forget_on`.
#[tokio::test]
async fn a_point_that_an_earlier_version_heard_is_not_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _, _) = begun(&directory, SqliteOptions::default()).await;
    let FirstRecords { account, token, .. } = first_records();
    let point = EnforcementPointRecord {
        id: EnforcementPointId::from_bytes([1; 16]),
        account: account.id,
        token: token.id,
        name: "edge".into(),
        lease_seconds: 60,
        covers: vec![Coverage::Requests],
        when_stale: WhenStale::Refuse,
        forget_seconds: 600,
        acknowledged_epoch: 0,
        seen_on: instant(100),
        registered_on: instant(100),
    };
    let registered = store.register_enforcement_point(point.clone(), 9, by());
    registered.await.unwrap();
    let statement = "UPDATE enforcement_points SET forget_on = forget_on - 500000000";
    store.damage(statement).await.unwrap();
    let forget = async |seconds| {
        let at = point.seen_on.plus_seconds(seconds);
        store.forget_silent_points(at, 10).await.unwrap()
    };
    assert_eq!(forget(100).await, []);
    let next = store.next_forgotten_point().await.unwrap();
    assert_eq!(next, Some(point.forget_on()));
    // The defaults apply to a row without terms.
    let statement = "UPDATE enforcement_points SET terms = NULL";
    store.damage(statement).await.unwrap();
    assert_eq!(forget(86_399).await, []);
    let forgotten = forget(86_400).await;
    assert_eq!((forgotten.len(), forgotten[0].forget_seconds), (1, 86_400));
}
