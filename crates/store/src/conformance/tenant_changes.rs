//! Changes of accounts, zones and users, and the tokens of accounts: each verb with each outcome.

use certgate_model::{
    AccountChange, AccountRecord, AccountSettings, AccountType, AuditAction, AuditEntry,
    AuditOwner, AuditQuery, Direction, Slice, TokenRecord, UserChange, UserProfile, ZoneChange,
    ZoneProperties, ZoneRecord, ZoneType,
};

use super::fixtures;
use super::fixtures::{EVERYTHING, by, by_at, instant};
use crate::{AccountChanged, AccountDeleted, AccountRecorded, Neighbours, Store, ZoneRecorded};

/// The number of the account and the zone, which no other test of the suite uses.
const N: u32 = 71;

pub(super) async fn tenant_changes(store: &dyn Store) {
    let account = fixtures::account(N);
    let recorded = store.record_account(account.clone(), by()).await;
    assert_eq!(recorded.expect("record"), AccountRecorded::Recorded);
    let zone = fixtures::zone(N, &account);
    let recorded = store.record_zone(zone.clone(), Neighbours::Every, by());
    assert_eq!(recorded.await.expect("record"), ZoneRecorded::Recorded);
    let renamed = accounts(store, &account).await;
    zones(store, &renamed, zone).await;
    user(store).await;
}

async fn accounts(store: &dyn Store, account: &AccountRecord) -> AccountRecord {
    let change = AccountChange {
        name: Some("Renamed".into()),
        kind: Some(AccountType::Standard),
        enforce_twofactor: Some(true),
        abuse_contact_email: Some(Some("abuse@example.com".into())),
    };
    let renamed = AccountRecord {
        name: "Renamed".into(),
        kind: AccountType::Standard,
        settings: AccountSettings {
            enforce_twofactor: true,
            abuse_contact_email: Some("abuse@example.com".into()),
        },
        ..account.clone()
    };
    let outcome = |change| store.change_account(account.id, change, by_at(instant(9_000)));
    for _ in 0..2 {
        let changed = outcome(change.clone()).await.expect("change");
        assert_eq!(changed, AccountChanged::Changed(renamed.clone()));
    }
    let read = store.account(account.id).await.expect("read");
    assert_eq!(read.as_ref(), Some(&renamed));
    // Another case of its own name is free, another account's name is not.
    let named = |name: &str| AccountChange {
        name: Some(name.into()),
        ..AccountChange::default()
    };
    let other = fixtures::first_records().account.name.to_uppercase();
    let taken = outcome(named(&other)).await.expect("change");
    assert_eq!(taken, AccountChanged::NameTaken);
    let shouted = outcome(named("RENAMED")).await.expect("change");
    let shouting = AccountRecord {
        name: "RENAMED".into(),
        ..renamed
    };
    assert_eq!(shouted, AccountChanged::Changed(shouting.clone()));
    let missing = fixtures::account(99).id;
    let missing = store.change_account(missing, named("x"), by()).await;
    assert_eq!(missing.expect("change"), AccountChanged::NotFound);
    // A change that changes nothing is not in the log.
    let owner = AuditOwner::Account(account.id);
    assert_eq!(updates(store, owner).await.len(), 2);
    shouting
}

async fn zones(store: &dyn Store, account: &AccountRecord, zone: ZoneRecord) {
    let change = ZoneChange {
        paused: Some(true),
        kind: Some(ZoneType::Secondary),
        vanity_name_servers: Some(vec!["ns1.example.com".into(), "ns2.example.com".into()]),
    };
    let changed = ZoneRecord {
        account_name: account.name.clone(),
        properties: ZoneProperties {
            paused: true,
            kind: ZoneType::Secondary,
            vanity_name_servers: vec!["ns1.example.com".into(), "ns2.example.com".into()],
        },
        modified_on: instant(9_000),
        ..zone
    };
    for at in [9_000, 9_001] {
        let by = by_at(instant(at));
        let outcome = store.change_zone(zone.id, change.clone(), by).await;
        assert_eq!(outcome.expect("change").as_ref(), Some(&changed));
    }
    assert_eq!(store.zone(zone.id).await.expect("read"), Some(changed));
    let missing = fixtures::zone(99, account).id;
    let missing = store.change_zone(missing, change, by()).await;
    assert_eq!(missing.expect("change"), None);
}

