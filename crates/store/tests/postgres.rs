//! The conformance suite on PostgreSQL, and tests of what only a shared database has.
#![cfg(unix)]

mod postgres_proxy;
mod postgres_server;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use certgate_model::{CertificateQuery, Event, Slice, Status};
use certgate_store::conformance::{self, History, SCHEMA_VERSION, Step};
use certgate_store::prelude::*;
use certgate_store::{
    CertificateRecorded, PostgresError, PostgresOptions, PostgresStore, ReadStore, Store,
    StoreError,
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
async fn blocks_of_the_real_size_equal_a_model() {
    let Some(server) = server() else { return };
    let store = open(&server.database()).await;
    let mut history = History::begin(&store, 3).await;
    for n in 0..12_u32 {
        let status = n as u8;
        history
            .play(Step::Issue {
                zone: n / 8,
                count: 200,
                status,
                quota: None,
            })
            .await;
        for k in 0..15 {
            let event = if k % 3 == 0 {
                Event::Reactivate
            } else {
                Event::HOLD
            };
            history
                .play(Step::Change {
                    certificate: n * 7_919 + k * 104_729,
                    event,
                })
                .await;
        }
        history.play(Step::Settle { limit: 30 }).await;
    }
    assert!(history.issued() > 4 * 512);
    history.compare_everything(50).await;
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

#[tokio::test]
async fn the_steps_lead_to_the_description() {
    let Some(server) = server() else { return };
    let (new, migrated, described) = (server.database(), server.database(), server.database());
    open(&new).await.close().await;
    let snapshot = include_str!("../src/snapshots/certgate_store__schema__tests__postgres.snap");
    let (_, statements) = snapshot.split_once("\n---\n").unwrap();
    server.sql(&migrated, statements);
    server.sql(
        &migrated,
        "CREATE TABLE schema_lock (\"only\" SMALLINT NOT NULL PRIMARY KEY CHECK (\"only\" = 1)); \
         CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, \
         oldest BIGINT NOT NULL); INSERT INTO schema_lock VALUES (1); \
         INSERT INTO schema_migrations VALUES (1, 1); \
         INSERT INTO store VALUES (1, 9, 18, 0, 0, FALSE, 0)",
    );
    open(&migrated).await.close().await;
    server.sql(&described, &conformance::described_tables());
    let shape = |url: &str| {
        let select = "SELECT table_name, column_name, data_type, is_nullable, collation_name \
                      FROM information_schema.columns WHERE table_schema = 'public' \
                      AND table_name NOT LIKE 'schema_%' \
                      UNION ALL SELECT tablename, indexname, indexdef, '', '' FROM pg_indexes \
                      WHERE schemaname = 'public' AND tablename NOT LIKE 'schema_%' \
                      UNION ALL SELECT CAST(CAST(conrelid AS regclass) AS TEXT), \
                      pg_get_constraintdef(oid), '', '', '' FROM pg_constraint \
                      WHERE connamespace = 'public'::regnamespace \
                      AND CAST(CAST(conrelid AS regclass) AS TEXT) NOT LIKE 'schema_%' \
                      ORDER BY 1, 2, 3";
        server.sql(url, select)
    };
    let expected = shape(&described);
    assert!(expected.lines().count() > 200, "{expected}");
    assert_eq!(shape(&new), expected);
    assert_eq!(shape(&migrated), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_can_create_the_tables_at_once() {
    let Some(server) = server() else { return };
    let url = server.database();
    let opening = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { open(&url).await.close().await })
    });
    for opened in opening.collect::<Vec<_>>() {
        opened.await.unwrap();
    }
    assert_eq!(
        server.sql(&url, "SELECT max(version), count(*) FROM schema_migrations"),
        format!("{SCHEMA_VERSION}|{SCHEMA_VERSION}")
    );
    assert_eq!(server.sql(&url, "SELECT count(*) FROM store"), "1");
    server.sql(&url, "INSERT INTO schema_migrations VALUES (99, 99)");
    let newer = PostgresStore::open(&url, PostgresOptions::default()).await;
    assert!(matches!(
        newer.err(),
        Some(PostgresError::NewerVersion {
            found: 99,
            known: SCHEMA_VERSION
        })
    ));
    server.sql(
        &url,
        &format!("UPDATE schema_migrations SET oldest = {SCHEMA_VERSION} + 1 WHERE version = 99"),
    );
    let newer = PostgresStore::open(&url, PostgresOptions::default()).await;
    assert!(matches!(
        newer.err(),
        Some(PostgresError::NewerVersion { .. })
    ));
    // A newer version that programs of this version can use.
    server.sql(
        &url,
        "UPDATE schema_migrations SET oldest = 1 WHERE version = 99",
    );
    open(&url).await.close().await;
    assert_eq!(
        server.sql(&url, "SELECT max(version) FROM schema_migrations"),
        "99"
    );
}

/// Returns the statements that make the database of version 1 with a row in the tables that version
/// 2 changes.
fn version_1() -> String {
    let rows = include_str!("version_1/rows.sql");
    let id = |octet: u8| format!("'\\x{}'", format!("{octet:02x}").repeat(16));
    let rows = rows
        .replace(":user", &id(5))
        .replace(":account", &id(1))
        .replace(":zone", &id(2))
        .replace(":token", &id(4))
        .replace(":hash", &format!("'\\x{}'", "ab".repeat(32)))
        .replace(":false", "false");
    let tables = include_str!("../src/snapshots/certgate_store__schema__tests__postgres.snap");
    let tables = tables
        .splitn(3, "---\n")
        .last()
        .expect("a snapshot has statements");
    format!(
        "CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, oldest BIGINT NOT NULL);
         INSERT INTO schema_migrations VALUES (1, 1); {tables}{rows}"
    )
}

#[tokio::test]
async fn a_database_of_version_1_becomes_one_of_this_version() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(&url, &version_1());
    let store = open(&url).await;
    conformance::upgraded(&store).await;
    store.close().await;
}

