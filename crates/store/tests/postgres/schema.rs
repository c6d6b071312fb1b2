//! The tables: made, of an earlier version, and refused.

use super::*;

#[tokio::test]
async fn the_steps_lead_to_the_description() {
    let Some(server) = server() else { return };
    let (new, migrated, described) = (server.database(), server.database(), server.database());
    open(&new).await.close().await;
    let snapshot = include_str!("../../src/snapshots/certgate_store__schema__tests__postgres.snap");
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
    let rows = include_str!("../version_1/rows.sql");
    let id = |octet: u8| format!("'\\x{}'", format!("{octet:02x}").repeat(16));
    let rows = rows
        .replace(":user", &id(5))
        .replace(":account", &id(1))
        .replace(":zone", &id(2))
        .replace(":token", &id(4))
        .replace(":hash", &format!("'\\x{}'", "ab".repeat(32)))
        .replace(":false", "false");
    let tables = include_str!("../../src/snapshots/certgate_store__schema__tests__postgres.snap");
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

/// Returns the statements that make a database of version 4 with 4,000 certificates.
fn version_4() -> String {
    let steps = concat!(
        include_str!("../../src/schema/version_2.postgres.sql"),
        include_str!("../../src/schema/version_3.postgres.sql"),
        include_str!("../../src/schema/version_4.postgres.sql"),
    );
    let rows = version_4::rows(|number, octets| match octets {
        // The beginning of a fingerprint is the number.
        32 => format!("decode(repeat(lpad(to_hex({number}), 16, '0'), 4), 'hex')"),
        _ => format!("decode(lpad(to_hex({number}), {}, '0'), 'hex')", 2 * octets),
    });
    let rows = rows
        .replace(":account", &format!("'\\x{}'", "01".repeat(16)))
        .replace(":true", "true")
        .replace(":false", "false");
    let versions = "INSERT INTO schema_migrations VALUES (2, 1), (3, 1), (4, 1);";
    format!("{}{steps}{rows}{versions}", version_1())
}

#[tokio::test]
async fn certificates_of_version_4_are_indexed_while_the_store_is_used() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(&url, &version_4());
    let store = open(&url).await;
    version_4::begin(&store, 3).await;
    store.close().await;
    // An index whose building was interrupted.
    let interrupted = "CREATE UNIQUE INDEX CONCURRENTLY certificates_by_expiry \
                       ON certificates (validity_days)";
    assert!(server.try_sql(&url, interrupted).is_err());
    let store = open(&url).await;
    version_4::finish(&store).await;
    store.close().await;
    let shape = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1";
    let valid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    let new = server.database();
    open(&new).await.close().await;
    assert_eq!(server.sql(&url, valid), "0");
    assert_eq!(server.sql(&url, shape), server.sql(&new, shape));
}

/// A server of an earlier version reads tables in another order than a step locks them.
#[tokio::test]
async fn a_step_that_ends_in_a_deadlock_is_repeated() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(&url, &version_4());
    // PostgreSQL ends the transaction that notices the deadlock, which this one never does.
    let reads = "DO $$ BEGIN SET LOCAL deadlock_timeout = '1h'; \
                 LOCK TABLE writers IN ACCESS SHARE MODE; \
                 WHILE NOT EXISTS (SELECT 1 FROM pg_locks WHERE granted \
                 AND relation = CAST('certificates' AS regclass) \
                 AND mode = 'AccessExclusiveLock') LOOP PERFORM pg_sleep(0.01); END LOOP; \
                 LOCK TABLE certificates IN ACCESS SHARE MODE; END $$";
    let (of_reader, database) = (Arc::clone(&server), url.clone());
    let reader = std::thread::spawn(move || of_reader.sql(&database, reads));
    let begun = "SELECT count(*) FROM pg_locks WHERE relation = CAST('writers' AS regclass)";
    while server.sql(&url, begun) == "0" {}
    open(&url).await.close().await;
    reader.join().unwrap();
}

/// PostgreSQL builds its indexes last, which takes longest.
#[tokio::test]
async fn certificates_without_the_indexes_of_postgresql_are_not_indexed() {
    let Some(server) = server() else { return };
    let url = server.database();
    server.sql(&url, &version_4());
    let store = open(&url).await;
    let mut work = IndexWork::default();
    while server.sql(&url, "SELECT max(zone) FROM indexing") != "0" {
        store.index_next(&mut work).await.unwrap();
    }
    let all = store.installation_summary(0, 1).await.unwrap();
    assert_eq!(all.unindexed, all.totals.all() / 2);
    store.close().await;
}

#[tokio::test]
async fn a_server_of_an_earlier_version_cannot_write_any_more() {
    let Some(server) = server() else { return };
    let url = server.database();
    open(&url).await.close().await;
    // The statement with which a server of version 4 ends each transaction.
    let noted = "INSERT INTO writers (id, batch, at) VALUES ('old', 1, 0) \
                 ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = excluded.at";
    // That of version 8 has its version too.
    let of_8 = "INSERT INTO writers (id, batch, at, version) VALUES ('old', 1, 0, 8)";
    for noted in [noted, of_8] {
        let refused = server.try_sql(&url, noted).unwrap_err();
        assert!(refused.contains("version"), "{refused}");
    }
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
