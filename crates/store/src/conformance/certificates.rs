//! Certificates, their statuses and settling: each verb with each outcome.

use certgate_model::{
    AuthorityRecord, CertificateId, CertificateQuery, CertificateRecord, Direction, Event,
    RevocationReason, SerialNumber, Slice, Status, Timestamp, Totals, ZoneId,
};

use super::fixtures;
use super::fixtures::EVERYTHING;
use super::fixtures::{by, by_at};
use crate::{CertificateRecorded, CertificatesPart, Settled, StatusChange, Store};

pub(super) async fn certificates(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(1, &fixtures::account(1)).id;
    let make = |n| fixtures::certificate(n, zone, authority, Status::Active);
    let first = make(1);
    let recorded = store
        .record_certificate(first.clone(), Some(1), by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Recorded);
    let recorded = store
        .record_certificate(make(2), Some(1), by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::QuotaReached);
    let elsewhere = CertificateRecord {
        zone: ZoneId::from_bytes([0; 16]),
        ..make(2)
    };
    let recorded = store
        .record_certificate(elsewhere, None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::NoZone);

    let same_id = CertificateRecord {
        id: first.id,
        ..make(2)
    };
    let recorded = store
        .record_certificate(same_id, None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Exists);
    let mut no_authority = make(2);
    no_authority.authority.id = fixtures::authority(50, &fixtures::account(1)).id;
    let refused = store.record_certificate(no_authority, None, by()).await;
    assert_eq!(
        refused.expect("record"),
        CertificateRecorded::AuthorityNotActive
    );
    let smallest = CertificateRecord {
        serial: SerialNumber::from_bytes([0; 20]),
        ..make(3)
    };
    store
        .record_certificate(smallest.clone(), None, by())
        .await
        .expect("record");

    assert_eq!(
        store.certificate(zone, first.id).await.expect("read"),
        Some(first.clone())
    );
    let other_zone = fixtures::zone(2, &fixtures::account(1)).id;
    assert_eq!(
        store.certificate(other_zone, first.id).await.expect("read"),
        None
    );
    assert_eq!(
        store
            .certificate(zone, CertificateId::from_bytes([1; 16]))
            .await
            .expect("read"),
        None
    );
    let query = CertificateQuery {
        status: None,
        slice: EVERYTHING,
    };
    let page = store.certificates(zone, query).await.expect("list");
    assert_eq!((page.items, page.total), (vec![smallest, first], 2));
    let page = store.certificates(other_zone, query).await.expect("list");
    assert_eq!((page.items, page.total), (Vec::new(), 0));
    assert_eq!(
        store.totals(zone).await.expect("totals"),
        Totals::new([2, 0, 0, 0])
    );
}

pub(super) async fn statuses(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(1, &fixtures::account(1)).id;
    let id = fixtures::certificate(1, zone, authority, Status::Active).id;
    let at = fixtures::instant(1_000);
    let change = |event| store.change_status(zone, id, event, by_at(at));
    let is = |status, revoked_on: Option<Timestamp>| CertificateRecord {
        revoked_on,
        revocation_reason: revoked_on.map(|_| RevocationReason::CertificateHold),
        ..fixtures::certificate(1, zone, authority, status)
    };
    let revoking = is(Status::PendingRevocation, Some(at));
    let revoked = is(Status::Revoked, Some(at));
    let restoring = is(Status::PendingReactivation, None);
    let active = is(Status::Active, None);
    let steps = [
        (Event::Reactivate, StatusChange::Unchanged(active.clone())),
        (Event::Settle, StatusChange::Unchanged(active.clone())),
        (Event::HOLD, StatusChange::Changed(revoking.clone())),
        (Event::HOLD, StatusChange::Unchanged(revoking.clone())),
        (Event::Reactivate, StatusChange::Changed(restoring.clone())),
        (
            Event::Reactivate,
            StatusChange::Unchanged(restoring.clone()),
        ),
        (Event::HOLD, StatusChange::Changed(revoking)),
        (Event::Settle, StatusChange::Changed(revoked.clone())),
        (Event::Settle, StatusChange::Unchanged(revoked.clone())),
        (Event::HOLD, StatusChange::Unchanged(revoked)),
        (Event::Reactivate, StatusChange::Changed(restoring)),
        (Event::Settle, StatusChange::Changed(active.clone())),
    ];
    for (event, expected) in steps {
        assert_eq!(
            change(event).await.expect("change"),
            Some(expected),
            "{event:?}"
        );
    }
    assert_eq!(
        store.certificate(zone, id).await.expect("read"),
        Some(active)
    );
    let elsewhere = fixtures::zone(2, &fixtures::account(1)).id;
    assert_eq!(
        store
            .change_status(elsewhere, id, Event::HOLD, by_at(at))
            .await
            .expect("change"),
        None
    );
    let unknown = CertificateId::from_bytes([1; 16]);
    assert_eq!(
        store
            .change_status(zone, unknown, Event::HOLD, by_at(at))
            .await
            .expect("change"),
        None
    );
}

