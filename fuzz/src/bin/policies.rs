//! Runs the target `policies` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| certgate_fuzz::policies(input));
