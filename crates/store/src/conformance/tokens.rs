//! Tokens and API keys: each verb with each outcome.

use certgate_model::{Direction, Slice, TokenHash, TokenRecord, UserId};

use super::fixtures;
use super::fixtures::by;
use crate::{Store, StoreError};

pub(super) async fn tokens(store: &dyn Store) {
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
        .tokens(None, Direction::Ascending, Slice { first: 1, size: 2 })
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

pub(super) async fn api_keys(store: &dyn Store) {
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
