//! The states of CAs, and the keys that wait for a certificate.

use certgate_model::{
    AccountRecord, AuthorityRecord, AuthorityRequestRecord, AuthorityState, CertificateRecord,
    Coverage, CrlKind, EnforcedAuthority, EnforcementPointId, EnforcementPointRecord, KeyAlgorithm,
    Status, TokenId, WhenStale, ZoneId,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{
    AuthorityActivated, AuthorityPrepared, AuthorityReplaced, AuthorityRequested, AuthorityRetired,
    CertificateRecorded, Confirmation, Neighbours, Store,
};

use AuthorityState::{Active, Prepared, Retired, Superseded};
use Confirmation::{Given, Missing};

/// An account whose CAs change.
struct Rotated<'s> {
    store: &'s dyn Store,
    account: AccountRecord,
    zone: ZoneId,
    issued: u32,
}

/// Tries the verbs of the states with each outcome, and of the keys that wait for a certificate.
pub(super) async fn authority_states(store: &dyn Store) {
    let account = fixtures::account(70);
    let zone = fixtures::zone(70, &account);
    let recorded = store.record_account(account.clone(), by()).await;
    recorded.expect("record");
    let recorded = store.record_zone(zone.clone(), Neighbours::Every, by());
    recorded.await.expect("record");
    let mut rotated = Rotated {
        store,
        account,
        zone: zone.id,
        issued: 700,
    };
    rotated.stages().await;
    rotated.points().await;
    rotated.room().await;
    rotated.requests().await;

    let account = fixtures::account(240);
    let zone = fixtures::zone(240, &account).id;
    let recorded = store.record_account(account.clone(), by()).await;
    recorded.expect("record");
    let kept = Rotated {
        store,
        account,
        zone,
        issued: 0,
    };
    kept.active_is_kept().await;
}

