//! Notifications, in an account of their own.

use certgate_model::{
    AccountId, AuthorityRecord, CertificateId, CertificateRecord, Condition, Event, EventPlace,
    ExpiryPlace, NotificationEvent, NotificationKind, PendingEvent, ReportedState,
    RevocationReason, Slice, Status, Timestamp, UndeliveredEvent, ZoneId,
};

use super::fixtures;
use super::fixtures::{by_at, instant};
use crate::{Neighbours, Store};

const NAME: &str = "webhook";

struct Notified<'s> {
    store: &'s dyn Store,
    account: AccountId,
    zone: ZoneId,
    authority: AuthorityRecord,
}

pub(super) async fn notifications(store: &dyn Store) {
    let account = fixtures::account(58);
    let zone = fixtures::zone(58, &account);
    let authority = fixtures::authority(58, &account);
    let by = by_at(instant(0));
    store
        .record_account(account.clone(), by)
        .await
        .expect("record");
    let recorded = store.record_zone(zone.clone(), Neighbours::Every, by);
    recorded.await.expect("record");
    let recorded = store.record_managed_authority(authority.clone(), by);
    recorded.await.expect("record");
    let notified = Notified {
        store,
        account: account.id,
        zone: zone.id,
        authority,
    };
    notified.begins_now().await;
    notified.keeps_order().await;
    notified.remembers_failures().await;
    notified.conditions().await;
    notified.set_back().await;
    notified.states().await;
    notified.makes_room().await;
}

