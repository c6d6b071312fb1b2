//! Random histories: revocation lists, OCSP, enforcement points and the statuses in the API agree
//! about every certificate, each at the epoch that it claims.

mod followers;
mod history;
mod lists;
mod model;
mod ocsp;

use history::{History, Obstruction, Operation};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};

const CASES: u32 = 24;

/// The most replays of a failed, shortened history: each takes a second at most.
const SHRINKS_MAX: u32 = 300;

/// Steps of the clock in seconds: from the length of a lease and of the reuse of an OCSP answer to
/// more than the renewal interval of a list.
const TIMES: [i64; 6] = [30, 60, 1_000, 3_600, 86_400, 5 * 86_400];

const OBSTRUCTIONS: [Obstruction; 4] = [
    Obstruction::FullLists,
    Obstruction::LowerShards,
    Obstruction::OddAuthorities,
    Obstruction::EvenAuthorities,
];

fn operation() -> impl Strategy<Value = Operation> {
    let which = any::<u8>;
    prop_oneof![
        4 => (which(), select(&[1, 3, 12, 365][..]))
            .prop_map(|(zone, validity_days)| Operation::Issue { zone, validity_days }),
        6 => which().prop_map(|certificate| Operation::Hold { certificate }),
        2 => (which(), which()).prop_map(|(certificate, reason)| Operation::RevokeForGood { certificate, reason }),
        5 => which().prop_map(|certificate| Operation::Restore { certificate }),
        5 => select(&TIMES[..]).prop_map(|seconds| Operation::Wait { seconds }),
        6 => Just(Operation::Settle),
        2 => select(&OBSTRUCTIONS[..]).prop_map(|obstruction| Operation::SettleObstructed { obstruction }),
        2 => (which(), select(&[60, 3_600][..]))
            .prop_map(|(point, lease_seconds)| Operation::Register { point, lease_seconds }),
        1 => which().prop_map(|point| Operation::ReadAll { point }),
        4 => (which(), select(&[1, 2, 1_000][..])).prop_map(|(point, page)| Operation::Follow { point, page }),
        4 => (which(), 0..3_u64).prop_map(|(point, behind)| Operation::Acknowledge { point, behind }),
        1 => which().prop_map(|point| Operation::Delete { point }),
        1 => Just(Operation::Restart),
        1 => which().prop_map(|account| Operation::Rotate { account }),
    ]
}

#[test]
fn crls_ocsp_followers_and_statuses_agree() {
    // The histories are the same in each run, unless the environment sets another number of them.
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: SHRINKS_MAX,
        ..Config::default()
    };
    let config = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => Config {
            cases: CASES,
            rng_seed: RngSeed::Fixed(1),
            ..config
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = TestRunner::new(config).run(
        &proptest::collection::vec(operation(), 30..40),
        |operations| {
            runtime.block_on(async {
                let mut history = History::begin().await;
                for operation in operations {
                    history = history.play(operation).await;
                }
                history.end().await;
            });
            Ok(())
        },
    );
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
