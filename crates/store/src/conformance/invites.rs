//! Invites, in an account of their own.

use certgate_model::{
    Actor, AuthorityRecord, CertificateRecord, Device, Direction, Event, InviteId, InviteRecord,
    InviteState, Lifetime, Slice, Status, TokenHash, TokenId, ZoneId,
};
use certgate_model::{AuditAction, AuditOwner, AuditQuery, ResourceType, Timestamp};
use futures_util::future::join_all;

use super::fixtures;
use super::fixtures::{by_at, instant};
use super::record_by;
use crate::{
    Basis, CertificateRecorded, InviteRecorded, InviteRefused, Neighbours, Store, ZoneDeleted,
};

/// The maximum number of invites of a zone in this suite.
const MAX: u64 = 3;

struct Invited<'s> {
    store: &'s dyn Store,
    zone: ZoneId,
    authority: AuthorityRecord,
}

/// Returns an invite that can be used for 100 seconds.
pub fn invite(n: u8, zone: ZoneId, name: &str) -> InviteRecord {
    InviteRecord {
        id: InviteId::from_bytes([n; 16]),
        zone,
        name: name.to_owned(),
        device: Device::Iphone,
        lifetime: Some(Lifetime::of_seconds(28_800).expect("8 hours")),
        uses_max: 1,
        hash: TokenHash([n; 32]),
        created_by: Actor::Token(TokenId::from_bytes([7; 16])),
        created_on: instant(0),
        expires_on: instant(100),
        withdrawn_on: None,
        wrong_secrets: 0,
        uses: 0,
        certificates: Vec::new(),
    }
}

pub(super) async fn invites(store: &dyn Store) {
    let account = fixtures::account(47);
    let zone = fixtures::zone(47, &account);
    let other = fixtures::zone(48, &account);
    let authority = fixtures::authority(47, &account);
    let by = by_at(instant(0));
    store
        .record_account(account.clone(), by)
        .await
        .expect("record");
    for zone in [&zone, &other] {
        let recorded = store.record_zone(zone.clone(), Neighbours::Every, by);
        recorded.await.expect("record");
    }
    let recorded = store.record_managed_authority(authority.clone(), by);
    recorded.await.expect("record");
    let invited = Invited {
        store,
        zone: zone.id,
        authority,
    };
    invited.records(other.id).await;
    invited.uses(other.id).await;
    invited.closed().await;
    invited.room().await;
    // A deleted zone takes its invites with it.
    let id = invited.create(60, other.id).await.id;
    let used = CertificateRecord {
        zone: other.id,
        ..invited.certificate(47_090, "anna")
    };
    let (basis, certificate) = (Basis::Invite(id), used.id);
    let recorded = record_by(store, used, basis, by).await;
    assert_eq!(recorded, CertificateRecorded::Recorded);
    let revoked = store.change_status(other.id, certificate, Event::HOLD, by);
    revoked.await.expect("change").expect("it exists");
    let settled = store.settle_pending(u64::MAX, by.at, &[], 1_000);
    settled.await.expect("settle");
    let deleted = store.delete_zone(other.id, by).await.expect("delete");
    assert_eq!(deleted, ZoneDeleted::Deleted);
    assert_eq!(store.invite(id).await.expect("read"), None);
    let recorded = store.record_invite(invite(61, other.id, "a"), MAX, by);
    assert_eq!(recorded.await.expect("record"), InviteRecorded::NoZone);
    let query = AuditQuery {
        since: Timestamp::EARLIEST,
        before: Timestamp::LATEST,
        actor: None,
        direction: Direction::Ascending,
        after: None,
        limit: 1_000,
    };
    let log = store.audit_entries(AuditOwner::Account(account.id), query);
    let log = log.await.expect("read");
    let about = |action| {
        let matches = |entry: &&certgate_model::AuditEntry| {
            entry.action == action && entry.resource_type == ResourceType::Invite
        };
        log.iter().filter(matches).collect::<Vec<_>>()
    };
    let created = about(AuditAction::Create);
    assert_eq!(created[0].detail, "device=iphone uses=1 name=anna");
    assert_eq!(created[0].zone, Some(zone.id));
    assert_eq!(about(AuditAction::Delete).len(), 1);
}

