//! The CRLs of each CA, from the public responder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use certgate_model::AuthorityId;
use certgate_pki::listed_serials;
use certgate_wire::EnforcementView;
use http::HeaderValue;
use tokio::time::{Instant, timeout};

use crate::follower::{EnforceError, PublicFiles};
use crate::revoked::Change;
use crate::revoked::Serial;

/// The largest CRL bundle that `follow` reads, in bytes: two million revoked certificates.
const BUNDLE_BYTES_MAX: usize = 256 << 20;

/// The pause before a list is fetched again that does not have a change yet. The server publishes
/// within milliseconds after a change.
const LOOK: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(500);

/// The longest wait for a list with a change. Then the view is read again: a certificate that has
/// expired in the meantime is on no list.
const PATIENCE: Duration = Duration::from_secs(15);

/// The lists of all CAs.
pub(super) struct Lists {
    files: PublicFiles,
    bundles: BTreeMap<AuthorityId, Bundle>,
}

/// The CRLs of a CA.
struct Bundle {
    pem: String,
    tag: Option<HeaderValue>,
    serials: Vec<Serial>,
}

impl Lists {
    pub fn new(authorities: Option<&Path>) -> Self {
        Self {
            files: PublicFiles::new(authorities),
            bundles: BTreeMap::new(),
        }
    }

    /// The CRLs of a CA as PEM; [`None`] for an uploaded CA.
    pub fn pem(&self, id: AuthorityId) -> Option<&str> {
        self.bundles.get(&id).map(|bundle| bundle.pem.as_str())
    }

    /// The number of revoked certificates on them.
    pub fn count(&self, id: AuthorityId) -> Option<usize> {
        self.bundles.get(&id).map(|bundle| bundle.serials.len())
    }

    /// Fetches the lists of the `changed` CAs, again and again until they have the changes in
    /// `wanted`. Returns true if a list is new.
    pub async fn fetch(
        &mut self,
        source: &EnforcementView<'static>,
        chosen: &BTreeSet<AuthorityId>,
        changed: &BTreeSet<AuthorityId>,
        wanted: &[Change],
    ) -> Result<bool, EnforceError> {
        let before = self.bundles.len();
        self.bundles.retain(|id, _| chosen.contains(id));
        let mut is_new = self.bundles.len() != before;
        for ca in &source.certificate_authorities {
            let id = AuthorityId::from(ca.id);
            let is_due = changed.contains(&id) || !self.bundles.contains_key(&id);
            let Some(url) = ca.crl_bundle_url.as_deref() else {
                continue;
            };
            if !chosen.contains(&id) || !is_due {
                continue;
            }
            let wanted: Vec<_> = wanted
                .iter()
                .filter(|change| change.authority == id)
                .collect();
            is_new |= self.fetch_one(id, url, &wanted).await?;
        }
        Ok(is_new)
    }

    async fn fetch_one(
        &mut self,
        id: AuthorityId,
        url: &str,
        wanted: &[&Change],
    ) -> Result<bool, EnforceError> {
        let begun = Instant::now();
        let (mut pause, mut is_new) = (LOOK, false);
        loop {
            let tag = self.bundles.get(&id).and_then(|bundle| bundle.tag.as_ref());
            let fetched = self.files.get(url, tag, BUNDLE_BYTES_MAX).await;
            let problem = match fetched {
                Ok(Some(file)) => {
                    let malformed = || EnforceError::new(format!("{url} is not a list of CRLs"));
                    let pem = String::from_utf8(file.content).map_err(|_| malformed())?;
                    let serials = listed_serials(&pem).ok_or_else(malformed)?;
                    let tag = file.tag;
                    self.bundles.insert(id, Bundle { pem, tag, serials });
                    is_new = true;
                    None
                }
                Ok(None) => None,
                // The lists of a new CA come moments after it.
                Err(error) => Some(error.to_string()),
            };
            let problem = match problem {
                None if self.has(id, wanted) => return Ok(is_new),
                None => "a change is not on the lists yet".to_owned(),
                Some(problem) => problem,
            };
            if begun.elapsed() >= PATIENCE {
                return Err(EnforceError::reading_again(format!("{url}: {problem}")));
            }
            let _ = timeout(pause, std::future::pending::<()>()).await;
            pause = (pause * 2).min(LOOK_MAX);
        }
    }

    fn has(&self, id: AuthorityId, wanted: &[&Change]) -> bool {
        self.bundles.get(&id).is_some_and(|bundle| {
            let is_listed = |serial| bundle.serials.binary_search(serial).is_ok();
            let mut wanted = wanted.iter();
            wanted.all(|change| is_listed(&change.serial) == change.revoked)
        })
    }
}
