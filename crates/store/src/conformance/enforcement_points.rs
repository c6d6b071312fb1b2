//! The verbs of enforcement points.

use certgate_model::{
    AuthorityRecord, Coverage, EnforcedCertificate, EnforcementPointId, EnforcementPointRecord,
    Event, FollowedChange, RevocationReason, SerialNumber, TokenId, WhenStale,
};

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{
    Acknowledged, EnforcementPointDeleted, EnforcementPointRegistered, Settled, StatusChange, Store,
};

/// Tries the verbs of enforcement points, in a zone with certificates and without pending ones.
pub(super) async fn enforcement_points(store: &dyn Store, authority: &AuthorityRecord) {
    let account = fixtures::account(1);
    let zone = fixtures::zone(2, &account).id;
    let point = |n: u8, name: &str| EnforcementPointRecord {
        id: EnforcementPointId::from_bytes([n; 16]),
        account: account.id,
        token: TokenId::from_bytes([n; 16]),
        name: name.into(),
        lease_seconds: 60,
        covers: vec![Coverage::Requests],
        when_stale: WhenStale::Refuse,
        forget_seconds: 600,
        acknowledged_epoch: 0,
        seen_on: fixtures::instant(100),
        registered_on: fixtures::instant(100),
    };
    let (edge, other) = (point(1, "edge"), point(2, "other"));
    let register = async |point: &EnforcementPointRecord, max| {
        store
            .register_enforcement_point(point.clone(), max, by())
            .await
            .expect("register")
    };
    let registered =
        |point: &EnforcementPointRecord| EnforcementPointRegistered::Registered(point.clone());
    assert_eq!(
        store.enforcement_points(account.id).await.expect("list"),
        []
    );
    assert_eq!(register(&edge, 2).await, registered(&edge));
    assert_eq!(
        register(&other, 1).await,
        EnforcementPointRegistered::TooMany
    );
    assert_eq!(register(&other, 2).await, registered(&other));
    let stray = EnforcementPointRecord {
        account: fixtures::account(77).id,
        ..point(3, "edge")
    };
    assert_eq!(
        register(&stray, 2).await,
        EnforcementPointRegistered::NoAccount
    );
    // The same name again: other terms, the same enforcement point.
    let again = EnforcementPointRecord {
        lease_seconds: 30,
        covers: vec![Coverage::Connections, Coverage::Handshakes],
        when_stale: WhenStale::Serve,
        forget_seconds: 30,
        seen_on: fixtures::instant(110),
        ..edge.clone()
    };
    let with_other_id = EnforcementPointRecord {
        id: point(4, "").id,
        registered_on: fixtures::instant(110),
        ..again.clone()
    };
    assert_eq!(register(&with_other_id, 2).await, registered(&again));
    let with_other_token = EnforcementPointRecord {
        token: other.token,
        ..with_other_id.clone()
    };
    assert_eq!(
        register(&with_other_token, 9).await,
        EnforcementPointRegistered::OfAnotherToken
    );
    assert_eq!(
        store.enforcement_points(account.id).await.expect("list"),
        [again.clone(), other.clone()]
    );
    assert_eq!(
        store
            .enforcement_points(fixtures::account(2).id)
            .await
            .expect("list"),
        []
    );

    // Three changes, the last of which is that of the first certificate.
    let query = certgate_model::CertificateQuery {
        status: Some(certgate_model::Status::Active),
        slice: certgate_model::Slice {
            first: 0,
            size: 1_000,
        },
    };
    let active = store.certificates(zone, query).await.expect("list").items;
    let mine: Vec<_> = active
        .iter()
        .filter(|one| one.authority.id == authority.id)
        .take(2)
        .collect();
    let [first, second] = mine[..] else {
        panic!("two certificates of the CA are active")
    };
    let before = store.last_epochs(account.id).await.expect("epochs");
    let at = fixtures::instant(120);
    for (certificate, event) in [
        (first, Event::HOLD),
        (second, Event::Revoke(RevocationReason::KeyCompromise)),
        (first, Event::Reactivate),
    ] {
        let changed = store
            .change_status(zone, certificate.id, event, by_at(at))
            .await
            .expect("change");
        assert!(
            matches!(changed, Some(StatusChange::Changed(_))),
            "{changed:?}"
        );
    }
    let enforced = |certificate: &certgate_model::CertificateRecord| EnforcedCertificate {
        authority: authority.id,
        serial: certificate.serial,
        fingerprint_sha256: certificate.fingerprint_sha256,
    };
    let after = store.last_epochs(account.id).await.expect("epochs");
    // Clients see the numbers of the account.
    let (epoch, last) = (after.of_store, after.of_account);
    let changes = async |account, after, limit| {
        let changes = store
            .revocation_changes(account, after, limit)
            .await
            .expect("changes");
        changes
            .into_iter()
            .map(|one| match one {
                FollowedChange::Certificate(one) => (one.epoch, one.certificate, one.revoked),
                FollowedChange::Configuration { epoch } => panic!("configuration at {epoch}"),
            })
            .collect::<Vec<_>>()
    };
    let both = [
        (last - 1, enforced(second), true),
        (last, enforced(first), false),
    ];
    assert_eq!(epoch, before.of_store + 3);
    assert_eq!(last, before.of_account + 3);
    for (number, expected) in [(last, Some(epoch)), (last + 1, None), (u64::MAX, None)] {
        let known = store.known_epoch(account.id, number).await.expect("epoch");
        assert_eq!(known, expected);
    }
    let before = before.of_store;
    assert_eq!(changes(account.id, before, 10).await, both);
    assert_eq!(changes(account.id, before, 1).await, both[..1]);
    assert_eq!(changes(account.id, epoch - 1, 10).await, both[1..]);
    assert_eq!(changes(account.id, epoch, 10).await, []);
    assert_eq!(changes(fixtures::account(2).id, before, 10).await, []);

    // A change settles after every point has acknowledged it or is silent.
    let acknowledge_by = async |token, id, epoch| {
        store
            .acknowledge(account.id, id, token, epoch, at)
            .await
            .expect("acknowledge")
    };
    // The ID of a point in this test is that of its token.
    let token_of = |id: EnforcementPointId| TokenId::from_bytes(*id.as_bytes());
    let acknowledge = async |id, epoch| acknowledge_by(token_of(id), id, epoch).await;
    let settle = async |at| {
        store
            .settle_pending(u64::MAX, at, &[], 10)
            .await
            .expect("settle")
    };
    assert_eq!(
        acknowledge(edge.id, last + 1).await,
        Acknowledged::Ahead(last)
    );
    assert_eq!(
        acknowledge(point(9, "").id, last).await,
        Acknowledged::NotFound
    );
    assert_eq!(
        acknowledge_by(other.token, edge.id, last).await,
        Acknowledged::OfAnotherToken
    );
    let lagging = async || {
        store
            .lagging_enforcement_points()
            .await
            .expect("lagging")
            .len()
    };
    assert_eq!((settle(at).await, lagging().await), (Settled::default(), 2));
    let expected = |epoch| EnforcementPointRecord {
        acknowledged_epoch: epoch,
        seen_on: at,
        ..again.clone()
    };
    assert_eq!(
        acknowledge(edge.id, last).await,
        Acknowledged::Acknowledged(expected(last))
    );
    assert_eq!(
        acknowledge(edge.id, 0).await,
        Acknowledged::Acknowledged(expected(last)),
        "never backwards"
    );
    assert_eq!((settle(at).await, lagging().await), (Settled::default(), 1));
    acknowledge(other.id, last - 1).await;
    assert_eq!(
        settle(at).await,
        Settled {
            reactivated: 0,
            revoked: 1
        },
        "only the changes that both have"
    );
    let in_lease = at.plus_seconds(59);
    assert_eq!(settle(in_lease).await, Settled::default());
    assert_eq!(
        settle(at.plus_seconds(60)).await,
        Settled {
            reactivated: 1,
            revoked: 0
        }
    );

    // All revocations, in pages of any size.
    let read = async |at, limit| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let part = store
                .revoked_certificates(authority.id, at, after, limit)
                .await
                .expect("read");
            let Some((place, _)) = part.last() else {
                return all;
            };
            after = Some(*place);
            assert!(part.len() <= limit as usize);
            all.extend(part.into_iter().map(|(_, certificate)| certificate));
        }
    };
    let all = read(at, 1_000).await;
    let serials = async |limit| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let part = store.revoked_serials(authority.id, at, after, limit).await;
            let part = part.expect("read");
            let Some((place, _)) = part.last() else {
                return all;
            };
            after = Some(*place);
            all.extend(part.into_iter().map(|(_, serial)| serial));
        }
    };
    let expected: Vec<SerialNumber> = all.iter().map(|one| one.serial).collect();
    for limit in [1, 3, 1_000] {
        assert_eq!(serials(limit).await, expected, "{limit}");
    }
    assert!(all.contains(&enforced(second)) && !all.contains(&enforced(first)));
    assert_eq!(read(at, 1).await, all);
    let after_its_end = read(second.expires_on.plus_seconds(1), 1_000).await;
    assert!(!after_its_end.contains(&enforced(second)));

    // A point whose last contact is in the future, because a clock was wrong, does not count.
    let heard = async |at| {
        for id in [edge.id, other.id] {
            let heard = store
                .acknowledge(account.id, id, token_of(id), 0, at)
                .await
                .expect("acknowledge");
            assert!(matches!(heard, Acknowledged::Acknowledged(_)));
        }
    };
    store
        .change_status(zone, first.id, Event::HOLD, by_at(at))
        .await
        .expect("change");
    assert_eq!(
        store.account_epoch(account.id).await.expect("epoch"),
        last + 1
    );
    assert_eq!(
        store
            .account_epoch(fixtures::account(77).id)
            .await
            .expect("epoch"),
        0
    );
    heard(at.plus_seconds(60)).await;
    assert_eq!(settle(at).await, Settled::default());
    heard(at.plus_days(365)).await;
    assert_eq!(
        settle(at).await,
        Settled {
            reactivated: 0,
            revoked: 1
        }
    );
    heard(at).await;
    store
        .change_status(zone, first.id, Event::Reactivate, by_at(at))
        .await
        .expect("change");
    assert_eq!(settle(at).await, Settled::default());

    // A change does not wait for a deleted point.
    let delete = async |account, id, token| {
        let deleted = store.delete_enforcement_point(account, id, token, by());
        deleted.await.expect("delete")
    };
    for (id, token) in [(edge.id, None), (other.id, Some(other.token))] {
        let elsewhere = delete(fixtures::account(2).id, id, None).await;
        assert_eq!(elsewhere, EnforcementPointDeleted::NotFound);
        let stranger = Some(point(9, "").token);
        assert_eq!(
            delete(account.id, id, stranger).await,
            EnforcementPointDeleted::OfAnotherToken
        );
        for expected in [
            EnforcementPointDeleted::Deleted,
            EnforcementPointDeleted::NotFound,
        ] {
            assert_eq!(delete(account.id, id, token).await, expected);
        }
    }
    assert_eq!(
        settle(at).await,
        Settled {
            reactivated: 1,
            revoked: 0
        }
    );
}

