//! Managed CAs: each verb with each outcome.

use certgate_model::{AccountRecord, AuthorityRecord, CertificateQuery, Event, Status};

use super::fixtures;
use super::fixtures::EVERYTHING;
use super::fixtures::{by, by_at};
use crate::{AuthorityReplaced, CertificateRecorded, StatusChange, Store, StoreError};

pub(super) async fn authorities(store: &dyn Store) -> AuthorityRecord {
    let (first, second) = (
        fixtures::authority(1, &fixtures::account(1)),
        fixtures::authority(2, &fixtures::account(1)),
    );
    assert_eq!(
        store.managed_authority(first.account).await.expect("read"),
        None
    );
    for candidate in [first.clone(), second.clone(), first.clone()] {
        let managed = store
            .record_managed_authority(candidate, by())
            .await
            .expect("record");
        assert_eq!(managed, Some(first.clone()), "the first CA stays");
    }
    let stray = fixtures::authority(3, &fixtures::account(77));
    assert_eq!(
        store
            .record_managed_authority(stray, by())
            .await
            .expect("record"),
        None
    );
    assert_eq!(
        store.managed_authority(first.account).await.expect("read"),
        Some(first.clone())
    );
    assert_eq!(
        store.authority(first.id).await.expect("read"),
        Some(first.clone())
    );
    assert_eq!(store.authority(second.id).await.expect("read"), None);
    first
}

pub(super) async fn replaced_authorities(store: &dyn Store) {
    let account = fixtures::account(2);
    let zone = fixtures::zone(3, &account).id;
    let [first, second, third] = [21, 22, 23].map(|n| fixtures::authority(n, &account));
    let replace = |expected: Option<&AuthorityRecord>, new: &AuthorityRecord| {
        let expected = expected.map(|expected| expected.id);
        store.replace_managed_authority(expected, new.clone(), 3, by())
    };
    assert_eq!(
        store.managed_authorities(account.id).await.expect("read"),
        Vec::new()
    );
    let replaced = replace(Some(&first), &second).await.expect("replace");
    assert_eq!(
        replaced,
        AuthorityReplaced::NotExpected,
        "the account has none yet"
    );
    assert_eq!(store.authority(second.id).await.expect("read"), None);
    assert_eq!(
        replace(None, &first).await.expect("replace"),
        AuthorityReplaced::Replaced { discarded: None }
    );
    assert_eq!(
        replace(None, &second).await.expect("replace"),
        AuthorityReplaced::NotExpected
    );
    let old = fixtures::certificate(200, zone, &first, Status::Active);
    let recorded = store
        .record_certificate(old.clone(), None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Recorded);

    assert_eq!(
        replace(Some(&first), &second).await.expect("replace"),
        AuthorityReplaced::Replaced { discarded: None }
    );
    // A node that still considers the first CA active undoes nothing.
    assert_eq!(
        replace(Some(&first), &third).await.expect("replace"),
        AuthorityReplaced::NotExpected
    );
    assert!(
        matches!(
            replace(Some(&second), &first).await,
            Err(StoreError::Conflict(_))
        ),
        "the record exists"
    );
    assert_eq!(
        store.managed_authority(account.id).await.expect("read"),
        Some(second.clone())
    );
    assert_eq!(
        replace(Some(&second), &third).await.expect("replace"),
        AuthorityReplaced::Replaced { discarded: None }
    );
    let all = records(store, &account).await;
    assert_eq!(all, [third.clone(), second.clone(), first.clone()]);
    // Above the maximum, the oldest one that never signed makes room: the first one has signed.
    let fourth = fixtures::authority(24, &account);
    let discarded = Some(second.id);
    assert_eq!(
        replace(Some(&third), &fourth).await.expect("replace"),
        AuthorityReplaced::Replaced { discarded }
    );
    let latest = async |limit| {
        let latest = store.latest_managed_authorities(account.id, limit);
        latest.await.expect("read")
    };
    let expected = [fourth.id, third.id, second.id, first.id];
    assert_eq!(latest(9).await, expected, "the discarded one too");
    assert_eq!(latest(2).await, expected[..2]);
    let listed = store.authority_certificates().await.expect("read");
    let ids: Vec<_> = listed.iter().map(|(id, _)| *id).collect();
    assert!(ids.ends_with(&[first.id, third.id, fourth.id]), "{ids:?}");
    let all = records(store, &account).await;
    assert_eq!(all, [fourth.clone(), third.clone(), first.clone()]);
    assert_eq!(store.authority(second.id).await.expect("read"), None);
    assert_eq!(store.crl_states(second.id).await.expect("read"), Vec::new());
    let (second, third) = (third, fourth);
    assert_eq!(
        store
            .record_managed_authority(first.clone(), by())
            .await
            .expect("record"),
        Some(third.clone())
    );

    // New certificates of a superseded CA are rejected; its stored ones stay, and can change.
    for authority in [
        &first,
        &second,
        &fixtures::authority(1, &fixtures::account(1)),
    ] {
        let late = fixtures::certificate(201, zone, authority, Status::Active);
        let recorded = store
            .record_certificate(late, None, by())
            .await
            .expect("record");
        assert_eq!(recorded, CertificateRecorded::AuthorityNotActive);
    }
    let new = fixtures::certificate(202, zone, &third, Status::Active);
    let recorded = store
        .record_certificate(new.clone(), None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Recorded);
    let query = CertificateQuery {
        status: None,
        slice: EVERYTHING,
    };
    let page = store.certificates(zone, query).await.expect("list");
    assert_eq!(page.items, [new, old.clone()]);
    let at = fixtures::instant(2_500);
    let changed = store
        .change_status(zone, old.id, Event::HOLD, by_at(at))
        .await
        .expect("change");
    assert!(
        matches!(changed, Some(StatusChange::Changed(_))),
        "{changed:?}"
    );
    store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");

    let stray = fixtures::authority(24, &fixtures::account(77));
    assert_eq!(
        replace(None, &stray).await.expect("replace"),
        AuthorityReplaced::NoAccount
    );
    assert_eq!(
        store
            .managed_authorities(stray.account)
            .await
            .expect("read"),
        Vec::new()
    );
}

/// Returns the account's CAs, the active one first.
async fn records(store: &dyn Store, account: &AccountRecord) -> Vec<AuthorityRecord> {
    let all = store.managed_authorities(account.id).await.expect("read");
    all.into_iter().map(|authority| authority.record).collect()
}
