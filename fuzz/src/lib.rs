//! Fuzz targets: what reads bytes from outside, and what must hold whatever they are.
//!
//! libFuzzer calls these functions (`src/bin/`, run by `cargo xtask fuzz`), and so does an ordinary test with every file
//! of the kept corpus (`crates/pki/tests/corpus.rs`, which takes this file in as a module). What does not hold panics.

mod authority;
mod chain;
mod csr;
mod given;
mod message;
mod ocsp;
mod private_key;
mod subject;

pub use authority::authority;
pub use chain::chain;
pub use csr::csr;
pub use ocsp::{ocsp_path, ocsp_request};
pub use private_key::private_key;
pub use subject::subject;

/// The name of a target's program and of its folder in `corpus/`, and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("authority", authority),
    ("chain", chain),
    ("csr", csr),
    ("ocsp_path", ocsp_path),
    ("ocsp_request", ocsp_request),
    ("private_key", private_key),
    ("subject", subject),
];
