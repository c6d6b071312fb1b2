//! Fuzz targets: the readers of bytes from outside and the policies of tokens, and their invariants
//! for any input.
//!
//! libFuzzer calls these functions (`src/bin/`, run by `cargo xtask fuzz`). A test also calls them,
//! with every file of the corpus and with mutations (`crates/pki/tests/corpus.rs`, which includes
//! this file as a module). A violated invariant panics.

mod authority;
mod chain;
mod csr;
mod given;
mod message;
mod ocsp;
mod policies;
mod private_key;
mod subject;

pub use authority::authority;
pub use chain::chain;
pub use csr::csr;
pub use ocsp::{ocsp_path, ocsp_request};
pub use policies::policies;
pub use private_key::private_key;
pub use subject::subject;

/// A target: the name of its program and of its folder in `corpus/`, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("authority", authority),
    ("chain", chain),
    ("csr", csr),
    ("ocsp_path", ocsp_path),
    ("ocsp_request", ocsp_request),
    ("policies", policies),
    ("private_key", private_key),
    ("subject", subject),
];
