//! The managed CAs of an account, and the CA's certificate for a chain.

use certgate_model::{AccountId, AuthorityId, ZoneId};
use certgate_wire::Zone;
use serde_json::value::RawValue;

use super::certificate::Certificate;
use crate::failure::Failure;
use crate::files;
use crate::http::{Refusal, parsed};
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

/// Returns the account of a zone. A token may use a zone that it may not read.
pub fn account_of(session: &Session, zone: &ZoneId) -> Result<AccountId, Failure> {
    match session.api.get(&format!("/client/v4/zones/{zone}")) {
        Ok(answer) => Ok(answer.parse::<Zone<'_>>()?.account.id.into()),
        Err(Refusal::Refused {
            status: 403 | 404, ..
        }) => session.account(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Returns the ID of the CA with this name, in any letter case, or ID.
pub fn named(session: &Session, zone: &ZoneId, named: &str) -> Result<AuthorityId, Failure> {
    if let Ok(id) = named.trim().parse() {
        return Ok(id);
    }
    let account = account_of(session, zone)?;
    let all: Vec<ManagedCa> = session.api.get(&path(&account))?.parse()?;
    let is_named = |ca: &&ManagedCa| ca.name.eq_ignore_ascii_case(named.trim());
    match all.iter().filter(is_named).collect::<Vec<_>>()[..] {
        [one] => Ok(one.id.into()),
        [] => Err(Failure::failed(format!(
            "the account has no managed CA with the name {named:?}"
        ))
        .hint("`certgate ca list` shows the names and IDs")),
        [..] => Err(
            Failure::failed(format!("several managed CAs have the name {named:?}"))
                .hint("name one by its ID: `certgate ca list` shows the IDs"),
        ),
    }
}

/// Returns the PEM of the CA that signed `certificate`, active or superseded.
pub fn chain_of(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
) -> Result<String, Failure> {
    let account = account_of(session, zone)?;
    let signer = certificate.certificate_authority.id;
    let item = find(session, &account, signer.into())?.ok_or_else(|| {
        Failure::failed(format!(
            "the CA {signer} signed the certificate, but the account does not have it"
        ))
    })?;
    files::certificate_pem(&parsed::<ManagedCa>(&item)?.certificate)
}
