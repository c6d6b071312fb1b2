//! Runs the target `ocsp_path` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| certgate_fuzz::ocsp_path(input));
