use std::sync::{Arc, Mutex};

use certgate_model::{Clock, Random, Timestamp, lock};
use certgate_store::Store;

use crate::key_searches::KeySearches;
use crate::settings::Limits;
use crate::signals::Signals;
use crate::signers::Signers;

/// The surroundings that every part works with: the store, the clock, the source of random numbers,
/// the signing threads, the threads of slow keys and of searches for weak keys, the signals between
/// requests and background jobs, and the limits.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) slow_keys: Arc<Signers>,
    pub(crate) key_searches: Arc<KeySearches>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) limits: Arc<Mutex<Limits>>,
}

impl Environment {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The limits at this moment. Read them once for each request.
    pub(crate) fn limits(&self) -> Limits {
        *lock(&self.limits)
    }
}
