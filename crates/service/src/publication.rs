//! Publishing revocation lists. A list is made again when a change has made it old, and well before it runs out.

use certgate_model::{AuthorityId, CrlKind, CrlRecord, SECONDS_PER_DAY, Timestamp};
use certgate_pki::{CrlHead, CrlScope, issuer_ids, sign_crl};
use certgate_store::{CrlContent, CrlState, FaultPoint, fault_point};
use futures_util::future::join_all;

use crate::authorities::{LoadedIssuer, internal};
use crate::{Authority, Fault};

/// How long a list may be used, in days. Programs refuse everybody once it has run out, so that there is time to mend a
/// publisher that stands still over a weekend.
pub const CRL_VALIDITY_DAYS: u32 = 7;

/// A list is made again this long before it runs out, in days, changed or not.
const CRL_RENEWAL_DAYS: i64 = 3;

/// By how much `thisUpdate` is earlier than now, in seconds: programs refuse a list from the future, and clocks differ.
const CRL_BACKDATE_SECONDS: i64 = 600;

/// How many revocations the full list has at most: 3.5 MB. Beyond that there is none, and the shards have to be used:
/// it would be made anew with every change.
pub const FULL_CRL_ENTRIES_MAX: u32 = 65_536;

/// How many lists are made at a time: they share transactions, and all of them are in memory until they are stored.
const PUBLISHED_TOGETHER: usize = 32;

/// No list is to be made again later than this, in days; an hour is for clocks that are corrected.
const RENEWED_WITHIN_SECONDS: i64 =
    (CRL_VALIDITY_DAYS as i64 - CRL_RENEWAL_DAYS) * SECONDS_PER_DAY + 3600;

/// After a full list turned out too long, it is looked at again after this time, in seconds: looking reads all that it would
/// hold.
const TOO_LONG_SECONDS: i64 = 3600;

impl Authority {
    /// Publishes every list that a change has made old; the authorities some of whose lists could not be made.
    pub(crate) async fn publish_changed(&self) -> Result<Vec<AuthorityId>, Fault> {
        let mut failed = Vec::new();
        for some in self.store.crls_changed().await?.chunks(PUBLISHED_TOGETHER) {
            self.publish_all(some, &mut failed).await;
        }
        Ok(failed.into_iter().map(|(authority, _)| authority).collect())
    }

    /// Publishes some of the lists that are old by themselves; whether there were any. Those that `failed` before are left
    /// alone, and those that fail now are added to them.
    pub(crate) async fn publish_aged(
        &self,
        failed: &mut Vec<(AuthorityId, CrlKind)>,
    ) -> Result<bool, Fault> {
        let now = self.clock.now();
        let latest = now.plus_seconds(RENEWED_WITHIN_SECONDS);
        // They are still old: without room for them, they would be all that is ever found.
        let limit = u32::try_from(PUBLISHED_TOGETHER + failed.len()).unwrap_or(u32::MAX);
        let mut some = self.store.crls_aged(now, latest, limit).await?;
        some.retain(|list| !failed.contains(list));
        self.publish_all(&some, failed).await;
        Ok(!some.is_empty())
    }

    async fn publish_all(
        &self,
        lists: &[(AuthorityId, CrlKind)],
        failed: &mut Vec<(AuthorityId, CrlKind)>,
    ) {
        let published = join_all(
            lists
                .iter()
                .map(|(authority, kind)| self.publish(*authority, *kind)),
        )
        .await;
        for ((authority, kind), published) in lists.iter().zip(published) {
            if let Err(fault) = published {
                // One line for each authority: what is wrong with its key is wrong with all of its lists.
                if failed.iter().all(|(known, _)| known != authority) {
                    tracing::error!(%authority, ?kind, error = %fault, "revocation lists were not published");
                }
                failed.push((*authority, *kind));
            }
        }
    }

    async fn publish(&self, authority: AuthorityId, kind: CrlKind) -> Result<(), Fault> {
        if kind == CrlKind::Full {
            return self.publish_full(authority).await;
        }
        let now = self.clock.now();
        let content = self
            .store
            .crl_content(authority, kind, now, u32::MAX)
            .await?;
        let Some(content) = content else {
            return Ok(());
        };
        fault_point(FaultPoint::ListRead);
        self.sign_and_store(authority, vec![authority], kind, content)
            .await
    }

