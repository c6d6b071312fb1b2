//! The lines of the log about changes: one for each entry of the audit log, after its commit.

use std::sync::Mutex;

use certgate_model::{AuditEntry, Hex, lock};

/// The target of the lines. The limit of repeated lines does not hold for them.
pub const CHANGES_TARGET: &str = "certgate::change";

/// The entries that a transaction has added and not committed.
#[derive(Debug, Default)]
pub(crate) struct Uncommitted(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    entries: Vec<AuditEntry>,
    /// The number of entries at the savepoint.
    saved: usize,
}

impl Uncommitted {
    /// Begins a transaction.
    pub(crate) fn begin(&self) {
        *lock(&self.0) = Pending::default();
    }

    /// Sets the savepoint.
    pub(crate) fn savepoint(&self) {
        let mut pending = lock(&self.0);
        pending.saved = pending.entries.len();
    }

    /// Removes the entries since the savepoint.
    pub(crate) fn roll_back(&self) {
        let mut pending = lock(&self.0);
        let saved = pending.saved;
        pending.entries.truncate(saved);
    }

    /// Adds entries, if the log has lines about them.
    pub(crate) fn add(&self, entries: Vec<AuditEntry>) {
        if tracing::enabled!(target: CHANGES_TARGET, tracing::Level::INFO) {
            lock(&self.0).entries.extend(entries);
        }
    }

    /// Returns the entries of the transaction, before its commit.
    pub(crate) fn take(&self) -> Vec<AuditEntry> {
        std::mem::take(&mut *lock(&self.0)).entries
    }
}

/// Writes a line for each committed entry.
pub(crate) fn log(entries: &[AuditEntry]) {
    for entry in entries {
        let object = (entry.resource_type.name(), Hex(&entry.resource));
        tracing::info!(
            target: CHANGES_TARGET,
            actor = %entry.by.actor,
            object = %format_args!("{}:{}", object.0, object.1),
            address = entry.by.address.map(tracing::field::display),
            zone = entry.zone.map(tracing::field::display),
            detail = entry.detail,
            "{}",
            entry.action.name()
        );
    }
}
