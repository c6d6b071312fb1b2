//! The hostnames for which client certificates are asked, and what an enforcement point needs to know of them.

use std::collections::HashMap;

use certgate_model::{Enforcement, MtlsCertificateId};
use certgate_store::HostnamesReplaced;

use crate::access::{WriteCertificates, ZoneScope};
use crate::tenants::domain_name_fault;
use crate::{Authority, Fault, HostnameFault, HostnamesError};

/// Most hostnames of one list. A list is written whole, in one transaction that every other write waits for: a thousand
/// rows take some milliseconds. A body of 64 KiB holds about as many.
pub(crate) const HOSTNAMES_MAX: usize = 1_000;

/// How much of a hostname that is refused is shown, in characters.
const SHOWN_CHARACTERS_MAX: usize = 80;

impl Authority {
    /// Replaces the zone's hostnames for one authority (`None`: the account's managed one). Order and spelling are kept.
    pub async fn replace_hostnames(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
    ) -> Result<Vec<String>, HostnamesError> {
        check(&scope.zone().name, &hostnames)?;
        let zone = scope.zone().id;
        let replaced = self
            .store
            .replace_hostname_associations(
                zone,
                authority,
                hostnames.clone(),
                scope.by(self.clock.now()),
            )
            .await?;
        match replaced {
            HostnamesReplaced::Replaced => Ok(hostnames),
            HostnamesReplaced::NoZone => Err(HostnamesError::NoZone),
            HostnamesReplaced::NoCertificate => Err(HostnamesError::NoCertificate),
            HostnamesReplaced::NotAnAuthority => Err(HostnamesError::NotAnAuthority),
            HostnamesReplaced::ListedElsewhere { index } => {
                let hostname = hostnames.get(index).map_or("", String::as_str);
                Err(at(index, hostname, HostnameFault::ListedElsewhere))
            }
        }
    }

    /// The authorities that apply to a hostname, in any letter case and with or without a dot at its end; `None` if no
    /// client certificate is asked there. For enforcement points, which are part of the installation: needs no scope.
    pub async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, Fault> {
        let hostname = hostname.strip_suffix('.').unwrap_or(hostname);
        if domain_name_fault(hostname).is_some() {
            return Ok(None);
        }
        Ok(self.store.enforcement(hostname).await?)
    }
}

fn check(zone: &str, hostnames: &[String]) -> Result<(), HostnamesError> {
    if hostnames.len() > HOSTNAMES_MAX {
        return Err(HostnamesError::TooMany {
            given: hostnames.len(),
            max: HOSTNAMES_MAX,
        });
    }
    let mut places = HashMap::new();
    for (index, hostname) in hostnames.iter().enumerate() {
        let folded = hostname.to_ascii_lowercase();
        if let Some(fault) = fault(zone, &folded) {
            return Err(at(index, hostname, fault));
        }
        if let Some(first) = places.insert(folded, index) {
            return Err(at(index, hostname, HostnameFault::Repeated { first }));
        }
    }
    Ok(())
}

fn fault(zone: &str, hostname: &str) -> Option<HostnameFault> {
    if hostname.contains('*') {
        return Some(HostnameFault::Wildcard);
    }
    // A name is compared with the one that clients send in TLS, which has no dot at its end (RFC 6066 §3).
    if hostname.ends_with('.') && !hostname.ends_with("..") && hostname.len() > 1 {
        return Some(HostnameFault::Invalid(
            "leave out the dot at its end".to_owned(),
        ));
    }
    if let Some(reason) = domain_name_fault(hostname) {
        return Some(HostnameFault::Invalid(reason));
    }
    let inside = hostname
        .strip_suffix(zone)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    (!inside).then(|| HostnameFault::OutsideZone(zone.to_owned()))
}

fn at(index: usize, hostname: &str, fault: HostnameFault) -> HostnamesError {
    let mut shown: String = hostname.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if shown.len() < hostname.len() {
        shown.push('…');
    }
    HostnamesError::Hostname {
        index,
        hostname: shown,
        fault,
    }
}
