//! The hostnames and CAs of an account as enforcement points read them, and the epochs of their
//! changes.

use certgate_model::{
    AccountRecord, AuthorityState, Coverage, EnforcedConfiguration, EnforcedHostname,
    EnforcedManagedAuthority, EnforcedUploadedAuthority, EnforcementPointId,
    EnforcementPointRecord, FollowedChange, MtlsCertificateId, TokenId, WhenStale, ZoneId,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{
    AuthorityReplaced, HostnamesReplaced, MtlsCertificateDeleted, MtlsCertificateRecorded,
    Neighbours, Store, ZoneDeleted,
};

/// An account, and another one whose configuration stays the same.
struct Followed<'s> {
    store: &'s dyn Store,
    account: AccountRecord,
    other: AccountRecord,
    /// The epoch of the last change of the configuration.
    last: u64,
    /// The number of such changes.
    changes: u64,
}

/// Makes accounts 80 and 81, each with zones, CAs and a point.
pub(super) async fn configuration(store: &dyn Store) {
    let (account, other) = (fixtures::account(80), fixtures::account(81));
    for account in [&account, &other] {
        let recorded = store.record_account(account.clone(), by()).await;
        recorded.expect("record");
    }
    let mut followed = Followed {
        store,
        account,
        other,
        last: 0,
        changes: 0,
    };
    followed.has_changed(0).await;
    let point = followed.point();
    let registered = store.register_enforcement_point(point.clone(), 9, by());
    registered.await.expect("register");
    let lagging = async || {
        let lagging = store.lagging_enforcement_points().await.expect("read");
        lagging.iter().any(|one| one.id == point.id)
    };
    assert!(!lagging().await, "nothing has changed");

    let zones = followed.zones().await;
    followed.authorities().await;
    assert!(lagging().await, "a new CA is a change");
    let last = store.last_epochs(point.account).await.expect("epochs");
    let acknowledged = store.acknowledge(
        point.account,
        point.id,
        point.token,
        last.of_account,
        fixtures::instant(3),
    );
    acknowledged.await.expect("acknowledge");
    assert!(!lagging().await);

    let uploaded = followed.uploads().await;
    followed.hostnames(zones, uploaded).await;
    followed.is_read(zones, uploaded).await;
    followed.removals(zones, uploaded).await;
    let token = Some(point.token);
    let deleted = store.delete_enforcement_point(point.account, point.id, token, by());
    deleted.await.expect("delete");
}

