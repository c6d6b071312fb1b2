use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use certgate_model::lock;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::Fault;

/// A queue in which one request does work that all others in it need.
///
/// While the store is unavailable, one failure fails every request that was queued at that moment.
/// Otherwise they would fail one after another, each after the full timeout of the store.
#[derive(Default)]
pub struct Turn {
    /// The text of the last failure.
    turn: Mutex<String>,
    failures: AtomicU64,
}

impl Turn {
    /// Waits for its turn and works, or fails with the failure of a request before it. `work` first
    /// checks for the result of an earlier turn.
    pub(crate) async fn take<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        // The number grows under the lock: a request that sees it grow has waited for a failure.
        let before = self.failures.load(Ordering::Acquire);
        let mut failed = self.turn.lock().await;
        if self.failures.load(Ordering::Acquire) != before {
            return Err(Fault::Unavailable(failed.clone()));
        }
        let done = work.await;
        if let Err(Fault::Unavailable(text)) = &done {
            failed.clone_from(text);
            self.failures.fetch_add(1, Ordering::Release);
        }
        done
    }

    /// Waits for its turn, regardless of failures.
    pub async fn hold(&self) -> MutexGuard<'_, String> {
        self.turn.lock().await
    }
}

/// A queue for each key. The work of one key does not wait for that of another.
pub struct Turns<K>(std::sync::Mutex<HashMap<K, Weak<Turn>>>);

impl<K: Eq + Hash> Default for Turns<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Eq + Hash> Turns<K> {
    /// Returns queues of which none is used.
    pub fn new() -> Self {
        Self(std::sync::Mutex::default())
    }

    /// Returns the queue of a key.
    pub fn of(&self, key: K) -> Arc<Turn> {
        let mut turns = lock(&self.0);
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Turn::default());
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn one_failure_fails_the_queue_and_a_later_request_tries_again() {
        let (turn, tries) = (Turn::default(), AtomicUsize::new(0));
        let fails = || {
            turn.take(async {
                tries.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err::<(), _>(Fault::Unavailable("away".into()))
            })
        };
        let (one, two, three) = tokio::join!(fails(), fails(), fails());
        for done in [one, two, three] {
            assert!(matches!(done, Err(Fault::Unavailable(text)) if text == "away"));
        }
        assert_eq!(tries.load(Ordering::Relaxed), 1);
        assert!(
            turn.take(async { Ok(7) })
                .await
                .is_ok_and(|seven| seven == 7)
        );
    }

    #[tokio::test]
    async fn a_key_has_one_queue_while_it_is_used_and_does_not_wait_for_another() {
        let turns = Turns::new();
        let one = turns.of(1);
        assert!(Arc::ptr_eq(&one, &turns.of(1)));
        let _held = one.hold().await;
        let other = turns.of(2);
        let _other = other.hold().await;
        assert_eq!(lock(&turns.0).len(), 2);
        drop(turns.of(3));
        turns.of(4);
        let known: Vec<_> = lock(&turns.0).keys().copied().collect();
        assert!(!known.contains(&3), "a queue without a user is forgotten");
    }
}
