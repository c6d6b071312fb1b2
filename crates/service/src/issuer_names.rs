use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use certgate_model::{AuthorityId, Timestamp, lock};
use certgate_pki::{IssuerId, issuer_ids};

use crate::environment::Environment;
use crate::error::{Fault, internal};
use crate::turn::Turn;

/// Maximum age of the directory, in seconds.
const AGE_SECONDS_MAX: i64 = 60;

/// Maximum age of the directory for a lookup that finds nothing, in seconds. Another process may
/// have added a CA, also with a name and key that are known. Clients cannot cause more reads.
const AGE_MISSING_SECONDS_MAX: i64 = 1;

/// The directory of CAs by the name and key that OCSP requests give (RFC 6960 §4.1.1).
///
/// A CA with a renewed certificate, or one that two accounts have imported, is listed more than
/// once under the same name and key.
pub(crate) struct IssuerNames {
    environment: Environment,
    directory: Mutex<Directory>,
    reading: Turn,
}

#[derive(Default)]
struct Directory {
    read_at: Option<Timestamp>,
    by_id: HashMap<IssuerId, Arc<[AuthorityId]>>,
    /// Counts the calls of [`IssuerNames::expire`].
    generation: u64,
}

impl Directory {
    /// Returns the CAs with that name and key, if the directory is recent enough to tell.
    fn find(&self, id: &IssuerId, now: Timestamp) -> Option<Option<Arc<[AuthorityId]>>> {
        match self.by_id.get(id) {
            Some(authorities) if self.is_read_within(AGE_SECONDS_MAX, now) => {
                Some(Some(authorities.clone()))
            }
            None if self.is_read_within(AGE_MISSING_SECONDS_MAX, now) => Some(None),
            _ => None,
        }
    }

    fn is_read_within(&self, seconds: i64, now: Timestamp) -> bool {
        self.read_at
            .is_some_and(|at| at.until(now).is_within(seconds))
    }
}

impl IssuerNames {
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            directory: Mutex::default(),
            reading: Turn::default(),
        }
    }

    /// Returns the CAs with that name and key; `None` if none of ours has them.
    pub(crate) async fn find(&self, id: &IssuerId) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        if let Some(found) = lock(&self.directory).find(id, self.environment.now()) {
            return Ok(found);
        }
        // One request reads the directory for all that wait.
        self.reading.take(self.read(id)).await
    }

    /// Like [`IssuerNames::find`], after a lookup with the CAs of an earlier answer found nothing.
    pub(crate) async fn find_again(
        &self,
        id: &IssuerId,
    ) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        {
            let mut directory = lock(&self.directory);
            if !directory.is_read_within(AGE_MISSING_SECONDS_MAX, self.environment.now()) {
                directory.read_at = None;
            }
        }
        self.find(id).await
    }

    /// Makes the next lookup read the directory again, because a CA may have been added.
    pub(crate) fn expire(&self) {
        let mut directory = lock(&self.directory);
        directory.read_at = None;
        directory.generation += 1;
    }

    async fn read(&self, id: &IssuerId) -> Result<Option<Arc<[AuthorityId]>>, Fault> {
        let now = self.environment.now();
        let generation = {
            let directory = lock(&self.directory);
            if let Some(found) = directory.find(id, now) {
                return Ok(found);
            }
            directory.generation
        };
        let mut by_id: HashMap<IssuerId, Vec<AuthorityId>> = HashMap::new();
        for (authority, certificate) in self.environment.store.authority_certificates().await? {
            for name in issuer_ids(&certificate).map_err(internal)? {
                by_id.entry(name).or_default().push(authority);
            }
        }
        let by_id: HashMap<_, Arc<[_]>> = by_id
            .into_iter()
            .map(|(name, ids)| (name, ids.into()))
            .collect();
        let found = by_id.get(id).cloned();
        let mut directory = lock(&self.directory);
        // A directory that was read before a CA was added must not be used after that.
        let read_at = (directory.generation == generation).then_some(now);
        *directory = Directory {
            read_at,
            by_id,
            generation: directory.generation,
        };
        Ok(found)
    }
}
