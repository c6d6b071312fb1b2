//! The conformance suite on SQLite.

mod steps;

use certgate_model::{
    CertificateFilter, CertificateSearch, FoldedName, MatchCount, NameMatch, SearchOutcome, Slice,
    Status,
};
use certgate_store::conformance::{self, History, Searched, Step};
use certgate_store::prelude::*;
use certgate_store::{SqliteOptions, SqliteStore};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use steps::step;

#[tokio::test]
async fn every_verb_has_every_outcome() {
    let directory = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&directory.path().join("store.db"), SqliteOptions::default()).unwrap();
    conformance::verbs(&store).await;
    conformance::search_indexes(&store).await;
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
async fn random_searches_equal_a_model() {
    for seed in 1..4 {
        let directory = directory_in_memory();
        let path = directory.path().join("store.db");
        let store = SqliteStore::open_with_blocks(&path, SqliteOptions::default(), 2, 4).unwrap();
        store
            .initialise(conformance::first_records())
            .await
            .unwrap();
        let mut searched = Searched::begin(&store, 700, seed).await;
        searched.compare_random(60).await;
        searched.walk_while_changing(60).await;
        store.close().await;
    }
}

#[tokio::test]
async fn one_search_inside_names_runs_at_a_time() {
    let directory = directory_in_memory();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    store
        .initialise(conformance::first_records())
        .await
        .unwrap();
    let zone = conformance::first_records().zone.id;
    let search = |common_name| CertificateSearch {
        filter: CertificateFilter {
            common_name: Some(common_name),
            ..CertificateFilter::default()
        },
        order: None,
        direction: None,
        slice: Slice { first: 0, size: 5 },
        after: None,
    };
    let inside = search(NameMatch::Contains(FoldedName::new("abc")));
    let running = store.hold_search_inside_names().unwrap();
    let outcome = store.search(zone, inside.clone()).await.unwrap();
    assert_eq!(outcome, SearchOutcome::Busy);
    let begins = search(NameMatch::StartsWith(FoldedName::new("abc")));
    let nothing = SearchOutcome::Found {
        items: Vec::new(),
        rest: Vec::new(),
        count: MatchCount::Exact(0),
        next: None,
    };
    assert_eq!(store.search(zone, begins).await.unwrap(), nothing);
    drop(running);
    for _ in 0..2 {
        let outcome = store.search(zone, inside.clone()).await.unwrap();
        assert_eq!(outcome, nothing, "each search gives its turn back");
    }
}

#[tokio::test]
async fn a_zone_that_is_not_indexed_yet_says_how_far_it_is() {
    let directory = directory_in_memory();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let mut history = History::begin(&store, 1).await;
    let issue = Step::Issue {
        zone: 0,
        count: 9,
        status: 0,
        quota: None,
    };
    history.play(issue).await;
    let zone = conformance::first_records().zone.id;
    let search = |filter| CertificateSearch {
        filter,
        order: None,
        direction: None,
        slice: Slice { first: 0, size: 5 },
        after: None,
    };
    let name = || CertificateFilter {
        common_name: Some(NameMatch::StartsWith(FoldedName::new("device"))),
        ..CertificateFilter::default()
    };
    let status = CertificateFilter {
        status: Some(Status::Active),
        ..CertificateFilter::default()
    };
    let not_indexed = "INSERT INTO indexing (zone, below, counted_below) \
                       SELECT number, (number << 36) + 4, number << 36 FROM zones";
    store.damage(not_indexed).await.unwrap();
    let outcome = store.search(zone, search(name())).await.unwrap();
    assert_eq!(outcome, SearchOutcome::NotIndexed { done: 5, total: 9 });
    let outcome = store.search(zone, search(status)).await.unwrap();
    assert!(
        matches!(outcome, SearchOutcome::Found { .. }),
        "{outcome:?}"
    );
    let indexed = "UPDATE indexing SET below = zone << 36";
    store.damage(indexed).await.unwrap();
    let outcome = store.search(zone, search(name())).await.unwrap();
    let SearchOutcome::Found { items, count, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((items.len(), count), (5, MatchCount::Exact(9)));
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
