//! The fuzz target of the journal on every input of its corpus and on mutations of them: each
//! defect that fuzzing found stays fixed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

#[path = "../../../fuzz/src/journal.rs"]
mod journal;
#[path = "../../../fuzz/src/mutations.rs"]
mod mutations;

/// Mutations of the corpus: about a second without optimisation.
const MUTATIONS: u64 = 2_000;

#[test]
fn the_reader_accepts_every_input_of_the_corpus_and_mutations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/journal");
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| journal::journal(&input));
        assert!(held.is_ok(), "{}", path.display());
        inputs.push(input);
    }
    assert!(inputs.len() >= 8, "{} inputs", inputs.len());
    for input in mutations::mutations(inputs, MUTATIONS) {
        let held = std::panic::catch_unwind(|| journal::journal(&input));
        assert!(held.is_ok(), "{}", input.escape_ascii());
    }
}
