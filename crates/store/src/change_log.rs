//! The lines of the log about changes: one for each entry of the audit log, after its commit. A
//! thread of their own writes them: the writer of the store does not wait for the log.

use std::io;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

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

/// The thread that writes the lines. `Drop` waits until it has written them.
pub(crate) struct ChangeLog {
    to_thread: Option<Sender<Vec<AuditEntry>>>,
    thread: Option<JoinHandle<()>>,
}

impl ChangeLog {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (to_thread, entries) = channel::<Vec<AuditEntry>>();
        let thread = std::thread::Builder::new()
            .name("change-log".into())
            .spawn(move || entries.iter().for_each(|entries| write(&entries)))?;
        Ok(Self {
            to_thread: Some(to_thread),
            thread: Some(thread),
        })
    }

    /// Hands over committed entries.
    pub(crate) fn push(&self, entries: Vec<AuditEntry>) {
        if let Some(to_thread) = self.to_thread.as_ref().filter(|_| !entries.is_empty()) {
            // The thread ends only with this.
            let _ = to_thread.send(entries);
        }
    }
}

impl Drop for ChangeLog {
    fn drop(&mut self) {
        self.to_thread = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(entries: &[AuditEntry]) {
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