#[tokio::test]
async fn a_database_of_a_development_version_is_refused_and_unchanged() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(
        &url,
        "CREATE TABLE schema_versions (version BIGINT PRIMARY KEY)",
    );
    let refused = PostgresStore::open(&url, PostgresOptions::default())
        .await
        .err()
        .unwrap();
    assert!(
        matches!(refused, PostgresError::DevelopmentVersion),
        "{refused:?}"
    );
    assert!(
        refused
            .to_string()
            .contains("made by a development version")
    );
    let tables = "SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(server.sql(&url, tables), "schema_versions");
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
            let (mut seen, mut epoch) = (0, 0);
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
                    assert_eq!(change.epoch, epoch + 1, "epochs have no gaps");
                    epoch = change.epoch;
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
        u64::from(WRITERS * EACH / 3)
    );
    assert_eq!(
        store
            .revocation_changes(account, 0, 10_000)
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
async fn an_unreachable_database_is_reported_and_used_again_afterwards() {
    let Some(server) = Server::start() else {
        return;
    };
    let (store, _, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    server.stop();
    for n in 0..2 {
        let certificate = conformance::certificate(n, zone, &authority, Status::Active);
        let write = store.record_certificate(certificate, None, conformance::by());
        let refused = tokio::time::timeout(Duration::from_secs(20), write)
            .await
            .expect("an answer in time");
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{refused:?}"
        );
        assert!(matches!(
            store.last_epoch().await,
            Err(StoreError::Unavailable(_))
        ));
        assert!(matches!(
            store.ready().await,
            Err(StoreError::Unavailable(_))
        ));
    }
    server.resume();
    store.ready().await.unwrap();
    let certificate = conformance::certificate(0, zone, &authority, Status::Active);
    assert_eq!(
        store
            .record_certificate(certificate, None, conformance::by())
            .await
            .unwrap(),
        CertificateRecorded::Recorded
    );
    // Idle connections that end, the writer's included, cause no failure.
    server.sql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'certgate'",
    );
    store.ready().await.unwrap();
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
         WHERE position = (SELECT position FROM statuses WHERE epoch = 2); \
         UPDATE audit_entries SET detail = 'nothing' WHERE number = 2; \
         UPDATE authorities SET last_epoch = 1; \
         UPDATE revocations SET reason = 1 WHERE position = (SELECT min(position) \
         FROM revocations)",
    );
    let found = store.check().await.unwrap().join("\n");
    for part in [
        "blocks",
        "cannot be read",
        "entry 2 was changed",
        "has the last epoch 1",
        "differs from the certificate",
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

#[tokio::test]
async fn tls_is_required_and_verified() {
    let Some(server) = server() else { return };
    let url = server.database();
    let open =
        |url: String| async move { PostgresStore::open(&url, PostgresOptions::default()).await };
    let roots = server.certificate().display().to_string();
    let named = server.over_tcp(&url, "localhost");
    for mode in [
        "",
        "&sslmode=require",
        "&sslmode=verify-full",
        "&sslmode=prefer",
    ] {
        let store = open(format!("{named}?sslrootcert={roots}{mode}"))
            .await
            .unwrap();
        store.ready().await.unwrap();
        store.close().await;
    }
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND datname = current_database()";
    let store = open(format!("{named}?sslrootcert={roots}")).await.unwrap();
    store.ready().await.unwrap();
    assert_eq!(
        server.sql(&url, encrypted),
        "2",
        "the connections of the writer and of a reader"
    );
    let refused =
        |result: Result<PostgresStore, PostgresError>| result.err().expect("refused").to_string();
    let other_name = format!("{}?sslrootcert={roots}", server.over_tcp(&url, "127.0.0.1"));
    assert!(
        refused(open(other_name).await).contains("certificate"),
        "the certificate has another name"
    );
    assert!(
        refused(open(format!("{named}?sslmode=require")).await).contains("certificate"),
        "the system does not trust the certificate"
    );
    assert!(
        open(format!("{named}?sslmode=disable")).await.is_ok(),
        "clear text on request"
    );
}

#[tokio::test]
async fn a_server_that_requests_a_certificate_gets_one() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = server.database();
    let directory = tempfile::tempdir().unwrap();
    // A self-signed certificate that the server trusts, with the name of a user of the database.
    let file = |name: &str| directory.path().join(name).display().to_string();
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "3650",
        ])
        .args([
            "-subj",
            "/CN=shown",
            "-keyout",
            &file("key"),
            "-out",
            &file("pem"),
        ])
        .output();
    assert!(made.unwrap().status.success());
    let trusted = format!("{}.trusted", server.certificate().display());
    std::fs::copy(file("pem"), &trusted).unwrap();
    let rules = server.sql(&url, "SHOW hba_file");
    let rest = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("hostssl all shown all cert\n{rest}")).unwrap();
    server.sql(&url, "CREATE ROLE shown LOGIN SUPERUSER");
    server.sql(&url, &format!("ALTER SYSTEM SET ssl_ca_file = '{trusted}'"));
    server.sql(&url, "SELECT pg_reload_conf()");

    let url = server
        .over_tcp(&url, "localhost")
        .replace("postgres@", "shown@");
    let roots = server.certificate().display().to_string();
    let open = |shown: String| {
        let url = format!("{url}?sslrootcert={roots}{shown}");
        async move { PostgresStore::open(&url, PostgresOptions::default()).await }
    };
    let both = format!("&sslcert={}&sslkey={}", file("pem"), file("key"));
    // The server reads its settings again a moment after the signal.
    while server.sql("postgres", "SHOW ssl_ca_file").is_empty() {}
    let store = open(both).await.unwrap();
    store.ready().await.unwrap();
    store.close().await;
    let refused =
        |result: Result<PostgresStore, PostgresError>| result.err().expect("refused").to_string();
    assert!(refused(open(String::new()).await).contains("certificate"));
    assert!(refused(open(format!("&sslcert={}", file("pem"))).await).contains("only one"));
    let other_key = format!("&sslcert={}&sslkey={}", file("pem"), file("none"));
    assert!(refused(open(other_key).await).contains("cannot use the client certificate"));
}

