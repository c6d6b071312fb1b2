use std::sync::Arc;

use certgate_model::{Clock, Random, Timestamp};
use certgate_store::Store;

use crate::signals::Signals;
use crate::signers::Signers;

/// The surroundings that every part works with: the store, the clock, the source of random numbers,
/// the signing threads and the signals between requests and background jobs.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) signers: Arc<Signers>,
    pub(crate) signals: Arc<Signals>,
}

impl Environment {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
