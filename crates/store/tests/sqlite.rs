//! The conformance suite on SQLite.

use certgate_model::{Event, Status};
use certgate_store::conformance::{History, Step};
use certgate_store::{SqliteOptions, SqliteStore, Store};

#[tokio::test(flavor = "multi_thread")]
async fn smoke() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open_with_blocks(&directory.path().join("s.db"), SqliteOptions::default(), 2, 5)
        .unwrap();
    let mut history = History::begin(&store, 7).await;
    for zone in 0..3 {
        history.play(Step::Issue { zone, count: 50, status: 0, quota: None }).await;
    }
    for n in 0..60 {
        history.play(Step::Change { certificate: n * 7, event: Event::Revoke }).await;
        history.play(Step::Change { certificate: n * 5, event: Event::Reactivate }).await;
    }
    history.play(Step::Settle { limit: 20 }).await;
    history.play(Step::Empty { zone: 1 }).await;
    history.compare_everything(7).await;
    assert!(Status::ALL.len() == 4);
    store.close().await;
}
