//! The journal of revocations, and its replay after a restore.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use certgate_model::{
    AuditOwner, AuthorityRecord, CertificateId, CertificateRecord, CrlKind, Event, FollowedChange,
    RevocationReason, SerialNumber, Status, ZoneId,
};
use certgate_store::conformance::{
    account, authority, by, by_at, certificate, first_records, instant, zone,
};
use certgate_store::prelude::*;
use certgate_store::{
    Adopted, Adoption, JournalBegun, Neighbours, ReadStore, Restored, SqliteInspector,
    SqliteOptions, SqliteStore, Store, prepare_restored,
};
use tempfile::TempDir;

/// A store with a CA and ten certificates, whose journal has begun.
struct Place {
    directory: TempDir,
    store: SqliteStore,
    zone: ZoneId,
    authority: AuthorityRecord,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("store.db"), SqliteOptions::default())
            .unwrap();
        let records = first_records();
        let zone = records.zone.id;
        store.initialise(records).await.unwrap();
        let authority = authority(1, &account(0));
        store
            .record_managed_authority(authority.clone(), by())
            .await
            .unwrap();
        let place = Self {
            directory,
            store,
            zone,
            authority,
        };
        for n in 0..10 {
            place.issue(n).await;
        }
        assert_eq!(place.begin().await, JournalBegun::Made { after: 1 });
        place
    }

    async fn issue(&self, n: u32) {
        let record = certificate(n, self.zone, &self.authority, Status::Active);
        self.store
            .record_certificate(record, None, by())
            .await
            .unwrap();
    }

    fn id(&self, n: u32) -> CertificateId {
        certificate(n, self.zone, &self.authority, Status::Active).id
    }

    async fn revoke(&self, n: u32) {
        let event = Event::Revoke(RevocationReason::KeyCompromise);
        self.store
            .change_status(self.zone, self.id(n), event, by_at(instant(n)))
            .await
            .unwrap()
            .unwrap();
    }

    async fn hold(&self, n: u32) {
        self.store
            .change_status(self.zone, self.id(n), Event::HOLD, by_at(instant(n)))
            .await
            .unwrap()
            .unwrap();
    }

    async fn restore(&self, n: u32) {
        self.store
            .change_status(self.zone, self.id(n), Event::Reactivate, by())
            .await
            .unwrap()
            .unwrap();
    }

    async fn settle(&self) {
        self.store
            .settle_pending(u64::MAX, instant(50), &[], u32::MAX)
            .await
            .unwrap();
    }

    async fn status(&self, n: u32) -> Option<Status> {
        self.store
            .certificate(self.zone, self.id(n))
            .await
            .unwrap()
            .map(|record| record.status)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("store.revocations")).unwrap();
        text.lines().skip(1).map(str::to_owned).collect()
    }

    async fn begin(&self) -> JournalBegun {
        self.store
            .begin_journal(&self.path("store.revocations"), instant(60))
            .await
            .unwrap()
    }

    fn back_up(&self) -> PathBuf {
        let copy = self.path("backup.db");
        std::fs::write(&copy, "").unwrap();
        let inspector = SqliteInspector::open(&self.path("store.db")).unwrap();
        inspector.copy_to(&copy, |_| ()).unwrap();
        assert!(!self.path("backup.db-wal").exists());
        copy
    }

    /// Replaces the database with a backup.
    async fn replaced_by(self, backup: &Path) -> Self {
        self.store.close().await;
        let Self {
            directory,
            store,
            zone,
            authority,
        } = self;
        drop(store);
        let path = directory.path().join("store.db");
        prepare_restored(backup).unwrap();
        std::fs::rename(backup, &path).unwrap();
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        Self {
            directory,
            store,
            zone,
            authority,
        }
    }

    async fn is_intact(&self) {
        assert_eq!(self.store.check().await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn every_change_is_in_the_journal_before_it_is_answered() {
    let place = Place::new().await;
    place.revoke(1).await;
    assert_eq!(place.lines().len(), 1);
    place.hold(2).await;
    place.restore(2).await;
    place.settle().await;
    let words: Vec<_> = place
        .lines()
        .iter()
        .map(|line| line.split('\t').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(words, ["revoked", "revoked", "restored"]);
    // After a start, no line is missing and no line occurs twice.
    let lines = place.lines();
    assert_eq!(place.begin().await, JournalBegun::Follows);
    assert_eq!(place.lines(), lines);
}

#[tokio::test]
async fn the_next_start_writes_missing_lines() {
    let place = Place::new().await;
    place.revoke(1).await;
    let path = place.path("store.revocations");
    let one = std::fs::read(&path).unwrap();
    place.revoke(2).await;
    place.revoke(3).await;
    let three = std::fs::read(&path).unwrap();
    // Like a crash between the commit and the journal, or during the write to it.
    for cut in [one.len(), one.len() + 20, three.len() - 1] {
        std::fs::write(&path, &three[..cut]).unwrap();
        assert_eq!(place.begin().await, JournalBegun::Follows);
        assert_eq!(std::fs::read(&path).unwrap(), three);
    }
}

#[tokio::test]
async fn a_restore_does_not_undo_revocations_after_the_backup() {
    let place = Place::new().await;
    place.hold(1).await;
    place.hold(2).await;
    place.settle().await;
    let backup = place.back_up();
    place.revoke(3).await;
    place.restore(2).await;
    place.hold(4).await;
    place.restore(4).await;
    place.issue(10).await;
    place.revoke(10).await;
    let epoch = place.store.last_epoch().await.unwrap();

    let place = place.replaced_by(&backup).await;
    assert_eq!(
        place.status(3).await,
        Some(Status::Active),
        "as in the backup"
    );
    let begun = place.begin().await;
    let expected = Restored {
        from_epoch: 3,
        to_epoch: epoch,
        revoked: 1,
        restored: 2,
        lost: 1,
        is_all: true,
        ..Restored::default()
    };
    assert_eq!(begun, JournalBegun::Restored(expected));
    assert_eq!(place.status(1).await, Some(Status::Revoked));
    assert_eq!(place.status(2).await, Some(Status::PendingReactivation));
    assert_eq!(place.status(3).await, Some(Status::PendingRevocation));
    assert_eq!(place.status(4).await, Some(Status::PendingReactivation));
    assert_eq!(place.status(10).await, None);
    let last = place.store.last_epoch().await.unwrap();
    assert!(
        last > epoch,
        "epochs are skipped: the journal may lack its last lines"
    );
    for (known, is_skipped) in [
        (epoch, false),
        (epoch + 1, true),
        (last - 1, true),
        (last, false),
    ] {
        assert_eq!(
            place.store.is_skipped_epoch(known).await.unwrap(),
            is_skipped,
            "{known}"
        );
    }
    assert_eq!(
        place.store.crls_changed(instant(0)).await.unwrap().len(),
        130,
        "lists from before the restore are not served"
    );

    // The revoked certificate that the backup does not have is in the lists, in OCSP and in the
    // changes for enforcement points.
    let lost = certificate(10, place.zone, &place.authority, Status::Active);
    let issued = place
        .store
        .issued(place.authority.id, lost.serial, lost.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((issued.status, issued.epoch), (Status::Revoked, epoch));
    let content = place
        .store
        .crl_content(place.authority.id, CrlKind::Full, instant(60), 100)
        .await
        .unwrap();
    let listed: Vec<_> = content
        .unwrap()
        .revocations
        .iter()
        .map(|revocation| revocation.serial)
        .collect();
    assert!(
        listed.contains(&lost.serial) && listed.len() == 3,
        "{listed:?}"
    );
    let changes = place
        .store
        .revocation_changes(account(0).id, 3, 100)
        .await
        .unwrap();
    let sent: Vec<_> = changes.iter().map(sent_change).collect();
    let expected = [
        (4, Some(true)),
        (5, Some(false)),
        (7, Some(false)),
        (8, Some(true)),
        (last, None),
    ];
    assert_eq!(sent, expected);
    assert!(matches!(
        changes[3],
        FollowedChange::Certificate(change)
            if change.certificate.fingerprint_sha256 == lost.fingerprint_sha256
    ));
    let all = place
        .store
        .revoked_certificates(place.authority.id, instant(60), None, 100)
        .await
        .unwrap();
    assert!(
        all.iter()
            .any(|(_, certificate)| certificate.serial == lost.serial)
            && all.len() == 3
    );

    // The log has the replayed changes.
    let query = certgate_model::AuditQuery {
        since: instant(60),
        before: instant(61),
        actor: Some(certgate_model::Actor::System),
        direction: certgate_model::Direction::Ascending,
        after: None,
        limit: 10,
    };
    let entries = place
        .store
        .audit_entries(AuditOwner::Account(account(0).id), query)
        .await
        .unwrap();
    let details: Vec<_> = entries.iter().map(|entry| entry.detail.as_str()).collect();
    assert_eq!(details.len(), 5);
    assert_eq!(details[0], "database restored from a backup epoch=3");
    assert_eq!(
        details[1],
        "reason=keyCompromise epoch=4 again after a restore"
    );

    place.settle().await;
    place.is_intact().await;
    assert_eq!(place.begin().await, JournalBegun::Follows);
    place.revoke(5).await;
    assert_eq!(
        place.lines().len(),
        9,
        "the journal continues after its last line"
    );
}

#[tokio::test]
async fn the_same_backup_can_be_restored_again() {
    let place = Place::new().await;
    let backup = place.back_up();
    let again = place.path("again.db");
    std::fs::copy(&backup, &again).unwrap();
    place.issue(10).await;
    place.hold(10).await;
    place.revoke(1).await;
    let mut place = place.replaced_by(&backup).await;
    assert!(matches!(
        place.begin().await,
        JournalBegun::Restored(Restored {
            revoked: 1,
            lost: 1,
            ..
        })
    ));
    place.revoke(2).await;
    place = place.replaced_by(&again).await;
    assert!(matches!(
        place.begin().await,
        JournalBegun::Restored(Restored {
            revoked: 2,
            lost: 1,
            ..
        })
    ));
    place.is_intact().await;
}

#[tokio::test]
async fn without_the_journal_epochs_are_skipped_and_reported() {
    let place = Place::new().await;
    place.revoke(1).await;
    let backup = place.back_up();
    place.revoke(2).await;
    place.revoke(3).await;
    let path = place.path("store.revocations");
    let early = {
        let whole = std::fs::read_to_string(&path).unwrap();
        whole
            .lines()
            .take(1)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let place = place.replaced_by(&backup).await;
    // The existing journal is older than the backup, so it counts as missing.
    std::fs::write(&path, early).unwrap();
    let begun = place.begin().await;
    assert!(
        matches!(
            begun,
            JournalBegun::Restored(Restored {
                from_epoch: 2,
                is_all: false,
                ..
            })
        ),
        "{begun:?}"
    );
    let until = place.store.last_epoch().await.unwrap();
    for (epoch, is_skipped) in [
        (0, false),
        (2, false),
        (3, true),
        (4, true),
        (until - 1, true),
        (until, false),
    ] {
        assert_eq!(
            place.store.is_skipped_epoch(epoch).await.unwrap(),
            is_skipped,
            "{epoch}"
        );
    }
    place.revoke(4).await;
    assert_eq!(place.store.last_epoch().await.unwrap(), until + 1);
    assert_eq!(place.begin().await, JournalBegun::Follows);
    place.is_intact().await;

    let backup = place.back_up();
    let place = place.replaced_by(&backup).await;
    std::fs::remove_file(&path).unwrap();
    let begun = place.begin().await;
    let JournalBegun::Restored(Restored {
        from_epoch,
        is_all: false,
        ..
    }) = begun
    else {
        panic!("{begun:?}")
    };
    assert_eq!(from_epoch, until + 1);
    assert!(place.store.is_skipped_epoch(until + 2).await.unwrap());
}

#[tokio::test]
async fn the_intact_lines_of_a_corrupt_journal_are_replayed() {
    let place = Place::new().await;
    let backup = place.back_up();
    for n in 1..4 {
        place.revoke(n).await;
    }
    let path = place.path("store.revocations");
    let corrupt =
        std::fs::read_to_string(&path)
            .unwrap()
            .replacen("keyCompromise", "superseded", 1);
    std::fs::write(&path, corrupt).unwrap();
    let place = place.replaced_by(&backup).await;
    let begun = place.begin().await;
    let JournalBegun::Restored(done) = begun else {
        panic!("{begun:?}")
    };
    assert_eq!((done.revoked, done.is_all), (2, false));
    assert_eq!(done.missing, [2..=2]);
    assert_eq!(place.status(1).await, Some(Status::Active), "it is lost");
    for n in [2, 3] {
        assert_eq!(place.status(n).await, Some(Status::PendingRevocation));
    }
    assert!(
        place.store.is_skipped_epoch(2).await.unwrap(),
        "clients are told"
    );
    place.is_intact().await;
    // The next start continues it.
    place.revoke(4).await;
    assert_eq!(place.begin().await, JournalBegun::Follows);
}

#[tokio::test]
async fn a_failed_replay_of_a_journal_with_a_corrupt_head_loses_nothing() {
    let place = Place::new().await;
    let backup = place.back_up();
    for n in 1..4 {
        place.revoke(n).await;
    }
    let path = place.path("store.revocations");
    let mut corrupt = std::fs::read(&path).unwrap();
    corrupt[3] ^= 1;
    std::fs::write(&path, &corrupt).unwrap();
    let place = place.replaced_by(&backup).await;
    // Like a full disk in the middle of the replay.
    let fail = "CREATE TRIGGER disk_full BEFORE INSERT ON epoch_gaps \
                BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    place.store.damage(fail).await.unwrap();
    for _ in 0..2 {
        let begun = place.store.begin_journal(&path, instant(60)).await;
        assert!(begun.is_err(), "{begun:?}");
    }
    place.store.damage("DROP TRIGGER disk_full").await.unwrap();
    let begun = place.begin().await;
    let JournalBegun::Restored(done) = begun else {
        panic!("{begun:?}")
    };
    assert_eq!((done.revoked, done.is_all), (3, false));
    // Like a kill between the replay and the renaming.
    std::fs::write(&path, &corrupt).unwrap();
    let after = place.store.last_epoch().await.unwrap();
    assert_eq!(place.begin().await, JournalBegun::Replaced { after });
    for n in 1..4 {
        assert_eq!(place.status(n).await, Some(Status::PendingRevocation));
    }
    place.revoke(4).await;
    assert_eq!(place.begin().await, JournalBegun::Follows);
    place.is_intact().await;
}

#[tokio::test]
async fn a_journal_that_begins_after_the_backup_is_incomplete() {
    let place = Place::new().await;
    let backup = place.back_up();
    let again = place.path("again.db");
    std::fs::copy(&backup, &again).unwrap();
    place.revoke(1).await;
    // Like a journal that did not exist until now.
    std::fs::remove_file(place.path("store.revocations")).unwrap();
    assert_eq!(place.begin().await, JournalBegun::Made { after: 2 });
    place.revoke(2).await;

    let mut place = place.replaced_by(&backup).await;
    for (backup, revoked) in [(None, 1), (Some(again), 2)] {
        if let Some(backup) = backup {
            place.revoke(3).await;
            place = place.replaced_by(&backup).await;
        }
        let begun = place.begin().await;
        let JournalBegun::Restored(done) = begun else {
            panic!("{begun:?}")
        };
        assert_eq!((done.from_epoch, done.revoked), (1, revoked));
        assert!(
            !done.is_all,
            "a second restore of the same backup has the same result"
        );
        assert!(
            place.store.is_skipped_epoch(2).await.unwrap()
                && place.store.is_skipped_epoch(3).await.unwrap()
        );
        assert_eq!(
            place.status(1).await,
            Some(Status::Active),
            "the revocation is lost"
        );
        assert_eq!(place.status(2).await, Some(Status::PendingRevocation));
    }
    place.is_intact().await;
}

#[tokio::test]
async fn a_new_journal_has_lost_certificates_too() {
    let place = Place::new().await;
    let backup = place.back_up();
    let again = place.path("again.db");
    std::fs::copy(&backup, &again).unwrap();
    place.issue(10).await;
    place.revoke(10).await;
    let place = place.replaced_by(&backup).await;
    place.begin().await;
    let path = place.path("store.revocations");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    place.begin().await;
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    // An empty file counts as missing.
    std::fs::write(&path, "").unwrap();
    let after = place.store.last_epoch().await.unwrap();
    assert_eq!(place.begin().await, JournalBegun::Made { after });
}

#[tokio::test]
async fn lost_certificates_of_two_cas_can_have_one_serial_number() {
    let place = Place::new().await;
    let (store, zone) = (&place.store, place.zone);
    let second = AuthorityRecord {
        certificate_der: vec![2; 600],
        ..authority(2, &account(0))
    };
    let prepared = store.prepare_managed_authority(second.clone(), false, 9, by());
    prepared.await.unwrap();
    let backup = place.back_up();
    let authorities = [place.authority.clone(), second];
    let serial = SerialNumber::from_random([7; 20]);
    let adopted = [(20, &authorities[0]), (21, &authorities[1])].map(|(n, authority)| Adoption {
        certificate: Arc::new(CertificateRecord {
            serial,
            ..certificate(n, zone, authority, Status::Active)
        }),
        same_issuer: vec![authority.id],
        own_id: CertificateId::from_bytes([0; 16]),
    });
    let ids = [0, 1].map(|one: usize| adopted[one].certificate.id);
    let outcomes = store.adopt_certificates(adopted.to_vec(), None, by()).await;
    assert_eq!(outcomes.unwrap(), [Adopted::Recorded; 2]);
    let revoke = Event::Revoke(RevocationReason::KeyCompromise);
    for (id, event) in [(ids[0], revoke), (ids[1], Event::HOLD)] {
        let changed = store.change_status(zone, id, event, by()).await;
        changed.unwrap().unwrap();
    }
    let place = place.replaced_by(&backup).await;
    let begun = place.begin().await;
    assert!(
        matches!(begun, JournalBegun::Restored(Restored { lost: 2, .. })),
        "{begun:?}"
    );
    for authority in &authorities {
        let own_id = CertificateId::from_bytes([0; 16]);
        let issued = place.store.issued(authority.id, serial, own_id).await;
        assert!(issued.unwrap().unwrap().revocation.is_some());
        let list = place
            .store
            .crl_content(authority.id, CrlKind::Full, instant(60), 9);
        let listed = list.await.unwrap().unwrap().revocations;
        assert_eq!(listed.len(), 1);
    }
    place.is_intact().await;
}

#[tokio::test]
async fn with_a_lagging_journal_no_epoch_is_used_twice() {
    let place = Place::new().await;
    place.revoke(1).await;
    let backup = place.back_up();
    place.revoke(2).await;
    let path = place.path("store.revocations");
    let copied = std::fs::read(&path).unwrap();
    place.revoke(3).await;
    place.revoke(4).await;
    let place = place.replaced_by(&backup).await;
    std::fs::write(&path, copied).unwrap();
    assert!(matches!(
        place.begin().await,
        JournalBegun::Restored(Restored {
            to_epoch: 3,
            is_all: true,
            ..
        })
    ));
    place.revoke(5).await;
    place.revoke(6).await;
    // A follower has received epoch 5.
    assert!(place.store.is_skipped_epoch(5).await.unwrap());
    assert!(!place.store.is_skipped_epoch(3).await.unwrap());
}

#[tokio::test]
async fn a_wrong_backup_and_then_the_right_one_do_not_mix_histories() {
    let place = Place::new().await;
    place.revoke(1).await;
    let wrong = place.back_up();
    std::fs::rename(&wrong, place.path("wrong.db")).unwrap();
    place.revoke(2).await;
    let right = place.back_up();
    place.store.close().await;
    std::fs::remove_file(place.path("store.revocations")).unwrap();
    let wrong = place.path("wrong.db");
    let place = place.replaced_by(&wrong).await;
    place.begin().await;
    place.revoke(5).await;
    let known_there = place.store.last_epoch().await.unwrap();
    let place = place.replaced_by(&right).await;
    assert!(matches!(
        place.begin().await,
        JournalBegun::Restored(Restored {
            revoked: 1,
            is_all: false,
            ..
        })
    ));
    assert!(place.store.is_skipped_epoch(known_there).await.unwrap());
    // With all changes known it is restored again, and the skipped epochs stay skipped.
    let backup = place.back_up();
    place.revoke(6).await;
    let place = place.replaced_by(&backup).await;
    assert!(matches!(
        place.begin().await,
        JournalBegun::Restored(Restored {
            revoked: 1,
            is_all: true,
            ..
        })
    ));
    assert!(place.store.is_skipped_epoch(known_there).await.unwrap());
    place.is_intact().await;
}

#[tokio::test]
async fn changes_of_hostnames_have_lines_and_are_announced_after_a_restore() {
    let place = Place::new().await;
    let list = async |place: &Place, name: &str| {
        let hostnames = vec![name.to_owned()];
        let replaced = place
            .store
            .replace_hostname_associations(place.zone, None, hostnames, by());
        replaced.await.unwrap();
    };
    let listed = async |place: &Place| {
        let list = place.store.hostname_associations(place.zone, None).await;
        list.unwrap().unwrap()
    };
    list(&place, "a.example").await;
    let lines = place.lines();
    let fields: Vec<_> = lines[0].split('\t').collect();
    let account = account(0).id;
    assert_eq!(fields[..3], ["2", "configuration", &account.to_string()]);
    // A lost line is written again.
    let path = place.path("store.revocations");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    assert_eq!(place.begin().await, JournalBegun::Follows);
    assert_eq!(std::fs::read(&path).unwrap(), whole);

    // The backup has the last change: the journal has every later one.
    let backup = place.back_up();
    let place = place.replaced_by(&backup).await;
    let JournalBegun::Restored(done) = place.begin().await else {
        panic!("it was not restored")
    };
    assert_eq!((done.to_epoch, done.is_all), (2, true));
    place.is_intact().await;

    // A change of hostnames after the backup is lost. A follower that knows the revocation after it
    // learns that the hostnames are others.
    let backup = place.back_up();
    list(&place, "b.example").await;
    place.revoke(1).await;
    let known = place.store.last_epoch().await.unwrap();
    let place = place.replaced_by(&backup).await;
    let JournalBegun::Restored(done) = place.begin().await else {
        panic!("it was not restored")
    };
    assert_eq!((done.to_epoch, done.is_all), (known, true));
    assert_eq!(listed(&place).await, ["a.example"]);
    assert!(!place.store.is_skipped_epoch(known).await.unwrap());
    let last = place.store.last_epoch().await.unwrap();
    let changes = place.store.revocation_changes(account, known, 9).await;
    assert_eq!(
        changes.unwrap(),
        [FollowedChange::Configuration { epoch: last }]
    );
    place.is_intact().await;
}

/// The epoch of a change, and whether it revoked; `None`: the configuration changed.
fn sent_change(change: &FollowedChange) -> (u64, Option<bool>) {
    match change {
        FollowedChange::Certificate(change) => (change.epoch, Some(change.revoked)),
        FollowedChange::Configuration { epoch } => (*epoch, None),
    }
}

#[tokio::test]
async fn many_missing_lines_are_written_in_several_steps() {
    let place = Place::new().await;
    for n in 10..1_300 {
        place.issue(n).await;
    }
    let path = place.path("store.revocations");
    let empty = std::fs::read(&path).unwrap();
    for n in 10..1_300 {
        place.revoke(n).await;
    }
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, empty).unwrap();
    assert_eq!(place.begin().await, JournalBegun::Follows);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[tokio::test]
async fn the_check_covers_the_sources_of_lists() {
    let place = Place::new().await;
    place.revoke(1).await;
    place.hold(2).await;
    for tampering in [
        "DELETE FROM revocations WHERE reason = 6",
        "UPDATE revocations SET reason = 4",
        "INSERT INTO revocations SELECT authority, shard, expires_on, position + 1000, serial, 0, \
         6 FROM revocations",
    ] {
        place.is_intact().await;
        place.store.damage(tampering).await.unwrap();
        let lines = place.store.check().await.unwrap();
        assert!(
            lines.iter().any(|line| line.contains("revocations")),
            "{tampering}: {lines:?}"
        );
        place.store.damage(UNDO).await.unwrap();
    }
}

/// Makes the rows again from the certificates. The shard is the low 7 bits of the serial number.
const UNDO: &str = "
    DELETE FROM revocations;
    INSERT INTO revocations (authority, shard, position, serial, revoked_on, reason, expires_on)
    SELECT certificates.authority, \
    (16 * (instr('0123456789ABCDEF', substr(hex(serial), 39, 1)) - 1) \
    + instr('0123456789ABCDEF', substr(hex(serial), 40, 1)) - 1) & 127, \
    position, serial, revoked_on, reason, expires_on \
    FROM certificates JOIN statuses USING (position) WHERE status IN (2, 3);";

/// The epochs up to which an account is known with each of its numbers, up to `last`.
async fn known(place: &Place, n: u32, last: u64) -> Vec<Option<u64>> {
    let mut epochs = Vec::new();
    for number in 0..=last {
        let known = place.store.known_epoch(account(n).id, number).await;
        epochs.push(known.unwrap());
    }
    epochs
}

async fn last_number(place: &Place, n: u32) -> u64 {
    let last = place.store.last_epochs(account(n).id).await.unwrap();
    last.of_account
}

#[tokio::test]
async fn accounts_keep_their_numbers_after_a_restore() {
    let place = Place::new().await;
    let store = &place.store;
    let (other, other_zone) = (account(1), zone(1, &account(1)));
    store.record_account(other.clone(), by()).await.unwrap();
    store
        .record_zone(other_zone.clone(), Neighbours::Every, by())
        .await
        .unwrap();
    let ca = authority(2, &other);
    store
        .record_managed_authority(ca.clone(), by())
        .await
        .unwrap();
    let record = certificate(500, other_zone.id, &ca, Status::Active);
    store
        .record_certificate(record.clone(), None, by())
        .await
        .unwrap();
    let change = async |place: &Place, event| {
        place
            .store
            .change_status(other_zone.id, record.id, event, by())
            .await
            .unwrap()
            .unwrap();
    };
    place.hold(1).await;
    let backup = place.back_up();
    std::fs::copy(&backup, place.path("first.db")).unwrap();
    change(&place, Event::HOLD).await;
    place.hold(2).await;
    place.hold(3).await;
    change(&place, Event::Reactivate).await;
    place.restore(2).await;
    let (own, others) = (last_number(&place, 0).await, last_number(&place, 1).await);
    assert_eq!((own, others), (5, 3));
    let before = (known(&place, 0, own).await, known(&place, 1, others).await);
    let all = [1, 2, 3, 4, 5, 6, 7, 8];
    let ends: Vec<_> = before
        .0
        .iter()
        .chain(&before.1)
        .flatten()
        .copied()
        .collect();
    assert!(all.iter().all(|epoch| ends.contains(epoch)), "{ends:?}");

    let jump = 1_u64 << 32;
    let mut place = place.replaced_by(&backup).await;
    // The second time, the journal has the line of the first restore.
    for restores in 1..=2 {
        assert!(matches!(place.begin().await, JournalBegun::Restored(done) if done.is_all));
        place.is_intact().await;
        let after = (known(&place, 0, own).await, known(&place, 1, others).await);
        assert_eq!(after, before);
        for (n, last) in [(0, own), (1, others)] {
            // The restore changes the configuration. Numbers that the journal lacks are refused.
            assert_eq!(last_number(&place, n).await, last + restores * jump);
            let lost = known(&place, n, last + 2).await;
            assert_eq!(lost[lost.len() - 2..], [None, None]);
        }
        let after = before.0[2].unwrap();
        let changes = place.store.revocation_changes(account(0).id, after, 9);
        let numbers = changes.await.unwrap();
        let numbers: Vec<_> = numbers.iter().map(FollowedChange::epoch).collect();
        assert_eq!(numbers, [4, 5, own + restores * jump]);
        if restores == 1 {
            let first = last_number(&place, 1).await;
            let backup = place.path("again.db");
            std::fs::copy(place.path("first.db"), &backup).unwrap();
            place = place.replaced_by(&backup).await;
            assert_eq!(first, others + jump);
        }
    }
    // A follower of the first restore continues, and the next change has the next number.
    let between = place.store.known_epoch(account(1).id, others + jump).await;
    assert!(between.unwrap().is_some());
    change(&place, Event::HOLD).await;
    assert_eq!(last_number(&place, 1).await, others + 2 * jump + 1);
    place.is_intact().await;
}