#[tokio::test]
async fn a_connection_that_ends_causes_no_failure_and_no_second_write() {
    let Some(server) = server() else { return };
    let (direct, url, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    let proxy = Proxy::start(server.port()).await;
    let name = url.rsplit('/').next().unwrap();
    let store = open(&format!(
        "postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable",
        proxy.port
    ))
    .await;
    let record = async |n| {
        let certificate = conformance::certificate(n, zone, &authority, Status::Active);
        store
            .record_certificate(certificate, None, conformance::by())
            .await
    };

    assert_eq!(record(0).await.unwrap(), CertificateRecorded::Recorded);
    for (n, text) in [
        (1, "BEGIN"),
        (2, "UPDATE audit_chains"),
        (3, "device-00000003"),
    ] {
        proxy.cut(Cut::Before(text));
        // A prepared statement is sent by name, so its text is in the first message of the current
        // connection or of the next one.
        assert_eq!(
            record(n).await.unwrap(),
            CertificateRecorded::Recorded,
            "{text}"
        );
    }
    assert!(proxy.has_cut());
    let stored = direct.totals(zone).await.unwrap().all();
    assert_eq!(stored, 4, "each certificate once");

    // The store asks the database for the outcome: nothing of the write, or all of it.
    for (n, cut) in [(4, Cut::Before("COMMIT\0")), (5, Cut::After("COMMIT\0"))] {
        proxy.cut(cut);
        assert_eq!(record(n).await.unwrap(), CertificateRecorded::Recorded);
        assert!(proxy.has_cut());
        assert_eq!(
            direct.totals(zone).await.unwrap().all(),
            u64::from(n) + 1,
            "once"
        );
    }
    assert_eq!(server.sql(&url, "SELECT count(*) FROM writers"), "2");

    // A read is repeated on another connection.
    store.totals(zone).await.unwrap();
    proxy.cut(Cut::Before("BEGIN"));
    assert_eq!(store.totals(zone).await.unwrap().all(), 6);
    assert!(proxy.has_cut());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());

    // If the database cannot be asked, the outcome is in doubt. A write that waits in the meantime
    // was not begun.
    proxy.cut_for_ever(Cut::After("COMMIT\0"));
    let meanwhile = async {
        while !proxy.has_cut() {
            tokio::task::yield_now().await;
        }
        record(7).await
    };
    let (first, second) = futures_util::future::join(record(6), meanwhile).await;
    assert!(matches!(first, Err(StoreError::InDoubt(_))), "{first:?}");
    assert!(
        matches!(second, Err(StoreError::Unavailable(_))),
        "{second:?}"
    );
    assert_eq!(
        direct.totals(zone).await.unwrap().all(),
        7,
        "the write was made"
    );
    store.close().await;
    direct.close().await;
    assert_eq!(
        server.sql(&url, "SELECT count(*) FROM writers"),
        "1",
        "the row of the store that could not remove it"
    );
}

