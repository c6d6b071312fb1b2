//! Development only: a whole certgate without sockets, on a fake clock and seeded randomness.

mod app;
mod clock;
mod csr;
mod random;

pub use app::{Answer, Call, Failure, TestApp};
pub use clock::FakeClock;
pub use csr::{csr, csr_with_subject, fixture, uploaded};
pub use random::SeededRandom;