impl Invited<'_> {
    fn certificate(&self, n: u32, name: &str) -> CertificateRecord {
        let mut made = fixtures::certificate(n, self.zone, &self.authority, Status::Active);
        name.clone_into(&mut made.subject.common_name);
        made
    }

    async fn create(&self, n: u8, zone: ZoneId) -> InviteRecord {
        let made = invite(n, zone, "anna");
        let by = by_at(instant(0));
        let recorded = self.store.record_invite(made.clone(), MAX, by).await;
        assert_eq!(recorded.expect("record"), InviteRecorded::Recorded);
        made
    }

    async fn read(&self, id: InviteId) -> InviteRecord {
        let found = self.store.invite(id).await.expect("read");
        found.expect("it exists")
    }

    async fn redeem(&self, n: u32, id: InviteId, seconds: u32) -> CertificateRecorded {
        let made = self.certificate(n, "anna");
        let by = by_at(instant(seconds));
        record_by(self.store, made, Basis::Invite(id), by).await
    }

    /// Invites are read as they were written, in pages.
    async fn records(&self, other: ZoneId) {
        let [one, two] = [
            self.create(1, self.zone).await,
            self.create(2, self.zone).await,
        ];
        assert_eq!(self.read(one.id).await, one);
        let page = self.store.invites(self.zone, Slice { first: 0, size: 9 });
        let page = page.await.expect("list");
        assert_eq!((page.items, page.total), (vec![two, one.clone()], 2));
        let page = self.store.invites(self.zone, Slice { first: 1, size: 9 });
        assert_eq!(page.await.expect("list").items, [one]);
        let page = self.store.invites(other, Slice { first: 0, size: 9 });
        assert_eq!(page.await.expect("list").total, 0);
        let missing = self.store.invite(InviteId::from_bytes([9; 16])).await;
        assert_eq!(missing.expect("read"), None);
    }

    /// Requests at the same time use an invite as often as it may be used.
    async fn uses(&self, other: ZoneId) {
        let id = InviteId::from_bytes([1; 16]);
        let at_once = (47_000..47_050).map(|n| self.redeem(n, id, 1));
        let outcomes = join_all(at_once).await;
        let recorded = |outcome: &&CertificateRecorded| **outcome == CertificateRecorded::Recorded;
        assert_eq!(outcomes.iter().filter(recorded).count(), 1);
        let used = CertificateRecorded::NotInvited(InviteRefused::NotOpen(InviteState::Used));
        assert_eq!(outcomes.iter().filter(|one| **one == used).count(), 49);
        let made = self.read(id).await;
        assert_eq!((made.uses, made.certificates.len()), (1, 1));
        let found = self.store.certificate(self.zone, made.certificates[0]);
        assert!(found.await.expect("read").is_some());
        // Several uses, in one batch and after it.
        let many = InviteRecord {
            uses_max: 3,
            ..invite(3, self.zone, "anna")
        };
        let by = by_at(instant(0));
        let recorded = self.store.record_invite(many.clone(), MAX, by).await;
        assert_eq!(recorded.expect("record"), InviteRecorded::Recorded);
        let outcomes = join_all((47_060..47_062).map(|n| self.redeem(n, many.id, 1))).await;
        assert_eq!(outcomes, [CertificateRecorded::Recorded; 2]);
        let recorded = self.redeem(47_063, many.id, 2).await;
        assert_eq!(recorded, CertificateRecorded::Recorded);
        assert_eq!(self.redeem(47_064, many.id, 3).await, used);
        let made = self.read(many.id).await;
        assert_eq!(made.certificates.len(), 3);
        assert_eq!(made.certificates[2], self.certificate(47_063, "").id);
        let page = self.store.invites(self.zone, Slice { first: 0, size: 9 });
        assert_eq!(page.await.expect("list").items[0], made);
        // An invite of another zone.
        let elsewhere = self.create(4, other).await;
        let missing = CertificateRecorded::NotInvited(InviteRefused::NotFound);
        assert_eq!(self.redeem(47_070, elsewhere.id, 1).await, missing);
        let unknown = InviteId::from_bytes([99; 16]);
        assert_eq!(self.redeem(47_071, unknown, 1).await, missing);
    }

    /// Expired, locked and withdrawn invites give nothing.
    async fn closed(&self) {
        let id = InviteId::from_bytes([2; 16]);
        let refused = |state| CertificateRecorded::NotInvited(InviteRefused::NotOpen(state));
        let expired = refused(InviteState::Expired);
        assert_eq!(self.redeem(47_080, id, 100).await, expired);
        for _ in 0..=InviteRecord::WRONG_SECRETS_MAX {
            self.store.note_wrong_secret(id).await.expect("note");
        }
        let locked = self.read(id).await;
        assert_eq!(locked.wrong_secrets, InviteRecord::WRONG_SECRETS_MAX);
        let expected = refused(InviteState::Locked);
        assert_eq!(self.redeem(47_081, id, 1).await, expected);
        let withdraw = |zone, id, seconds| {
            let by = by_at(instant(seconds));
            async move {
                let withdrawn = self.store.withdraw_invite(zone, id, by);
                withdrawn.await.expect("withdraw")
            }
        };
        let elsewhere = ZoneId::from_bytes([1; 16]);
        assert_eq!(withdraw(elsewhere, id, 5).await, None);
        let withdrawn = InviteRecord {
            withdrawn_on: Some(instant(5)),
            ..locked
        };
        assert_eq!(withdraw(self.zone, id, 5).await, Some(withdrawn.clone()));
        assert_eq!(withdraw(self.zone, id, 6).await, Some(withdrawn.clone()));
        assert_eq!(self.read(id).await, withdrawn);
        let expected = refused(InviteState::Withdrawn);
        assert_eq!(self.redeem(47_082, id, 1).await, expected);
        // A used one stays as it is.
        let used = InviteId::from_bytes([1; 16]);
        let before = self.read(used).await;
        assert_eq!(withdraw(self.zone, used, 5).await, Some(before));
    }

    /// The invite that expired first makes room for a new one.
    async fn room(&self) {
        let recorded = async |n, seconds| {
            let made = invite(n, self.zone, "anna");
            let by = by_at(instant(seconds));
            let recorded = self.store.record_invite(made, MAX, by).await;
            recorded.expect("record")
        };
        assert_eq!(recorded(50, 99).await, InviteRecorded::TooMany);
        assert_eq!(recorded(50, 100).await, InviteRecorded::Recorded);
        let page = self.store.invites(self.zone, Slice { first: 0, size: 9 });
        let page = page.await.expect("list");
        let ids: Vec<_> = page.items.iter().map(|one| one.id.as_bytes()[0]).collect();
        assert_eq!((ids, page.total), (vec![50, 3, 2], MAX));
    }
}
