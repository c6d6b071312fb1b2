//! The limits of a search. Tests set smaller ones.

use std::time::Duration;

use certgate_model::MATCHES_MAX;

/// The limits of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// The most certificates that are counted exactly, that pages reach, and that are sorted.
    pub matches: u32,
    /// The entries of an index that a walk reads at once.
    pub chunk: u32,
    /// The entries of an index that a walk examines before it stops.
    pub entries: u32,
    /// The names that a search inside names examines at once.
    pub names_chunk: u32,
    /// The names that it examines before it stops.
    pub names: u32,
    /// The time after which it stops.
    pub names_time: Duration,
}

impl SearchLimits {
    /// The limits of a server.
    pub const DEFAULT: Self = Self {
        matches: MATCHES_MAX as u32,
        // About 2 ms with the rows that are checked, so that a walk ends soon after its last match.
        chunk: 2_500,
        // Two for each match that is counted: about 20 ms.
        entries: 20_000,
        // About 3 ms on SQLite and 10 ms on PostgreSQL: the time limit is checked after each.
        names_chunk: 10_000,
        // The time decides.
        names: u32::MAX,
        // An answer within one second.
        names_time: Duration::from_millis(800),
    };
}
