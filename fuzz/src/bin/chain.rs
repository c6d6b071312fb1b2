//! The target `chain` as a program of libFuzzer's.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| certgate_fuzz::chain(input));
