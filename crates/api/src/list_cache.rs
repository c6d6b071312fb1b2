//! Revocation lists that are being sent. However many ask for one, slowly or not, it is in memory once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use certgate_model::{AuthorityId, CrlKind, Timestamp};
use certgate_store::{CrlState, ReadStore, StoreError};

/// How much is kept, in bytes, before all of it is forgotten: the lists of many small authorities, or of a few large ones.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// A list as it is sent.
pub(crate) struct PublishedList {
    pub(crate) number: u64,
    pub(crate) this_update: Timestamp,
    pub(crate) next_update: Timestamp,
    pub(crate) der: Bytes,
}

/// The lists that were asked for last.
#[derive(Default)]
pub(crate) struct ListCache {
    lists: Mutex<Lists>,
    /// Held while a list is read: the store's readers are for others too.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Lists {
    by_name: HashMap<(AuthorityId, CrlKind), Arc<PublishedList>>,
    bytes: usize,
}

impl ListCache {
    /// The list that `state` is about, or one that has come after it; `None` if it is gone.
    pub(crate) async fn list(
        &self,
        store: &dyn ReadStore,
        authority: AuthorityId,
        state: CrlState,
    ) -> Result<Option<Arc<PublishedList>>, StoreError> {
        if let Some(list) = self.kept(authority, state) {
            return Ok(Some(list));
        }
        let _one_at_a_time = self.loading.lock().await;
        if let Some(loaded_meanwhile) = self.kept(authority, state) {
            return Ok(Some(loaded_meanwhile));
        }
        let Some(record) = store.crl(authority, state.kind).await? else {
            return Ok(None);
        };
        let Some(der) = record.der else {
            return Ok(None);
        };
        let list = Arc::new(PublishedList {
            number: record.number,
            this_update: record.this_update,
            next_update: record.next_update,
            der: der.into(),
        });
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.bytes + list.der.len() > BYTES_MAX {
            *lists = Lists::default();
        }
        let before = lists.by_name.insert((authority, state.kind), list.clone());
        lists.bytes += list.der.len();
        lists.bytes -= before.map_or(0, |before| before.der.len());
        Ok(Some(list))
    }

    fn kept(&self, authority: AuthorityId, state: CrlState) -> Option<Arc<PublishedList>> {
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let list = lists.by_name.get(&(authority, state.kind))?;
        (list.number >= state.number).then(|| list.clone())
    }
}
