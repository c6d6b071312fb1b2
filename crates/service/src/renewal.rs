use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use certgate_model::{AuthorityId, CrlKind, CrlRecord, Timestamp, lock};
use certgate_pki::StoredAuthority;
use certgate_store::CrlState;

use crate::environment::Environment;
use crate::error::Fault;
use crate::publishing::Publisher;
use crate::turn::Turns;

/// Longest time for which a request waits for a new list before it gets the stored one.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Pause after a failure before another request tries the same CA again, in seconds.
const PAUSE_SECONDS: i64 = 1;

/// Publishes lists that a request finds due or corrupt. The settler renews lists days before they
/// expire, but not while the machine was suspended, and not before a step of the clock.
pub struct Renewal {
    environment: Environment,
    publisher: Publisher,
    /// Requests for lists of one CA. The CAs do not wait for each other.
    turns: Turns<AuthorityId>,
    /// The last failure of each CA whose lists could not be published.
    failed: Mutex<HashMap<AuthorityId, Timestamp>>,
}

impl Renewal {
    pub(crate) fn new(environment: Environment, publisher: Publisher) -> Self {
        Self {
            environment,
            publisher,
            turns: Turns::new(),
            failed: Mutex::default(),
        }
    }

    /// Returns true if verifiers refuse a list now: it has expired, or it is dated in the future.
    pub fn is_due(&self, state: &CrlState) -> bool {
        let now = self.environment.now();
        state.is_made && (state.next_update <= now || state.this_update > now)
    }

    /// Publishes those of the lists that are due, and returns true if there were any. If that
    /// fails, or takes long, the stored lists stay the newest ones.
    pub async fn renew(&self, authority: AuthorityId, states: &[CrlState]) -> bool {
        let due = || states.iter().filter(|state| self.is_due(state));
        if due().next().is_none() {
            return false;
        }
        let kinds: Vec<_> = due().map(|state| state.kind).collect();
        let publishing = self.publish(authority, kinds);
        if tokio::time::timeout(WAIT_MAX, publishing).await.is_err() {
            self.note(authority, false);
        }
        true
    }

    /// Reads a stored list and verifies its signature, once for all that get it. A corrupt list is
    /// made again, and never returned.
    pub async fn load(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<CrlRecord>, Fault> {
        if let Some(intact) = self.intact(authority, kind).await? {
            return Ok(intact);
        }
        let turn = self.turns.of(authority);
        let _held = turn.hold().await;
        // Another request may have waited for the same list.
        if let Some(intact) = self.intact(authority, kind).await? {
            return Ok(intact);
        }
        if !self.is_paused(authority) {
            metrics::counter!("certgate_corrupt_crls_total").increment(1);
            tracing::error!(
                %authority, ?kind,
                "a stored list is corrupt and is made again: run certgate check"
            );
            if let Err(fault) = self.publisher.publish(authority, kind).await {
                tracing::error!(%authority, ?kind, error = %fault, "it could not be made again");
                self.note(authority, false);
            }
        }
        let intact = self.intact(authority, kind).await?;
        intact.ok_or_else(|| {
            Fault::Unavailable("the stored list is corrupt: run certgate check".to_owned())
        })
    }

    /// Returns the stored list, if there is one; `None` if it is corrupt.
    async fn intact(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
    ) -> Result<Option<Option<CrlRecord>>, Fault> {
        let Some(crl) = self.environment.store.crl(authority, kind).await? else {
            return Ok(Some(None));
        };
        let Some(ca) = self.environment.store.authority(authority).await? else {
            return Ok(Some(None));
        };
        let verified = self.environment.signers.run(move || {
            let ca = StoredAuthority::read(&ca.certificate_der, ca.algorithm);
            let der = crl.der.as_deref();
            let is_intact = der.is_none_or(|der| ca.is_some_and(|ca| ca.has_signed_crl(der)));
            is_intact.then_some(Some(crl))
        });
        verified.await
    }

    async fn publish(&self, authority: AuthorityId, kinds: Vec<CrlKind>) {
        let turn = self.turns.of(authority);
        let _held = turn.hold().await;
        if self.is_paused(authority) || !self.publisher.can_sign(authority).await {
            return;
        }
        // Another request may have waited for the same lists.
        let states = self.environment.store.crl_states(authority).await;
        let states = states.unwrap_or_default().into_iter();
        let due = states.filter(|state| kinds.contains(&state.kind) && self.is_due(state));
        let due: Vec<_> = due.map(|state| (authority, state.kind)).collect();
        let mut failed = Vec::new();
        self.publisher.publish_all(&due, &mut failed).await;
        self.note(authority, failed.is_empty());
    }

    /// Notes the result of publishing lists of a CA.
    fn note(&self, authority: AuthorityId, is_published: bool) {
        let mut failed = lock(&self.failed);
        match is_published {
            true => failed.remove(&authority),
            false => failed.insert(authority, self.environment.now()),
        };
    }

    fn is_paused(&self, authority: AuthorityId) -> bool {
        let last = lock(&self.failed).get(&authority).copied();
        last.is_some_and(|at| at.until(self.environment.now()).is_within(PAUSE_SECONDS))
    }
}
