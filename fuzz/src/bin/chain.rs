//! Runs the target `chain` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| certgate_fuzz::chain(input));
