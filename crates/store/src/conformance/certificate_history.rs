//! The history of certificates, and the entries of the audit log about them.

use certgate_model::{
    AuditAction, AuditEntry, AuditOwner, AuditQuery, By, CertificateId, Direction, Event,
    HistoryEvent, Indexed, Random, RevocationReason, Status, Timestamp,
};

use super::fixtures;
use super::fixtures::{by_at, instant};
use crate::{Neighbours, Store};

/// A source of the same octet.
struct Octet(u8);

impl Random for Octet {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

const EVERYTHING: AuditQuery = AuditQuery {
    since: Timestamp::EARLIEST,
    before: Timestamp::LATEST,
    actor: None,
    direction: Direction::Ascending,
    after: None,
    limit: 1_000,
};

/// Tries the history of a certificate with a time-ordered ID and of one without, in an account of
/// its own.
pub(super) async fn certificate_history(store: &dyn Store) {
    let account = fixtures::account(45);
    let zone = fixtures::zone(45, &account);
    let authority = fixtures::authority(45, &account);
    let begin = instant(100_000);
    let at = |seconds| by_at(begin.plus_seconds(seconds));
    let recorded = store.record_account(account.clone(), at(0)).await;
    recorded.expect("record");
    let recorded = store.record_zone(zone.clone(), Neighbours::Every, at(0));
    recorded.await.expect("record");
    let recorded = store.record_managed_authority(authority.clone(), at(0));
    recorded.await.expect("record");
    let ordered = CertificateId::time_ordered(begin.plus_seconds(100), &Octet(9));
    let named = CertificateId::named([0x45; 16]);
    for (n, id) in [(45_000, ordered), (45_001, named)] {
        let mut certificate = fixtures::certificate(n, zone.id, &authority, Status::Active);
        certificate.id = id;
        // The second entry is later than its certificate: another request overtook it.
        let by = if id == ordered { at(100) } else { at(90) };
        let recorded = store.record_certificate(certificate, None, by).await;
        recorded.expect("record");
    }
    let change = async |id, event, by: By| {
        let changed = store.change_status(zone.id, id, event, by).await;
        changed.expect("change").expect("it exists");
    };
    let history = async |id| {
        let history = store.history(zone.id, id).await.expect("read");
        match history.expect("it exists") {
            Indexed::Complete(entries) => entries,
            Indexed::NotYet => panic!("a new database is indexed"),
        }
    };
    let events = async |id| -> Vec<_> {
        let entries = history(id).await;
        entries.into_iter().map(|entry| entry.event).collect()
    };
    let held = HistoryEvent::Revoked {
        reason: Some(RevocationReason::CertificateHold),
    };
    for id in [ordered, named] {
        assert_eq!(events(id).await, [HistoryEvent::Issued]);
        change(id, Event::HOLD, at(200)).await;
        assert_eq!(events(id).await, [HistoryEvent::Issued, held]);
    }
    let settle = async |seconds| {
        let settled = store.settle_pending(u64::MAX, at(seconds).at, &[], 1_000);
        settled.await.expect("settle");
    };
    settle(300).await;
    change(ordered, Event::Reactivate, at(400)).await;
    use HistoryEvent::{Issued, Restored, Settled};
    assert_eq!(events(ordered).await, [Issued, held, Settled, Restored]);
    settle(500).await;
    assert_eq!(events(ordered).await, [Issued, held, Restored, Settled]);
    assert_eq!(events(named).await, [Issued, held, Settled]);
    let entries = history(ordered).await;
    let times: Vec<_> = entries.iter().map(|entry| entry.by.at).collect();
    let expected = [100, 200, 400, 500].map(|seconds| at(seconds).at);
    assert_eq!(times, expected);
    assert_eq!(entries[2].epoch, entries[3].epoch);
    assert!(entries[1].epoch < entries[2].epoch && entries[0].epoch.is_none());
    let missing = CertificateId::named([0x46; 16]);
    assert_eq!(store.history(zone.id, missing).await.expect("read"), None);
    let elsewhere = fixtures::first_records().zone.id;
    assert_eq!(store.history(elsewhere, ordered).await.expect("read"), None);
    of_certificates(store, AuditOwner::Account(account.id), &[ordered, named]).await;
}

/// Compares the entries about certificates with the whole log, for many conditions.
async fn of_certificates(store: &dyn Store, owner: AuditOwner, ids: &[CertificateId]) {
    let all = store.audit_entries(owner, EVERYTHING).await.expect("list");
    let is_about = |entry: &&AuditEntry| {
        let resource = CertificateId::from_bytes(entry.resource);
        ids.contains(&resource)
    };
    let about: Vec<_> = all.iter().filter(is_about).cloned().collect();
    assert_eq!(about.len(), 5);
    assert_eq!(about[0].action, AuditAction::Issue);
    let instants: Vec<_> = about.iter().map(|entry| entry.by.at).collect();
    for direction in [Direction::Ascending, Direction::Descending] {
        for since in &instants {
            for before in &instants {
                for (after, limit) in [(None, 2), (Some((about[2].by.at, about[2].number)), 9)] {
                    let query = AuditQuery {
                        since: *since,
                        before: *before,
                        direction,
                        after,
                        limit,
                        ..EVERYTHING
                    };
                    let mut expected = about.clone();
                    expected.retain(|entry| {
                        (*since..*before).contains(&entry.by.at)
                            && after.is_none_or(|after| match direction {
                                Direction::Ascending => (entry.by.at, entry.number) > after,
                                Direction::Descending => (entry.by.at, entry.number) < after,
                            })
                    });
                    if direction == Direction::Descending {
                        expected.reverse();
                    }
                    expected.truncate(limit as usize);
                    let found = store.certificate_entries(owner, ids.to_vec(), query);
                    let found = found.await.expect("list");
                    assert_eq!(found, Indexed::Complete(expected), "{query:?}");
                }
            }
        }
    }
}