impl Notified<'_> {
    async fn issue(&self, n: u32, seconds: i64) -> CertificateRecord {
        let made = fixtures::certificate(n, self.zone, &self.authority, Status::Active);
        let by = by_at(instant(0).plus_seconds(seconds));
        let recorded = self.store.record_certificate(made.clone(), None, by);
        recorded.await.expect("record");
        made
    }

    async fn pending(&self) -> Vec<PendingEvent> {
        let found = self.store.pending_events(NAME, 100).await.expect("read");
        let is_ours = |one: &PendingEvent| one.event.account() == Some(self.account);
        found.into_iter().filter(is_ours).collect()
    }

    async fn advance(&self, places: Vec<EventPlace>, delivered: u64) {
        let advanced = self
            .store
            .advance_destination(NAME, places, delivered, instant(5));
        advanced.await.expect("advance");
    }

    /// History is not reported, and neither is a second beginning.
    async fn begins_now(&self) {
        self.issue(9_001, 1).await;
        let store = self.store;
        assert_eq!(store.destination(NAME).await.expect("read"), None);
        for at in [instant(1), instant(2)] {
            store.begin_destination(NAME, at).await.expect("begin");
        }
        let begun = store.destination(NAME).await.expect("read").expect("it");
        assert_eq!((begun.begun_on, begun.delivered), (instant(1), 0));
        assert_eq!(self.pending().await, []);
        let kinds = NotificationKind::ALL.to_vec();
        let backlog = store.backlog(NAME, kinds).await.expect("read");
        assert_eq!((backlog.entries, backlog.oldest), (0, None));
    }

    async fn keeps_order(&self) {
        let one = self.issue(9_002, 2).await;
        let two = self.issue(9_003, 2).await;
        let by = by_at(instant(3));
        let event = Event::Revoke(RevocationReason::KeyCompromise);
        let revoked = self.store.change_status(self.zone, one.id, event, by);
        revoked.await.expect("revoke");
        let found = self.pending().await;
        let kinds: Vec<_> = found
            .iter()
            .map(|one| (one.event.kind(), one.event.object()))
            .collect();
        let (one, two) = (*one.id.as_bytes(), *two.id.as_bytes());
        let expected = [
            (Some(NotificationKind::Issued), one),
            (Some(NotificationKind::Issued), two),
            (Some(NotificationKind::Revoked), one),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(found[0].event.zone(), Some(self.zone));
        assert_ne!(found[0].event.id(), found[1].event.id());
        let kinds = vec![NotificationKind::Revoked];
        let backlog = self.store.backlog(NAME, kinds).await.expect("read");
        assert_eq!((backlog.entries, backlog.oldest), (3, Some(instant(3))));
        self.advance(vec![found[1].place], 2).await;
        // An old place of another server moves nothing back.
        self.advance(vec![found[0].place], 0).await;
        assert_eq!(self.pending().await, found[2..]);
    }

    async fn remembers_failures(&self) {
        let store = self.store;
        let [revoked] = &self.pending().await[..] else {
            panic!("the revocation is pending");
        };
        for second in [10, 20] {
            let next = instant(second + 5);
            let noted = store.note_failed_attempt(NAME, "503".to_owned(), instant(second), next);
            noted.await.expect("note");
        }
        let failing = store.destination(NAME).await.expect("read").expect("it");
        assert_eq!(
            (failing.failing_since, failing.attempts, failing.attempt_on),
            (Some(instant(10)), 2, Some(instant(25)))
        );
        assert_eq!(
            (failing.error.as_deref(), failing.delivered),
            (Some("503"), 2)
        );
        let aside = UndeliveredEvent {
            destination: NAME.to_owned(),
            place: revoked.place,
            id: revoked.event.id(),
            kind: NotificationKind::Revoked,
            object: revoked.event.object(),
            set_aside_on: instant(30),
            error: "503".to_owned(),
            is_retried: false,
        };
        let set_aside = store.set_events_aside(NAME, vec![aside.clone()], 9);
        set_aside.await.expect("set aside");
        assert_eq!(self.pending().await, []);
        let slice = Slice { first: 0, size: 5 };
        let listed = store.undelivered_events(slice).await.expect("read");
        assert_eq!((listed.total, listed.items), (1, vec![aside.clone()]));
        assert_eq!(store.retried_events(NAME, 5).await.expect("read"), []);
        // One more attempt fails, and the next one does not.
        for error in [Some("500".to_owned()), None] {
            assert_eq!(store.retry_undelivered().await.expect("retry"), 1);
            let tried = store.retried_events(NAME, 5).await.expect("read");
            assert_eq!(tried.len(), 1);
            assert_eq!(tried[0].1.as_ref(), Some(revoked));
            let noted = store.note_retried(NAME, vec![aside.clone()], error, instant(40));
            noted.await.expect("note");
        }
        let listed = store.undelivered_events(slice).await.expect("read");
        assert_eq!((listed.total, listed.items), (0, Vec::new()));
        let healed = store.destination(NAME).await.expect("read").expect("it");
        assert_eq!((healed.delivered, healed.undelivered), (3, 0));
        // Only the delivery of an event that waits ends the failures.
        assert_eq!(
            (healed.failing_since, healed.attempts),
            (Some(instant(10)), 2)
        );
        self.advance(vec![revoked.place], 1).await;
        let healed = store.destination(NAME).await.expect("read").expect("it");
        assert_eq!((healed.failing_since, healed.error), (None, None));
    }

    async fn conditions(&self) {
        let store = self.store;
        let condition = |n: u8| Condition {
            id: [n; 16],
            kind: NotificationKind::Expiring,
            object: *self.zone.as_bytes(),
            since: instant(n.into()),
            account: self.account,
            at: instant(50),
            name: "zone".to_owned(),
            count: 2,
            certificates: vec![
                CertificateId::from_bytes([1; 16]),
                CertificateId::from_bytes([2; 16]),
            ],
        };
        for (n, is_new) in [(1, true), (1, false), (2, true)] {
            let recorded = store.record_condition(condition(n)).await;
            assert_eq!(recorded.expect("record"), is_new);
        }
        let found = self.pending().await;
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].event, NotificationEvent::Condition(condition(1)));
        assert_eq!(found[0].event.zone(), Some(self.zone));
        let aside = UndeliveredEvent {
            destination: NAME.to_owned(),
            place: found[0].place,
            id: [1; 16],
            kind: NotificationKind::Expiring,
            object: *self.zone.as_bytes(),
            set_aside_on: instant(60),
            error: "x".to_owned(),
            is_retried: false,
        };
        let set_aside = store.set_events_aside(NAME, vec![aside], 9).await;
        set_aside.expect("set aside");
        store.retry_undelivered().await.expect("retry");
        let tried = store.retried_events(NAME, 5).await.expect("read");
        assert_eq!(tried[0].1.as_ref(), Some(&found[0]));
        self.advance(vec![found[1].place], 1).await;
        assert_eq!(self.pending().await, []);
        let forgotten = store.forget_notifications(instant(1_000)).await;
        forgotten.expect("forget");
        // The numbers continue after the last one.
        let recorded = store.record_condition(condition(1)).await;
        assert!(recorded.expect("record"));
        let found = self.pending().await;
        assert_eq!(found[0].place.number, 3);
        self.advance(vec![found[0].place], 1).await;
    }

    async fn states(&self) {
        let (store, authority) = (self.store, &self.authority);
        let is_ours = |state: &ReportedState| state.account == self.account;
        let end = authority.expires_on;
        let of_authority = ReportedState {
            object: *authority.id.as_bytes(),
            account: self.account,
            name: authority.name.clone(),
            since: end,
        };
        for (before, expected) in [(end, Vec::new()), (end.plus_seconds(1), vec![of_authority])] {
            let found = store.authorities_ending(instant(0), before).await;
            let mut found = found.expect("read");
            found.retain(is_ours);
            assert_eq!(found, expected);
        }
        let found = store.authorities_ending(end, end.plus_seconds(9)).await;
        let mut found = found.expect("read");
        found.retain(is_ours);
        assert_eq!(found, []);
        // The CA has never published its lists.
        let found = store.crls_overdue(instant(1_000), instant(1_000)).await;
        let mut found = found.expect("read");
        found.retain(is_ours);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].object, *authority.id.as_bytes());
        let found = store.points_silent(Timestamp::EARLIEST, 5).await;
        assert_eq!(found.expect("read"), []);
        self.expiring().await;
    }

    async fn expiring(&self) {
        let store = self.store;
        let mut place = ExpiryPlace {
            expires_on: instant(0),
            position: i64::MIN,
        };
        let until = instant(0).plus_days(400);
        let (mut found, mut reads) = (Vec::new(), 0);
        loop {
            let read = store.expiring(self.zone, place, until, 4).await;
            let (part, next) = read.expect("read");
            found.extend(part);
            reads += 1;
            match next {
                Some(next) => place = next,
                None => break,
            }
        }
        assert!(reads > 1);
        // All that were issued here, except the revoked one.
        let ids: Vec<_> = found.iter().map(|one| one.id).collect();
        let made = |n| fixtures::certificate(n, self.zone, &self.authority, Status::Active).id;
        assert_eq!(ids, [9_001, 9_003, 9_004, 9_005, 9_006].map(made));
        assert_eq!(found[0].issued_on.plus_days(365), found[0].expires_on);
        let none = store.expiring(self.zone, place, instant(0), 4).await;
        assert_eq!(none.expect("read"), (Vec::new(), None));
        let unknown = ZoneId::from_bytes([250; 16]);
        let none = store.expiring(unknown, place, until, 4).await;
        assert_eq!(none.expect("read"), (Vec::new(), None));
    }

    /// The oldest undelivered events make room for new ones.
    async fn makes_room(&self) {
        let store = self.store;
        for n in 0..3_u8 {
            self.issue(9_010 + u32::from(n), 20_000).await;
            let found = self.pending().await;
            let aside = UndeliveredEvent {
                destination: NAME.to_owned(),
                place: found[0].place,
                id: [n; 16],
                kind: NotificationKind::Issued,
                object: found[0].event.object(),
                set_aside_on: instant(5_000 + u32::from(n)),
                error: "x".to_owned(),
                is_retried: false,
            };
            let set_aside = store.set_events_aside(NAME, vec![aside], 2).await;
            set_aside.expect("set aside");
        }
        let slice = Slice { first: 0, size: 5 };
        let listed = store.undelivered_events(slice).await.expect("read");
        let ids: Vec<_> = listed.items.iter().map(|event| event.id[0]).collect();
        assert_eq!((listed.total, ids), (2, vec![2, 1]));
        let forgotten = store.forget_notifications(instant(6_000)).await;
        forgotten.expect("forget");
    }

    /// The clock is set back by more than requests overtake each other.
    async fn set_back(&self) {
        let late = self.issue(9_004, 10_000).await;
        let found = self.pending().await;
        assert_eq!(found.len(), 1);
        self.advance(vec![found[0].place], 1).await;
        let early = [self.issue(9_005, 100).await, self.issue(9_006, 200).await];
        for certificate in early {
            let found = self.pending().await;
            assert_eq!(found[0].event.object(), *certificate.id.as_bytes());
            assert_ne!(found[0].event.object(), *late.id.as_bytes());
            self.advance(vec![found[0].place], 1).await;
        }
        assert_eq!(self.pending().await, []);
    }
}
