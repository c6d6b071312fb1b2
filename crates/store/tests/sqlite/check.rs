//! Corrupt data, and what the check finds.

use certgate_store::conformance::{invite, record_by};
use certgate_store::{Basis, CertificateRecorded, InviteRecorded};

use super::*;

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
    store
        .damage("UPDATE certificates SET folded_name = 'another' WHERE position & 3 = 0")
        .await
        .unwrap();
    let lines = store.check().await.unwrap().join("\n");
    assert!(
        lines.contains("its common name contradicts folded_name"),
        "{lines}"
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
            "has the last epoch 0, but its certificates' highest is 2",
        ),
        (
            "UPDATE authorities SET last_epoch = 9",
            "has the last epoch 9",
        ),
        (
            "UPDATE accounts SET managed_authority = NULL",
            "managed_authority is not the CA that was activated last",
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
            "UPDATE authorities SET state = replace(state, 'signing', 'retired')",
            "state is impossible",
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
        (
            "UPDATE enforcement_points SET terms = replace(terms, 'refuse', 'serve')",
            "terms is impossible",
        ),
        (
            "UPDATE enforcement_points SET forget_on = forget_on + 1",
            "forget_on is impossible",
        ),
        (
            "UPDATE accounts SET configuration_epoch = configuration_epoch - 1",
            "configuration_epoch is impossible",
        ),
        (
            "UPDATE accounts SET configuration_epoch = 77",
            "the last change has the epoch 77",
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
            covers: vec![Coverage::Requests],
            when_stale: WhenStale::Refuse,
            forget_seconds: 86_400,
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

#[tokio::test]
async fn the_check_finds_corrupt_invites() {
    for (statement, finding) in [
        (
            "UPDATE invites SET expires_on = expires_on + 1",
            "differs from its digest",
        ),
        (
            "UPDATE invites SET withdrawn_on = 1",
            "differs from its digest",
        ),
        (
            "UPDATE invite_uses SET number = 2",
            "differs from its digest",
        ),
        ("UPDATE invite_uses SET number = 2", "cannot be read"),
        ("UPDATE invites SET device = 'fridge'", "cannot be read"),
        ("UPDATE invites SET uses_max = 0", "has 1 uses of 0"),
        (
            "UPDATE invites SET wrong_secrets = 11",
            "wrong_secrets is impossible",
        ),
        (
            "UPDATE invites SET name = 'other'",
            "a certificate of another name",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (store, zone, authority) = begun(&directory, SqliteOptions::default()).await;
        let record = certificate(0, zone, &authority, Status::Active);
        let invite = invite(1, zone, &record.subject.common_name);
        let recorded = store.record_invite(invite.clone(), 9, by()).await;
        assert_eq!(recorded.unwrap(), InviteRecorded::Recorded);
        let recorded = record_by(&*store, record, Basis::Invite(invite.id), by()).await;
        assert_eq!(recorded, CertificateRecorded::Recorded);
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

#[tokio::test]
async fn the_check_finds_a_ca_that_claims_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _, _) = begun(&directory, SqliteOptions::default()).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    store.close().await;
    drop(store);
    pragma(
        &file(&directory),
        "UPDATE authorities SET has_signed = TRUE",
    );
    let lines = open(&directory).unwrap().check().await.unwrap();
    assert!(
        matches!(&lines[..], [line] if line.ends_with("has_signed is impossible")),
        "{lines:?}"
    );
}
