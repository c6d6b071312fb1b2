//! The conformance suite on SQLite.

mod steps;

use certgate_store::conformance::{self, History};
use certgate_store::{SqliteOptions, SqliteStore, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use steps::step;

#[tokio::test]
async fn every_verb_has_every_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&directory.path().join("store.db"), SqliteOptions::default()).unwrap();
    conformance::verbs(&store).await;
    conformance::closed(&store).await;
}

/// Creates a temporary directory, in memory if the system has such a file system: a history has
/// thousands of commits, and none has to survive.
fn directory_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a temporary directory")
}

proptest! {
    // Blocks of 4 and 16 positions, so that hundreds of certificates cross many borders of both
    // levels.
    #![proptest_config(Config {
        cases: 24,
        rng_seed: RngSeed::Fixed(2),
        failure_persistence: None,
        ..Config::default()
    })]
    #[test]
    fn random_histories_equal_a_model(
        steps in prop::collection::vec(step(), 100..200),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = directory_in_memory();
            let path = directory.path().join("store.db");
            let options = SqliteOptions::default();
            let store = SqliteStore::open_with_blocks(&path, options, 2, 4).unwrap();
            let mut history = History::begin(&store, seed).await;
            for step in steps {
                history.play(step).await;
            }
            history.compare_everything(7).await;
            store.close().await;
        });
    }
}

#[tokio::test]
async fn blocks_of_the_real_size_equal_a_model() {
    let directory = directory_in_memory();
    let store =
        SqliteStore::open(&directory.path().join("store.db"), SqliteOptions::default()).unwrap();
    let mut history = History::begin(&store, 3).await;
    history.play_blocks_of_the_real_size().await;
    store.close().await;
}
