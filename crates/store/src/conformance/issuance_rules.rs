//! Issuance rules of zones, and the counts that they limit.

use std::sync::Arc;

use certgate_model::{AuthorityRecord, CertificateRecord, Event, Status, StoredRules, ZoneId};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{
    Basis, CertificateRecorded, CountedLimits, DayLimit, Neighbours, RecordingLimits, Store,
    ZoneDeleted, ZoneRecorded,
};

/// The owners of two counts.
const OWNERS: [[u8; 16]; 2] = [[0xa1; 16], [0xa2; 16]];

pub(super) async fn issuance_rules(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(60, &fixtures::account(1));
    let recorded = store
        .record_zone(zone.clone(), Neighbours::Every, by())
        .await
        .expect("record");
    assert_eq!(recorded, ZoneRecorded::Recorded);
    replaced(store, zone.id).await;
    of_a_day(store, zone.id, authority).await;
    of_a_name(store, zone.id, authority).await;
    // Other parts of the suite count the zones.
    for n in 60_000..61_650 {
        let id = fixtures::certificate(n, zone.id, authority, Status::Active).id;
        let revoked = store.change_status(zone.id, id, Event::HOLD, by()).await;
        revoked.expect("revoke");
    }
    let at = fixtures::instant(9_000);
    let settled = store.settle_pending(u64::MAX, at, &[], 1_000);
    settled.await.expect("settle");
    let deleted = store.delete_zone(zone.id, by()).await.expect("delete");
    assert_eq!(deleted, ZoneDeleted::Deleted);
}

async fn replaced(store: &dyn Store, zone: ZoneId) {
    for n in [1, 2, 3] {
        let rules = fixtures::issuance_rules(n);
        let at = fixtures::instant(n);
        let replaced = store
            .replace_issuance_rules(zone, rules.clone(), by_at(at))
            .await
            .expect("replace")
            .expect("the zone exists");
        assert_eq!(
            (&replaced.issuance_rules, replaced.modified_on),
            (&rules, at)
        );
        assert_eq!(store.zone(zone).await.expect("read"), Some(replaced));
    }
    let missing = ZoneId::from_bytes([0; 16]);
    let replaced = store.replace_issuance_rules(missing, StoredRules::Absent, by());
    assert_eq!(replaced.await.expect("replace"), None);
}

/// Records certificates at the same time, with these limits.
pub async fn record_counted(
    store: &dyn Store,
    certificates: Vec<CertificateRecord>,
    limits: &CountedLimits,
) -> Vec<CertificateRecorded> {
    let record = |certificate: CertificateRecord| {
        let (sender, answer) = oneshot::channel();
        let limits = RecordingLimits {
            quota: None,
            counted: Some(Box::new(limits.clone())),
        };
        let report = Box::new(|recorded| drop(sender.send(recorded)));
        store.hand_over_certificate(
            Arc::new(certificate),
            limits,
            Basis::Permission,
            by(),
            report,
        );
        async { answer.await.expect("an answer").expect("record") }
    };
    join_all(certificates.into_iter().map(record)).await
}

fn recorded(outcomes: &[CertificateRecorded]) -> usize {
    let recorded = |outcome: &&CertificateRecorded| **outcome == CertificateRecorded::Recorded;
    outcomes.iter().filter(recorded).count()
}

