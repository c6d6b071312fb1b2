//! When tokens were last used: noted by requests, written by a background task.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use certgate_model::{Timestamp, TokenId};
use tokio::sync::Notify;

use crate::{Authority, Fault};

/// How often the last use of one token is written at most, in seconds: often enough to see what is still in use, too
/// seldom to be felt by whoever writes certificates.
const INTERVAL_SECONDS: i64 = 60;

/// How many tokens are remembered: a bound on memory, not a tuned figure.
const TOKENS_MAX: usize = 65_536;

/// What is known about the last use of tokens.
#[derive(Default)]
pub(crate) struct LastUses {
    state: Mutex<State>,
    due: Notify,
}

#[derive(Default)]
struct State {
    uses: HashMap<TokenId, Use>,
    /// Whose use is to be written now.
    due: HashSet<TokenId>,
}

struct Use {
    seen: Timestamp,
    /// The use that was written, or given to be written, last.
    given: Option<Timestamp>,
}

impl LastUses {
    /// Notes that a token was used `now`; its record says when it was last. Waits for nothing.
    pub(crate) fn note(&self, token: TokenId, recorded: Option<Timestamp>, now: Timestamp) {
        let mut state = self.state();
        if state.uses.len() >= TOKENS_MAX && !state.uses.contains_key(&token) {
            // What is written already need not be remembered: the record tells.
            let State { uses, due } = &mut *state;
            uses.retain(|token, _| due.contains(token));
            if uses.len() >= TOKENS_MAX {
                return;
            }
        }
        let seen = state.uses.entry(token).or_insert(Use {
            seen: now,
            given: recorded,
        });
        seen.seen = seen.seen.max(now);
        if seen
            .given
            .is_none_or(|given| given.plus_seconds(INTERVAL_SECONDS) <= now)
        {
            seen.given = Some(now);
            state.due.insert(token);
            drop(state);
            self.due.notify_one();
        }
    }

    /// What is to be written now.
    fn take_due(&self) -> Vec<(TokenId, Timestamp)> {
        let mut state = self.state();
        let due = std::mem::take(&mut state.due);
        due.into_iter()
            .filter_map(|token| Some((token, state.uses.get(&token)?.seen)))
            .collect()
    }

    /// Everything that is remembered, for the last time.
    fn take_all(&self) -> Vec<(TokenId, Timestamp)> {
        let mut state = self.state();
        state.due.clear();
        state
            .uses
            .drain()
            .map(|(token, of_token)| (token, of_token.seen))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned lock still guards whole maps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority {
    /// Writes the last use of tokens whenever one is due, until it is dropped: a background task. What comes while it writes
    /// shares the next transaction.
    pub async fn record_uses_forever(&self) {
        loop {
            self.uses.due.notified().await;
            if let Err(fault) = self.record_due_uses().await {
                // Not worth a second try: the next use, a minute later, is written instead.
                tracing::warn!(error = %fault, "the last use of tokens was not recorded");
            }
        }
    }

    /// Writes the last uses that are due now.
    pub async fn record_due_uses(&self) -> Result<(), Fault> {
        self.record_uses(self.uses.take_due()).await
    }

    /// Writes every last use that is known, to be called before the store is closed.
    pub async fn record_all_uses(&self) -> Result<(), Fault> {
        self.record_uses(self.uses.take_all()).await
    }

    async fn record_uses(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), Fault> {
        if uses.is_empty() {
            return Ok(());
        }
        Ok(self.store.record_token_uses(uses).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

    fn token(n: u32) -> TokenId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        TokenId::from_bytes(id)
    }

    #[test]
    fn a_token_is_due_once_a_minute_and_at_the_end() {
        let uses = LastUses::default();
        uses.note(token(1), None, NOW);
        uses.note(token(1), None, NOW.plus_seconds(1));
        uses.note(token(2), Some(NOW), NOW.plus_seconds(59));
        assert_eq!(
            uses.take_due(),
            [(token(1), NOW.plus_seconds(1))],
            "with the latest that is known"
        );
        uses.note(token(1), None, NOW.plus_seconds(59));
        assert_eq!(uses.take_due(), []);
        uses.note(token(1), None, NOW.plus_seconds(60));
        uses.note(token(2), None, NOW.plus_seconds(60));
        // A clock that is set back dates nothing back.
        uses.note(token(1), None, NOW);
        let mut due = uses.take_due();
        due.sort();
        assert_eq!(
            due,
            [
                (token(1), NOW.plus_seconds(60)),
                (token(2), NOW.plus_seconds(60))
            ]
        );
        uses.note(token(1), None, NOW.plus_seconds(61));
        assert_eq!(uses.take_due(), []);
        let all = uses.take_all();
        assert!(all.len() == 2 && all.contains(&(token(1), NOW.plus_seconds(61))));
        assert_eq!(uses.take_all(), []);
    }

    #[test]
    fn the_memory_is_bounded() {
        let uses = LastUses::default();
        let many = u32::try_from(TOKENS_MAX).unwrap();
        for n in 0..many + 10 {
            uses.note(token(n), None, NOW);
        }
        assert_eq!(uses.take_due().len(), TOKENS_MAX);
        // They are written, so that others have room.
        uses.note(token(many), None, NOW);
        assert_eq!(uses.take_due(), [(token(many), NOW)]);
        assert_eq!(uses.state().uses.len(), 1);
    }
}
