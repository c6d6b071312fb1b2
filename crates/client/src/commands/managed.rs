//! The managed CAs of an account, and the CA's certificate for a chain.

use certgate_model::{AccountId, AuthorityId, ZoneId};
use certgate_wire::Zone;
use serde_json::value::RawValue;

use super::certificate::Certificate;
use crate::failure::Failure;
use crate::files;
use crate::http::parsed;
use crate::session::Session;

/// A managed CA.
pub type ManagedCa = certgate_wire::ManagedCa<'static>;

/// The path of an account's managed CAs.
pub fn path(account: &AccountId) -> String {
    format!("/certgate/v1/accounts/{account}/managed_authorities")
}

/// Finds the account's managed CA with this ID.
pub fn find(
    session: &Session,
    account: &AccountId,
    id: AuthorityId,
) -> Result<Option<Box<RawValue>>, Failure> {
    let items: Vec<Box<RawValue>> = session.api.get(&path(account))?.parse()?;
    for item in items {
        if parsed::<ManagedCa>(&item)?.id == id.into() {
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
    let zone: Zone<'static> = session
        .api
        .get(&format!("/client/v4/zones/{zone}"))?
        .parse()?;
    let account = AccountId::from(zone.account.id);
    let signer = certificate.certificate_authority.id;
    let item = find(session, &account, signer.into())?.ok_or_else(|| {
        Failure::failed(format!(
            "the CA {signer} signed the certificate, but the account does not have it"
        ))
    })?;
    files::certificate_pem(&parsed::<ManagedCa>(&item)?.certificate)
}
