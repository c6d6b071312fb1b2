//! CRLs that are being sent: each is in memory once, even if many slow clients download it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use certgate_model::{AuthorityId, CrlKind, lock};
use certgate_service::{Fault, Renewal, Turns};
use certgate_store::CrlState;
use tokio::sync::Semaphore;

/// The size in bytes at which the cache of CRLs is emptied: the CRLs of many small CAs, or of a few
/// large ones.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Number of CRLs that are read at once: other requests need the store's readers too.
const READS_MAX: usize = 4;

/// A CRL as it is sent.
pub(crate) struct PublishedCrl {
    pub(crate) state: CrlState,
    pub(crate) der: Bytes,
}

/// The CRLs that clients downloaded last.
pub(crate) struct CrlCache {
    crls: Mutex<Crls>,
    /// The requests for one CRL: one of them reads it for all.
    loading: Turns<(AuthorityId, CrlKind)>,
    reads: Semaphore,
}

#[derive(Default)]
struct Crls {
    by_name: HashMap<(AuthorityId, CrlKind), Arc<PublishedCrl>>,
    bytes: usize,
}

impl CrlCache {
    pub(crate) fn new() -> Self {
        Self {
            crls: Mutex::default(),
            loading: Turns::new(),
            reads: Semaphore::new(READS_MAX),
        }
    }

    /// Returns the CRL of `state`, or a newer one; [`None`] if it was deleted.
    pub(crate) async fn crl(
        &self,
        lists: &Renewal,
        authority: AuthorityId,
        state: CrlState,
    ) -> Result<Option<Arc<PublishedCrl>>, Fault> {
        if let Some(crl) = self.cached(authority, state) {
            return Ok(Some(crl));
        }
        let turn = self.loading.of((authority, state.kind));
        let _one_at_a_time = turn.hold().await;
        if let Some(loaded_meanwhile) = self.cached(authority, state) {
            return Ok(Some(loaded_meanwhile));
        }
        let _reading = self.reads.acquire().await;
        let Some(record) = lists.load(authority, state.kind).await? else {
            return Ok(None);
        };
        let Some(der) = record.der else {
            return Ok(None);
        };
        let crl = Arc::new(PublishedCrl {
            state: CrlState {
                number: record.number,
                this_update: record.this_update,
                next_update: record.next_update,
                ..state
            },
            der: der.into(),
        });
        let mut crls = lock(&self.crls);
        if crls.bytes + crl.der.len() > BYTES_MAX {
            *crls = Crls::default();
        }
        let replaced = crls.by_name.insert((authority, state.kind), crl.clone());
        crls.bytes += crl.der.len();
        crls.bytes -= replaced.map_or(0, |replaced| replaced.der.len());
        Ok(Some(crl))
    }

    fn cached(&self, authority: AuthorityId, state: CrlState) -> Option<Arc<PublishedCrl>> {
        let crls = lock(&self.crls);
        let crl = crls.by_name.get(&(authority, state.kind))?;
        (crl.state.number >= state.number).then(|| crl.clone())
    }
}
