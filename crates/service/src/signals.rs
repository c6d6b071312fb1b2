use std::collections::HashMap;
use std::sync::Mutex;

use certgate_model::{AccountId, lock};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

/// Wakes the settler and the requests that wait for changes of this process.
pub struct Signals {
    settling_due: Notify,
    /// Counts the changes that this process has sent to the store, of each account for
    /// which a request waits: a change wakes the requests of its own account only.
    changes: Mutex<HashMap<AccountId, watch::Sender<u64>>>,
    ending: watch::Sender<bool>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self {
            settling_due: Notify::new(),
            changes: Mutex::default(),
            ending: watch::Sender::new(false),
        }
    }

    /// Ends every wait for changes, so that those requests are answered before the process ends.
    pub fn end_waiting(&self) {
        self.ending.send_replace(true);
    }

    /// Returns true after [`Signals::end_waiting`].
    pub fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// Wakes the settler after a step of the clock: lists may be due.
    pub fn clock_stepped(&self) {
        self.wake_settler();
    }

    pub(crate) fn wake_settler(&self) {
        self.settling_due.notify_one();
    }

    pub(crate) fn settling_due(&self) -> Notified<'_> {
        self.settling_due.notified()
    }

    pub(crate) fn changes(&self, account: AccountId) -> watch::Receiver<u64> {
        let mut changes = lock(&self.changes);
        changes.entry(account).or_default().subscribe()
    }

    fn announce(&self, account: AccountId) {
        let mut changes = lock(&self.changes);
        let Some(waiting) = changes.get(&account) else {
            return;
        };
        if waiting.is_closed() {
            changes.remove(&account);
        } else {
            waiting.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    pub(crate) fn ending(&self) -> watch::Receiver<bool> {
        self.ending.subscribe()
    }
}

/// Announces a change of a status, or of hostnames or CAs, when it is dropped.
///
/// A client may disconnect before the store has answered, and the change may be durable all the
/// same. Therefore the announcement does not depend on the answer. The settler's next request to
/// the store is queued after the change.
pub(crate) struct AnnounceOnDrop<'a> {
    pub(crate) signals: &'a Signals,
    pub(crate) account: AccountId,
}

impl Drop for AnnounceOnDrop<'_> {
    fn drop(&mut self) {
        self.signals.announce(self.account);
        self.signals.wake_settler();
    }
}
