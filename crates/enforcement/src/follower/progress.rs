//! The way of a change through a point: published in the view, then enforced, then acknowledged.

use std::sync::Mutex;

use certgate_model::lock;
use tokio::sync::Notify;

use crate::revoked::Change;

/// The most changes that are enforced one by one. Beyond that, everything is looked at.
const CHANGES_MAX: usize = 100_000;

/// New content of the view that is to be enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// Everything may have changed.
    Everything,
    /// These changes.
    Changes {
        /// The changes of certificates, in their order.
        certificates: Vec<Change>,
        /// True if hosts or CAs changed.
        configuration: bool,
    },
}

impl Applied {
    /// No changes.
    pub const fn nothing() -> Self {
        Self::Changes {
            certificates: Vec::new(),
            configuration: false,
        }
    }

    /// Returns true if there is nothing to enforce.
    pub fn is_nothing(&self) -> bool {
        *self == Self::nothing()
    }

    /// Adds later changes.
    pub fn add(&mut self, later: Self) {
        let merged = match (std::mem::replace(self, Self::Everything), later) {
            (
                Self::Changes {
                    certificates: mut all,
                    configuration: first,
                },
                Self::Changes {
                    certificates,
                    configuration: second,
                },
            ) if all.len() + certificates.len() <= CHANGES_MAX => {
                all.extend(certificates);
                Self::Changes {
                    certificates: all,
                    configuration: first || second,
                }
            }
            _ => Self::Everything,
        };
        *self = merged;
    }
}

/// The progress of the changes.
pub(super) struct Progress {
    state: Mutex<State>,
    /// Something waits to be enforced.
    pub published: Notify,
    /// An acknowledgement is due.
    pub due: Notify,
}

struct State {
    waiting: Applied,
    /// Changes were taken, and are not enforced yet.
    is_busy: bool,
    /// The view has every change up to this epoch.
    published: u64,
    /// The point enforces every change up to this epoch.
    enforced: Option<u64>,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: Applied::nothing(),
                is_busy: false,
                published: 0,
                enforced: None,
            }),
            published: Notify::new(),
            due: Notify::new(),
        }
    }

    /// Records that the view has more changes, and all up to `epoch`. Call it after the view was
    /// published.
    pub fn publish(&self, epoch: u64, applied: Applied) {
        let mut state = lock(&self.state);
        state.published = epoch;
        // Epochs without a change of this account need no acknowledgement at once.
        if applied.is_nothing() && state.waiting.is_nothing() {
            let is_busy = state.is_busy;
            if let Some(enforced) = state.enforced.as_mut().filter(|_| !is_busy) {
                *enforced = epoch;
            }
            return;
        }
        if applied == Applied::Everything {
            // The epochs of another history say nothing about this one.
            state.enforced = None;
        }
        state.waiting.add(applied);
        drop(state);
        self.published.notify_one();
    }

    /// Takes the changes that wait, with the epoch that is enforced after them.
    pub fn take(&self) -> Option<(Applied, u64)> {
        let mut state = lock(&self.state);
        match state.waiting.is_nothing() {
            true => None,
            false => {
                let applied = std::mem::replace(&mut state.waiting, Applied::nothing());
                state.is_busy = true;
                Some((applied, state.published))
            }
        }
    }

    /// Puts changes back that could not be enforced.
    pub fn put_back(&self, mut applied: Applied) {
        let mut state = lock(&self.state);
        applied.add(std::mem::replace(&mut state.waiting, Applied::nothing()));
        state.waiting = applied;
        state.is_busy = false;
    }

    /// Records that every change up to `epoch` is enforced. `epoch` is from [`Self::take`].
    pub fn enforced(&self, epoch: u64) {
        let mut state = lock(&self.state);
        state.is_busy = false;
        // A reading of everything in the meantime belongs to another history.
        if state.waiting != Applied::Everything {
            state.enforced = Some(match state.waiting.is_nothing() {
                true => state.published,
                false => epoch,
            });
        }
        drop(state);
        self.due.notify_one();
    }

    /// The epoch to acknowledge.
    pub fn epoch(&self) -> Option<u64> {
        lock(&self.state).enforced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Applied {
        Applied::Changes {
            certificates: Vec::new(),
            configuration: true,
        }
    }

    #[test]
    fn an_epoch_is_acknowledged_after_its_changes_are_enforced() {
        let progress = Progress::new();
        progress.publish(3, Applied::Everything);
        assert_eq!(progress.epoch(), None);
        let (applied, epoch) = progress.take().unwrap();
        assert_eq!((applied, epoch), (Applied::Everything, 3));
        progress.enforced(3);
        // An epoch without changes does not confirm those that are being enforced.
        progress.publish(4, configuration());
        assert_eq!(progress.take().unwrap(), (configuration(), 4));
        progress.publish(5, Applied::nothing());
        assert_eq!(progress.epoch(), Some(3));
        progress.enforced(4);
        assert_eq!(progress.epoch(), Some(5));
        // A change that is published during the enforcement is not part of it.
        progress.publish(6, configuration());
        progress.take().unwrap();
        progress.publish(7, configuration());
        progress.enforced(6);
        assert_eq!(progress.epoch(), Some(6));
        progress.publish(8, Applied::nothing());
        assert_eq!(progress.epoch(), Some(6), "epoch 7 is not enforced yet");
        let (applied, epoch) = progress.take().unwrap();
        assert_eq!((applied.clone(), epoch), (configuration(), 8));
        progress.put_back(applied);
        assert_eq!(progress.take().unwrap(), (configuration(), 8));
        progress.enforced(8);
        progress.publish(9, Applied::nothing());
        assert_eq!(progress.epoch(), Some(9));
        // After a restored database, nothing is acknowledged before everything is enforced.
        progress.publish(2, Applied::Everything);
        assert_eq!(progress.epoch(), None);
    }

    #[test]
    fn an_enforcement_before_a_reading_of_everything_is_not_acknowledged_after_it() {
        let progress = Progress::new();
        progress.publish(8, configuration());
        let (_, epoch) = progress.take().unwrap();
        progress.publish(2, Applied::Everything);
        progress.enforced(epoch);
        assert_eq!(progress.epoch(), None);
        let (applied, epoch) = progress.take().unwrap();
        assert_eq!((applied, epoch), (Applied::Everything, 2));
        progress.enforced(epoch);
        assert_eq!(progress.epoch(), Some(2));
    }
}
