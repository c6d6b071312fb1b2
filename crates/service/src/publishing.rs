use std::sync::Arc;

use certgate_model::{
    AuthorityId, CrlKind, CrlRecord, Revocation, SECONDS_PER_DAY, Timestamp, revocation_date,
    this_update,
};
use certgate_pki::{CrlHead, CrlScope, issuer_ids, sign_crl};
use certgate_store::{AgedCrls, CrlContent, CrlState, FaultPoint, fault_point};
use futures_util::future::join_all;

use crate::environment::Environment;
use crate::error::{Fault, internal};
use crate::issuers::{Issuers, ReadyIssuer};

/// Validity of a list, in days. Verifiers refuse every client after a list has expired, so an
/// operator has a weekend to fix a publisher that stopped.
pub const CRL_VALIDITY_DAYS: u32 = 7;

/// A list is renewed this long before it expires, in days, with or without changes.
const CRL_RENEWAL_DAYS: i64 = 3;

/// Maximum number of revocations on the full list: 3.5 MB. A larger one would be signed anew with
/// every change, so clients use the shards instead.
pub const FULL_CRL_ENTRIES_MAX: u32 = 65_536;

/// Number of lists that are published at a time. They share transactions, and all of them are in
/// memory until they are stored.
const PUBLISHED_TOGETHER: usize = 32;

/// Latest time at which any list is due for renewal, in seconds from now. A list that is due later
/// is dated in the future.
const RENEWED_WITHIN_SECONDS: i64 = (CRL_VALIDITY_DAYS as i64 - CRL_RENEWAL_DAYS) * SECONDS_PER_DAY;

/// Pause before a full list that was too long is counted again, in seconds: the count reads all of
/// its entries.
const TOO_LONG_SECONDS: i64 = 3600;

/// Publishes revocation lists: after a change, and well before a list expires.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(crate) environment: Environment,
    pub(crate) issuers: Arc<Issuers>,
}

impl Publisher {
    /// Publishes every list that a change has made obsolete. Returns the CAs of the lists that
    /// could not be published.
    pub(crate) async fn publish_changed(&self) -> Result<Vec<AuthorityId>, Fault> {
        let mut failed = Vec::new();
        let now = self.environment.now();
        let changed = self.environment.store.crls_changed(now).await?;
        self.publish_all(&changed, &mut failed).await;
        Ok(failed.into_iter().map(|(authority, _)| authority).collect())
    }

    /// Publishes some of the lists that are due for renewal, and returns true if there were any.
    /// Skips the lists in `failed`, and adds those that fail now.
    pub(crate) async fn publish_aged(
        &self,
        failed: &mut Vec<(AuthorityId, CrlKind)>,
    ) -> Result<bool, Fault> {
        let now = self.environment.now();
        let latest = now.plus_seconds(RENEWED_WITHIN_SECONDS);
        // The failed lists are still due. Without extra room the store would return only them.
        let limit = u32::try_from(PUBLISHED_TOGETHER + failed.len()).unwrap_or(u32::MAX);
        let store = &self.environment.store;
        let AgedCrls { mut due, expired } = store.crls_aged(now, latest, limit).await?;
        let has_expired = !expired.is_empty();
        if has_expired {
            store.set_crls_aside(expired).await?;
        }
        due.retain(|list| !failed.contains(list));
        self.publish_all(&due, failed).await;
        Ok(has_expired || !due.is_empty())
    }

    /// Returns true if a CA can sign now.
    pub(crate) async fn can_sign(&self, authority: AuthorityId) -> bool {
        let ca = self.issuers.by_id(authority).await;
        ca.is_ok_and(|ca| ca.issuer.is_valid_at(self.environment.now()))
    }

    /// Publishes lists, [`PUBLISHED_TOGETHER`] at a time, and adds those that fail to `failed`.
    pub(crate) async fn publish_all(
        &self,
        lists: &[(AuthorityId, CrlKind)],
        failed: &mut Vec<(AuthorityId, CrlKind)>,
    ) {
        for some in lists.chunks(PUBLISHED_TOGETHER) {
            self.publish_some(some, failed).await;
        }
    }

