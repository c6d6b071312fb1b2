//! Runs the target `http` under libFuzzer.
#![no_main]

#[path = "../http.rs"]
mod http;

libfuzzer_sys::fuzz_target!(|input: &[u8]| http::http(input));
