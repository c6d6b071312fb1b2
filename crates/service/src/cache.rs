use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use certgate_model::{Clock, Timestamp, lock};

/// Maximum age of a cached record, in seconds: a change by another process is seen that late. This
/// process's own changes are seen immediately.
const AGE_SECONDS_MAX: i64 = 1;

/// Maximum number of cached records of one kind before their cache is emptied: a bound on memory, not a tuned figure.
const ENTRIES_MAX: usize = 4096;

/// A cache of records that every request reads, for at most [`AGE_SECONDS_MAX`].
pub(crate) struct Cache<K, V> {
    clock: Arc<dyn Clock>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, (Timestamp, Arc<V>)>,
    /// Counts the calls of `clear`. A record that was read before a call is not stored after it.
    generation: u64,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State {
                entries: HashMap::new(),
                generation: 0,
            }),
        }
    }

    /// Returns the cached record, or the result of `load`. A missing record is not cached.
    pub(crate) async fn get_or_load<E>(
        &self,
        key: K,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<Arc<V>>, E> {
        let now = self.clock.now();
        let generation = {
            let state = lock(&self.state);
            if let Some((read_at, value)) = state.entries.get(&key)
                && read_at.until(now).is_within(AGE_SECONDS_MAX)
            {
                return Ok(Some(value.clone()));
            }
            state.generation
        };
        let Some(value) = load.await?.map(Arc::new) else {
            return Ok(None);
        };
        let mut state = lock(&self.state);
        if state.generation == generation {
            if state.entries.len() >= ENTRIES_MAX {
                state.entries.clear();
            }
            state.entries.insert(key, (now, value.clone()));
        }
        Ok(Some(value))
    }

    /// Forgets everything. Every change of a cached kind of record calls it.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        state.generation += 1;
        state.entries.clear();
    }
}
