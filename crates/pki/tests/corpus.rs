//! The fuzz targets on every input of the corpus and on mutations of them: each defect that fuzzing
//! found stays fixed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;
#[path = "../../../fuzz/src/mutations.rs"]
mod mutations;

/// Largest corpus, in bytes. Each test run reads it, and the repository keeps all its versions.
const CORPUS_BYTES_MAX: usize = 1024 * 1024;

/// Mutations for each target: a few seconds without optimisation.
const MUTATIONS: u64 = 1_000;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

#[test]
fn targets_accept_every_input_of_the_corpus() {
    for (target, run) in fuzz::TARGETS {
        for (path, input) in corpus(target) {
            let held = std::panic::catch_unwind(|| run(&input));
            assert!(held.is_ok(), "{}", path.display());
        }
    }
}

#[test]
fn targets_accept_mutations_of_the_corpus() {
    for (target, run) in fuzz::TARGETS {
        let inputs = corpus(target).into_iter().map(|(_, input)| input).collect();
        for input in mutations::mutations(inputs, MUTATIONS) {
            let held = std::panic::catch_unwind(|| run(&input));
            assert!(held.is_ok(), "{target}: {}", input.escape_ascii());
        }
    }
}

#[test]
fn the_corpus_is_small() {
    let bytes = |(target, _)| {
        corpus(target)
            .iter()
            .map(|(_, input)| input.len())
            .sum::<usize>()
    };
    let total: usize = fuzz::TARGETS.into_iter().map(bytes).sum();
    assert!((1..=CORPUS_BYTES_MAX).contains(&total), "{total} bytes");
}