impl Rotated<'_> {
    fn authority(&self, n: u8) -> AuthorityRecord {
        AuthorityRecord {
            certificate_der: vec![n; 600],
            ..fixtures::authority(n.into(), &self.account)
        }
    }

    async fn prepare(&self, n: u8, max: u64) -> AuthorityPrepared {
        let prepared = self
            .store
            .prepare_managed_authority(self.authority(n), false, max, by());
        prepared.await.expect("prepare")
    }

    async fn activate(&self, n: u8, confirmation: Confirmation) -> AuthorityActivated {
        let (account, id) = (self.account.id, self.authority(n).id);
        let activated = self
            .store
            .activate_managed_authority(account, id, confirmation, by());
        activated.await.expect("activate")
    }

    async fn retire(&self, n: u8, confirmation: Confirmation) -> AuthorityRetired {
        let (account, id) = (self.account.id, self.authority(n).id);
        let retired = self
            .store
            .retire_managed_authority(account, id, confirmation, by());
        retired.await.expect("retire")
    }

    /// Checks the states of the account's CAs in each place that shows them.
    async fn are(&self, expected: &[(u8, AuthorityState)]) {
        let (store, account) = (self.store, self.account.id);
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, state)| (self.authority(*n).id, *state))
            .collect();
        let all = store.managed_authorities(account).await.expect("read");
        let states: Vec<_> = all.iter().map(|ca| (ca.record.id, ca.state)).collect();
        assert_eq!(states, expected);
        let enforced = store.enforced_configuration(account).await.expect("read");
        let states: Vec<_> = enforced
            .managed
            .iter()
            .map(|ca| (ca.id, ca.state))
            .collect();
        assert_eq!(states, expected);
        let active = store.managed_authority(account).await.expect("read");
        let first = expected.first().filter(|(_, state)| *state == Active);
        assert_eq!(active.map(|ca| ca.id), first.map(|(id, _)| *id));
        for (id, _) in &expected {
            assert!(store.authority(*id).await.expect("read").is_some());
            let at = fixtures::instant(0);
            let list = store.crl_content(*id, CrlKind::Full, at, 9).await;
            assert!(list.expect("read").is_some(), "each CA has lists");
        }
    }

    async fn issue(&mut self, n: u8) -> (CertificateRecord, CertificateRecorded) {
        self.issued += 1;
        let authority = self.authority(n);
        let certificate = fixtures::certificate(self.issued, self.zone, &authority, Status::Active);
        let recorded = self
            .store
            .record_certificate(certificate.clone(), None, by());
        (certificate, recorded.await.expect("record"))
    }

    async fn stages(&mut self) {
        let discarded = None;
        assert_eq!(self.activate(1, Given).await, AuthorityActivated::NotFound);
        assert_eq!(self.retire(1, Given).await, AuthorityRetired::NotFound);
        let prepared = AuthorityPrepared::Prepared { discarded };
        assert_eq!(self.prepare(70, 9).await, prepared);
        self.are(&[(70, Prepared)]).await;
        let same = AuthorityRecord {
            id: self.authority(71).id,
            ..self.authority(70)
        };
        let again = self.store.prepare_managed_authority(same, false, 9, by());
        let known = AuthorityPrepared::Known(self.authority(70).id);
        assert_eq!(again.await.expect("prepare"), known);
        let stray = fixtures::authority(72, &fixtures::account(77));
        let stray = self.store.prepare_managed_authority(stray, false, 9, by());
        let stray = stray.await.expect("prepare");
        assert_eq!(stray, AuthorityPrepared::NoAccount);

        // A prepared CA does not sign.
        let (_, recorded) = self.issue(70).await;
        assert_eq!(recorded, CertificateRecorded::AuthorityNotActive);
        // And another one does not overtake it.
        let first = self
            .store
            .record_managed_authority(self.authority(73), by());
        assert_eq!(first.await.expect("record"), None);
        self.are(&[(70, Prepared)]).await;
        let activated = AuthorityActivated::Activated { replaced: None };
        assert_eq!(self.activate(70, Missing).await, activated);
        let unchanged = self.activate(70, Missing).await;
        assert_eq!(unchanged, AuthorityActivated::Unchanged);
        let (_, recorded) = self.issue(70).await;
        assert_eq!(recorded, CertificateRecorded::Recorded);
        assert_eq!(self.retire(70, Given).await, AuthorityRetired::Active);

        assert_eq!(self.prepare(71, 9).await, prepared);
        self.are(&[(70, Active), (71, Prepared)]).await;
        let replaced = Some(self.authority(70).id);
        let activated = AuthorityActivated::Activated { replaced };
        assert_eq!(self.activate(71, Missing).await, activated);
        self.are(&[(71, Active), (70, Superseded)]).await;
        // The activation of the CA before undoes the rotation.
        assert!(matches!(
            self.activate(70, Missing).await,
            AuthorityActivated::Activated { .. }
        ));
        self.are(&[(70, Active), (71, Superseded)]).await;
        let (_, recorded) = self.issue(71).await;
        assert_eq!(recorded, CertificateRecorded::AuthorityNotActive);
        self.activate(71, Missing).await;
        assert_eq!(self.retire(70, Missing).await, AuthorityRetired::HasSigned);
        self.are(&[(71, Active), (70, Superseded)]).await;
        let before = self.store.account_epoch(self.account.id).await;
        assert_eq!(self.retire(70, Given).await, AuthorityRetired::Retired);
        let after = self.store.account_epoch(self.account.id).await;
        assert_eq!(after.expect("epoch"), before.expect("epoch") + 1);
        assert_eq!(self.retire(70, Missing).await, AuthorityRetired::Unchanged);
        self.are(&[(71, Active), (70, Retired)]).await;
        // An expired CA needs no confirmation.
        assert!(matches!(
            self.activate(70, Missing).await,
            AuthorityActivated::Activated { .. }
        ));
        self.activate(71, Missing).await;
        self.are(&[(71, Active), (70, Superseded)]).await;
        let expired = by_at(fixtures::instant(0).plus_days(7_300));
        let (account, id) = (self.account.id, self.authority(70).id);
        let retired = self
            .store
            .retire_managed_authority(account, id, Missing, expired);
        assert_eq!(retired.await.expect("retire"), AuthorityRetired::Retired);
    }

    /// Checks that an activation waits for the points that have not acknowledged the CA.
    async fn points(&self) {
        let store = self.store;
        let point = EnforcementPointRecord {
            id: EnforcementPointId::from_bytes([70; 16]),
            account: self.account.id,
            token: TokenId::from_bytes([70; 16]),
            name: "edge".into(),
            lease_seconds: 60,
            covers: vec![Coverage::Requests],
            when_stale: WhenStale::Refuse,
            forget_seconds: 600,
            acknowledged_epoch: 0,
            seen_on: fixtures::instant(2),
            registered_on: fixtures::instant(2),
        };
        let registered = store.register_enforcement_point(point.clone(), 9, by());
        registered.await.expect("register");
        let acknowledge = async || {
            let epoch = store.account_epoch(point.account).await.expect("epoch");
            let at = fixtures::instant(3);
            let done = store.acknowledge(point.account, point.id, point.token, epoch, at);
            done.await.expect("acknowledge");
        };
        let is_late = |activated: AuthorityActivated| match activated {
            AuthorityActivated::Late(points) => {
                assert_eq!(points.len(), 1);
                points[0].name == "edge"
            }
            _ => false,
        };
        acknowledge().await;
        self.prepare(72, 9).await;
        assert!(is_late(self.activate(72, Missing).await));
        self.are(&[(71, Active), (72, Prepared), (70, Retired)])
            .await;
        acknowledge().await;
        let replaced = Some(self.authority(71).id);
        let activated = AuthorityActivated::Activated { replaced };
        assert_eq!(self.activate(72, Missing).await, activated);
        // The point does not accept a retired CA, whatever it has acknowledged.
        acknowledge().await;
        assert!(is_late(self.activate(70, Missing).await));
        assert!(matches!(
            self.activate(70, Given).await,
            AuthorityActivated::Activated { .. }
        ));
        self.activate(72, Given).await;
        assert!(is_late(self.activate(70, Missing).await), "published again");
        acknowledge().await;
        assert!(matches!(
            self.activate(70, Missing).await,
            AuthorityActivated::Activated { .. }
        ));
        self.activate(72, Missing).await;
        self.are(&[(72, Active), (71, Superseded), (70, Superseded)])
            .await;
        let deleted = store.delete_enforcement_point(point.account, point.id, None, by());
        deleted.await.expect("delete");
    }

    /// Checks that a prepared CA does not make room, and that no hostname accepts a retired one.
    async fn room(&mut self) {
        let store = self.store;
        let names = vec!["host.zone-70.example".to_owned()];
        let replaced = store.replace_hostname_associations(self.zone, None, names, by());
        replaced.await.expect("replace");
        self.retire(70, Given).await;
        let enforced = store.enforcement("host.zone-70.example").await;
        let accepted: Vec<_> = enforced
            .expect("read")
            .expect("listed")
            .authorities
            .into_iter()
            .filter_map(|authority| match authority {
                EnforcedAuthority::Managed { id, .. } => Some(id),
                EnforcedAuthority::Uploaded { .. } => None,
            })
            .collect();
        assert_eq!(accepted, [72, 71].map(|n| self.authority(n).id));

        self.issue(72).await;
        // 71 never signed.
        let discarded = Some(self.authority(71).id);
        let prepared = AuthorityPrepared::Prepared { discarded };
        assert_eq!(self.prepare(73, 3).await, prepared);
        assert_eq!(self.prepare(74, 3).await, AuthorityPrepared::TooMany);
        let (account, id) = (self.account.id, self.authority(71).id);
        let gone = store.activate_managed_authority(account, id, Given, by());
        let gone = gone.await.expect("activate");
        assert_eq!(gone, AuthorityActivated::NotFound, "it was discarded");
        let new = self.authority(74);
        let expected = Some(self.authority(72).id);
        let replaced = store.replace_managed_authority(expected, new, 4, by());
        let discarded = None;
        assert_eq!(
            replaced.await.expect("replace"),
            AuthorityReplaced::Replaced { discarded }
        );
        self.are(&[
            (74, Active),
            (73, Prepared),
            (72, Superseded),
            (70, Retired),
        ])
        .await;
    }

    /// Checks that the active CA does not make room, though it is the oldest that never signed.
    async fn active_is_kept(&self) {
        let discarded = None;
        let prepared = AuthorityPrepared::Prepared { discarded };
        for n in [240, 241] {
            assert_eq!(self.prepare(n, 2).await, prepared);
            self.activate(n, Given).await;
        }
        self.activate(240, Given).await;
        self.are(&[(240, Active), (241, Superseded)]).await;
        let discarded = Some(self.authority(241).id);
        let prepared = AuthorityPrepared::Prepared { discarded };
        assert_eq!(self.prepare(242, 2).await, prepared);
        assert_eq!(self.prepare(243, 2).await, AuthorityPrepared::TooMany);
        self.are(&[(240, Active), (242, Prepared)]).await;
    }

    async fn requests(&self) {
        let store = self.store;
        let request = |n: u8| AuthorityRequestRecord {
            id: self.authority(n).id,
            account: self.account.id,
            name: if n == 76 {
                String::new()
            } else {
                "Issuing CA".into()
            },
            algorithm: KeyAlgorithm::P384,
            sealed_key: vec![n; 200],
            csr_der: vec![n; 300],
            created_on: fixtures::instant(n.into()),
        };
        let record = async |request| {
            let recorded = store.record_authority_request(request, 2, by());
            recorded.await.expect("record")
        };
        let listed = async || {
            let listed = store.authority_requests(self.account.id).await;
            listed.expect("read")
        };
        assert_eq!(listed().await, []);
        for n in [75, 76] {
            assert_eq!(record(request(n)).await, AuthorityRequested::Requested);
        }
        assert_eq!(record(request(77)).await, AuthorityRequested::TooMany);
        let stray = AuthorityRequestRecord {
            account: fixtures::account(77).id,
            ..request(77)
        };
        assert_eq!(record(stray).await, AuthorityRequested::NoAccount);
        assert_eq!(listed().await, [request(76), request(75)]);

        let prepare = async |n: u8| {
            let prepared = store.prepare_managed_authority(self.authority(n), true, 9, by());
            prepared.await.expect("prepare")
        };
        let discarded = None;
        let prepared = AuthorityPrepared::Prepared { discarded };
        assert_eq!(prepare(75).await, prepared);
        assert_eq!(prepare(78).await, AuthorityPrepared::NoRequest);
        assert_eq!(listed().await, [request(76)]);
        for is_deleted in [true, false] {
            let id = request(76).id;
            let deleted = store.delete_authority_request(self.account.id, id, by());
            assert_eq!(deleted.await.expect("delete"), is_deleted);
        }
        assert_eq!(listed().await, []);
    }
}
