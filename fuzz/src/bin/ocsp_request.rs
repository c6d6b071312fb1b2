//! Runs the target `ocsp_request` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| certgate_fuzz::ocsp_request(input));
