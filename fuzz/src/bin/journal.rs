//! Runs the target `journal` under libFuzzer.
#![no_main]

#[path = "../journal.rs"]
mod journal;

libfuzzer_sys::fuzz_target!(|input: &[u8]| journal::journal(input));
