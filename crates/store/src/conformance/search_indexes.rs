//! Indexing and counting the certificates of an earlier version.

use std::ops::ControlFlow;

use certgate_model::{CertificateQuery, Event, Slice, Status, ZoneId};

use super::fixtures::{by, by_at, certificate, first_records, instant};
use crate::db::{Db, Dialect, Row};
use crate::{CertificateRecorded, IndexStep, IndexWork, Store, StoreError};

/// The number of the first certificate, which no other part of the suite has.
const FIRST: u32 = 9_000_000;

/// Brings a database into the state in which the migration of an earlier version leaves it. The
/// statements are streamed, because they are not those of a server.
pub(crate) async fn forget_indexes<D: Db>(db: &D) -> Result<(), StoreError> {
    let mut statements = vec![
        "DELETE FROM authority_counters",
        "DELETE FROM day_counters",
        "DELETE FROM indexing",
        "UPDATE certificates SET folded_name = NULL",
        "INSERT INTO indexing (zone, below, counted_below) \
         SELECT position >> 36, max(position) + 1, max(position) + 1 FROM certificates \
         GROUP BY position >> 36",
        "UPDATE blocks SET replaced_active = 0, replaced_pending_reactivation = 0, \
         replaced_pending_revocation = 0, replaced_revoked = 0",
        "UPDATE upper_blocks SET replaced_active = 0, replaced_pending_reactivation = 0, \
         replaced_pending_revocation = 0, replaced_revoked = 0",
        "DELETE FROM replacement_counting",
        "INSERT INTO replacement_counting (zone, below) \
         SELECT position >> 36, max(position) + 1 FROM replacements GROUP BY position >> 36",
    ];
    statements.extend_from_slice(match D::DIALECT {
        Dialect::Sqlite => &[
            "DELETE FROM certificate_events",
            "DELETE FROM event_indexing",
            "INSERT INTO event_indexing (chain, at, number) \
             SELECT number, 9223372036854775807, 0 FROM audit_chains WHERE NOT is_user",
            "DELETE FROM certificate_names",
            "DELETE FROM certificate_fingerprints",
            "DELETE FROM certificate_expiries",
            "DELETE FROM certificate_issue_dates",
            "DELETE FROM certificate_authorities",
            "DELETE FROM certificate_revocations",
        ],
        Dialect::Postgres => &[
            "DROP INDEX certificates_by_expiry",
            "INSERT INTO indexing (zone, below, counted_below) VALUES (0, 0, 0)",
        ],
    });
    for statement in statements {
        let mut none = |_: &dyn Row| Ok(ControlFlow::Continue(()));
        db.stream(statement, &[], &mut none).await?;
    }
    Ok(())
}

/// Indexes everything again after [`verbs`](super::verbs), with changes before, between and after
/// the steps. The user of a database needs the rights of its owner.
pub async fn search_indexes(store: &dyn Store) {
    let zone = first_records().zone.id;
    record_names(store, zone).await;
    let nothing = Vec::<String>::new();
    store.forget_indexes().await.expect("forget");
    assert_eq!(store.check().await.expect("check"), nothing);
    let summary = store.summary(zone, 0).await.expect("read").expect("a zone");
    assert_eq!(summary.uncounted, summary.totals.all());
    let all = store.installation_summary(0, 1).await.expect("read");
    assert_eq!(all.unindexed, all.totals.all());
    let (mut work, mut steps) = (IndexWork::default(), 0_u32);
    loop {
        change_one(store, zone, steps).await;
        if steps % 3 == 2 {
            // The process has ended, and another one continues.
            work = IndexWork::default();
        }
        if steps % 4 == 0 {
            assert_eq!(store.check().await.expect("check"), nothing, "{steps}");
        }
        // Work that is lost each time would be begun for ever.
        if index_some(store, &mut work, 1 + steps).await {
            break;
        }
        steps += 1;
        assert!(steps < 1_000, "it does not end");
    }
    change_one(store, zone, steps).await;
    assert_eq!(store.check().await.expect("check"), nothing);
    let summary = store.summary(zone, 0).await.expect("read").expect("a zone");
    assert_eq!(summary.uncounted, 0);
    let by_authority: u64 = summary.by_authority.iter().map(|(_, of)| of.all()).sum();
    assert_eq!(by_authority, summary.totals.all());
}

/// Records certificates whose names have letters beyond ASCII, or too many.
async fn record_names(store: &dyn Store, zone: ZoneId) {
    let account = first_records().account.id;
    let authority = store.managed_authority(account).await.expect("read");
    let authority = authority.expect("the account has a CA");
    for (n, name) in (0..).zip(["KÖLN", &"Long-".repeat(60)]) {
        let mut record = certificate(FIRST + n, zone, &authority, Status::Active);
        record.subject.common_name = name.to_owned();
        let recorded = store.record_certificate(record, None, by()).await;
        assert_eq!(recorded.expect("record"), CertificateRecorded::Recorded);
    }
}

/// Runs some steps; `true` if nothing is left.
async fn index_some(store: &dyn Store, work: &mut IndexWork, steps: u32) -> bool {
    for _ in 0..steps {
        match store.index_next(work).await.expect("index") {
            IndexStep::Finished => return true,
            IndexStep::Worked => {}
            IndexStep::Waits => panic!("no other process runs"),
        }
    }
    false
}

/// Revokes, restores or settles certificates of a zone.
async fn change_one(store: &dyn Store, zone: ZoneId, n: u32) {
    let query = CertificateQuery {
        status: Some([Status::Active, Status::Revoked][n as usize % 2]),
        slice: Slice {
            first: u64::from(n),
            size: 1,
        },
    };
    let page = store.certificates(zone, query).await.expect("read");
    let event = [Event::HOLD, Event::Reactivate][n as usize % 2];
    for certificate in page.items {
        let by = by_at(instant(n * 86_400));
        let changed = store.change_status(zone, certificate.id, event, by).await;
        changed.expect("change").expect("the certificate exists");
    }
    if n.is_multiple_of(3) {
        let settled = store.settle_pending(u64::MAX, by().at, &[], 10).await;
        settled.expect("settle");
    }
}