    async fn publish_some(
        &self,
        lists: &[(AuthorityId, CrlKind)],
        failed: &mut Vec<(AuthorityId, CrlKind)>,
    ) {
        let published = lists
            .iter()
            .map(|(authority, kind)| self.publish(*authority, *kind));
        let published = join_all(published).await;
        for ((authority, kind), published) in lists.iter().zip(published) {
            if let Err(fault) = published {
                // Write one line for each CA, because a fault of its key affects all of its lists.
                if failed.iter().all(|(known, _)| known != authority) {
                    tracing::error!(
                        %authority, ?kind, error = %fault, "revocation lists were not published"
                    );
                }
                failed.push((*authority, *kind));
            }
        }
    }

    /// Publishes a list. A CA that is not valid now fails: no verifier would accept its list.
    pub(crate) async fn publish(&self, authority: AuthorityId, kind: CrlKind) -> Result<(), Fault> {
        let issuer = &self.issuers.by_id(authority).await?.issuer;
        let now = self.environment.now();
        if !issuer.is_valid_at(now) {
            return Err(Fault::Unavailable(format!(
                "the CA is valid from {} to {}, but the clock shows {now}: correct the clock",
                issuer.valid_from(),
                issuer.expires_on()
            )));
        }
        if kind == CrlKind::Full {
            return self.publish_full(authority).await;
        }
        let store = &self.environment.store;
        let content = store.crl_content(authority, kind, now, u32::MAX).await?;
        let Some(content) = content else {
            return Ok(());
        };
        fault_point(FaultPoint::ListRead);
        self.sign_and_store(authority, vec![authority], kind, content)
            .await
    }

    /// Publishes a full list. It has no scope (RFC 5280 §5.2.5), so verifiers apply it to every
    /// certificate of its issuer's name and key. Therefore it has the revocations of all CAs with
    /// that name and key, and is the list of each of them.
    async fn publish_full(&self, authority: AuthorityId) -> Result<(), Fault> {
        let store = &self.environment.store;
        // Read without a cache: the revocations of a CA that is missing here would be missing in
        // the list.
        let certificates = store.authority_certificates().await?;
        let Some((_, own)) = certificates.iter().find(|(id, _)| *id == authority) else {
            return Ok(());
        };
        let [name, ..] = issuer_ids(own).map_err(internal)?;
        let mut same = Vec::new();
        for (id, certificate) in &certificates {
            if issuer_ids(certificate).map_err(internal)?[0] == name {
                same.push(*id);
            }
        }
        let now = self.environment.now();
        if let Some(state) = store.crl_state(authority, CrlKind::Full).await?
            && !state.is_made
            && state.this_update.until(now).is_within(TOO_LONG_SECONDS)
        {
            return self.store_still_too_long(same, state).await;
        }
        let mut all: Option<CrlContent> = None;
        for id in &same {
            let content = store
                .crl_content(*id, CrlKind::Full, now, FULL_CRL_ENTRIES_MAX)
                .await?;
            let Some(content) = content else { continue };
            all = Some(match all {
                None => content,
                Some(mut all) => {
                    all.epoch = all.epoch.min(content.epoch);
                    all.number_before = all.number_before.max(content.number_before);
                    all.revocations.extend(content.revocations);
                    all
                }
            });
        }
        let Some(mut content) = all else {
            return Ok(());
        };
        if same.len() > 1 {
            keep_earliest(&mut content.revocations);
        }
        self.sign_and_store(authority, same, CrlKind::Full, content)
            .await
    }

    /// Records that a full list is still too long, including the changes since.
    async fn store_still_too_long(
        &self,
        owners: Vec<AuthorityId>,
        state: CrlState,
    ) -> Result<(), Fault> {
        let epoch = self.environment.store.last_epoch().await?;
        let CrlState {
            kind,
            number,
            this_update,
            next_update,
            ..
        } = state;
        for authority in owners {
            let crl = CrlRecord {
                authority,
                kind,
                number: number.saturating_add(1),
                epoch,
                this_update,
                next_update,
                der: None,
            };
            self.store_list(crl, this_update.plus_seconds(TOO_LONG_SECONDS))
                .await?;
        }
        Ok(())
    }

