//! Each verb with each outcome.

use certgate_model::{
    AccountFilter, AccountRecord, AuthorityRecord, CertificateId, CertificateQuery,
    CertificateRecord, Direction, Event, Join, Page, RevocationReason, SerialNumber, Slice, Status,
    TextMatch, Timestamp, TokenHash, TokenRecord, Totals, UserId, Visible, ZoneFilter, ZoneId,
    ZoneOrder, ZoneRecord,
};

use super::audit::audit;
use super::enforcement_points::enforcement_points;
use super::fixtures;
use super::fixtures::{by, by_at};
use super::hostnames::hostnames;
use super::lists::lists;
use super::mtls_certificates::mtls_certificates;
use crate::{
    AccountDeleted, AccountRecorded, AuthorityReplaced, BackgroundJob, CertificateRecorded,
    Settled, StatusChange, Store, StoreError, ZoneDeleted, ZoneRecorded,
};

const EVERYTHING: Slice = Slice {
    first: 0,
    size: 1_000,
};

/// Tries every verb on an empty store. Panics at the first wrong outcome.
pub async fn verbs(store: &dyn Store) {
    empty(store).await;
    installation(store).await;
    accounts(store).await;
    zones(store).await;
    zone_filters(store).await;
    tokens(store).await;
    api_keys(store).await;
    let authority = authorities(store).await;
    mtls_certificates(store).await;
    certificates(store, &authority).await;
    statuses(store, &authority).await;
    settling(store, &authority).await;
    replaced_authorities(store).await;
    deep_slices(store).await;
    lists(store, &authority).await;
    enforcement_points(store, &authority).await;
    hostnames(store, &authority).await;
    deletions(store).await;
    audit(store).await;
    leases(store).await;
    store.ready().await.expect("ready");
    assert_eq!(store.check().await.expect("check"), Vec::<String>::new());
}

/// Checks after [`verbs`] that a closed store refuses writes.
pub async fn closed(store: &dyn Store) {
    store.close().await;
    store.close().await;
    let refused = store.record_account(fixtures::account(90), by()).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(matches!(
        store.ready().await,
        Err(StoreError::Unavailable(_))
    ));
}

async fn empty(store: &dyn Store) {
    let records = fixtures::first_records();
    assert_eq!(store.installation().await.expect("read"), None);
    assert_eq!(store.user().await.expect("read"), None);
    assert_eq!(store.account(records.account.id).await.expect("read"), None);
    assert_eq!(store.zone(records.zone.id).await.expect("read"), None);
    assert_eq!(store.token(records.token.id).await.expect("read"), None);
    assert_eq!(
        store
            .managed_authority(records.account.id)
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store
            .settle_pending(u64::MAX, fixtures::instant(0), &[], 100)
            .await
            .expect("settle"),
        Settled::default()
    );
    assert_eq!(store.check().await.expect("check"), Vec::<String>::new());
}

async fn installation(store: &dyn Store) {
    let records = fixtures::first_records();
    assert!(store.initialise(records.clone()).await.expect("initialise"));
    let mut other = records.clone();
    other.installation.master_key_check = vec![9; 9];
    other.account = fixtures::account(99);
    assert!(!store.initialise(other).await.expect("initialise again"));
    assert_eq!(
        store.installation().await.expect("read"),
        Some(records.installation)
    );
    assert_eq!(store.user().await.expect("read"), Some(records.user));
    assert_eq!(
        store.account(records.account.id).await.expect("read"),
        Some(records.account)
    );
    assert_eq!(
        store.zone(records.zone.id).await.expect("read"),
        Some(records.zone)
    );
    assert_eq!(
        store.token(records.token.id).await.expect("read"),
        Some(records.token)
    );
    assert_eq!(
        store.account(fixtures::account(99).id).await.expect("read"),
        None
    );
}

