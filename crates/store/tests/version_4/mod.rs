//! A database of version 4 with 4,000 certificates in two zones, for both databases.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use certgate_model::{CertificateId, Event, Status, ZoneId};
use certgate_store::conformance::{by_at, instant};
use certgate_store::{IndexStep, IndexWork, Store};

/// The certificates, in the order of `rows.sql`.
const CERTIFICATES: u64 = 4_000;
const OF_FIRST_ZONE: u64 = 3_000;

/// Returns the statements that fill tables of version 4 that have the rows of version 1. `octets`
/// gives the octets of a number: an expression, and the number of octets.
pub fn rows(octets: impl Fn(&str, usize) -> String) -> String {
    let mut text = include_str!("rows.sql").replace(":long", &"Long-".repeat(60));
    for length in [16, 20, 32] {
        let name = format!("octets{length}(");
        while let Some(begin) = text.find(&name) {
            let end = begin + text[begin..].find(')').expect("a closing parenthesis");
            let number = text[begin + name.len()..end].to_owned();
            text.replace_range(begin..=end, &octets(&number, length));
        }
    }
    text
}

/// The zones' IDs: those of versions 1 and 4.
fn zones() -> [ZoneId; 2] {
    let mut second = [0; 16];
    second[15] = 2;
    [ZoneId::from_bytes([2; 16]), ZoneId::from_bytes(second)]
}

fn certificate(n: u32) -> CertificateId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&n.to_be_bytes());
    CertificateId::from_bytes(id)
}

/// Does some steps of the job, as a process that is killed then.
pub async fn begin(store: &dyn Store, steps: usize) {
    assert!(!store.is_indexed().await.unwrap());
    let all = store.installation_summary(0, i64::MAX).await.unwrap();
    assert_eq!(all.unindexed, CERTIFICATES);
    assert_eq!(all.totals.all(), CERTIFICATES);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    go_on(store, steps).await;
}

/// Does some steps more, as a process that begins anew.
pub async fn go_on(store: &dyn Store, steps: usize) {
    let mut work = IndexWork::default();
    for _ in 0..steps {
        assert_eq!(
            store.index_next(&mut work).await.unwrap(),
            IndexStep::Worked
        );
    }
    assert!(!store.is_indexed().await.unwrap());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// Continues until nothing is left, while certificates of both ends of a zone change.
pub async fn finish(store: &dyn Store) {
    let (mut work, mut step, mut changed) = (IndexWork::default(), 0, 0);
    loop {
        for n in [step * 10, 2_990 - step * 10, 3_990 - step * 10] {
            let zone = zones()[usize::from(n >= 3_000)];
            let by = by_at(instant(n * 1_000));
            let outcome = store
                .change_status(zone, certificate(n), Event::HOLD, by)
                .await;
            outcome.unwrap().expect("the certificate exists");
            changed += 1;
        }
        match store.index_next(&mut work).await.unwrap() {
            IndexStep::Worked => step += 1,
            IndexStep::Finished => break,
            IndexStep::Waits => panic!("no other process runs"),
        }
    }
    assert!(changed > 10, "{changed}");
    assert!(store.is_indexed().await.unwrap());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    let all = store.installation_summary(0, i64::MAX).await.unwrap();
    assert_eq!((all.unindexed, all.totals.all()), (0, CERTIFICATES));
    let valid = all.totals.of(Status::Active) + all.totals.of(Status::PendingReactivation);
    assert_eq!(all.expiring_within(0, i64::MAX), valid);
    let mut issued = BTreeMap::new();
    for (zone, expected) in zones()
        .into_iter()
        .zip([OF_FIRST_ZONE, CERTIFICATES - OF_FIRST_ZONE])
    {
        // 100 certificates a day, from the day of instant 0 on.
        let today = instant(0).unix() / 86_400 + 39;
        let summary = store.summary(zone, today).await.unwrap().unwrap();
        assert_eq!(summary.uncounted, 0);
        assert_eq!(summary.totals.all(), expected);
        assert_eq!(summary.by_authority.len(), 1);
        assert_eq!(summary.by_authority[0].1, summary.totals);
        issued.extend(summary.issued);
    }
    assert_eq!(issued.len(), 40);
    assert!(issued.values().all(|count| *count == 100), "{issued:?}");
}
