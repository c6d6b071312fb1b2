//! The audit log.

use certgate_model::{
    Actor, AuditAction, AuditEntry, AuditOwner, AuditQuery, By, Direction, Event, ResourceType,
    Status, Timestamp, TokenId,
};

use super::fixtures;
use super::fixtures::{by, by_at, instant};
use crate::audit::hash;
use crate::{CertificateRecorded, Neighbours, Store};

const EVERYTHING: AuditQuery = AuditQuery {
    since: Timestamp::EARLIEST,
    before: Timestamp::LATEST,
    actor: None,
    direction: Direction::Ascending,
    after: None,
    limit: 10_000,
};

/// Returns instants that are further apart than the time by which requests overtake each other.
fn minute(n: u32) -> Timestamp {
    instant(60 * n)
}

/// Tries the log in an account of its own, and reads the logs of the others.
pub(super) async fn audit(store: &dyn Store) {
    let account = fixtures::account(40);
    let owner = AuditOwner::Account(account.id);
    let entries = async |query| store.audit_entries(owner, query).await.expect("list");
    assert_eq!(entries(EVERYTHING).await, []);

    let zone = fixtures::zone(40, &account);
    let authority = fixtures::authority(40, &account);
    let certificate = fixtures::certificate(40_000, zone.id, &authority, Status::Active);
    let other = By {
        actor: Actor::Token(TokenId::from_bytes([0x77; 16])),
        address: None,
        at: minute(30),
    };
    store
        .record_account(account.clone(), by_at(minute(10)))
        .await
        .expect("record");
    store
        .record_zone(zone.clone(), Neighbours::Every, by_at(minute(20)))
        .await
        .expect("record");
    store
        .record_managed_authority(authority.clone(), By::system(minute(30)))
        .await
        .expect("record");
    let recorded = store
        .record_certificate(certificate.clone(), None, other)
        .await
        .expect("record");
    assert_eq!(recorded, CertificateRecorded::Recorded);
    let change = async |event, by| {
        store
            .change_status(zone.id, certificate.id, event, by)
            .await
            .expect("change")
    };
    change(Event::HOLD, by_at(minute(40))).await;
    // The CA was the first change of the account.
    let revoked = 2;
    // The clock was set back in the meantime.
    change(Event::Reactivate, by_at(minute(25))).await;

    // The entry of an overtaken request is not earlier than the one before it.
    let overtaken = fixtures::zone(41, &account);
    store
        .record_zone(
            overtaken.clone(),
            Neighbours::Every,
            by_at(Timestamp::from_unix(minute(25).unix() - 1)),
        )
        .await
        .expect("record");

    // A request that changes nothing is not in the log.
    change(Event::Reactivate, by()).await;
    store
        .settle_pending(u64::MAX, minute(50), &[], 1_000)
        .await
        .expect("settle");
    store
        .record_zone(fixtures::zone(40, &account), Neighbours::Every, by())
        .await
        .expect("refused");
    // An existing certificate is reported as such, whatever the quota.
    let refused = store
        .record_certificate(certificate.clone(), Some(0), by())
        .await
        .expect("refused");
    assert_eq!(refused, CertificateRecorded::Exists);
    store.delete_zone(zone.id, by()).await.expect("refused");

    let expected = [
        (
            1,
            10,
            AuditAction::Create,
            ResourceType::Account,
            "name=Account 40".to_owned(),
        ),
        (
            2,
            20,
            AuditAction::Create,
            ResourceType::Zone,
            format!("name={}", zone.name),
        ),
        (
            6,
            25,
            AuditAction::Reactivate,
            ResourceType::ClientCertificate,
            format!("epoch={}", revoked + 1),
        ),
        (
            7,
            25,
            AuditAction::Create,
            ResourceType::Zone,
            format!("name={}", overtaken.name),
        ),
        (
            3,
            30,
            AuditAction::Create,
            ResourceType::ManagedAuthority,
            format!("algorithm={} epoch={}", authority.algorithm, revoked - 1),
        ),
        (
            4,
            30,
            AuditAction::Issue,
            ResourceType::ClientCertificate,
            String::new(),
        ),
        (
            5,
            40,
            AuditAction::Revoke,
            ResourceType::ClientCertificate,
            format!("reason=certificateHold epoch={revoked}"),
        ),
    ];
    let all = entries(EVERYTHING).await;
    let recorded: Vec<_> = all
        .iter()
        .map(|e| {
            (
                e.number,
                e.by.at,
                e.action,
                e.resource_type,
                e.detail.clone(),
            )
        })
        .collect();
    let expected = expected
        .into_iter()
        .map(|(number, at, action, kind, detail)| (number, minute(at), action, kind, detail));
    assert_eq!(recorded, expected.collect::<Vec<_>>());
    let issue = &all[5];
    assert_eq!(
        (issue.by, issue.resource),
        (other, *certificate.id.as_bytes())
    );
    assert_eq!(
        (issue.zone, issue.fingerprint_sha256),
        (Some(zone.id), Some(certificate.fingerprint_sha256))
    );

    queries(&entries, &all, other.actor).await;
    for owner in [
        owner,
        AuditOwner::Account(fixtures::account(1).id),
        AuditOwner::User(fixtures::first_records().user.id),
    ] {
        let mut entries = store.audit_entries(owner, EVERYTHING).await.expect("list");
        assert!(!entries.is_empty(), "{owner}");
        entries.sort_by_key(|entry| entry.number);
        let mut previous = AuditEntry::FIRST_PREVIOUS;
        for (number, entry) in (1..).zip(&entries) {
            assert_eq!(
                (entry.number, entry.hash),
                (number, hash(&previous, entry)),
                "{entry:?}"
            );
            previous = entry.hash;
        }
    }
}

async fn queries<F>(entries: &F, all: &[AuditEntry], actor: Actor)
where
    F: AsyncFn(AuditQuery) -> Vec<AuditEntry>,
{
    let numbers = async |query| {
        entries(query)
            .await
            .iter()
            .map(|entry| entry.number)
            .collect::<Vec<_>>()
    };
    let backwards = AuditQuery {
        direction: Direction::Descending,
        ..EVERYTHING
    };
    assert_eq!(numbers(backwards).await, [5, 4, 3, 7, 6, 2, 1]);
    let some = AuditQuery {
        since: minute(20),
        before: minute(30),
        ..EVERYTHING
    };
    assert_eq!(
        numbers(some).await,
        [2, 6, 7],
        "from the first instant, and before the second"
    );
    for (actor, expected) in [
        (actor, vec![4]),
        (Actor::System, vec![3]),
        (by().actor, vec![1, 2, 6, 7, 5]),
    ] {
        assert_eq!(
            numbers(AuditQuery {
                actor: Some(actor),
                ..EVERYTHING
            })
            .await,
            expected
        );
        let mut reversed = expected;
        reversed.reverse();
        assert_eq!(
            numbers(AuditQuery {
                actor: Some(actor),
                ..backwards
            })
            .await,
            reversed
        );
    }
    for query in [EVERYTHING, backwards] {
        let intact = numbers(query).await;
        let mut read = Vec::new();
        let mut after = None;
        while let [entry] = &entries(AuditQuery {
            after,
            limit: 1,
            ..query
        })
        .await[..]
        {
            read.push(entry.number);
            after = Some((entry.by.at, entry.number));
        }
        assert_eq!(read, intact, "one by one");
        assert_eq!(intact.len(), all.len());
    }
}
