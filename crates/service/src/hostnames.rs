use std::collections::HashMap;

use certgate_model::{Enforcement, MtlsCertificateId};
use certgate_store::HostnamesReplaced;

use crate::access::{WriteHostnames, ZoneScope};
use crate::environment::Environment;
use crate::error::{Fault, HostnameFault, HostnamesError};
use crate::names::domain_name_fault;
use crate::signals::AnnounceOnDrop;

/// Maximum number of hostnames of a list. A list is written as a whole, in one transaction that
/// delays every other write: a thousand rows take some milliseconds. A body of 64 KiB has about as
/// many.
const HOSTNAMES_MAX: usize = 1_000;

/// Longest part of a rejected hostname that an error shows, in characters.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// The hostnames that require client certificates.
pub struct Hostnames {
    pub(crate) environment: Environment,
}

impl Hostnames {
    /// Replaces the zone's hostnames for one CA (`None`: the account's managed CAs). Order and
    /// spelling are preserved.
    pub async fn replace(
        &self,
        scope: &ZoneScope<WriteHostnames>,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
    ) -> Result<Vec<String>, HostnamesError> {
        check(&scope.zone().name, &hostnames)?;
        let (zone, by) = (scope.zone().id, scope.by(self.environment.now()));
        let Environment { store, signals, .. } = &self.environment;
        let announced = AnnounceOnDrop {
            signals,
            account: scope.zone().account,
        };
        let replaced = store
            .replace_hostname_associations(zone, authority, hostnames.clone(), by)
            .await?;
        drop(announced);
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

    /// Returns the CAs that apply to a hostname, in any letter case and with or without a final
    /// dot; `None` if the hostname requires no client certificate. It needs no scope: enforcement
    /// points are part of the installation.
    pub async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, Fault> {
        let hostname = hostname.strip_suffix('.').unwrap_or(hostname);
        if domain_name_fault(hostname).is_some() {
            return Ok(None);
        }
        Ok(self.environment.store.enforcement(hostname).await?)
    }
}

fn check(zone: &str, hostnames: &[String]) -> Result<(), HostnamesError> {
    if hostnames.len() > HOSTNAMES_MAX {
        return Err(HostnamesError::TooMany {
            given: hostnames.len(),
            max: HOSTNAMES_MAX,
        });
    }
    let mut first_index = HashMap::new();
    for (index, hostname) in hostnames.iter().enumerate() {
        let folded = hostname.to_ascii_lowercase();
        if let Some(fault) = fault(zone, &folded) {
            return Err(at(index, hostname, fault));
        }
        if let Some(first) = first_index.insert(folded, index) {
            return Err(at(index, hostname, HostnameFault::Repeated { first }));
        }
    }
    Ok(())
}

fn fault(zone: &str, hostname: &str) -> Option<HostnameFault> {
    if hostname.contains('*') {
        return Some(HostnameFault::Wildcard);
    }
    // It is compared with the name that clients send in TLS, without a final dot (RFC 6066 §3).
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
