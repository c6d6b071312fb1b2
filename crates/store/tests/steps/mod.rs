//! Random changes for the histories of every store.

use certgate_model::{Event, RevocationReason};
use certgate_store::conformance::Step;
use proptest::prelude::*;

/// Returns the strategy for a change of a random history.
pub fn step() -> impl Strategy<Value = Step> {
    let event = prop_oneof![
        3 => Just(Event::HOLD),
        1 => Just(Event::Revoke(RevocationReason::KeyCompromise)),
        3 => Just(Event::Reactivate),
        3 => Just(Event::Settle),
    ];
    prop_oneof![
        3 => (any::<u32>(), 0..12_u8, any::<u8>(), proptest::option::of(0..60_u16))
            .prop_map(|(zone, count, status, quota)| Step::Issue { zone, count, status, quota }),
        3 => (any::<u32>(), 0..8_u8)
            .prop_map(|(certificate, count)| Step::Renew { certificate, count }),
        12 => (any::<u32>(), event)
            .prop_map(|(certificate, event)| Step::Change { certificate, event }),
        2 => (0..20_u8).prop_map(|limit| Step::Settle { limit }),
        1 => any::<u32>().prop_map(|zone| Step::Replace { zone }),
        1 => any::<u32>().prop_map(|zone| Step::Empty { zone }),
    ]
}
