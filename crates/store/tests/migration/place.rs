//! An embedded database to migrate.

use std::sync::Arc;

use certgate_model::{
    AuthorityRequestRecord, CertificateId, CertificateRecord, Condition, EventPlace, KeyAlgorithm,
    NotificationKind, UndeliveredEvent,
};
use certgate_store::conformance::{invite, record_by, record_counted};
use certgate_store::{
    Adopted, Adoption, AuthorityRequested, Basis, CertificateRecorded, CountedLimits, DayLimit,
    InviteRecorded, Renewal,
};

use super::*;

/// The database of a stopped server, with rows in every table.
pub struct Place {
    pub directory: TempDir,
}

impl Place {
    pub async fn new() -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let store = place.store();
        let records = first_records();
        store.initialise(records.clone()).await.unwrap();
        store
            .begin_journal(&place.journal(), instant(0))
            .await
            .unwrap();
        store.record_account(account(1), by()).await.unwrap();
        for (number, of) in [(0, account(0)), (1, account(1))] {
            store
                .record_managed_authority(authority(number, &of), by())
                .await
                .unwrap();
        }
        let request = AuthorityRequestRecord {
            id: authority(9, &account(0)).id,
            account: account(0).id,
            name: "Issuing CA".into(),
            algorithm: KeyAlgorithm::P256,
            sealed_key: vec![1; 100],
            csr_der: vec![2; 300],
            created_on: instant(3),
        };
        let recorded = store.record_authority_request(request, 9, by()).await;
        assert_eq!(recorded.unwrap(), AuthorityRequested::Requested);
        let other = zone(1, &account(1));
        store
            .record_zone(other.clone(), Neighbours::Every, by())
            .await
            .unwrap();
        let zone_of = |n: u32| {
            if n.is_multiple_of(5) {
                other.id
            } else {
                records.zone.id
            }
        };
        let made = |n: u32| {
            let number = u32::from(n.is_multiple_of(5));
            let mut record = certificate(
                n,
                zone_of(n),
                &authority(number, &account(number)),
                Status::Active,
            );
            if n == 7 {
                record.subject.common_name = "a\0b\u{1}c\u{1}\u{2}".into();
            }
            record
        };
        let adopted = certificate(5_001, other.id, &authority(1, &account(1)), Status::Active);
        let adopted = Adoption {
            certificate: Arc::new(CertificateRecord {
                id: CertificateId::named([5; 16]),
                ..adopted
            }),
            same_issuer: vec![authority(1, &account(1)).id],
            own_id: CertificateId::named([6; 16]),
        };
        let adopted = store.adopt_certificates(vec![adopted], None, by()).await;
        assert_eq!(adopted.unwrap(), [Adopted::Recorded]);
        let counted = certificate(5_002, other.id, &authority(1, &account(1)), Status::Active);
        let of_zone = DayLimit {
            owner: *other.id.as_bytes(),
            max: 9,
        };
        let limits = CountedLimits {
            day: 20_000,
            per_day: vec![of_zone],
            active_per_name: None,
        };
        let recorded = record_counted(&store, vec![counted], &limits).await;
        assert_eq!(recorded, [CertificateRecorded::Recorded]);
        let renewal = Basis::Renewal(Renewal {
            replaced: certificate(5_002, other.id, &authority(1, &account(1)), Status::Active).id,
            interval_seconds: 60,
            per_day_max: 9,
            revoke_on: Some(instant(9)),
        });
        let renewed = certificate(5_003, other.id, &authority(1, &account(1)), Status::Active);
        let recorded = record_by(&store, renewed, renewal, by()).await;
        assert_eq!(recorded, CertificateRecorded::Recorded);
        let invited = invite(1, other.id, "device-5004");
        let recorded = store.record_invite(invited.clone(), 9, by()).await;
        assert_eq!(recorded.unwrap(), InviteRecorded::Recorded);
        let mut used = certificate(5_004, other.id, &authority(1, &account(1)), Status::Active);
        used.subject.common_name.clone_from(&invited.name);
        let recorded = record_by(&store, used, Basis::Invite(invited.id), by()).await;
        assert_eq!(recorded, CertificateRecorded::Recorded);
        notified(&store).await;
        // Many at the same time, so that they share a commit.
        for first in (0..CERTIFICATES).step_by(500) {
            let numbers = first..CERTIFICATES.min(first + 500);
            let recording = numbers
                .clone()
                .map(|n| store.record_certificate(made(n), None, by()));
            try_join_all(recording).await.unwrap();
            let event = Event::Revoke(RevocationReason::Superseded);
            let revoking = numbers
                .step_by(3)
                .map(|n| store.change_status(zone_of(n), made(n).id, event, by_at(instant(n))));
            try_join_all(revoking).await.unwrap();
        }
        store
            .settle_pending(200, instant(9), &[], 1_000)
            .await
            .unwrap();
        for n in [3, 4] {
            store
                .record_token(token(n, &records.user), by())
                .await
                .unwrap();
        }
        store
            .replace_api_key(records.user.id, Some(TokenHash([9; 32])), by())
            .await
            .unwrap();
        let uploaded = mtls_certificate(1, &account(0));
        for uploaded in [uploaded.clone(), mtls_certificate(2, &account(0))] {
            store
                .record_mtls_certificate(uploaded, None, by())
                .await
                .unwrap();
        }
        for (of, names) in [
            (None, ["a.example", "b.example"]),
            (Some(uploaded.id), ["c.example", "d.example"]),
        ] {
            let names = names.map(String::from).to_vec();
            store
                .replace_hostname_associations(records.zone.id, of, names, by())
                .await
                .unwrap();
        }
        let point = EnforcementPointRecord {
            id: EnforcementPointId::from_bytes([8; 16]),
            account: account(0).id,
            token: records.token.id,
            name: "proxy".into(),
            lease_seconds: 60,
            covers: vec![Coverage::Requests],
            when_stale: WhenStale::Refuse,
            forget_seconds: 86_400,
            acknowledged_epoch: 0,
            seen_on: instant(1),
            registered_on: instant(1),
        };
        store
            .register_enforcement_point(point, 10, by())
            .await
            .unwrap();
        store.record_serial_key(vec![3; 60]).await.unwrap();
        let crl = CrlRecord {
            authority: authority(0, &account(0)).id,
            kind: CrlKind::Shard(5),
            number: 1,
            epoch: 1,
            this_update: instant(1),
            next_update: instant(2),
            der: Some(vec![0x30; 5_000]),
        };
        assert!(store.record_crl(crl, instant(2)).await.unwrap());
        // Rows that only an earlier version and a restore leave.
        store
            .damage(
                "INSERT INTO lost_certificates (position, id, authority, serial, \
                 fingerprint_sha256, epoch, revoked_on, \
                 reason, expires_on) VALUES (-5, zeroblob(16), 1, zeroblob(20), zeroblob(32), 5, \
                 0, 4, 9);
                 INSERT INTO revocations (authority, shard, position, serial, revoked_on, reason, \
                 expires_on) \
                 VALUES (1, 0, -5, zeroblob(20), 0, 4, 9);
                 INSERT INTO epoch_gaps (after, until, is_all) \
                 VALUES (9000, 9001, 0), (9100, 9101, 1);
                 UPDATE store SET last_epoch = 9200;",
            )
            .await
            .unwrap();
        store
            .change_status(
                records.zone.id,
                certificate(
                    1,
                    records.zone.id,
                    &authority(0, &account(0)),
                    Status::Active,
                )
                .id,
                Event::HOLD,
                by(),
            )
            .await
            .unwrap();
        store.close().await;
        drop(store);
        place
    }

    pub fn database(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    pub fn journal(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    pub fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.database(), SqliteOptions::default()).unwrap()
    }

    pub async fn begin(&self, url: &str, holder: u8) -> Result<Migration, MigrationError> {
        Migration::begin(&self.database(), &self.journal(), url, [holder; 16]).await
    }

    pub async fn moved(&self, url: &str) {
        let migration = self.begin(url, 1).await.unwrap();
        migration.copy(|_| ()).await.unwrap();
        assert_eq!(
            different(&migration.compare(|_| ()).await.unwrap()),
            NOTHING
        );
        migration.finish().await.unwrap();
    }

    /// Runs statements like another program that changes the database.
    pub fn tamper(&self, statements: &str) {
        rusqlite::Connection::open(self.database())
            .unwrap()
            .execute_batch(statements)
            .unwrap();
    }

    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let read = |path: PathBuf| (path.clone(), std::fs::read(path).unwrap());
        entries.map(|entry| read(entry.unwrap().path())).collect()
    }
}

/// Adds a destination of notifications with an undelivered event.
async fn notified(store: &SqliteStore) {
    store
        .begin_destination("webhook", instant(1))
        .await
        .unwrap();
    let condition = Condition {
        id: [1; 16],
        kind: NotificationKind::AuthorityExpiring,
        object: [2; 16],
        since: instant(2),
        account: account(1).id,
        at: instant(3),
        name: "a CA".to_owned(),
        count: 0,
        certificates: vec![CertificateId::from_bytes([3; 16])],
    };
    assert!(store.record_condition(condition).await.unwrap());
    let undelivered = UndeliveredEvent {
        destination: "webhook".to_owned(),
        place: EventPlace {
            log: 0,
            number: 1,
            at: instant(3),
        },
        id: [1; 16],
        kind: NotificationKind::AuthorityExpiring,
        object: [2; 16],
        set_aside_on: instant(4),
        error: "no answer".to_owned(),
        is_retried: false,
    };
    let set_aside = store
        .set_events_aside("webhook", vec![undelivered], 9)
        .await;
    set_aside.unwrap();
}
