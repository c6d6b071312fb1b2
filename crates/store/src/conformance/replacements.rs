//! Lines of certificates, in an account of their own.

use std::sync::Arc;

use certgate_model::{
    AuthorityRecord, By, CertificateId, CertificateRecord, Event, Lineage, RevocationReason,
    Status, Timestamp, ZoneId,
};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::fixtures;
use super::fixtures::{by_at, instant};
use crate::{
    Basis, CertificateRecorded, Neighbours, RecordingLimits, Renewal, RenewalRefused,
    ReplacedCertificate, Store,
};

/// The least time between renewals, and their maximum on a day.
const INTERVAL_SECONDS: i64 = 60;
const PER_DAY_MAX: u64 = 3;

/// A zone with its CA, and a store.
struct Lines<'s> {
    store: &'s dyn Store,
    zone: ZoneId,
    authority: AuthorityRecord,
}

pub(super) async fn replacements(store: &dyn Store) {
    let account = fixtures::account(46);
    let zone = fixtures::zone(46, &account);
    let authority = fixtures::authority(46, &account);
    let at = by_at(begin());
    store
        .record_account(account.clone(), at)
        .await
        .expect("record");
    let recorded = store.record_zone(zone.clone(), Neighbours::Every, at);
    recorded.await.expect("record");
    let recorded = store.record_managed_authority(authority.clone(), at);
    recorded.await.expect("record");
    assert_eq!(
        store
            .zone_by_name(&zone.name.to_uppercase())
            .await
            .expect("read"),
        Some(zone.clone())
    );
    assert_eq!(
        store.zone_by_name("nowhere.example").await.expect("read"),
        None
    );
    let lines = Lines {
        store,
        zone: zone.id,
        authority,
    };
    lines.line().await;
    lines.at_the_same_time().await;
    lines.refused().await;
    lines.due(account.id).await;
}

/// Records a certificate on this basis.
pub async fn record_by(
    store: &dyn Store,
    certificate: CertificateRecord,
    basis: Basis,
    by: By,
) -> CertificateRecorded {
    let (sender, answer) = oneshot::channel();
    let report = Box::new(|recorded| drop(sender.send(recorded)));
    let limits = RecordingLimits::default();
    store.hand_over_certificate(Arc::new(certificate), limits, basis, by, report);
    answer.await.expect("an answer").expect("record")
}

/// Noon, so that a day has some hours left.
fn begin() -> Timestamp {
    let start = instant(200_000);
    Timestamp::from_unix(start.unix_day() * 86_400 + 43_200)
}

