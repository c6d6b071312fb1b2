//! Publishing revocation lists. A list is made again when a change has made it old, and well before it runs out.

use certgate_model::{AuthorityId, CrlPart, CrlRecord, Timestamp};
use certgate_pki::{CrlEntry, CrlHead, CrlScope, sign_crl};
use certgate_store::CrlContent;
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

impl Authority {
    /// Publishes every list that is due. All are tried; the first trouble is returned.
    pub(crate) async fn publish_due(&self) -> Result<(), Fault> {
        let mut trouble = None;
        for some in self.store.crls_due(self.clock.now()).await?.chunks(PUBLISHED_TOGETHER) {
            let published =
                join_all(some.iter().map(|(authority, part)| self.publish(*authority, *part))).await;
            for ((authority, part), published) in some.iter().zip(published) {
                if let Err(fault) = published {
                    tracing::error!(%authority, ?part, error = %fault, "a revocation list was not published");
                    trouble.get_or_insert(fault);
                }
            }
        }
        trouble.map_or(Ok(()), Err)
    }

    async fn publish(&self, authority: AuthorityId, part: CrlPart) -> Result<(), Fault> {
        let limit = if part == CrlPart::Full { FULL_CRL_ENTRIES_MAX } else { u32::MAX };
        let Some(content) = self.store.crl_content(authority, part, limit).await? else { return Ok(()) };
        let loaded = self.issuer_by_id(authority).await?;
        let now = self.clock.now();
        let too_long = content.revocations.len() > limit as usize;
        let crl = match too_long {
            true => self.on_signer(move || Ok(record(&loaded, part, &content, now, None))).await?,
            false => self.on_signer(move || make(&loaded, part, &content, now)).await?,
        };
        let crl = crl?;
        let renew_on = crl.next_update.plus_seconds(-CRL_RENEWAL_DAYS * certgate_model::SECONDS_PER_DAY);
        // Somebody else may have been faster.
        self.store.record_crl(crl, renew_on).await?;
        metrics::counter!("certgate_crls_published_total").increment(1);
        Ok(())
    }
}

fn make(
    loaded: &LoadedIssuer,
    part: CrlPart,
    content: &CrlContent,
    now: Timestamp,
) -> Result<CrlRecord, Fault> {
    let crl = record(loaded, part, content, now, None);
    let url = match part {
        CrlPart::Shard(shard) => loaded.crl_url(shard),
        CrlPart::AuthorityCertificates | CrlPart::Full => String::new(),
    };
    let scope = match part {
        CrlPart::Shard(_) => CrlScope::Shard { url: &url },
        CrlPart::AuthorityCertificates => CrlScope::AuthorityCertificates,
        CrlPart::Full => CrlScope::Full,
    };
    let head =
        CrlHead { scope, number: crl.number, this_update: crl.this_update, next_update: crl.next_update };
    let entries = content.revocations.iter().map(|revocation| CrlEntry {
        serial: revocation.serial,
        revoked_on: revocation.revoked_on,
        reason: revocation.reason,
    });
    let der = sign_crl(&loaded.issuer, head, entries).map_err(internal)?;
    Ok(CrlRecord { der: Some(der), ..crl })
}

fn record(
    loaded: &LoadedIssuer,
    part: CrlPart,
    content: &CrlContent,
    now: Timestamp,
    der: Option<Vec<u8>>,
) -> CrlRecord {
    // The time in milliseconds: numbers grow also past a database that was restored from a backup.
    let milliseconds = u64::try_from(now.unix_microseconds() / 1000).unwrap_or(0);
    CrlRecord {
        authority: loaded.authority.id,
        part,
        number: milliseconds.max(content.number_before + 1),
        epoch: content.epoch,
        this_update: now.plus_seconds(-CRL_BACKDATE_SECONDS),
        next_update: now.plus_days(CRL_VALIDITY_DAYS),
        der,
    }
}