#[tokio::test]
async fn a_process_that_stops_in_a_transaction_blocks_the_others_only_for_seconds() {
    let Some(server) = server() else { return };
    let (store, url, _) = begun(&server).await;
    let other = open(&url).await;
    // This one locks the row, and then does nothing for longer than the lock timeout.
    let stopped = tokio::spawn(async move { other.damage("SELECT pg_sleep(4.3)").await });
    let held = "SELECT count(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while server.sql(&url, held) != "1" {
        tokio::task::yield_now().await;
    }
    let write = store.record_account(conformance::account(7), conformance::by());
    let refused = tokio::time::timeout(Duration::from_secs(6), write)
        .await
        .expect("an answer in time");
    let text = refused.expect_err("refused").to_string();
    assert!(text.contains("lock timeout"), "{text}");
    assert!(
        store.installation().await.unwrap().is_some(),
        "reads do not wait"
    );
    stopped.await.unwrap().unwrap();
    store.ready().await.unwrap();
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
        "DELETE FROM writers; UPDATE store SET last_epoch = 2; \
         UPDATE authorities SET has_signed = FALSE",
    );
    server.sql(&url, reconnect);
    store.ready().await.unwrap();
    let skipped = 2 + (1_u64 << 32);
    assert_eq!(store.last_epoch().await.unwrap(), skipped);
    for epoch in [3, 4] {
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

/// A row of `writers` can go: a server whose database has a wrong clock removes it as an old one.
#[tokio::test]
async fn a_commit_that_cannot_be_looked_up_is_in_doubt_and_not_repeated() {
    let Some(server) = server() else { return };
    let (direct, url, authority) = begun(&server).await;
    let zone = conformance::first_records().zone.id;
    let proxy = Proxy::start(server.port()).await;
    let name = url.rsplit('/').next().unwrap();
    let through = format!(
        "postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable",
        proxy.port
    );
    server.sql(
        &url,
        "CREATE FUNCTION forget() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER forget BEFORE INSERT OR UPDATE ON writers \
         FOR EACH ROW EXECUTE FUNCTION forget()",
    );
    let store = open(&through).await;
    for (n, cut) in [(0, Cut::After("COMMIT\0")), (1, Cut::Before("COMMIT\0"))] {
        proxy.cut(cut);
        let certificate = conformance::certificate(n, zone, &authority, Status::Active);
        let recorded = store
            .record_certificate(certificate, None, conformance::by())
            .await;
        assert!(
            matches!(recorded, Err(StoreError::InDoubt(_))),
            "{recorded:?}"
        );
        assert_eq!(direct.totals(zone).await.unwrap().all(), 1);
    }
    assert_eq!(direct.check().await.unwrap(), Vec::<String>::new());
}

/// The rights that a refused start names are exactly those that all verbs need.
#[tokio::test]
async fn a_user_with_the_named_rights_can_do_everything() {
    let Some(server) = server() else { return };
    let url = server.database();
    open(&url).await.close().await;
    server.sql("postgres", "CREATE ROLE limited LOGIN");
    let limited = url.replace("postgres@", "limited@");
    let mut refusals = 0;
    let store = loop {
        match PostgresStore::open(&limited, PostgresOptions::default()).await {
            Ok(store) => break store,
            Err(PostgresError::Rights { user, missing }) => {
                assert_eq!(user, "limited");
                refusals += 1;
                assert!(refusals < 100, "{missing}");
                let mut rights = String::new();
                for part in missing.split(", ") {
                    match part.split_once(" on ") {
                        None => rights.push_str(&format!("{part}, ")),
                        Some((right, table)) => {
                            let grant = format!("GRANT {rights}{right} ON \"{table}\" TO limited");
                            server.sql(&url, &grant);
                            rights.clear();
                        }
                    }
                }
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert!(refusals > 3, "a refusal names a few tables at a time");
    conformance::verbs(&store).await;
    store.close().await;
    let held = "SELECT count(*) FROM information_schema.role_table_grants \
                WHERE grantee = 'limited' AND table_name = 'audit_entries' \
                AND privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE')";
    assert_eq!(server.sql(&url, held), "0");
}

#[tokio::test]
async fn a_database_of_another_encoding_is_refused() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(
        "postgres",
        "CREATE DATABASE of_octets ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' \
         TEMPLATE template0",
    );
    let other = format!("{}/of_octets", url.rsplit_once('/').unwrap().0);
    let refused = PostgresStore::open(&other, PostgresOptions::default()).await;
    assert!(matches!(refused.err(), Some(PostgresError::Encoding(_))));
    assert_eq!(
        server.sql(
            &other,
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ),
        "0"
    );
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