    /// The full list has no scope, so that one is believed about every certificate of its issuer's name and key: it holds
    /// what all authorities of that name and key have revoked, and is the list of each.
    async fn publish_full(&self, authority: AuthorityId) -> Result<(), Fault> {
        // Read anew: one that is missing here would have a list that does not hold what it has revoked.
        let certificates = self.store.authority_certificates().await?;
        let Some((_, own)) = certificates.iter().find(|(id, _)| *id == authority) else {
            return Ok(());
        };
        let [name, _] = issuer_ids(own).map_err(internal)?;
        let mut same = Vec::new();
        for (id, certificate) in &certificates {
            if issuer_ids(certificate).map_err(internal)?[0] == name {
                same.push(*id);
            }
        }
        let now = self.clock.now();
        if let Some(state) = self.store.crl_state(authority, CrlKind::Full).await?
            && !state.is_made
            && (state.this_update..state.this_update.plus_seconds(TOO_LONG_SECONDS)).contains(&now)
        {
            return self.leave_out(same, state).await;
        }
        let mut all: Option<CrlContent> = None;
        for id in &same {
            let content = self
                .store
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
        let Some(content) = all else { return Ok(()) };
        self.sign_and_store(authority, same, CrlKind::Full, content)
            .await
    }

    /// Notes that a full list is still too long, with the changes that have come since.
    async fn leave_out(&self, owners: Vec<AuthorityId>, state: CrlState) -> Result<(), Fault> {
        let epoch = self.store.last_epoch().await?;
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
                number: number + 1,
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

    /// Stores a list, unless another process has stored one that knows as much. If one is there that knows less, nothing of what is
    /// in this one may settle before it is made again.
    async fn store_list(&self, crl: CrlRecord, renew_on: Timestamp) -> Result<(), Fault> {
        let CrlRecord {
            authority,
            kind,
            epoch,
            ..
        } = crl;
        if self.store.record_crl(crl, renew_on).await? {
            return Ok(());
        }
        match self.store.crl(authority, kind).await? {
            Some(there) if there.epoch < epoch => Err(Fault::Unavailable(
                "another process stored a list that knows less".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Makes a list with the key of `signer` and stores it as the list of each of `owners`.
    async fn sign_and_store(
        &self,
        signer: AuthorityId,
        owners: Vec<AuthorityId>,
        kind: CrlKind,
        content: CrlContent,
    ) -> Result<(), Fault> {
        let loaded = self.issuer_by_id(signer).await?;
        let now = self.clock.now();
        let too_long =
            kind == CrlKind::Full && content.revocations.len() > FULL_CRL_ENTRIES_MAX as usize;
        let crl = match too_long {
            true => record(&loaded, kind, &content, now, None),
            false => {
                self.on_signer(move || make(&loaded, kind, &content, now))
                    .await??
            }
        };
        fault_point(FaultPoint::ListSigned);
        let renew_on = crl
            .next_update
            .plus_seconds(-CRL_RENEWAL_DAYS * SECONDS_PER_DAY);
        for authority in owners {
            self.store_list(
                CrlRecord {
                    authority,
                    ..crl.clone()
                },
                renew_on,
            )
            .await?;
        }
        fault_point(FaultPoint::ListStored);
        metrics::counter!("certgate_crls_published_total").increment(1);
        Ok(())
    }
}

fn make(
    loaded: &LoadedIssuer,
    kind: CrlKind,
    content: &CrlContent,
    now: Timestamp,
) -> Result<CrlRecord, Fault> {
    let crl = record(loaded, kind, content, now, None);
    let url = match kind {
        CrlKind::Shard(shard) => loaded.crl_url(shard),
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
    let revocations = content.revocations.iter().copied();
    let der = sign_crl(&loaded.issuer, head, revocations).map_err(internal)?;
    Ok(CrlRecord {
        der: Some(der),
        ..crl
    })
}

fn record(
    loaded: &LoadedIssuer,
    kind: CrlKind,
    content: &CrlContent,
    now: Timestamp,
    der: Option<Vec<u8>>,
) -> CrlRecord {
    // The time in milliseconds: numbers grow also past a database that was restored from a backup.
    let milliseconds = u64::try_from(now.unix_microseconds() / 1000).unwrap_or(0);
    CrlRecord {
        authority: loaded.authority.id,
        kind,
        number: milliseconds.max(content.number_before + 1),
        epoch: content.epoch,
        this_update: now.plus_seconds(-CRL_BACKDATE_SECONDS),
        next_update: now.plus_days(CRL_VALIDITY_DAYS),
        der,
    }
}
