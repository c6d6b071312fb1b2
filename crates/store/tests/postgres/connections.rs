//! Connections: TLS, rights, and the loss of a connection at any point.

use super::*;

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