async fn accounts(store: &dyn Store) {
    for n in [1, 2] {
        let recorded = store
            .record_account(fixtures::account(n), by())
            .await
            .expect("record");
        assert_eq!(recorded, AccountRecorded::Recorded);
    }
    let same_name = AccountRecord {
        name: "ACCOUNT 2".into(),
        ..fixtures::account(3)
    };
    assert_eq!(
        store.record_account(same_name, by()).await.expect("record"),
        AccountRecorded::NameTaken
    );
    let same_id = AccountRecord {
        name: "Another".into(),
        ..fixtures::account(2)
    };
    assert!(matches!(
        store.record_account(same_id, by()).await,
        Err(StoreError::Conflict(_))
    ));

    let list = |visible, name, direction| AccountFilter {
        visible,
        name,
        direction,
    };
    let named = |page: Page<AccountRecord>| {
        assert_eq!(page.total, page.items.len() as u64);
        page.items
            .into_iter()
            .map(|account| account.name)
            .collect::<Vec<_>>()
    };
    let all = list(everything(), None, Direction::Descending);
    let page = store.accounts(&all, EVERYTHING).await.expect("list");
    assert_eq!(named(page), ["Account 2", "Account 1", "Account 0"]);
    let page = store
        .accounts(&all, Slice { first: 1, size: 1 })
        .await
        .expect("list");
    assert_eq!((page.items, page.total), (vec![fixtures::account(1)], 3));
    let only = Visible {
        accounts: vec![fixtures::account(2).id, fixtures::account(0).id],
        zones: vec![fixtures::zone(0, &fixtures::account(0)).id],
        ..Visible::default()
    };
    let only = list(
        only,
        Some(TextMatch::NotEqual("account 0".into())),
        Direction::Ascending,
    );
    assert_eq!(
        named(store.accounts(&only, EVERYTHING).await.expect("list")),
        ["Account 2"]
    );
    let none = list(Visible::default(), None, Direction::Ascending);
    assert!(named(store.accounts(&none, EVERYTHING).await.expect("list")).is_empty());
    let but = Visible {
        except_accounts: vec![fixtures::account(1).id],
        ..everything()
    };
    let but = list(but, None, Direction::Ascending);
    assert_eq!(
        named(store.accounts(&but, EVERYTHING).await.expect("list")),
        ["Account 0", "Account 2"]
    );
}

fn everything() -> Visible {
    Visible {
        all: true,
        ..Visible::default()
    }
}

async fn zones(store: &dyn Store) {
    // Zone 0 of account 0 exists; 1 and 2 belong to account 1, and 3 to account 2.
    for (n, account) in [(1, 1), (2, 1), (3, 2)] {
        let zone = fixtures::zone(n, &fixtures::account(account));
        assert_eq!(
            store.record_zone(zone.clone(), by()).await.expect("record"),
            ZoneRecorded::Recorded
        );
        assert_eq!(store.zone(zone.id).await.expect("read"), Some(zone));
    }
    let nobodys = fixtures::zone(4, &fixtures::account(77));
    assert_eq!(
        store.record_zone(nobodys, by()).await.expect("record"),
        ZoneRecorded::NoAccount
    );
    let taken = ZoneRecord {
        name: "zone-3.example".into(),
        ..fixtures::zone(4, &fixtures::account(1))
    };
    assert_eq!(
        store.record_zone(taken, by()).await.expect("record"),
        ZoneRecorded::NameTaken
    );
    let same_id = ZoneRecord {
        name: "new.example".into(),
        ..fixtures::zone(3, &fixtures::account(1))
    };
    assert!(matches!(
        store.record_zone(same_id, by()).await,
        Err(StoreError::Conflict(_))
    ));
}

