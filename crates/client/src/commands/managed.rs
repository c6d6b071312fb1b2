//! The managed CAs of an account, and the CA's certificate for a chain.

use certgate_model::{AccountId, ZoneId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::certificate::Certificate;
use crate::failure::Failure;
use crate::files;
use crate::http::parsed;
use crate::session::{Named, Session};

/// A managed CA.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ManagedCa {
    pub id: String,
    pub name: String,
    pub algorithm: String,
    pub certificate: String,
    pub public_url: String,
    pub in_force: bool,
    pub created_on: String,
    pub expires_on: String,
    pub fingerprint_sha256: String,
}

/// The path of an account's managed CAs.
pub fn path(account: &AccountId) -> String {
    format!("/certgate/v1/accounts/{account}/managed_authorities")
}

/// Finds the account's managed CA with this ID.
pub fn find(
    session: &Session,
    account: &AccountId,
    id: &str,
) -> Result<Option<Box<RawValue>>, Failure> {
    let items: Vec<Box<RawValue>> = session.api.get(&path(account))?.parse()?;
    for item in items {
        if parsed::<ManagedCa>(&item)?.id == id {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

/// Returns the active CA of an account. An account has none before its first certificate.
pub fn active(session: &Session, account: &AccountId) -> Result<Option<ManagedCa>, Failure> {
    let all: Vec<ManagedCa> = session.api.get(&path(account))?.parse()?;
    Ok(all.into_iter().find(|ca| ca.in_force))
}

/// Returns the PEM of the CA that signed `certificate`, active or superseded.
pub fn chain_of(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Zone {
        account: Named,
    }
    let path = format!("/client/v4/zones/{zone}");
    let zone: Zone = session.api.get(&path)?.parse()?;
    let account: AccountId = zone
        .account
        .id
        .parse()
        .map_err(|_| Failure::not_understood("the zone's account has no ID"))?;
    let signer = &certificate.certificate_authority.id;
    let item = find(session, &account, signer)?.ok_or_else(|| {
        Failure::failed(format!(
            "the CA {signer} signed the certificate, but the account does not have it"
        ))
    })?;
    files::certificate_pem(&parsed::<ManagedCa>(&item)?.certificate)
}
