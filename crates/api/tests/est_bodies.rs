//! The fuzz target `est` on its corpus and mutations of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

#[path = "../../../fuzz/src/est.rs"]
mod est;
#[path = "../../../fuzz/src/mutations.rs"]
mod mutations;

/// Mutations of the corpus: a few seconds without optimisation.
const MUTATIONS: u64 = 2_000;

#[test]
fn the_target_accepts_every_input_of_the_corpus_and_mutations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/est");
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| est::est(&input));
        assert!(held.is_ok(), "{}", path.display());
        inputs.push(input);
    }
    assert!(inputs.len() > 20, "{}", inputs.len());
    for input in mutations::mutations(inputs, MUTATIONS) {
        let held = std::panic::catch_unwind(|| est::est(&input));
        assert!(held.is_ok(), "{}", input.escape_ascii());
    }
}