async fn zone_filters(store: &dyn Store) {
    let odd = ZoneRecord {
        name: "100%_a\\b.example".into(),
        ..fixtures::zone(5, &fixtures::account(2))
    };
    assert_eq!(
        store.record_zone(odd, by()).await.expect("record"),
        ZoneRecorded::Recorded
    );
    let all = ZoneFilter {
        visible: everything(),
        name: None,
        account: None,
        account_name: None,
        join: Join::All,
        order: ZoneOrder::CreatedOn,
        direction: Direction::Ascending,
    };
    let name = |name| ZoneFilter {
        name: Some(name),
        ..all.clone()
    };
    let text = str::to_owned;
    let (one, two) = (fixtures::account(1).id, fixtures::account(2).id);
    let only = |accounts, zones| {
        let visible = Visible {
            accounts,
            zones,
            ..Visible::default()
        };
        ZoneFilter {
            visible,
            ..all.clone()
        }
    };
    let but = |except_accounts, except_zones| {
        let visible = Visible {
            except_accounts,
            except_zones,
            ..everything()
        };
        ZoneFilter {
            visible,
            ..all.clone()
        }
    };
    let both = ZoneFilter {
        name: Some(TextMatch::EndsWith(text("-0.example"))),
        account: Some(one),
        account_name: Some(TextMatch::Contains(text("COUNT 2"))),
        ..all.clone()
    };
    let zone = |n| ZoneId::from_bytes(*fixtures::zone(n, &fixtures::account(0)).id.as_bytes());
    let cases: Vec<(ZoneFilter, &[u32])> = vec![
        (all.clone(), &[0, 1, 2, 3, 5]),
        (
            ZoneFilter {
                direction: Direction::Descending,
                ..all.clone()
            },
            &[5, 3, 2, 1, 0],
        ),
        (
            ZoneFilter {
                order: ZoneOrder::Name,
                ..all.clone()
            },
            &[5, 0, 1, 2, 3],
        ),
        (
            ZoneFilter {
                order: ZoneOrder::AccountId,
                ..all.clone()
            },
            &[0, 1, 2, 3, 5],
        ),
        (
            ZoneFilter {
                order: ZoneOrder::AccountName,
                direction: Direction::Descending,
                ..all.clone()
            },
            &[5, 3, 2, 1, 0],
        ),
        (name(TextMatch::Equal(text("Zone-2.EXAMPLE"))), &[2]),
        (
            name(TextMatch::NotEqual(text("zone-2.example"))),
            &[0, 1, 3, 5],
        ),
        (name(TextMatch::StartsWith(text("zone-"))), &[0, 1, 2, 3]),
        (name(TextMatch::EndsWith(text("3.example"))), &[3]),
        (name(TextMatch::Contains(text("ONE-1"))), &[1]),
        // A wildcard of LIKE is a character like any other.
        (name(TextMatch::Contains(text("%"))), &[5]),
        (name(TextMatch::Contains(text("_"))), &[5]),
        (name(TextMatch::Contains(text("\\b"))), &[5]),
        (name(TextMatch::StartsWith(text("1__"))), &[]),
        (name(TextMatch::Contains("z".repeat(100_000))), &[]),
        (
            name(TextMatch::NotEqual("z".repeat(100_000))),
            &[0, 1, 2, 3, 5],
        ),
        (only(vec![one], vec![zone(3)]), &[1, 2, 3]),
        (only(Vec::new(), vec![zone(0)]), &[0]),
        (only(Vec::new(), Vec::new()), &[]),
        (but(vec![one], vec![zone(3)]), &[0, 5]),
        (both.clone(), &[]),
        (
            ZoneFilter {
                join: Join::Any,
                ..both.clone()
            },
            &[0, 1, 2, 3, 5],
        ),
        // The rights of the caller apply in addition to the conditions.
        (
            ZoneFilter {
                join: Join::Any,
                visible: Visible {
                    accounts: vec![two],
                    ..Visible::default()
                },
                ..both
            },
            &[3, 5],
        ),
    ];
    for (filter, expected) in cases {
        let page = store.zones(&filter, EVERYTHING).await.expect("list");
        let found: Vec<_> = page.items.iter().map(|zone| zone.id).collect();
        assert_eq!(
            found,
            expected.iter().map(|n| zone(*n)).collect::<Vec<_>>(),
            "{filter:?}"
        );
        assert_eq!(page.total, expected.len() as u64);
        for (index, id) in found.iter().enumerate() {
            let slice = Slice {
                first: index as u64,
                size: 1,
            };
            let page = store.zones(&filter, slice).await.expect("list");
            assert_eq!(
                (page.items[0].id, page.total),
                (*id, expected.len() as u64),
                "{filter:?}"
            );
        }
    }
}