impl Lines<'_> {
    fn certificate(&self, n: u32) -> CertificateRecord {
        fixtures::certificate(n, self.zone, &self.authority, Status::Active)
    }

    async fn record(
        &self,
        certificate: CertificateRecord,
        basis: Basis,
        by: By,
    ) -> CertificateRecorded {
        record_by(self.store, certificate, basis, by).await
    }

    async fn first(&self, n: u32) -> CertificateId {
        let certificate = self.certificate(n);
        let id = certificate.id;
        let recorded = self.record(certificate, Basis::Permission, by_at(begin()));
        assert_eq!(recorded.await, CertificateRecorded::Recorded);
        id
    }

    async fn renew(&self, n: u32, renewal: Renewal, seconds: i64) -> CertificateRecorded {
        let at = begin().plus_seconds(seconds);
        let refused = self.store.renewal_refused(self.zone, renewal, at);
        let refused = refused.await.expect("read");
        let basis = Basis::Renewal(renewal);
        let recorded = self.record(self.certificate(n), basis, by_at(at)).await;
        let expected = match refused {
            None => CertificateRecorded::Recorded,
            Some(refused) => CertificateRecorded::NotReplaced(refused),
        };
        assert_eq!(recorded, expected, "both verbs decide alike");
        recorded
    }

    async fn lineage(&self, id: CertificateId) -> Lineage {
        let read = self.store.certificate(self.zone, id).await.expect("read");
        read.expect("it exists").lineage
    }

    /// Renews a certificate several times on a day, and on the next.
    async fn line(&self) {
        let ids: Vec<_> = (46_000..46_006).map(|n| self.certificate(n).id).collect();
        self.first(46_000).await;
        assert_eq!(self.lineage(ids[0]).await, Lineage::default());
        let recorded = CertificateRecorded::Recorded;
        assert_eq!(self.renew(46_001, renewal(ids[0]), 0).await, recorded);
        let until = begin().plus_seconds(INTERVAL_SECONDS);
        for seconds in [0, INTERVAL_SECONDS - 1] {
            let refused = CertificateRecorded::NotReplaced(RenewalRefused::TooSoon { until });
            assert_eq!(self.renew(46_002, renewal(ids[1]), seconds).await, refused);
        }
        // A clock that was set back does not stop renewals.
        assert_eq!(self.renew(46_002, renewal(ids[1]), -1).await, recorded);
        assert_eq!(self.renew(46_003, renewal(ids[2]), 7_200).await, recorded);
        let refused = CertificateRecorded::NotReplaced(RenewalRefused::TooOften);
        assert_eq!(self.renew(46_004, renewal(ids[3]), 10_000).await, refused);
        assert_eq!(self.renew(46_004, renewal(ids[3]), 86_400).await, recorded);
        assert_eq!(self.renew(46_005, renewal(ids[4]), 86_500).await, recorded);
        for (at, id) in ids.iter().enumerate() {
            let expected = Lineage {
                replaces: at.checked_sub(1).map(|before| ids[before]),
                replaced_by: ids.get(at + 1).copied(),
            };
            assert_eq!(self.lineage(*id).await, expected, "{at}");
        }
    }

    /// Renews one certificate many times at once.
    async fn at_the_same_time(&self) {
        let id = self.first(46_100).await;
        let renew = |n| {
            let basis = Basis::Renewal(renewal(id));
            self.record(self.certificate(n), basis, by_at(begin()))
        };
        let outcomes = join_all((46_101..46_151).map(renew)).await;
        let made = |outcome: &&CertificateRecorded| **outcome == CertificateRecorded::Recorded;
        assert_eq!(outcomes.iter().filter(made).count(), 1);
        let by = self.lineage(id).await.replaced_by.expect("it was replaced");
        let on = begin();
        let refused = CertificateRecorded::NotReplaced(RenewalRefused::Replaced { by, on });
        assert_eq!(outcomes.iter().filter(|one| **one == refused).count(), 49);
    }

    async fn refused(&self) {
        let not_found = CertificateRecorded::NotReplaced(RenewalRefused::NotFound);
        let missing = self.certificate(46_299).id;
        assert_eq!(self.renew(46_200, renewal(missing), 0).await, not_found);
        // A certificate of another zone.
        let other = fixtures::certificate(1, self.zone, &self.authority, Status::Active).id;
        assert_eq!(self.renew(46_200, renewal(other), 0).await, not_found);
        let id = self.first(46_201).await;
        let change = async |event| {
            let changed = self
                .store
                .change_status(self.zone, id, event, by_at(begin()));
            changed.await.expect("change").expect("it exists");
        };
        change(Event::HOLD).await;
        let hold = RevocationReason::CertificateHold;
        let refused = CertificateRecorded::NotReplaced(RenewalRefused::Revoked(hold));
        assert_eq!(self.renew(46_202, renewal(id), 0).await, refused);
        change(Event::Reactivate).await;
        let recorded = CertificateRecorded::Recorded;
        assert_eq!(self.renew(46_202, renewal(id), 0).await, recorded);
    }

    /// The replaced certificates that are to be revoked.
    async fn due(&self, account: certgate_model::AccountId) {
        let store = self.store;
        assert_eq!(store.next_replaced_due().await.expect("read"), None);
        let mut ids = Vec::new();
        for (n, seconds) in [(46_300, 500), (46_302, 300), (46_304, 400)] {
            let id = self.first(n).await;
            let renewal = Renewal {
                revoke_on: Some(begin().plus_seconds(seconds)),
                ..renewal(id)
            };
            let recorded = self.renew(n + 1, renewal, 0).await;
            assert_eq!(recorded, CertificateRecorded::Recorded);
            ids.push(id);
        }
        let zone = self.zone;
        let replaced = |id| ReplacedCertificate { zone, account, id };
        let due = async |seconds, limit| {
            let at = begin().plus_seconds(seconds);
            store.replaced_due(at, limit).await.expect("read")
        };
        let next = async || {
            let next = store.next_replaced_due().await.expect("read");
            next.map(|at| begin().until(at).seconds())
        };
        assert_eq!(next().await, Some(300));
        assert_eq!(due(299, 10).await, []);
        assert_eq!(due(300, 10).await, [replaced(ids[1])]);
        assert_eq!(due(400, 1).await, [replaced(ids[1])]);
        assert_eq!(due(400, 10).await, [replaced(ids[1]), replaced(ids[2])]);
        store
            .leave_replaced(vec![ids[1], ids[2]])
            .await
            .expect("leave");
        assert_eq!(next().await, Some(500));
        assert_eq!(due(1_000, 10).await, [replaced(ids[0])]);
        store.leave_replaced(vec![ids[0]]).await.expect("leave");
        assert_eq!(next().await, None);
    }
}

fn renewal(replaced: CertificateId) -> Renewal {
    Renewal {
        replaced,
        interval_seconds: INTERVAL_SECONDS,
        per_day_max: PER_DAY_MAX,
        revoke_on: None,
    }
}
