//! The state and the results of the job that indexes certificates of earlier versions.

use std::sync::Arc;

use crate::verbs::backfill::Stretch;
use crate::verbs::indexing::Indexed;

/// The part of the work that is in memory. Without it, the same certificates are read again.
#[derive(Default)]
pub struct IndexWork(pub(crate) Work);

#[derive(Default)]
pub(crate) enum Work {
    #[default]
    None,
    /// Certificates that are read into memory.
    Reading(Reading),
    Inserting(Inserting),
}

pub(crate) struct Reading {
    /// The rest of the zone.
    pub(crate) stretch: Stretch,
    pub(crate) rows: Vec<Indexed>,
    pub(crate) octets: usize,
}

pub(crate) struct Inserting {
    pub(crate) zone: i64,
    /// The first position of the chunk.
    pub(crate) from: i64,
    /// The sorted rows.
    pub(crate) rows: Arc<Vec<Indexed>>,
    /// The index of the table in [`Target::ALL`].
    pub(crate) target: usize,
    /// The rows that the table has.
    pub(crate) inserted: usize,
}

/// The result of building an index of the database itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Built {
    /// Every index is complete.
    All,
    /// One more index is complete.
    One,
    /// Another connection builds one.
    Elsewhere,
}

/// The result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexStep {
    /// No certificate is left.
    Finished,
    /// Something is left.
    Worked,
    /// Another process builds an index now: look again later.
    Waits,
}