async fn tokens(store: &dyn Store) {
    let user = fixtures::first_records().user;
    for n in 1..=4 {
        store
            .record_token(fixtures::token(n, &user), by())
            .await
            .expect("record");
    }
    for n in 0..=4 {
        let token = fixtures::token(n, &user);
        assert_eq!(
            store.token(token.id).await.expect("read"),
            Some(token.clone())
        );
        assert_eq!(
            store.token_by_hash(token.hash).await.expect("read"),
            Some(token)
        );
    }
    assert_eq!(
        store.token_by_hash(TokenHash([0; 32])).await.expect("read"),
        None
    );
    let page = store
        .tokens(Slice { first: 1, size: 2 })
        .await
        .expect("list");
    assert_eq!(
        (page.items, page.total),
        (
            vec![fixtures::token(1, &user), fixtures::token(2, &user)],
            5
        )
    );

    let mut same_hash = fixtures::token(9, &user);
    same_hash.hash = fixtures::token(1, &user).hash;
    assert!(matches!(
        store.record_token(same_hash, by()).await,
        Err(StoreError::Conflict(_))
    ));
    let old = fixtures::token(1, &user);
    let mut rolled = old.clone();
    rolled.hash = fixtures::token(8, &user).hash;
    rolled.name = "rolled".into();
    rolled.policies.pop();
    assert!(
        store
            .replace_token(old.clone(), rolled.clone(), by())
            .await
            .expect("replace")
    );
    // A client that has read the token before does not undo the change.
    assert!(
        !store
            .replace_token(old.clone(), old, by())
            .await
            .expect("replace")
    );
    assert_eq!(
        store
            .token_by_hash(fixtures::token(1, &user).hash)
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store.token_by_hash(rolled.hash).await.expect("read"),
        Some(rolled.clone())
    );
    let same_hash = TokenRecord {
        hash: fixtures::token(2, &user).hash,
        ..rolled.clone()
    };
    assert!(matches!(
        store.replace_token(rolled.clone(), same_hash, by()).await,
        Err(StoreError::Conflict(_))
    ));
    let unknown = fixtures::token(9, &user);
    assert!(
        !store
            .replace_token(unknown.clone(), unknown, by())
            .await
            .expect("replace")
    );
    token_uses(store, rolled.clone()).await;
    assert!(store.delete_token(rolled.id, by()).await.expect("delete"));
    assert!(!store.delete_token(rolled.id, by()).await.expect("delete"));
    assert_eq!(store.token(rolled.id).await.expect("read"), None);
}

async fn token_uses(store: &dyn Store, token: TokenRecord) {
    let other = fixtures::token(2, &fixtures::first_records().user);
    let unknown = fixtures::token(9, &fixtures::first_records().user).id;
    let (used, later) = (fixtures::instant(1_000), fixtures::instant(1_001));
    for uses in [
        vec![(token.id, used), (unknown, used), (other.id, later)],
        // A use that is reported late is not the last use.
        vec![(token.id, fixtures::instant(999)), (other.id, used)],
        Vec::new(),
    ] {
        store.record_token_uses(uses).await.expect("record uses");
        for (token, at) in [(&token, used), (&other, later)] {
            let expected = TokenRecord {
                last_used_on: Some(at),
                ..token.clone()
            };
            assert_eq!(store.token(token.id).await.expect("read"), Some(expected));
        }
    }
    assert_eq!(store.token(unknown).await.expect("read"), None);
    // A client that has read the token before its use can replace it, and does not undo the use.
    let renamed = TokenRecord {
        name: "renamed".into(),
        ..token.clone()
    };
    assert!(
        store
            .replace_token(token, renamed.clone(), by())
            .await
            .expect("replace")
    );
    let expected = TokenRecord {
        last_used_on: Some(used),
        ..renamed
    };
    assert_eq!(
        store.token(expected.id).await.expect("read"),
        Some(expected)
    );
}

