//! The conformance suite on PostgreSQL, and what only a database that others share can do.
#![cfg(unix)]

mod postgres_server;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use certgate_model::{CertificateQuery, Event, Slice, Status};
use certgate_store::conformance::{self, History, Step};
use certgate_store::{
    CertificateRecorded, PostgresError, PostgresOptions, PostgresStore, ReadStore, Store, StoreError,
};
use postgres_server::{Server, server};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use steps::step;

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, PostgresOptions::default()).await.expect("open")
}

#[tokio::test]
async fn every_verb_has_every_outcome() {
    let Some(server) = server() else { return };
    let store = open(&server.database()).await;
    conformance::verbs(&store).await;
    conformance::closed(&store).await;
}

proptest! {
    // Blocks of 4 and 16 positions, so that hundreds of certificates cross many borders of both levels.
    #![proptest_config(Config { cases: 8, rng_seed: RngSeed::Fixed(2), failure_persistence: None, ..Config::default() })]
    #[test]
    fn random_histories_equal_a_model(steps in prop::collection::vec(step(), 100..200), seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Some(server) = server() else { return Ok(()) };
        runtime.block_on(async {
            let store =
                PostgresStore::open_with_blocks(&server.database(), PostgresOptions::default(), 2, 4).await.unwrap();
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
async fn the_real_blocks_have_no_seams() {
    let Some(server) = server() else { return };
    let store = open(&server.database()).await;
    let mut history = History::begin(&store, 3).await;
    for n in 0..12_u32 {
        let status = n as u8;
        history.play(Step::Issue { zone: n / 8, count: 200, status, quota: None }).await;
        for k in 0..15 {
            let event = if k % 3 == 0 { Event::Reactivate } else { Event::HOLD };
            history.play(Step::Change { certificate: n * 7_919 + k * 104_729, event }).await;
        }
        history.play(Step::Settle { limit: 30 }).await;
    }
    assert!(history.issued() > 4 * 512);
    history.compare_everything(50).await;
    store.close().await;
}