    /// Signs a list with the key of `signer` and stores it as the list of each of `owners`.
    async fn sign_and_store(
        &self,
        signer: AuthorityId,
        owners: Vec<AuthorityId>,
        kind: CrlKind,
        content: CrlContent,
    ) -> Result<(), Fault> {
        let ca = self.issuers.by_id(signer).await?;
        let now = self.environment.now();
        let too_long =
            kind == CrlKind::Full && content.revocations.len() > FULL_CRL_ENTRIES_MAX as usize;
        let crl = match too_long {
            true => unsigned(&ca, kind, &content, now),
            false => {
                let signed = move || signed(&ca, kind, &content, now);
                self.environment.signers.run(signed).await??
            }
        };
        fault_point(FaultPoint::ListSigned);
        let renew_on = crl
            .next_update
            .plus_seconds(-CRL_RENEWAL_DAYS * SECONDS_PER_DAY);
        for authority in owners {
            let crl = CrlRecord {
                authority,
                ..crl.clone()
            };
            self.store_list(crl, renew_on).await?;
        }
        fault_point(FaultPoint::ListStored);
        metrics::counter!("certgate_crls_published_total").increment(1);
        Ok(())
    }

    /// Stores a list, unless another process has stored one with the same changes. If that list
    /// lacks changes, fails, so that none of this list's changes settles before it is signed again.
    async fn store_list(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<(), Fault> {
        let CrlRecord {
            authority,
            kind,
            epoch,
            ..
        } = crl;
        let store = &self.environment.store;
        if store.record_crl(crl, renew_on).await? {
            return Ok(());
        }
        match store.crl(authority, kind).await? {
            Some(stored) if stored.epoch < epoch => Err(Fault::Unavailable(
                "another process stored a list that lacks changes".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

/// Removes all but the earliest revocation of each serial number. Two accounts can have the same CA
/// and the same certificate.
fn keep_earliest(revocations: &mut Vec<Revocation>) {
    revocations.sort_by_key(|one| (*one.serial.as_bytes(), one.revoked_on));
    revocations.dedup_by_key(|one| one.serial);
}

fn signed(
    ca: &ReadyIssuer,
    kind: CrlKind,
    content: &CrlContent,
    now: Timestamp,
) -> Result<CrlRecord, Fault> {
    let crl = unsigned(ca, kind, content, now);
    let url = match kind {
        CrlKind::Shard(shard) => ca.crl_url(shard),
        CrlKind::AuthorityCertificates | CrlKind::Full => String::new(),
    };
    let scope = match kind {
        CrlKind::Shard(_) => CrlScope::Shard { url: &url },
        CrlKind::AuthorityCertificates => CrlScope::AuthorityCertificates,
        CrlKind::Full => CrlScope::Full,
    };
    let head = CrlHead {
        scope,
        number: crl.number,
        this_update: crl.this_update,
        next_update: crl.next_update,
    };
    let revocations = content.revocations.iter().map(|one| Revocation {
        revoked_on: revocation_date(one.revoked_on, crl.this_update),
        ..*one
    });
    let der = sign_crl(&ca.issuer, head, revocations).map_err(internal)?;
    Ok(CrlRecord {
        der: Some(der),
        ..crl
    })
}

fn unsigned(ca: &ReadyIssuer, kind: CrlKind, content: &CrlContent, now: Timestamp) -> CrlRecord {
    // The number is the time in milliseconds: it also grows after the database was restored from
    // a backup.
    CrlRecord {
        authority: ca.authority.id,
        kind,
        number: now
            .unix_milliseconds()
            .max(content.number_before.saturating_add(1)),
        epoch: content.epoch,
        this_update: this_update(now),
        next_update: now.plus_days(CRL_VALIDITY_DAYS),
        der: None,
    }
}

#[cfg(test)]
mod tests {
    use certgate_model::{RevocationReason, SerialNumber};

    use super::*;

    #[test]
    fn a_full_list_has_each_serial_number_once_with_its_earliest_revocation() {
        let revocation = |serial, seconds| Revocation {
            serial: SerialNumber::from_random([serial; 20]),
            revoked_on: Timestamp::from_unix(seconds),
            reason: RevocationReason::Superseded,
        };
        let mut all = vec![revocation(2, 5), revocation(1, 9), revocation(2, 3)];
        keep_earliest(&mut all);
        assert_eq!(all, [revocation(1, 9), revocation(2, 3)]);
    }
}
