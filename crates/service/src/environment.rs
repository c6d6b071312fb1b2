use std::sync::Arc;

use certgate_model::{Clock, Random, Timestamp};
use certgate_store::Store;

/// The store, the clock and the source of random numbers, which every part works with.
#[derive(Clone)]
pub(crate) struct Environment {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

impl Environment {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
