//! The verbs of revocation lists.

use certgate_model::{
    AuthorityRecord, CrlKind, CrlRecord, Event, Revocation, RevocationReason, Status, Timestamp,
};

use super::fixtures;
use super::fixtures::by_at;
use crate::{AgedCrls, CrlState, Issued, Settled, StatusChange, Store};

/// Tries the verbs of revocation lists, in a zone with certificates 100 to 105, some of them
/// revoked.
pub(super) async fn lists(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(2, &fixtures::account(1)).id;
    let far = fixtures::instant(0).plus_days(800);
    let at = fixtures::instant(4_000);
    // Every list of every CA is due from the start, and none exists.
    let wanted = |kind| (authority.id, kind);
    let due = store
        .crls_changed(fixtures::instant(0))
        .await
        .expect("changed");
    assert!(CrlKind::all().all(|kind| due.contains(&wanted(kind))));
    assert_eq!(
        store.crl(authority.id, CrlKind::Full).await.expect("read"),
        None
    );

    let made = |kind, number, epoch| CrlRecord {
        authority: authority.id,
        kind,
        number,
        epoch,
        this_update: fixtures::instant(5_000),
        next_update: fixtures::instant(9_000),
        der: Some(vec![number as u8; 3]),
    };
    assert_eq!(store.crl_states(authority.id).await.expect("read"), []);
    let renew_on = fixtures::instant(7_000);
    for kind in CrlKind::all() {
        let content = store
            .crl_content(authority.id, kind, at, 1_000)
            .await
            .expect("read")
            .expect("it exists");
        assert_eq!(
            (content.number_before, content.epoch),
            (0, store.last_epoch().await.expect("epoch"))
        );
        let list = made(kind, 7, content.epoch);
        assert!(
            store
                .record_crl(list.clone(), renew_on)
                .await
                .expect("record")
        );
        assert!(
            !store
                .record_crl(list.clone(), renew_on)
                .await
                .expect("record"),
            "the number is not higher"
        );
        assert_eq!(
            store.crl(authority.id, kind).await.expect("read"),
            Some(list)
        );
    }
    let states = store.crl_states(authority.id).await.expect("read");
    let expected = |kind| CrlState {
        kind,
        number: 7,
        this_update: fixtures::instant(5_000),
        next_update: fixtures::instant(9_000),
        is_made: true,
    };
    assert_eq!(states, CrlKind::all().map(expected).collect::<Vec<_>>());
    let of_this_one = |due: Vec<(_, CrlKind)>| -> Vec<CrlKind> {
        due.into_iter()
            .filter(|(id, _)| *id == authority.id)
            .map(|(_, kind)| kind)
            .collect()
    };
    let changed = async || {
        of_this_one(
            store
                .crls_changed(fixtures::instant(0))
                .await
                .expect("changed"),
        )
    };
    let aged_at =
        |at| async move { of_this_one(store.crls_aged(at, far, 1_000).await.expect("aged").due) };
    assert_eq!(changed().await, []);
    assert_eq!(aged_at(fixtures::instant(6_999)).await, []);
    assert_eq!(
        aged_at(renew_on).await.len(),
        130,
        "every list is due after a time"
    );
    let too_far = store
        .crls_aged(fixtures::instant(0), fixtures::instant(6_999), 1_000)
        .await
        .expect("aged");
    assert_eq!(
        of_this_one(too_far.due).len(),
        130,
        "lists from the future are due: a clock was wrong"
    );
    assert_eq!(
        store
            .crls_aged(renew_on, far, 7)
            .await
            .expect("aged")
            .due
            .len(),
        7
    );
    expired_authorities(store, authority, renew_on, far).await;

    // After a revocation two lists are due, and both have its entry immediately.
    let certificate = fixtures::certificate(101, zone, authority, Status::Active);
    let current = store
        .certificate(zone, certificate.id)
        .await
        .expect("read")
        .expect("it exists");
    let at = fixtures::instant(6_000);
    let event = match current.status {
        Status::Active => Event::Revoke(RevocationReason::KeyCompromise),
        other => panic!("{other}"),
    };
    store
        .change_status(zone, certificate.id, event, by_at(at))
        .await
        .expect("revoke");
    let shard = CrlKind::Shard(certificate.serial.shard());
    let mut old = changed().await;
    old.sort();
    assert_eq!(old, [shard, CrlKind::Full]);
    let revocation = Revocation {
        serial: certificate.serial,
        revoked_on: at,
        reason: RevocationReason::KeyCompromise,
    };
    for kind in [shard, CrlKind::Full] {
        let content = store
            .crl_content(authority.id, kind, at, 1_000)
            .await
            .expect("read")
            .expect("it exists");
        assert!(content.revocations.contains(&revocation) && content.number_before == 7);
        let few = store
            .crl_content(authority.id, kind, at, 0)
            .await
            .expect("read")
            .expect("it exists");
        assert_eq!(few.revocations.len(), 1, "one more than the limit");
    }
    let content = store
        .crl_content(authority.id, CrlKind::AuthorityCertificates, at, 9)
        .await
        .expect("read");
    assert_eq!(content.expect("it exists").revocations, []);

    // A permanent revocation cannot be undone, and does not settle before its epoch is published.
    let refused = store
        .change_status(zone, certificate.id, Event::Reactivate, by_at(at))
        .await
        .expect("change");
    assert_eq!(refused, Some(StatusChange::Refused));
    let epoch = store.last_epoch().await.expect("epoch");
    let settled = store
        .settle_pending(epoch - 1, fixtures::instant(0), &[], 10)
        .await
        .expect("settle");
    assert_eq!(settled, Settled::default());
    let issued = store
        .issued(authority.id, certificate.serial, certificate.id)
        .await
        .expect("read");
    let expected = Issued {
        status: Status::PendingRevocation,
        epoch,
        revocation: Some(revocation),
    };
    assert_eq!(issued, Some(expected));
    let settled = store
        .settle_pending(epoch, fixtures::instant(0), &[authority.id], 10)
        .await
        .expect("settle");
    assert_eq!(settled, Settled::default(), "the CA is left out");
    let settled = store
        .settle_pending(epoch, fixtures::instant(0), &[], 10)
        .await
        .expect("settle");
    assert_eq!(
        settled,
        Settled {
            reactivated: 0,
            revoked: 1
        }
    );

    // A certificate leaves the lists after it has expired and each list has included it once more.
    let after = certificate.expires_on.plus_seconds(1);
    for (number, on_it) in [(8, true), (9, false)] {
        for kind in [shard, CrlKind::Full] {
            let content = store
                .crl_content(authority.id, kind, after, 1_000)
                .await
                .expect("read")
                .expect("it exists");
            assert_eq!(
                content.revocations.contains(&revocation),
                on_it,
                "{kind:?} {number}"
            );
            let list = CrlRecord {
                this_update: after,
                next_update: far,
                ..made(kind, number, epoch)
            };
            assert!(store.record_crl(list, far).await.expect("record"));
        }
    }
    assert_eq!(
        aged_at(after).await.len(),
        128,
        "all lists except these two are due in the meantime"
    );
    // After the clock is set back it is on the list again, in spite of lists from the future.
    let early = store
        .crl_content(authority.id, shard, at, 1_000)
        .await
        .expect("read")
        .expect("it exists");
    assert!(early.revocations.contains(&revocation));

    // A list that would be too long is not stored, and is not due.
    let none = CrlRecord {
        der: None,
        ..made(CrlKind::Full, 10, epoch)
    };
    assert!(store.record_crl(none.clone(), far).await.expect("record"));
    assert_eq!(
        store.crl(authority.id, CrlKind::Full).await.expect("read"),
        Some(none)
    );

    let active = fixtures::certificate(105, zone, authority, Status::Active);
    let issued = store
        .issued(authority.id, active.serial, active.id)
        .await
        .expect("read")
        .expect("issued");
    assert_eq!((issued.status, issued.revocation), (Status::Active, None));
    let stray = fixtures::authority(50, &fixtures::account(1)).id;
    assert_eq!(
        store
            .issued(stray, active.serial, active.id)
            .await
            .expect("read"),
        None
    );
    let other_serial = fixtures::certificate(102, zone, authority, Status::Active).serial;
    assert_eq!(
        store
            .issued(authority.id, other_serial, active.id)
            .await
            .expect("read"),
        None
    );

    let authorities = store.authority_certificates().await.expect("list");
    assert!(authorities.contains(&(authority.id, authority.certificate_der.clone())));
    assert_eq!(
        store.record_serial_key(vec![1]).await.expect("record"),
        Some(vec![1])
    );
    assert_eq!(
        store.record_serial_key(vec![2]).await.expect("record"),
        Some(vec![1])
    );
}

/// The CRLs of an expired CA are set aside, so that they do not fill the looks, until the clock is
/// set back.
async fn expired_authorities(
    store: &dyn Store,
    authority: &AuthorityRecord,
    renew_on: Timestamp,
    far: Timestamp,
) {
    let late = authority.expires_on.plus_seconds(1);
    let aged = async |at| store.crls_aged(at, far, 1_000).await.expect("aged");
    let kinds = |aged: &AgedCrls| {
        let of_this_one = aged.due.iter().filter(|(id, _)| *id == authority.id);
        of_this_one.count()
    };
    assert_eq!(kinds(&aged(late).await), 0, "it cannot sign");
    assert!(aged(late).await.expired.contains(&authority.id));
    let expired = vec![authority.id];
    store.set_crls_aside(expired).await.expect("set aside");
    assert!(!aged(late).await.expired.contains(&authority.id));
    assert_eq!(kinds(&aged(late).await), 0);
    // At its end it is not valid any more.
    assert_eq!(kinds(&aged(authority.expires_on).await), 0);
    assert_eq!(kinds(&aged(renew_on).await), 130, "the clock was wrong");
}
