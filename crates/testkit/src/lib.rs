//! A complete certgate for tests: without sockets, with a fake clock and seeded random numbers.

mod app;
mod call;
mod clock;
mod csr;
mod loopback;
mod random;

pub use app::{TestApp, check_database};
pub use call::{Answer, Call, Failure};
pub use certgate_store::SearchLimits;
pub use clock::FakeClock;
pub use csr::{csr, csr_with_subject, fixture, uploaded};
pub use loopback::Loopback;
pub use random::SeededRandom;
