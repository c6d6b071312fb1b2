//! Work that one does for all who wait for it.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::Fault;

/// Taking turns. What has failed because the store is away has failed for all who were waiting then: otherwise they would
/// fail one after another, each after as long a time as the store lets it take.
#[derive(Default)]
pub(crate) struct Turn {
    /// What failed last.
    turn: Mutex<String>,
    failures: AtomicU64,
}

impl Turn {
    /// Waits for the turn and works, or fails with whoever has failed meanwhile. `work` looks first whether it was done
    /// meanwhile.
    pub(crate) async fn take<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        // Counted under the lock, so that whoever sees a higher number behind it has waited for a failure.
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

    /// Waits for the turn, whoever has failed.
    pub(crate) async fn hold(&self) -> MutexGuard<'_, String> {
        self.turn.lock().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_failure_fails_with_it_and_who_comes_later_tries() {
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
