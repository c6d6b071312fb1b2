use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certgate_model::{Clock, Timestamp};

/// How long a cached record can be behind a change made by another process, in seconds. This process's own changes
/// are seen at once.
const AGE_SECONDS_MAX: i64 = 1;

/// How many records a cache holds before it starts anew; a bound on memory, not a tuned figure.
const ENTRIES_MAX: usize = 4096;

/// Records that are read on every request, kept for at most [`AGE_SECONDS_MAX`].
pub(crate) struct Cache<K, V> {
    clock: Arc<dyn Clock>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, (Timestamp, Arc<V>)>,
    /// Counts the calls of `clear`. What was read before one must not be kept after it.
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

    /// The cached record, or what `load` finds. That there is none is not cached.
    pub(crate) async fn get_or_load<E>(
        &self,
        key: K,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<Arc<V>>, E> {
        let now = self.clock.now();
        let generation = {
            let state = self.state();
            if let Some((read_at, value)) = state.entries.get(&key)
                && (*read_at..read_at.plus_seconds(AGE_SECONDS_MAX)).contains(&now)
            {
                return Ok(Some(value.clone()));
            }
            state.generation
        };
        let Some(value) = load.await?.map(Arc::new) else {
            return Ok(None);
        };
        let mut state = self.state();
        if state.generation == generation {
            if state.entries.len() >= ENTRIES_MAX {
                state.entries.clear();
            }
            state.entries.insert(key, (now, value.clone()));
        }
        Ok(Some(value))
    }

    /// Forgets everything: to be called after every change of what is cached.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.entries.clear();
    }

    fn state(&self) -> MutexGuard<'_, State<K, V>> {
        // No code that can panic runs under the lock, so a poisoned lock still guards a whole map.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
