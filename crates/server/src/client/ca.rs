//! `certgate ca show`, and the authority's certificate for chains.

use certgate_model::{AccountId, ZoneId};
use serde::Deserialize;

use super::cert::Certificate;
use super::files;
use super::output::Screen;
use super::session::Session;
use crate::failure::Failure;

/// The managed authority of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ManagedAuthority {
    id: String,
    name: String,
    algorithm: String,
    certificate: String,
    subject: String,
    created_on: String,
    expires_on: String,
    fingerprint_sha256: String,
}

/// `certgate ca show`
pub fn show(session: &Session, account: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    let account = session.account(account)?;
    let answer = session.api.get(&path(&account))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let authority: ManagedAuthority = answer.parse()?;
    screen.fields(&[
        ("id", authority.id),
        ("name", authority.name),
        ("subject", authority.subject),
        ("algorithm", authority.algorithm),
        ("created", authority.created_on),
        ("expires", authority.expires_on),
        ("fingerprint (SHA-256)", authority.fingerprint_sha256),
    ])?;
    screen.data(&format!("\n{}", files::certificate_pem(&authority.certificate)?))
}

/// The PEM of the authority that signed `certificate`.
pub fn chain_of(session: &Session, zone: &ZoneId, certificate: &Certificate) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Zone {
        account: Owner,
    }
    #[derive(Deserialize)]
    struct Owner {
        id: String,
    }
    let zone: Zone = session.api.get(&format!("/client/v4/zones/{zone}"))?.parse()?;
    let account: AccountId = zone.account.id.parse().map_err(|_| {
        Failure::failed("the server's answer is not understood: the zone's account has no id")
    })?;
    let authority: ManagedAuthority = session.api.get(&path(&account))?.parse()?;
    if authority.id != certificate.certificate_authority.id {
        return Err(Failure::failed(
            "the certificate was signed by an authority that is not the account's managed one",
        ));
    }
    files::certificate_pem(&authority.certificate)
}

fn path(account: &AccountId) -> String {
    format!("/certgate/v1/accounts/{account}/managed_authority")
}