/// Tries the deletion of silent points, in an account without points.
pub(super) async fn silent_points(store: &dyn Store) {
    let account = fixtures::account(1);
    let begun = fixtures::instant(100);
    let point = |n: u8, forget_seconds| EnforcementPointRecord {
        id: EnforcementPointId::from_bytes([n; 16]),
        account: account.id,
        token: TokenId::from_bytes([n; 16]),
        name: format!("silent-{n}"),
        lease_seconds: 5,
        covers: vec![Coverage::Requests],
        when_stale: WhenStale::Refuse,
        forget_seconds,
        acknowledged_epoch: 0,
        seen_on: begun,
        registered_on: begun,
    };
    let next = async || store.next_forgotten_point().await.expect("read");
    let forget = async |seconds: i64, limit| {
        let at = begun.plus_seconds(seconds);
        let forgotten = store.forget_silent_points(at, limit).await.expect("forget");
        let id = |point: &EnforcementPointRecord| point.id.as_bytes()[0];
        forgotten.iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(next().await, None);
    for (n, seconds) in [(1, 100), (2, 60), (3, 60)] {
        let registered = store.register_enforcement_point(point(n, seconds), 9, by());
        registered.await.expect("register");
    }
    assert_eq!(next().await, Some(begun.plus_seconds(60)));
    // An acknowledgement moves the time.
    let (id, token) = (point(2, 0).id, point(2, 0).token);
    let heard = begun.plus_seconds(50);
    let acknowledged = store.acknowledge(account.id, id, token, 0, heard).await;
    assert!(matches!(acknowledged, Ok(Acknowledged::Acknowledged(_))));
    assert_eq!(forget(59, 10).await, [] as [u8; 0]);
    assert_eq!(forget(60, 10).await, [3]);
    assert_eq!(next().await, Some(begun.plus_seconds(100)));
    assert_eq!(forget(200, 1).await, [1]);
    assert_eq!(forget(200, 1).await, [2]);
    assert_eq!(next().await, None);
    let left = store.enforcement_points(account.id).await.expect("list");
    assert_eq!(left, []);
}