async fn api_keys(store: &dyn Store) {
    let user = fixtures::first_records().user;
    let (one, two) = (fixtures::hash(101), fixtures::hash(102));
    assert_eq!(store.user_by_api_key(one).await.expect("read"), None);
    for (key, known, unknown) in [(one, one, two), (two, two, one)] {
        assert!(
            store
                .replace_api_key(user.id, Some(key), by())
                .await
                .expect("replace")
        );
        assert_eq!(
            store.user_by_api_key(known).await.expect("read"),
            Some(user.clone())
        );
        assert_eq!(store.user_by_api_key(unknown).await.expect("read"), None);
    }
    assert_eq!(store.user().await.expect("read"), Some(user.clone()));
    let unknown = UserId::from_bytes([9; 16]);
    assert!(
        !store
            .replace_api_key(unknown, Some(one), by())
            .await
            .expect("replace")
    );
    for _ in 0..2 {
        assert!(
            store
                .replace_api_key(user.id, None, by())
                .await
                .expect("replace")
        );
        assert_eq!(store.user_by_api_key(two).await.expect("read"), None);
    }
}

async fn authorities(store: &dyn Store) -> AuthorityRecord {
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
    let nobodys = fixtures::authority(3, &fixtures::account(77));
    assert_eq!(
        store
            .record_managed_authority(nobodys, by())
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

async fn certificates(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(1, &fixtures::account(1)).id;
    let make = |n| fixtures::certificate(n, zone, authority, Status::Active);
    let first = make(1);
    let recorded = store
        .record_certificate(first.clone(), Some(1), by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Recorded);
    let recorded = store
        .record_certificate(make(2), Some(1), by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::QuotaReached);
    let elsewhere = CertificateRecord {
        zone: ZoneId::from_bytes([0; 16]),
        ..make(2)
    };
    let recorded = store
        .record_certificate(elsewhere, None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::NoZone);

    let same_id = CertificateRecord {
        id: first.id,
        ..make(2)
    };
    let recorded = store
        .record_certificate(same_id, None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Exists);
    let mut no_authority = make(2);
    no_authority.authority.id = fixtures::authority(50, &fixtures::account(1)).id;
    let refused = store.record_certificate(no_authority, None, by()).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "{refused:?}"
    );
    let smallest = CertificateRecord {
        serial: SerialNumber::from_bytes([0; 20]),
        ..make(3)
    };
    store
        .record_certificate(smallest.clone(), None, by())
        .await
        .expect("record");

    assert_eq!(
        store.certificate(zone, first.id).await.expect("read"),
        Some(first.clone())
    );
    let other_zone = fixtures::zone(2, &fixtures::account(1)).id;
    assert_eq!(
        store.certificate(other_zone, first.id).await.expect("read"),
        None
    );
    assert_eq!(
        store
            .certificate(zone, CertificateId::from_bytes([1; 16]))
            .await
            .expect("read"),
        None
    );
    let query = CertificateQuery {
        status: None,
        slice: EVERYTHING,
    };
    let page = store.certificates(zone, query).await.expect("list");
    assert_eq!((page.items, page.total), (vec![smallest, first], 2));
    let page = store.certificates(other_zone, query).await.expect("list");
    assert_eq!((page.items, page.total), (Vec::new(), 0));
    assert_eq!(
        store.totals(zone).await.expect("totals"),
        Totals::new([2, 0, 0, 0])
    );
}

async fn statuses(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(1, &fixtures::account(1)).id;
    let id = fixtures::certificate(1, zone, authority, Status::Active).id;
    let at = fixtures::instant(1_000);
    let change = |event| store.change_status(zone, id, event, by_at(at));
    let is = |status, revoked_on: Option<Timestamp>| CertificateRecord {
        revoked_on,
        revocation_reason: revoked_on.map(|_| RevocationReason::CertificateHold),
        ..fixtures::certificate(1, zone, authority, status)
    };
    let revoking = is(Status::PendingRevocation, Some(at));
    let revoked = is(Status::Revoked, Some(at));
    let restoring = is(Status::PendingReactivation, None);
    let active = is(Status::Active, None);
    let steps = [
        (Event::Reactivate, StatusChange::Unchanged(active.clone())),
        (Event::Settle, StatusChange::Unchanged(active.clone())),
        (Event::HOLD, StatusChange::Changed(revoking.clone())),
        (Event::HOLD, StatusChange::Unchanged(revoking.clone())),
        (Event::Reactivate, StatusChange::Changed(restoring.clone())),
        (
            Event::Reactivate,
            StatusChange::Unchanged(restoring.clone()),
        ),
        (Event::HOLD, StatusChange::Changed(revoking)),
        (Event::Settle, StatusChange::Changed(revoked.clone())),
        (Event::Settle, StatusChange::Unchanged(revoked)),
        (Event::HOLD, StatusChange::Refused),
        (Event::Reactivate, StatusChange::Changed(restoring)),
        (Event::Settle, StatusChange::Changed(active.clone())),
    ];
    for (event, expected) in steps {
        assert_eq!(
            change(event).await.expect("change"),
            Some(expected),
            "{event:?}"
        );
    }
    assert_eq!(
        store.certificate(zone, id).await.expect("read"),
        Some(active)
    );
    let elsewhere = fixtures::zone(2, &fixtures::account(1)).id;
    assert_eq!(
        store
            .change_status(elsewhere, id, Event::HOLD, by_at(at))
            .await
            .expect("change"),
        None
    );
    let unknown = CertificateId::from_bytes([1; 16]);
    assert_eq!(
        store
            .change_status(zone, unknown, Event::HOLD, by_at(at))
            .await
            .expect("change"),
        None
    );
}

async fn settling(store: &dyn Store, authority: &AuthorityRecord) {
    let zone = fixtures::zone(2, &fixtures::account(1)).id;
    let ids: Vec<_> = (100..106)
        .map(|n| fixtures::certificate(n, zone, authority, Status::Active).id)
        .collect();
    for n in 100..106 {
        let status = if n < 103 {
            Status::Active
        } else {
            Status::Revoked
        };
        let record = fixtures::certificate(n, zone, authority, status);
        store
            .record_certificate(record, None, by())
            .await
            .expect("record");
    }
    let at = fixtures::instant(2_000);
    // Changes settle in the order in which they were accepted, not in the order of issue.
    for (index, event) in [
        (5, Event::Reactivate),
        (2, Event::HOLD),
        (3, Event::Reactivate),
        (0, Event::HOLD),
    ] {
        store
            .change_status(zone, ids[index], event, by_at(at))
            .await
            .expect("change");
    }
    let settled = store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], 0)
        .await
        .expect("settle");
    assert_eq!(settled, Settled::default());
    let settled = store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], 2)
        .await
        .expect("settle");
    assert_eq!(
        settled,
        Settled {
            reactivated: 1,
            revoked: 1
        }
    );
    let mut statuses = Vec::new();
    for id in &ids {
        statuses.push(
            store
                .certificate(zone, *id)
                .await
                .expect("read")
                .expect("it exists")
                .status,
        );
    }
    use Status::{Active, PendingReactivation, PendingRevocation, Revoked};
    assert_eq!(
        statuses,
        [
            PendingRevocation,
            Active,
            Revoked,
            PendingReactivation,
            Revoked,
            Active
        ]
    );
    assert_eq!(
        store.totals(zone).await.expect("totals"),
        Totals::new([2, 1, 1, 2])
    );
    let settled = store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");
    assert_eq!(
        settled,
        Settled {
            reactivated: 1,
            revoked: 1
        }
    );
    assert_eq!(
        store
            .settle_pending(u64::MAX, fixtures::instant(0), &[], 10)
            .await
            .expect("settle"),
        Settled::default()
    );
    assert_eq!(
        store.totals(zone).await.expect("totals"),
        Totals::new([3, 0, 0, 3])
    );
}

