use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::error::Fault;

/// A queue in which one request does work that all others in it need.
///
/// While the store is unavailable, one failure fails every request that was queued at that moment.
/// Otherwise they would fail one after another, each after the full timeout of the store.
#[derive(Default)]
pub(crate) struct Turn {
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
    pub(crate) async fn hold(&self) -> MutexGuard<'_, String> {
        self.turn.lock().await
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
}
