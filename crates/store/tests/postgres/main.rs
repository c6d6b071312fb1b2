//! The conformance suite on PostgreSQL, and tests of what only a shared database has.
#![cfg(unix)]

mod connections;
#[path = "../postgres_proxy/mod.rs"]
mod postgres_proxy;
#[path = "../postgres_server/mod.rs"]
mod postgres_server;
mod schema;
#[path = "../steps/mod.rs"]
mod steps;
#[path = "../version_4/mod.rs"]
mod version_4;

use std::sync::Arc;
use std::time::Duration;

use certgate_model::{CertificateQuery, Event, Slice, Status};
use certgate_store::conformance::{self, History, SCHEMA_VERSION, Searched};
use certgate_store::prelude::*;
use certgate_store::{
    CertificateRecorded, IndexWork, PostgresError, PostgresOptions, PostgresStore, ReadStore,
    Store, StoreError,
};
use postgres_proxy::{Cut, Proxy};
use postgres_server::{Server, server};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use steps::step;

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, PostgresOptions::default())
        .await
        .expect("open")
}

#[tokio::test]
async fn every_verb_has_every_outcome() {
    let Some(server) = server() else { return };
    let store = open(&server.database()).await;
    conformance::verbs(&store).await;
    conformance::search_indexes(&store).await;
    conformance::closed(&store).await;
}

proptest! {
    // Blocks of 4 and 16 positions, so that hundreds of certificates cross many borders of both
    // levels.
    #![proptest_config(Config {
        cases: 8,
        rng_seed: RngSeed::Fixed(2),
        failure_persistence: None,
        ..Config::default()
    })]
    #[test]
    fn random_histories_equal_a_model(
        steps in prop::collection::vec(step(), 100..200),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(server) = server() else { return Ok(()) };
        runtime.block_on(async {
            let (url, options) = (server.database(), PostgresOptions::default());
            let store = PostgresStore::open_with_blocks(&url, options, 2, 4).await.unwrap();
            let mut history = History::begin(&store, seed).await;
            for step in steps {
                history.play(step).await;
            }
            history.compare_everything(7).await;
            store.close().await;
        });
    }
}

#[tokio::test]
async fn random_searches_equal_a_model() {
    let Some(server) = server() else { return };
    let store = open(&server.database()).await;
    store
        .initialise(conformance::first_records())
        .await
        .unwrap();
    let mut searched = Searched::begin(&store, 700, 7).await;
    searched.compare_random(60).await;
    searched.walk_while_changing(60).await;
    store.close().await;
}

#[tokio::test]
async fn blocks_of_the_real_size_equal_a_model() {
    let Some(server) = server() else { return };
    let store = open(&server.database()).await;
    let mut history = History::begin(&store, 3).await;
    history.play_blocks_of_the_real_size().await;
    store.close().await;
}

const EVERYTHING: Slice = Slice {
    first: 0,
    size: 10_000,
};

/// Opens a store with an installation and its CA. Returns the URL of its database too.
async fn begun(server: &Server) -> (PostgresStore, String, certgate_model::AuthorityRecord) {
    let url = server.database();
    let store = open(&url).await;
    let records = conformance::first_records();
    assert!(store.initialise(records.clone()).await.expect("initialise"));
    let authority = conformance::authority(0, &records.account);
    let recorded = store
        .record_managed_authority(authority.clone(), conformance::by())
        .await;
    assert_eq!(recorded.expect("record a CA").as_ref(), Some(&authority));
    (store, url, authority)
}