pub(super) async fn settling(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(2, &fixtures::account(1)).id;
    let ids: Vec<_> = (100..106)
        .map(|n| fixtures::certificate(n, zone, authority, Status::Active).id)
        .collect();
    for n in 100..106 {
        let status = if n < 103 {
            Status::Active
        } else {
            Status::Revoked
        };
        let record = fixtures::certificate(n, zone, authority, status);
        store
            .record_certificate(record, None, by())
            .await
            .expect("record");
    }
    let at = fixtures::instant(2_000);
    // Changes settle in the order in which they were accepted, not in the order of issue.
    for (index, event) in [
        (5, Event::Reactivate),
        (2, Event::HOLD),
        (3, Event::Reactivate),
        (0, Event::HOLD),
    ] {
        store
            .change_status(zone, ids[index], event, by_at(at))
            .await
            .expect("change");
    }
    let settled = store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], 0)
        .await
        .expect("settle");
    assert_eq!(settled, Settled::default());
    let settled = store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], 2)
        .await
        .expect("settle");
    assert_eq!(
        settled,
        Settled {
            reactivated: 1,
            revoked: 1
        }
    );
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(
            store
                .certificate(zone, *id)
                .await
                .expect("read")
                .expect("it exists")
                .status,
        );
    }
    use Status::{Active, PendingReactivation, PendingRevocation, Revoked};
    assert_eq!(
        statuses,
        [
            PendingRevocation,
            Active,
            Revoked,
            PendingReactivation,
            Revoked,
            Active
        ]
    );
    assert_eq!(
        store.totals(zone).await.expect("totals"),
        Totals::new([2, 1, 1, 2])
    );
    let settled = store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");
    assert_eq!(
        settled,
        Settled {
            reactivated: 1,
            revoked: 1
        }
    );
    assert_eq!(
        store
            .settle_pending(u64::MAX, fixtures::instant(0), &[], 10)
            .await
            .expect("settle"),
        Settled::default()
    );
    assert_eq!(
        store.totals(zone).await.expect("totals"),
        Totals::new([3, 0, 0, 3])
    );
}

pub(super) async fn deep_slices(store: &dyn Store) {
    let zone = fixtures::zone(2, &fixtures::account(1)).id;
    for first in [
        7,
        1 << 31,
        1 << 36,
        1 << 62,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX,
    ] {
        for size in [0, 1, u32::MAX] {
            let slice = Slice { first, size };
            for (status, total) in [
                (None, 6),
                (Some(Status::Revoked), 3),
                (Some(Status::PendingRevocation), 0),
            ] {
                let query = CertificateQuery { status, slice };
                let page = store.certificates(zone, query).await.expect("list");
                assert_eq!((page.items, page.total), (Vec::new(), total), "{query:?}");
            }
            assert!(
                store
                    .tokens(None, Direction::Ascending, slice)
                    .await
                    .expect("list")
                    .items
                    .is_empty()
            );
        }
    }
    for status in [None, Some(Status::Revoked)] {
        let query = CertificateQuery {
            status,
            slice: Slice {
                first: 1,
                size: u32::MAX,
            },
        };
        let page = store.certificates(zone, query).await.expect("list");
        assert_eq!(page.items.len() as u64, page.total - 1);
        // The rest of the page after its first record.
        let rest = CertificatesPart {
            query,
            after: page.items.first().map(|first| first.id),
            octets_max: usize::MAX,
        };
        let rest = store.certificates_part(zone, rest).await.expect("list");
        assert_eq!(rest.items, page.items[1..]);
    }
}
