//! The parts of the development tasks that the tests in `tests/` use too.

pub mod index;
pub mod sources;
