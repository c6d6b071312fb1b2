//! Runs the target `est` under libFuzzer.
#![no_main]

#[path = "../est.rs"]
mod est;

libfuzzer_sys::fuzz_target!(|input: &[u8]| est::est(input));
