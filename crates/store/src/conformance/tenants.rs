//! Installation, accounts and zones: each verb with each outcome.

use certgate_model::{
    AccountFilter, AccountRecord, CertificateQuery, CertificateRecord, Direction, Event, Join,
    Page, Slice, Status, TextMatch, Totals, Visible, ZoneFilter, ZoneId, ZoneOrder, ZoneRecord,
};

use super::fixtures;
use super::fixtures::EVERYTHING;
use super::fixtures::{by, by_at};
use crate::{
    AccountDeleted, AccountRecorded, CertificateRecorded, Earlier, Neighbours, Store, StoreError,
    ZoneDeleted, ZoneRecorded,
};

pub(super) async fn installation(store: &dyn Store) {
    let records = fixtures::first_records();
    assert!(store.initialise(records.clone()).await.expect("initialise"));
    let public_url = async || store.public_url().await.expect("read");
    assert_eq!(public_url().await, None);
    let [first, second] = ["http://a.example", "http://b.example"];
    for (url, earlier, expected) in [
        (first, Earlier::Stays, first),
        (second, Earlier::Stays, first),
        (second, Earlier::IsReplaced, second),
    ] {
        let recorded = store.record_public_url(url.to_owned(), earlier).await;
        assert_eq!(recorded.expect("record").as_deref(), Some(expected));
        assert_eq!(public_url().await.as_deref(), Some(expected));
    }
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

pub(super) async fn accounts(store: &dyn Store) {
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

pub(super) async fn zones(store: &dyn Store) {
    // Zone 0 of account 0 exists; 1 and 2 belong to account 1, and 3 to account 2.
    for (n, account) in [(1, 1), (2, 1), (3, 2)] {
        let zone = fixtures::zone(n, &fixtures::account(account));
        assert_eq!(
            store
                .record_zone(zone.clone(), Neighbours::Every, by())
                .await
                .expect("record"),
            ZoneRecorded::Recorded
        );
        assert_eq!(store.zone(zone.id).await.expect("read"), Some(zone));
    }
    let stray = fixtures::zone(4, &fixtures::account(77));
    assert_eq!(
        store
            .record_zone(stray, Neighbours::Every, by())
            .await
            .expect("record"),
        ZoneRecorded::NoAccount
    );
    let taken = ZoneRecord {
        name: "zone-3.example".into(),
        ..fixtures::zone(4, &fixtures::account(1))
    };
    assert_eq!(
        store
            .record_zone(taken, Neighbours::Every, by())
            .await
            .expect("record"),
        ZoneRecorded::NameTaken
    );
    neighbouring_zones(store).await;
    let same_id = ZoneRecord {
        name: "new.example".into(),
        ..fixtures::zone(3, &fixtures::account(1))
    };
    assert!(matches!(
        store.record_zone(same_id, Neighbours::Every, by()).await,
        Err(StoreError::Conflict(_))
    ));
}

/// Zones above and below those of other accounts need to be accepted one by one.
async fn neighbouring_zones(store: &dyn Store) {
    let named = |n: u32, account: u32, name: &str| ZoneRecord {
        name: name.into(),
        ..fixtures::zone(n, &fixtures::account(account))
    };
    let record = async |zone: &ZoneRecord, accepted: &[ZoneId]| {
        let neighbours = Neighbours::Only(accepted.to_vec());
        let recorded = store.record_zone(zone.clone(), neighbours, by()).await;
        recorded.expect("record")
    };
    let other = named(90, 1, "b.deep.test");
    let own = named(91, 2, "c.deep.test");
    let similar = named(92, 1, "xdeep.test");
    // "-" comes before the dot between labels, and "0" after it.
    let beside = named(93, 1, "b.deep-0.test");
    let zone = named(94, 2, "Deep.test");
    let below = named(95, 2, "a.B.deep.test");
    for zone in [&other, &own, &similar, &beside] {
        assert_eq!(record(zone, &[]).await, ZoneRecorded::Recorded);
    }
    let found = ZoneRecorded::Neighbours(vec![(other.id, other.account)]);
    for zone in [&zone, &below] {
        assert_eq!(record(zone, &[]).await, found);
        assert_eq!(record(zone, &[own.id]).await, found);
    }
    // A deleted zone is not a neighbour.
    assert_eq!(record(&zone, &[other.id]).await, ZoneRecorded::Recorded);
    let deleted = store.delete_zone(other.id, by()).await.expect("delete");
    assert_eq!(deleted, ZoneDeleted::Deleted);
    assert_eq!(record(&below, &[]).await, ZoneRecorded::Recorded);
    for zone in [own, similar, beside, zone, below] {
        let deleted = store.delete_zone(zone.id, by()).await.expect("delete");
        assert_eq!(deleted, ZoneDeleted::Deleted);
    }
}

pub(super) async fn zone_filters(store: &dyn Store) {
    let odd = ZoneRecord {
        name: "100%_a\\b.example".into(),
        ..fixtures::zone(5, &fixtures::account(2))
    };
    assert_eq!(
        store
            .record_zone(odd, Neighbours::Every, by())
            .await
            .expect("record"),
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

pub(super) async fn deletions(store: &dyn Store) {
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
            .record_zone(again.clone(), Neighbours::Every, by())
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
