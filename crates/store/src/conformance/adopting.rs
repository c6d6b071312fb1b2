//! Certificates that a CA issued elsewhere.

use std::sync::Arc;

use certgate_model::{
    AuthorityRecord, CertificateFilter, CertificateId, CertificateRecord, CertificateSearch,
    CrlKind, Event, SearchOutcome, SerialNumber, Status, ZoneId,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{
    Adopted, Adoption, AuthorityPrepared, AuthorityReplaced, Confirmation, Neighbours,
    StatusChange, Store,
};

/// Tries the adoption with each outcome, and the changes of adopted certificates.
pub(super) async fn adopting(store: &dyn Store) {
    let account = fixtures::account(65);
    let zones = [65, 66].map(|n| fixtures::zone(n, &account));
    let recorded = store.record_account(account.clone(), by()).await;
    recorded.expect("record");
    for zone in &zones {
        let recorded = store.record_zone(zone.clone(), Neighbours::Every, by());
        recorded.await.expect("record");
    }
    let [zone, other] = zones.map(|zone| zone.id);
    let [active, prepared] = [720_u32, 721].map(|n| AuthorityRecord {
        certificate_der: n.to_be_bytes().repeat(150),
        ..fixtures::authority(n, &account)
    });
    let recorded = store.record_managed_authority(active.clone(), by()).await;
    recorded.expect("record");
    let recorded = store.prepare_managed_authority(prepared.clone(), false, 9, by());
    assert!(matches!(
        recorded.await.expect("prepare"),
        AuthorityPrepared::Prepared { .. }
    ));
    let issued = fixtures::certificate(7_200, zone, &active, Status::Active);
    let recorded = store.record_certificate(issued.clone(), None, by());
    recorded.await.expect("record");

    let adoption = |n: u8, serial: &[u8], zone, authority| {
        foreign(n, serial, zone, authority, &[&active, &prepared])
    };
    let first = adoption(1, &[1], zone, &prepared);
    let second = adoption(2, &[0, 0x80], zone, &active);
    let adopt = async |adoptions: &[&Adoption], quota| {
        let adoptions = adoptions.iter().map(|one| (*one).clone()).collect();
        let adopted = store.adopt_certificates(adoptions, quota, by()).await;
        adopted.expect("adopt")
    };
    // The CA need not be active.
    let outcomes = adopt(&[&first, &first, &second], None).await;
    assert_eq!(
        outcomes,
        [Adopted::Recorded, Adopted::Known, Adopted::Recorded]
    );
    assert_eq!(adopt(&[&second], None).await, [Adopted::Known]);
    let same_serial = adoption(3, &[1], zone, &prepared);
    let under_the_same_key = adoption(4, &[1], zone, &active);
    let elsewhere = adoption(5, &[1], other, &prepared);
    let in_request = [6, 7].map(|n| adoption(n, &[9], zone, &active));
    let ours = Adoption {
        own_id: issued.id,
        ..adoption(8, issued.serial.as_bytes(), zone, &active)
    };
    let stray = adoption(9, &[9], ZoneId::from_bytes([77; 16]), &active);
    let adoptions = [
        &same_serial,
        &under_the_same_key,
        &elsewhere,
        &ours,
        &in_request[0],
        &in_request[1],
        &stray,
    ];
    let outcomes = adopt(&adoptions, None).await;
    let taken = Adopted::SerialTaken;
    assert_eq!(outcomes[..4], [taken; 4]);
    assert_eq!(outcomes[4..6], [Adopted::Recorded, taken]);
    // The request before has its place.
    assert_eq!(outcomes[6], taken);
    let stray = adoption(10, &[10], ZoneId::from_bytes([77; 16]), &active);
    assert_eq!(adopt(&[&stray], None).await, [Adopted::NoZone]);
    let full = adoption(11, &[11], zone, &active);
    assert_eq!(adopt(&[&full], Some(4)).await, [Adopted::QuotaReached]);

    let record = &*first.certificate;
    let stored = store.certificate(zone, record.id).await.expect("read");
    assert_eq!(stored.as_ref(), Some(record));
    let search = CertificateSearch {
        filter: CertificateFilter {
            serials: Some(vec![(record.serial, None)]),
            ..CertificateFilter::default()
        },
        order: None,
        direction: None,
        slice: fixtures::EVERYTHING,
        after: None,
    };
    let searched = store.search(zone, search).await.expect("search");
    assert!(
        matches!(&searched, SearchOutcome::Found { items, .. } if items[..] == [record.clone()]),
        "{searched:?}"
    );
    let found = async |adoption: &Adoption| {
        let certificate = &adoption.certificate;
        let no_id = CertificateId::from_bytes([0; 16]);
        let found = store.issued(certificate.authority.id, certificate.serial, no_id);
        let found = found.await.expect("read");
        found.map(|issued| (issued.status, issued.revocation.is_some()))
    };
    assert_eq!(found(&first).await, Some((Status::Active, false)));
    assert_eq!(found(&full).await, None);
    let at = fixtures::instant(2_500);
    let changed = store.change_status(zone, record.id, Event::HOLD, by_at(at));
    assert!(matches!(
        changed.await.expect("change"),
        Some(StatusChange::Changed(_))
    ));
    assert_eq!(found(&first).await, Some((Status::PendingRevocation, true)));
    let content = async |kind| {
        let content = store.crl_content(prepared.id, kind, at, 9).await;
        let content = content.expect("read").expect("the CA has lists");
        let serials = content.revocations.iter().map(|entry| entry.serial);
        serials.collect::<Vec<_>>()
    };
    assert_eq!(content(CrlKind::Full).await, [record.serial]);
    assert_eq!(content(CrlKind::Shard(1)).await, [record.serial]);
    let restored = store.change_status(zone, record.id, Event::Reactivate, by_at(at));
    restored.await.expect("change");
    assert_eq!(content(CrlKind::Full).await, []);
    store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");
    // A CA with adopted certificates has signed.
    let retired =
        store.retire_managed_authority(account.id, prepared.id, Confirmation::Missing, by());
    assert_eq!(
        retired.await.expect("retire"),
        crate::AuthorityRetired::HasSigned
    );

    // A CA that was discarded has no place for a certificate.
    let [unused, latest] = [722, 723].map(|n| fixtures::authority(n, &account));
    for (expected, new, max) in [(&active, &unused, 3), (&unused, &latest, 3)] {
        let replaced = store.replace_managed_authority(Some(expected.id), new.clone(), max, by());
        assert!(matches!(
            replaced.await.expect("replace"),
            AuthorityReplaced::Replaced { .. }
        ));
    }
    let late = adoption(12, &[12], zone, &unused);
    assert_eq!(adopt(&[&late], None).await, [Adopted::NoAuthority]);
}

/// Returns a certificate with a serial number of another CA. `same_issuer` have its name and key.
pub fn foreign(
    n: u8,
    serial: &[u8],
    zone: ZoneId,
    authority: &AuthorityRecord,
    same_issuer: &[&AuthorityRecord],
) -> Adoption {
    let certificate = CertificateRecord {
        id: CertificateId::named([n; 16]),
        serial: SerialNumber::of_integer(serial).expect("a literal integer"),
        csr: String::new(),
        fingerprint_sha256: [n; 32],
        ..fixtures::certificate(7_300 + u32::from(n), zone, authority, Status::Active)
    };
    Adoption {
        certificate: Arc::new(certificate),
        same_issuer: same_issuer.iter().map(|one| one.id).collect(),
        own_id: CertificateId::from_bytes([n; 16]),
    }
}