async fn user(store: &dyn Store) {
    let user = store.user().await.expect("read").expect("a user");
    let change = UserChange {
        first_name: Some(Some("Ada".into())),
        zipcode: Some(None),
        ..UserChange::default()
    };
    for at in [9_000, 9_001] {
        let by = by_at(instant(at));
        let changed = store.change_user(user.id, change.clone(), by).await;
        let changed = changed.expect("change").expect("a user");
        assert_eq!(changed.profile.first_name.as_deref(), Some("Ada"));
        assert_eq!(changed.modified_on, instant(9_000));
        assert_eq!(store.user().await.expect("read"), Some(changed));
    }
}

async fn updates(store: &dyn Store, owner: AuditOwner) -> Vec<AuditEntry> {
    let query = AuditQuery {
        since: certgate_model::Timestamp::EARLIEST,
        before: certgate_model::Timestamp::LATEST,
        actor: None,
        direction: Direction::Ascending,
        after: None,
        limit: 100,
    };
    let entries = store.audit_entries(owner, query).await.expect("read");
    let is_update = |entry: &AuditEntry| entry.action == AuditAction::Update;
    entries.into_iter().filter(is_update).collect()
}

/// Tokens that an account owns: in their own list, and deleted with the account.
pub(super) async fn account_tokens(store: &dyn Store) {
    let account = fixtures::account(N + 1);
    let recorded = store.record_account(account.clone(), by()).await;
    assert_eq!(recorded.expect("record"), AccountRecorded::Recorded);
    let user = store.user().await.expect("read").expect("a user");
    let of_user = |direction| store.tokens(None, direction, EVERYTHING);
    let before = of_user(Direction::Ascending).await.expect("list");
    let tokens: Vec<TokenRecord> = (N..N + 3)
        .map(|n| TokenRecord {
            account: Some(account.id),
            ..fixtures::token(n, &user)
        })
        .collect();
    for token in &tokens {
        store
            .record_token(token.clone(), by())
            .await
            .expect("record");
    }
    let mut newest = before.items.clone();
    newest.reverse();
    assert_eq!(of_user(Direction::Ascending).await.expect("list"), before);
    let page = of_user(Direction::Descending).await.expect("list");
    assert_eq!((page.items, page.total), (newest, before.total));

    let listed = |direction, slice| store.tokens(Some(account.id), direction, slice);
    let page = listed(Direction::Ascending, EVERYTHING)
        .await
        .expect("list");
    assert_eq!((page.items, page.total), (tokens.clone(), 3));
    let slice = Slice { first: 1, size: 1 };
    let page = listed(Direction::Descending, slice).await.expect("list");
    assert_eq!((page.items, page.total), (vec![tokens[1].clone()], 3));

    let renamed = TokenRecord {
        name: "renamed".into(),
        ..tokens[0].clone()
    };
    let replaced = store.replace_token(tokens[0].clone(), renamed.clone(), by());
    assert!(replaced.await.expect("replace"));
    assert_eq!(store.token(renamed.id).await.expect("read"), Some(renamed));
    assert!(
        store
            .delete_token(tokens[2].id, by())
            .await
            .expect("delete")
    );
    let deleted = store.delete_account(account.id, by()).await;
    assert_eq!(deleted.expect("delete"), AccountDeleted::Deleted);
    for token in &tokens {
        assert_eq!(store.token_by_hash(token.hash).await.expect("read"), None);
    }
}

/// Checks a database of version 1 with one user, account, zone and token after its upgrade: the
/// new members have their defaults, and can be changed.
pub async fn upgraded(store: &dyn Store) {
    let records = fixtures::first_records();
    let user = store.user().await.expect("read").expect("a user");
    assert_eq!(user.profile, UserProfile::default());
    assert_eq!(user.modified_on, user.created_on);
    let id = certgate_model::AccountId::from_bytes([1; 16]);
    let account = store.account(id).await.expect("read").expect("an account");
    assert_eq!(account.kind, AccountType::default());
    assert_eq!(account.settings, AccountSettings::default());
    let zone = certgate_model::ZoneId::from_bytes([2; 16]);
    let zone = store.zone(zone).await.expect("read").expect("a zone");
    assert_eq!(zone.properties, ZoneProperties::default());
    let page = store.tokens(None, Direction::Ascending, EVERYTHING).await;
    assert_eq!(page.expect("list").items.len(), 1);
    let change = ZoneChange {
        paused: Some(true),
        ..ZoneChange::default()
    };
    let changed = store
        .change_zone(zone.id, change, by())
        .await
        .expect("change");
    assert!(changed.expect("a zone").properties.paused);
    let token = TokenRecord {
        user: user.id,
        account: Some(id),
        ..fixtures::token(1, &records.user)
    };
    store
        .record_token(token.clone(), by())
        .await
        .expect("record");
    assert_eq!(store.token(token.id).await.expect("read"), Some(token));
    assert_eq!(store.check().await.expect("check"), Vec::<String>::new());
}