impl Followed<'_> {
    fn point(&self) -> EnforcementPointRecord {
        EnforcementPointRecord {
            id: EnforcementPointId::from_bytes([80; 16]),
            account: self.account.id,
            token: TokenId::from_bytes([80; 16]),
            name: "edge".into(),
            lease_seconds: 60,
            covers: vec![Coverage::Requests],
            when_stale: WhenStale::Refuse,
            forget_seconds: 600,
            acknowledged_epoch: 0,
            seen_on: fixtures::instant(2),
            registered_on: fixtures::instant(2),
        }
    }

    /// Checks that the last write took this number of epochs for the configuration.
    async fn has_changed(&mut self, epochs: u64) {
        let store = self.store;
        let last = store.last_epoch().await.expect("epoch");
        let before = self.last;
        if epochs == 0 && before == 0 {
            self.last = last;
            return;
        }
        assert_eq!(last, before + epochs);
        self.last = last;
        let changes = async |account: &AccountRecord| {
            let changes = store.revocation_changes(account.id, before, 10).await;
            changes.expect("changes")
        };
        // The account counts its own changes.
        let of_account = store.last_epochs(self.account.id).await.expect("epochs");
        self.changes += epochs;
        assert_eq!(of_account.of_account, self.changes);
        let expected = match epochs {
            0 => vec![],
            _ => vec![FollowedChange::Configuration {
                epoch: self.changes,
            }],
        };
        assert_eq!(changes(&self.account).await, expected);
        assert_eq!(changes(&self.other).await, []);
        if epochs > 0 {
            let known = store.account_epoch(self.account.id).await.expect("epoch");
            assert_eq!(known, self.changes);
        }
        let of_other = store.account_epoch(self.other.id).await.expect("epoch");
        assert_eq!(of_other, 0);
    }

    async fn zones(&mut self) -> [ZoneId; 2] {
        let zones = [80, 82].map(|n| fixtures::zone(n, &self.account));
        for zone in &zones {
            let recorded = self
                .store
                .record_zone(zone.clone(), Neighbours::Every, by());
            recorded.await.expect("record");
            self.has_changed(0).await;
        }
        zones.map(|zone| zone.id)
    }

    async fn authorities(&mut self) {
        let [first, second] = [80, 81].map(|n| fixtures::authority(n, &self.account));
        let recorded = self.store.record_managed_authority(first.clone(), by());
        assert!(recorded.await.expect("record").is_some());
        self.has_changed(1).await;
        let again = self.store.record_managed_authority(second.clone(), by());
        assert!(again.await.expect("record").is_some());
        self.has_changed(0).await;
        for (expected, changes) in [(Some(first.id), 1), (Some(first.id), 0)] {
            let replaced = self
                .store
                .replace_managed_authority(expected, second.clone(), 9, by());
            let is_replaced = matches!(
                replaced.await.expect("replace"),
                AuthorityReplaced::Replaced { .. }
            );
            assert_eq!(is_replaced, changes == 1);
            self.has_changed(changes).await;
        }
    }

    /// Uploads a CA and a leaf certificate; returns the ID of the CA.
    async fn uploads(&mut self) -> MtlsCertificateId {
        let (ca, leaf) = (81, 82);
        for (n, changes) in [(ca, 1), (ca, 0), (leaf, 0)] {
            let uploaded = fixtures::mtls_certificate(n, &self.account);
            let recorded = self.store.record_mtls_certificate(uploaded, None, by());
            let is_recorded = recorded.await.expect("record") == MtlsCertificateRecorded::Recorded;
            assert_eq!(is_recorded, changes == 1 || n == leaf);
            self.has_changed(changes).await;
        }
        fixtures::mtls_certificate(ca, &self.account).id
    }

    async fn replace(
        &mut self,
        zone: ZoneId,
        list: Option<MtlsCertificateId>,
        hostnames: &[&str],
    ) -> HostnamesReplaced {
        let hostnames = hostnames.iter().map(|name| (*name).to_owned()).collect();
        let replaced = self
            .store
            .replace_hostname_associations(zone, list, hostnames, by());
        replaced.await.expect("replace")
    }

    async fn hostnames(&mut self, zones: [ZoneId; 2], uploaded: MtlsCertificateId) {
        let [first, second] = zones;
        for (zone, list, hostnames, changes) in [
            (first, None, &["B.example", "a.example"][..], 1),
            (first, None, &["B.example", "a.example"], 0),
            (second, None, &["a.example"], 0),
            (first, Some(uploaded), &["a.example"], 1),
            (second, Some(uploaded), &["c.example"], 1),
        ] {
            self.replace(zone, list, hostnames).await;
            self.has_changed(changes).await;
        }
    }

    /// Checks the configuration: the expectation is written by hand.
    async fn is_read(&self, [first, second]: [ZoneId; 2], uploaded: MtlsCertificateId) {
        let read = async |account: &AccountRecord| {
            let configuration = self.store.enforced_configuration(account.id).await;
            configuration.expect("read")
        };
        let hostname = |hostname: &str, zone, lists: &[_]| EnforcedHostname {
            hostname: hostname.into(),
            zone,
            lists: lists.to_vec(),
        };
        let states = [
            (81, AuthorityState::Active),
            (80, AuthorityState::Superseded),
        ];
        let managed = states.map(|(n, state)| {
            let record = fixtures::authority(n, &self.account);
            EnforcedManagedAuthority {
                id: record.id,
                name: record.name,
                certificate_der: record.certificate_der,
                public_url: record.public_url,
                state,
            }
        });
        let ca = fixtures::mtls_certificate(81, &self.account);
        assert_eq!(ca.id, uploaded);
        let expected = EnforcedConfiguration {
            epoch: self.changes,
            hostnames: vec![
                hostname("a.example", first, &[Some(uploaded), None]),
                hostname("b.example", first, &[None]),
                hostname("c.example", second, &[Some(uploaded)]),
            ],
            managed: managed.to_vec(),
            uploaded: vec![EnforcedUploadedAuthority {
                id: ca.id,
                name: ca.name,
                certificates: ca.certificates,
                fingerprint_sha256: ca.fingerprint_sha256,
            }],
        };
        assert_eq!(read(&self.account).await, expected);
        let none = EnforcedConfiguration {
            epoch: 0,
            hostnames: Vec::new(),
            managed: Vec::new(),
            uploaded: Vec::new(),
        };
        for account in [&self.other, &fixtures::account(77)] {
            assert_eq!(read(account).await, none);
        }
    }

    async fn removals(&mut self, zones: [ZoneId; 2], uploaded: MtlsCertificateId) {
        let at = by_at(fixtures::instant(2_500));
        let [first, second] = zones;
        for (zone, changes) in [(second, 1), (second, 0)] {
            let deleted = self.store.delete_zone(zone, at).await.expect("delete");
            assert_eq!(deleted == ZoneDeleted::Deleted, changes == 1);
            self.has_changed(changes).await;
        }
        self.replace(first, Some(uploaded), &[]).await;
        self.has_changed(1).await;
        let leaf = fixtures::mtls_certificate(82, &self.account).id;
        for (id, changes) in [(leaf, 0), (uploaded, 1), (uploaded, 0)] {
            let deleted = self
                .store
                .delete_mtls_certificate(self.account.id, id, by())
                .await
                .expect("delete");
            let is_deleted = matches!(deleted, MtlsCertificateDeleted::Deleted(_));
            assert_eq!(is_deleted, changes == 1 || id == leaf);
            self.has_changed(changes).await;
        }
        self.replace(first, None, &[]).await;
        self.has_changed(1).await;
        let deleted = self.store.delete_zone(first, at).await.expect("delete");
        assert_eq!(deleted, ZoneDeleted::Deleted);
        self.has_changed(0).await;
    }
}
