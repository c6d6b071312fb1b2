//! The fuzz target of the journal on every input of its corpus: each defect that fuzzing found
//! stays fixed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

#[path = "../../../fuzz/src/journal.rs"]
mod journal;

#[test]
fn the_reader_accepts_every_input_of_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/journal");
    let mut inputs = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| journal::journal(&input));
        assert!(held.is_ok(), "{}", path.display());
        inputs += 1;
    }
    assert!(inputs >= 8, "{inputs} inputs");
}
