use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use certgate_model::{Timestamp, TokenId, lock};
use certgate_store::Store;
use tokio::sync::Notify;

use crate::error::Fault;

/// Minimum time between two writes of one token's last use, in seconds: often enough to show which
/// tokens are used, too seldom to slow down the writers of certificates.
const INTERVAL_SECONDS: i64 = 60;

/// Maximum number of remembered tokens: a bound on memory, not a tuned figure.
const TOKENS_MAX: usize = 65_536;

/// The last uses of tokens. Requests note them, and a background job records them.
pub struct LastUses {
    store: Arc<dyn Store>,
    notes: Notes,
}

impl LastUses {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            notes: Notes::default(),
        }
    }

    /// Notes that a token was used `now`. `recorded` is the last use in its record. Does not wait.
    pub(super) fn note(&self, token: TokenId, recorded: Option<Timestamp>, now: Timestamp) {
        self.notes.note(token, recorded, now);
    }

    /// Records the last use of tokens whenever one is due: a background job that never returns.
    /// Uses that become due during a write share the next transaction.
    pub async fn record_forever(&self) {
        loop {
            self.notes.is_due.notified().await;
            if let Err(fault) = self.record_due().await {
                // The next use, a minute later, is recorded instead.
                tracing::warn!(error = %fault, "the last use of tokens was not recorded");
            }
        }
    }

    /// Records the uses that are due now.
    pub async fn record_due(&self) -> Result<(), Fault> {
        self.record(self.notes.take_due()).await
    }

    /// Records every remembered use. Call it before the store is closed.
    pub async fn record_all(&self) -> Result<(), Fault> {
        self.record(self.notes.take_all()).await
    }

    async fn record(&self, uses: Vec<(TokenId, Timestamp)>) -> Result<(), Fault> {
        if uses.is_empty() {
            return Ok(());
        }
        Ok(self.store.record_token_uses(uses).await?)
    }
}

/// The uses that are remembered, and those that are due.
#[derive(Default)]
struct Notes {
    state: Mutex<State>,
    is_due: Notify,
}

#[derive(Default)]
struct State {
    uses: HashMap<TokenId, Use>,
    /// The tokens whose use is to be recorded now.
    due: HashSet<TokenId>,
}

struct Use {
    seen: Timestamp,
    /// The use that was recorded, or was due, last.
    given: Option<Timestamp>,
}

impl Notes {
    fn note(&self, token: TokenId, recorded: Option<Timestamp>, now: Timestamp) {
        let mut state = lock(&self.state);
        if state.uses.len() >= TOKENS_MAX && !state.uses.contains_key(&token) {
            // A recorded use can be forgotten: the token's record has it.
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
            self.is_due.notify_one();
        }
    }

    /// Takes the uses that are due now.
    fn take_due(&self) -> Vec<(TokenId, Timestamp)> {
        let mut state = lock(&self.state);
        let due = std::mem::take(&mut state.due);
        due.into_iter()
            .filter_map(|token| Some((token, state.uses.get(&token)?.seen)))
            .collect()
    }

    /// Takes every remembered use.
    fn take_all(&self) -> Vec<(TokenId, Timestamp)> {
        let mut state = lock(&self.state);
        state.due.clear();
        state
            .uses
            .drain()
            .map(|(token, of_token)| (token, of_token.seen))
            .collect()
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
        let uses = Notes::default();
        uses.note(token(1), None, NOW);
        uses.note(token(1), None, NOW.plus_seconds(1));
        uses.note(token(2), Some(NOW), NOW.plus_seconds(59));
        assert_eq!(
            uses.take_due(),
            [(token(1), NOW.plus_seconds(1))],
            "with the latest known use"
        );
        uses.note(token(1), None, NOW.plus_seconds(59));
        assert_eq!(uses.take_due(), []);
        uses.note(token(1), None, NOW.plus_seconds(60));
        uses.note(token(2), None, NOW.plus_seconds(60));
        // A clock that is set back does not move a use back.
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
        let uses = Notes::default();
        let many = u32::try_from(TOKENS_MAX).unwrap();
        for n in 0..many + 10 {
            uses.note(token(n), None, NOW);
        }
        assert_eq!(uses.take_due().len(), TOKENS_MAX);
        // They were recorded, so other tokens have room.
        uses.note(token(many), None, NOW);
        assert_eq!(uses.take_due(), [(token(many), NOW)]);
        assert_eq!(lock(&uses.state).uses.len(), 1);
    }
}
