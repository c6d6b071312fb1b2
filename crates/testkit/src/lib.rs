//! Development only: a fake clock, seeded randomness and request builders for tests.