/// Uses three stores for three processes: they share only the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_writes_of_processes_leave_no_gap() {
    const WRITERS: u32 = 3;
    const EACH: u32 = 120;
    let Some(server) = server() else { return };
    let (store, url, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    let account = conformance::account(0).id;

    // A client that reads while the others write sees numbers without gaps, and epochs in order.
    let reading = tokio::spawn({
        let reader = open(&url).await;
        async move {
            // The first epoch is that of the CA.
            let (mut seen, mut epoch) = (0, 1);
            while seen < u64::from(WRITERS * EACH) {
                let page = reader
                    .certificates(
                        zone,
                        CertificateQuery {
                            status: None,
                            slice: EVERYTHING,
                        },
                    )
                    .await
                    .unwrap();
                assert_eq!(page.items.len() as u64, page.total);
                assert!(page.total >= seen);
                seen = page.total;
                let changes = reader
                    .revocation_changes(account, epoch, 10_000)
                    .await
                    .unwrap();
                for change in changes {
                    assert_eq!(change.epoch(), epoch + 1, "epochs have no gaps");
                    epoch = change.epoch();
                }
            }
            // Each certificate is revoked once, so that a later epoch replaces none.
            let last = reader.last_epoch().await.unwrap();
            (epoch, last)
        }
    });
    let mut writing = Vec::new();
    for writer in 0..WRITERS {
        let (store, authority) = (Arc::new(open(&url).await), authority.clone());
        for n in 0..EACH {
            let (store, authority) = (store.clone(), authority.clone());
            writing.push(tokio::spawn(async move {
                let number = writer * EACH + n;
                let certificate =
                    conformance::certificate(number, zone, &authority, Status::Active);
                let id = certificate.id;
                let recorded = store
                    .record_certificate(certificate, None, conformance::by())
                    .await
                    .unwrap();
                assert_eq!(recorded, CertificateRecorded::Recorded);
                if number.is_multiple_of(3) {
                    store
                        .change_status(zone, id, Event::HOLD, conformance::by())
                        .await
                        .unwrap()
                        .unwrap();
                }
            }));
        }
    }
    for write in writing {
        write.await.unwrap();
    }
    reading.await.unwrap();
    assert_eq!(
        store.last_epoch().await.unwrap(),
        1 + u64::from(WRITERS * EACH / 3)
    );
    assert_eq!(
        store
            .revocation_changes(account, 1, 10_000)
            .await
            .unwrap()
            .len(),
        120
    );
    assert_eq!(
        store
            .totals(zone)
            .await
            .unwrap()
            .of(Status::PendingRevocation),
        120
    );
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn only_the_write_at_fault_in_a_batch_is_refused() {
    let Some(server) = server() else { return };
    let (store, _, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    let certificate = |n: u32| conformance::certificate(n, zone, &authority, Status::Active);
    // All wait at the same time: while the first runs, the others share a transaction.
    let writes =
        (0..40_u32).map(|n| store.record_certificate(certificate(n % 36), None, conformance::by()));
    let guilty = store.damage("INSERT INTO store (\"only\") VALUES (2)");
    let (outcomes, guilty) =
        futures_util::future::join(futures_util::future::join_all(writes), guilty).await;
    let expected = [
        [CertificateRecorded::Recorded; 36].as_slice(),
        &[CertificateRecorded::Exists; 4],
    ]
    .concat();
    assert_eq!(
        outcomes.into_iter().collect::<Result<Vec<_>, _>>().unwrap(),
        expected
    );
    assert!(matches!(guilty, Err(StoreError::Corrupt(_))), "{guilty:?}");
    assert_eq!(store.totals(zone).await.unwrap().all(), 36);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn the_check_finds_corrupt_rows() {
    let Some(server) = server() else { return };
    let (store, url, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    for n in 0..3 {
        let certificate = conformance::certificate(n, zone, &authority, Status::Revoked);
        store
            .record_certificate(certificate, None, conformance::by())
            .await
            .unwrap();
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    server.sql(
        &url,
        "UPDATE blocks SET active = 1; UPDATE certificates SET ski = '\\x00' \
         WHERE position = (SELECT position FROM statuses WHERE epoch = 3); \
         UPDATE audit_entries SET detail = 'nothing' WHERE number = 2; \
         UPDATE authorities SET last_epoch = 1; \
         UPDATE revocations SET reason = 1 WHERE position = (SELECT min(position) \
         FROM revocations); \
         UPDATE certificates SET folded_name = 'another' \
         WHERE position = (SELECT position FROM statuses WHERE epoch = 2); \
         DROP INDEX certificates_by_expiry; UPDATE pg_index SET indisvalid = FALSE \
         WHERE indexrelid = CAST('certificates_by_name' AS regclass)",
    );
    let found = store.check().await.unwrap().join("\n");
    for part in [
        "blocks",
        "cannot be read",
        "entry 2 was changed",
        "has the last epoch 1",
        "differs from the certificate",
        "its common name contradicts folded_name",
        "the index \"certificates_by_expiry\" is missing: run CREATE INDEX CONCURRENTLY",
        "the index \"certificates_by_name\" is invalid: run REINDEX",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let page = store
        .certificates(
            zone,
            CertificateQuery {
                status: None,
                slice: EVERYTHING,
            },
        )
        .await;
    assert!(matches!(page, Err(StoreError::Corrupt(_))), "{page:?}");
}

/// A promoted standby can be older than the row of a server that wrote since.
#[tokio::test]
async fn a_database_without_the_row_of_a_writer_skips_epochs_once() {
    let Some(server) = server() else { return };
    let (store, url, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    for n in 0..4 {
        let certificate = conformance::certificate(n, zone, &authority, Status::Revoked);
        store
            .record_certificate(certificate, None, conformance::by())
            .await
            .unwrap();
    }
    let reconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = 'certgate' AND datname = current_database()";
    // As the standby: without the last two changes, the certificates and the row.
    server.sql(
        &url,
        "DELETE FROM writers; UPDATE store SET last_epoch = 3; \
         UPDATE authorities SET has_signed = FALSE",
    );
    server.sql(&url, reconnect);
    store.ready().await.unwrap();
    let skipped = 3 + (1_u64 << 32);
    assert_eq!(store.last_epoch().await.unwrap(), skipped);
    for epoch in [4, 5] {
        assert!(store.is_skipped_epoch(epoch).await.unwrap(), "{epoch}");
    }
    assert_eq!(
        server.sql(&url, "SELECT count(*) FROM authorities WHERE has_signed"),
        "1",
        "a CA whose certificates are lost does not make room for a new one"
    );
    server.sql(&url, reconnect);
    store.ready().await.unwrap();
    assert_eq!(store.last_epoch().await.unwrap(), skipped, "once");
    assert_eq!(server.sql(&url, "SELECT count(*) FROM writers"), "1");
}

/// Checks that a page of a status does not read the many rows of another status before it.
#[tokio::test]
async fn a_page_of_a_status_is_found_by_its_index() {
    let Some(server) = server() else { return };
    let (store, url, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    for n in 0..3_000 {
        let status = if (500..2_900).contains(&n) {
            Status::Revoked
        } else {
            Status::Active
        };
        store
            .record_certificate(
                conformance::certificate(n, zone, &authority, status),
                None,
                conformance::by(),
            )
            .await
            .unwrap();
    }
    server.sql(&url, "ANALYZE statuses");
    let plan = server.sql(
        &url,
        "EXPLAIN SELECT revoked_on FROM statuses WHERE (status, position) >= (0, 68719476736) \
         AND (status, position) <= (0, 68719479735) \
         ORDER BY status DESC, position DESC LIMIT 20 OFFSET 100",
    );
    assert!(
        plan.contains("statuses_by_status") && !plan.contains("Filter"),
        "{plan}"
    );
    let query = CertificateQuery {
        status: Some(Status::Active),
        slice: Slice {
            first: 95,
            size: 10,
        },
    };
    let page = store.certificates(zone, query).await.unwrap();
    let numbers: Vec<_> = page
        .items
        .iter()
        .map(|record| record.subject.common_name.clone())
        .collect();
    let expected: Vec<_> = (2_900..2_905)
        .rev()
        .chain((495..500).rev())
        .map(|n| format!("device-{n:08}"))
        .collect();
    assert_eq!((page.total, numbers), (600, expected));
}
