//! The target `ocsp_path` as a program of libFuzzer's.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| certgate_fuzz::ocsp_path(input));