async fn of_a_day(store: &dyn Store, zone: ZoneId, authority: &AuthorityRecord) {
    let make = |numbers: std::ops::Range<u32>| {
        numbers
            .map(|n| fixtures::certificate(n, zone, authority, Status::Active))
            .collect::<Vec<_>>()
    };
    let limits = |day, maxima: [u64; 2]| CountedLimits {
        day,
        per_day: OWNERS
            .into_iter()
            .zip(maxima)
            .map(|(owner, max)| DayLimit { owner, max })
            .collect(),
        active_per_name: None,
    };
    let outcomes = record_counted(store, make(60_000..60_020), &limits(7, [5, 9])).await;
    assert_eq!(recorded(&outcomes), 5);
    let refused = CertificateRecorded::DayLimitReached { owner: OWNERS[0] };
    assert_eq!(outcomes.iter().filter(|one| **one == refused).count(), 15);
    // A refused certificate counts for no owner.
    let outcomes = record_counted(store, make(60_020..60_040), &limits(7, [100, 9])).await;
    assert_eq!(recorded(&outcomes), 4);
    let refused = CertificateRecorded::DayLimitReached { owner: OWNERS[1] };
    assert_eq!(outcomes.iter().filter(|one| **one == refused).count(), 16);
    // The clock of another server is on an earlier day.
    assert_eq!(
        recorded(&record_counted(store, make(60_040..60_041), &limits(6, [100, 9])).await),
        0
    );
    assert_eq!(
        recorded(&record_counted(store, make(60_041..60_050), &limits(8, [100, 3])).await),
        3
    );
    // The clock of a third one is two days late: the count that it sees is not that of its day, nor
    // that of the next.
    assert_eq!(
        recorded(&record_counted(store, make(60_050..60_060), &limits(6, [100, 2])).await),
        2
    );
    // Midnight in a batch.
    let days = [20, 21].map(|day| limits(day, [100, 2]));
    let of_days = (60_060..60_068).map(|n| {
        let day = &days[usize::from(n >= 60_064)];
        record_counted(store, make(n..n + 1), day)
    });
    let outcomes = join_all(of_days).await.concat();
    assert_eq!(recorded(&outcomes), 4);
}

async fn of_a_name(store: &dyn Store, zone: ZoneId, authority: &AuthorityRecord) {
    let named = |n: u32, name: &str| {
        let mut certificate = fixtures::certificate(n, zone, authority, Status::Active);
        name.clone_into(&mut certificate.subject.common_name);
        certificate
    };
    let limits = |max| CountedLimits {
        day: 0,
        per_day: Vec::new(),
        active_per_name: Some(max),
    };
    let names = ["Phone", "PHONE", "phone", "tablet"];
    let batch = |from: u32| {
        (0..8)
            .map(|n| named(from + n, names[n as usize % 4]))
            .collect()
    };
    let outcomes = record_counted(store, batch(61_000), &limits(2)).await;
    // Two phones, two tablets.
    assert_eq!(recorded(&outcomes), 4);
    let refused = CertificateRecorded::NameLimitReached;
    assert_eq!(outcomes.iter().filter(|one| **one == refused).count(), 4);
    assert_eq!(
        recorded(&record_counted(store, batch(61_010), &limits(2)).await),
        0
    );
    // A revoked or expired certificate does not count.
    let first = outcomes
        .iter()
        .position(|one| *one == CertificateRecorded::Recorded);
    let first = named(61_000 + first.expect("some are recorded") as u32, "Phone").id;
    let revoked = store.change_status(zone, first, Event::HOLD, by()).await;
    assert!(revoked.expect("revoke").is_some());
    assert_eq!(
        recorded(&record_counted(store, batch(61_020), &limits(2)).await),
        1
    );
    let mut expired = named(61_030, "watch");
    expired.expires_on = fixtures::instant(0);
    assert_eq!(
        recorded(&record_counted(store, vec![expired], &limits(1)).await),
        1
    );
    assert_eq!(
        recorded(&record_counted(store, vec![named(61_031, "watch")], &limits(1)).await),
        1
    );
    assert_eq!(
        recorded(&record_counted(store, vec![named(61_032, "watch")], &limits(1)).await),
        0
    );
    // The only active one is the oldest of many.
    let mut many: Vec<_> = (61_100..61_620).map(|n| named(n, "many")).collect();
    for one in &mut many[1..] {
        one.expires_on = fixtures::instant(0);
    }
    assert_eq!(
        recorded(&record_counted(store, many, &limits(1_000)).await),
        520
    );
    for (n, max, expected) in [(61_630, 1, 0), (61_631, 2, 1), (61_632, 2, 0)] {
        let outcomes = record_counted(store, vec![named(n, "many")], &limits(max)).await;
        assert_eq!(recorded(&outcomes), expected, "{n}");
    }
    // Names that share the part that is indexed.
    let long = |end: &str| format!("{}{end}", "n".repeat(300));
    let both = vec![named(61_040, &long("a")), named(61_041, &long("b"))];
    assert_eq!(recorded(&record_counted(store, both, &limits(1)).await), 2);
    assert_eq!(
        recorded(&record_counted(store, vec![named(61_042, &long("A"))], &limits(1)).await),
        0
    );
}