async fn replaced_authorities(store: &dyn Store) {
    let account = fixtures::account(2);
    let zone = fixtures::zone(3, &account).id;
    let [first, second, third] = [21, 22, 23].map(|n| fixtures::authority(n, &account));
    let replace = |expected: Option<&AuthorityRecord>, new: &AuthorityRecord| {
        store.replace_managed_authority(expected.map(|expected| expected.id), new.clone(), by())
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
        AuthorityReplaced::Replaced
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
        AuthorityReplaced::Replaced
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
        AuthorityReplaced::Replaced
    );
    let all = store.managed_authorities(account.id).await.expect("read");
    assert_eq!(all, [third.clone(), second.clone(), first.clone()]);
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

    let nobodys = fixtures::authority(24, &fixtures::account(77));
    assert_eq!(
        replace(None, &nobodys).await.expect("replace"),
        AuthorityReplaced::NoAccount
    );
    assert_eq!(
        store
            .managed_authorities(nobodys.account)
            .await
            .expect("read"),
        Vec::new()
    );
}

async fn deep_slices(store: &dyn Store) {
    let zone = fixtures::zone(2, &fixtures::account(1)).id;
    for first in [
        7,
        1 << 31,
        1 << 36,
        1 << 62,
        (1 << 63) - 1,
        1 << 63,
        u64::MAX,
    ] {
        for size in [0, 1, u32::MAX] {
            let slice = Slice { first, size };
            for (status, total) in [
                (None, 6),
                (Some(Status::Revoked), 3),
                (Some(Status::PendingRevocation), 0),
            ] {
                let query = CertificateQuery { status, slice };
                let page = store.certificates(zone, query).await.expect("list");
                assert_eq!((page.items, page.total), (Vec::new(), total), "{query:?}");
            }
            assert!(store.tokens(slice).await.expect("list").items.is_empty());
        }
    }
    for status in [None, Some(Status::Revoked)] {
        let query = CertificateQuery {
            status,
            slice: Slice {
                first: 1,
                size: u32::MAX,
            },
        };
        let page = store.certificates(zone, query).await.expect("list");
        assert_eq!(page.items.len() as u64, page.total - 1);
    }
}

