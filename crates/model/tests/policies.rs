//! Random policies against their plain meaning, which the fuzz target `policies` computes.

#[path = "../../../fuzz/src/policies.rs"]
mod fuzz;

/// Number of tokens, with about three policies each: enough for each pair of a group and a resource
/// with each effect.
const TOKENS: u64 = 1_000;

/// The longest policies, in octets: five policies of three groups and three resources.
const OCTETS_MAX: u64 = 35;

#[test]
fn random_policies_mean_the_same_on_each_object() {
    for seed in 0..TOKENS {
        let mut state = seed;
        let length = next(&mut state) % (OCTETS_MAX + 1);
        let octets: Vec<u8> = (0..length).map(|_| next(&mut state) as u8).collect();
        fuzz::policies(&octets);
    }
}

/// SplitMix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
