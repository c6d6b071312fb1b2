use std::collections::HashMap;
use std::time::Duration;

use certgate_model::{AuthorityId, CrlKind, Timestamp};
use certgate_store::CrlState;
use tokio::sync::Mutex;

use crate::environment::Environment;
use crate::publishing::Publisher;

/// Longest time for which a request waits for a new list before it gets the stored one.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Pause after a failure before another request tries the same CA again, in seconds.
const PAUSE_SECONDS: i64 = 1;

/// Publishes lists that a request finds due. The settler renews lists days before they expire, but
/// not while the machine was suspended, and not before a step of the clock.
pub struct Renewal {
    environment: Environment,
    publisher: Publisher,
    /// The last failure of each CA. Held while a list is published.
    failed: Mutex<HashMap<AuthorityId, Timestamp>>,
}

impl Renewal {
    pub(crate) fn new(environment: Environment, publisher: Publisher) -> Self {
        Self {
            environment,
            publisher,
            failed: Mutex::default(),
        }
    }

    /// Returns true if verifiers refuse a list now: it has expired, or it is dated in the future.
    pub fn is_due(&self, state: &CrlState) -> bool {
        let now = self.environment.now();
        state.is_made && (state.next_update <= now || state.this_update > now)
    }

    /// Publishes those of the lists that are due, and returns true if there were any. If that fails,
    /// or takes long, the stored lists stay the newest ones.
    pub async fn renew(&self, authority: AuthorityId, states: &[CrlState]) -> bool {
        let due = || states.iter().filter(|state| self.is_due(state));
        if due().next().is_none() {
            return false;
        }
        let kinds: Vec<_> = due().map(|state| state.kind).collect();
        let _ = tokio::time::timeout(WAIT_MAX, self.publish(authority, kinds)).await;
        true
    }

    async fn publish(&self, authority: AuthorityId, kinds: Vec<CrlKind>) {
        let mut failed = self.failed.lock().await;
        let now = self.environment.now();
        if failed
            .get(&authority)
            .is_some_and(|at| at.until(now).is_within(PAUSE_SECONDS))
        {
            return;
        }
        for kind in kinds {
            // Another request may have waited for the same list.
            let state = self.environment.store.crl_state(authority, kind).await;
            if state.is_ok_and(|state| state.is_none_or(|state| !self.is_due(&state))) {
                continue;
            }
            if let Err(fault) = self.publisher.publish(authority, kind).await {
                tracing::debug!(%authority, ?kind, error = %fault, "a due list was not renewed");
                failed.insert(authority, now);
                return;
            }
        }
        failed.remove(&authority);
    }
}