async fn leases(store: &dyn Store) {
    let hold = async |holder: u8, from, until| {
        let (from, until) = (fixtures::instant(from), fixtures::instant(until));
        store
            .hold_lease(BackgroundJob::Settling, [holder; 16], from, until)
            .await
            .expect("hold")
    };
    assert!(hold(1, 100, 130).await);
    assert!(!hold(2, 129, 159).await, "the first node has the lease");
    assert!(hold(1, 110, 140).await, "the holder renews the lease");
    assert!(!hold(2, 139, 169).await);
    assert!(hold(2, 140, 170).await, "the lease has expired");
    assert!(!hold(1, 141, 171).await);
    store
        .release_lease(BackgroundJob::Settling, [1; 16])
        .await
        .expect("leave");
    assert!(
        !hold(1, 141, 171).await,
        "only the holder can release the lease"
    );
    store
        .release_lease(BackgroundJob::Settling, [2; 16])
        .await
        .expect("leave");
    assert!(hold(1, 141, 171).await);
    assert!(hold(1, 9_000, 9_030).await);
    assert!(
        hold(2, 150, 180).await,
        "a lease that lasts for hours is ignored: a clock was wrong"
    );
}

async fn deletions(store: &dyn Store) {
    let at = fixtures::instant(3_000);
    let account = fixtures::account(1);
    let (first, second) = (fixtures::zone(1, &account), fixtures::zone(2, &account));
    assert_eq!(
        store
            .delete_account(account.id, by_at(at))
            .await
            .expect("delete"),
        AccountDeleted::HasZones(2)
    );
    let totals = store.totals(second.id).await.expect("totals");
    assert_eq!(
        store
            .delete_zone(second.id, by_at(at))
            .await
            .expect("delete"),
        ZoneDeleted::InUse(totals)
    );
    for zone in [first.id, second.id] {
        let query = CertificateQuery {
            status: Some(Status::Active),
            slice: EVERYTHING,
        };
        for certificate in store.certificates(zone, query).await.expect("list").items {
            store
                .change_status(zone, certificate.id, Event::HOLD, by_at(at))
                .await
                .expect("revoke");
        }
        assert!(matches!(
            store.delete_zone(zone, by_at(at)).await.expect("delete"),
            ZoneDeleted::InUse(_)
        ));
    }
    store
        .settle_pending(u64::MAX, fixtures::instant(0), &[], u32::MAX)
        .await
        .expect("settle");
    let query = CertificateQuery {
        status: None,
        slice: EVERYTHING,
    };
    let certificate = store
        .certificates(first.id, query)
        .await
        .expect("list")
        .items
        .remove(0);
    for zone in [first.id, second.id] {
        assert_eq!(
            store.delete_zone(zone, by_at(at)).await.expect("delete"),
            ZoneDeleted::Deleted
        );
        assert_eq!(
            store.delete_zone(zone, by_at(at)).await.expect("delete"),
            ZoneDeleted::NotFound
        );
        assert_eq!(store.zone(zone).await.expect("read"), None);
        assert_eq!(
            store.certificates(zone, query).await.expect("list").total,
            0
        );
        assert_eq!(store.totals(zone).await.expect("totals"), Totals::default());
    }
    assert_eq!(
        store
            .certificate(first.id, certificate.id)
            .await
            .expect("read"),
        None
    );
    let changed = store
        .change_status(first.id, certificate.id, Event::Reactivate, by_at(at))
        .await;
    assert_eq!(changed.expect("change"), None);
    let recorded = store
        .record_certificate(certificate.clone(), None, by())
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::NoZone);

    // The name is free again, and the old certificates stay in the old zone.
    let again = ZoneRecord {
        name: first.name,
        ..fixtures::zone(11, &account)
    };
    assert_eq!(
        store
            .record_zone(again.clone(), by())
            .await
            .expect("record"),
        ZoneRecorded::Recorded
    );
    assert_eq!(
        store.totals(again.id).await.expect("totals"),
        Totals::default()
    );
    let reused = CertificateRecord {
        zone: again.id,
        ..certificate
    };
    assert_eq!(
        store
            .record_certificate(reused, None, by())
            .await
            .expect("record"),
        CertificateRecorded::Exists
    );
    assert_eq!(
        store
            .delete_zone(again.id, by_at(at))
            .await
            .expect("delete"),
        ZoneDeleted::Deleted
    );

    let authority = store
        .managed_authority(account.id)
        .await
        .expect("read")
        .expect("the account has a CA");
    assert_eq!(
        store
            .delete_account(account.id, by_at(at))
            .await
            .expect("delete"),
        AccountDeleted::Deleted
    );
    assert_eq!(
        store
            .delete_account(account.id, by_at(at))
            .await
            .expect("delete"),
        AccountDeleted::NotFound
    );
    assert_eq!(store.account(account.id).await.expect("read"), None);
    assert_eq!(
        store.managed_authority(account.id).await.expect("read"),
        None
    );
    assert_eq!(
        store.managed_authorities(account.id).await.expect("read"),
        Vec::new()
    );
    assert_eq!(
        store
            .record_managed_authority(authority.clone(), by())
            .await
            .expect("record"),
        None
    );
    assert_eq!(
        store.authority(authority.id).await.expect("read"),
        Some(authority)
    );
    let renamed = AccountRecord {
        name: account.name,
        ..fixtures::account(12)
    };
    assert_eq!(
        store.record_account(renamed, by()).await.expect("record"),
        AccountRecorded::Recorded
    );
}
