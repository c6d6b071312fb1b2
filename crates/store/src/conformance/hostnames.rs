//! Lists of hostnames, and the state that an enforcement point reads. Tests that need an uploaded
//! certificate are elsewhere.

use certgate_model::{
    AuthorityRecord, CertificateRecord, EnforcedAuthority, Enforcement, Event, MtlsCertificateId,
    Status, ZoneId,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{CertificateRecorded, HostnamesReplaced, Neighbours, Store, ZoneDeleted, ZoneRecorded};

/// Makes two zones and deletes them at the end. `authority` is the managed CA of account 1.
pub(super) async fn hostnames(store: &dyn Store, authority: &AuthorityRecord) {
    let (first, second) = (
        fixtures::zone(20, &fixtures::account(1)),
        fixtures::zone(21, &fixtures::account(1)),
    );
    for zone in [&first, &second] {
        assert_eq!(
            store
                .record_zone(zone.clone(), Neighbours::Every, by())
                .await
                .expect("record"),
            ZoneRecorded::Recorded
        );
    }
    lists(store, first.id, second.id).await;
    enforcement(store, first.id, authority).await;
    epochs(store, first.id, authority).await;

    let certificate = |n| fixtures::certificate(n, first.id, authority, Status::Active).id;
    let at = fixtures::instant(2_500);
    for n in [300, 301] {
        store
            .change_status(first.id, certificate(n), Event::HOLD, by_at(at))
            .await
            .expect("revoke");
    }
    store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");
    for zone in [&first, &second] {
        assert_eq!(
            store.delete_zone(zone.id, by_at(at)).await.expect("delete"),
            ZoneDeleted::Deleted
        );
        assert_eq!(
            store
                .hostname_associations(zone.id, None)
                .await
                .expect("read"),
            None
        );
        assert_eq!(
            replace(store, zone.id, &["x.example"]).await,
            HostnamesReplaced::NoZone
        );
    }
    assert_eq!(store.enforcement("c.example").await.expect("read"), None);
    // The hostnames of a deleted zone are free.
    let elsewhere = fixtures::zone(0, &fixtures::account(0)).id;
    assert_eq!(
        replace(store, elsewhere, &["c.example"]).await,
        HostnamesReplaced::Replaced
    );
    assert_eq!(
        replace(store, elsewhere, &[]).await,
        HostnamesReplaced::Replaced
    );
}

async fn lists(store: &dyn Store, zone: ZoneId, other: ZoneId) {
    assert_eq!(listed(store, zone).await, [""; 0]);
    for list in [
        &["b.example", "A.Example", "c.example"][..],
        &["a.EXAMPLE", "c.example", "b.example", "d.example"],
        &["a.EXAMPLE", "c.example", "b.example", "d.example"],
        &[],
        &["b.example", "c.example"],
    ] {
        assert_eq!(
            replace(store, zone, list).await,
            HostnamesReplaced::Replaced
        );
        assert_eq!(listed(store, zone).await, list);
        assert_eq!(listed(store, other).await, [""; 0]);
    }
    let refused = replace(store, other, &["x.example", "y.example", "C.example"]).await;
    assert_eq!(refused, HostnamesReplaced::ListedElsewhere { index: 2 });
    assert_eq!(
        listed(store, other).await,
        [""; 0],
        "a refusal changes nothing"
    );

    let unknown = Some(MtlsCertificateId::from_bytes([9; 16]));
    assert_eq!(
        store
            .hostname_associations(zone, unknown)
            .await
            .expect("read"),
        None
    );
    let replaced = store
        .replace_hostname_associations(zone, unknown, Vec::new(), by())
        .await;
    assert_eq!(replaced.expect("replace"), HostnamesReplaced::NoCertificate);
    let nowhere = ZoneId::from_bytes([9; 16]);
    assert_eq!(
        store
            .hostname_associations(nowhere, None)
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        replace(store, nowhere, &["x.example"]).await,
        HostnamesReplaced::NoZone
    );
}

async fn enforcement(store: &dyn Store, zone: ZoneId, authority: &AuthorityRecord) {
    for unlisted in ["", "example", "a.example", "x.b.example", "b.example."] {
        assert_eq!(
            store.enforcement(unlisted).await.expect("read"),
            None,
            "{unlisted}"
        );
    }
    let found = store
        .enforcement("B.EXAMPLE")
        .await
        .expect("read")
        .expect("it is listed");
    let managed = EnforcedAuthority::Managed {
        id: authority.id,
        certificate_der: authority.certificate_der.clone(),
        last_epoch: last_epoch(store, "b.example").await,
    };
    assert_eq!(
        found,
        Enforcement {
            zone,
            account: authority.account,
            authorities: vec![managed]
        }
    );

    // Listed before the account's CA was made: no client certificate is accepted.
    let (zone, account) = (
        fixtures::zone(0, &fixtures::account(0)),
        fixtures::account(0),
    );
    assert_eq!(
        replace(store, zone.id, &["early.example"]).await,
        HostnamesReplaced::Replaced
    );
    let found = store.enforcement("early.example").await.expect("read");
    let nothing_accepted = Enforcement {
        zone: zone.id,
        account: account.id,
        authorities: Vec::new(),
    };
    assert_eq!(found, Some(nothing_accepted));
    let made = store
        .record_managed_authority(fixtures::authority(20, &account), by())
        .await;
    assert!(made.expect("record").is_some());
    assert_eq!(last_epoch(store, "early.example").await, 0);
}

/// Checks that every accepted status change raises the epoch of the certificate's CA, and that
/// nothing else does.
async fn epochs(store: &dyn Store, zone: ZoneId, authority: &AuthorityRecord) {
    let record = async |certificate: CertificateRecord| {
        let recorded = store
            .record_certificate(certificate, None, by())
            .await
            .expect("record");
        assert_eq!(recorded, CertificateRecorded::Recorded);
    };
    let at = fixtures::instant(2_400);
    let id = fixtures::certificate(300, zone, authority, Status::Active).id;
    let change = async |event| {
        store
            .change_status(zone, id, event, by_at(at))
            .await
            .expect("change")
            .is_some()
    };
    let mut last = last_epoch(store, "b.example").await;
    assert!(last > 0, "certificates of the CA were revoked");

    record(fixtures::certificate(300, zone, authority, Status::Active)).await;
    assert_eq!(last_epoch(store, "b.example").await, last);
    for (event, raises) in [
        (Event::Reactivate, false),
        (Event::HOLD, true),
        (Event::HOLD, false),
        (Event::Reactivate, true),
        (Event::HOLD, true),
        (Event::Settle, false),
        (Event::HOLD, false),
        (Event::Reactivate, true),
    ] {
        assert!(change(event).await);
        let now = last_epoch(store, "b.example").await;
        assert_eq!(now > last, raises, "{event:?}");
        assert!(now >= last);
        last = now;
    }
    store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");
    assert_eq!(last_epoch(store, "b.example").await, last);
    record(fixtures::certificate(
        301,
        zone,
        authority,
        Status::PendingReactivation,
    ))
    .await;
    assert!(last_epoch(store, "b.example").await > last);

    assert_eq!(
        last_epoch(store, "early.example").await,
        0,
        "the epoch of another CA stays the same"
    );
    let elsewhere = fixtures::zone(0, &fixtures::account(0)).id;
    assert_eq!(
        replace(store, elsewhere, &[]).await,
        HostnamesReplaced::Replaced
    );
    assert_eq!(
        store.enforcement("early.example").await.expect("read"),
        None
    );
}

async fn replace(store: &dyn Store, zone: ZoneId, hostnames: &[&str]) -> HostnamesReplaced {
    let hostnames = hostnames.iter().map(|name| (*name).to_owned()).collect();
    store
        .replace_hostname_associations(zone, None, hostnames, by())
        .await
        .expect("replace")
}

async fn listed(store: &dyn Store, zone: ZoneId) -> Vec<String> {
    store
        .hostname_associations(zone, None)
        .await
        .expect("read")
        .expect("the zone exists")
}

/// Returns the epoch of the only managed CA of a hostname.
async fn last_epoch(store: &dyn Store, hostname: &str) -> u64 {
    let found = store
        .enforcement(hostname)
        .await
        .expect("read")
        .expect("it is listed");
    match found.authorities[..] {
        [EnforcedAuthority::Managed { last_epoch, .. }] => last_epoch,
        ref other => panic!("{other:?}"),
    }
}
