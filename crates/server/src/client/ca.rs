//! `certgate ca …`: the authorities of an account, managed and brought, and the certificate that belongs into a chain.

use std::path::Path;

use certgate_model::{AccountId, AuthorityId, ZoneId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::cert::Certificate;
use super::files;
use super::http::Answer;
use super::key::key_algorithm;
use super::output::{Screen, minutes};
use super::session::Session;
use crate::cli::{CaAddArgs, CaImportArgs, KeyName};
use crate::failure::Failure;

const HEADER: [&str; 6] = ["id", "kind", "name", "use", "from", "expires"];

/// A managed authority of an account.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ManagedAuthority {
    id: String,
    name: String,
    algorithm: String,
    certificate: String,
    public_url: String,
    in_force: bool,
    created_on: String,
    expires_on: String,
    fingerprint_sha256: String,
}

/// A certificate that the account brought.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Brought {
    id: String,
    name: String,
    issuer: String,
    signature: String,
    serial_number: String,
    certificates: String,
    ca: bool,
    uploaded_on: String,
    expires_on: String,
}

/// Both lists as they came.
#[derive(Serialize)]
struct All<'a> {
    managed: &'a RawValue,
    brought: &'a [Box<RawValue>],
}

/// `certgate ca list`
pub fn list(session: &Session, account: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    let account = session.account(account)?;
    let managed = session.api.get(&managed_path(&account))?;
    let brought = session.every(&brought_path(&account))?;
    if screen.is_json() {
        return screen.json_of(&All {
            managed: &managed.result,
            brought: &brought,
        });
    }
    let mut rows = Vec::new();
    for authority in managed.parse::<Vec<ManagedAuthority>>()? {
        let in_use = if authority.in_force {
            "signs new certificates"
        } else {
            "replaced"
        };
        rows.push(vec![
            authority.id,
            "managed".to_owned(),
            authority.name,
            in_use.to_owned(),
            minutes(&authority.created_on),
            minutes(&authority.expires_on),
        ]);
    }
    for item in brought {
        let certificate: Brought = understood(&item)?;
        let in_use = if certificate.ca { "authority" } else { "leaf" };
        rows.push(vec![
            certificate.id,
            "brought".to_owned(),
            certificate.name,
            in_use.to_owned(),
            minutes(&certificate.uploaded_on),
            minutes(&certificate.expires_on),
        ]);
    }
    if rows.is_empty() {
        screen.say("no authorities: the managed one is made on first use");
        return Ok(());
    }
    screen.table(&HEADER, rows)
}

/// `certgate ca show`: the managed authority in force, or the one of that id, managed or brought.
pub fn show(
    session: &Session,
    account: Option<&str>,
    id: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(account)?;
    let Some(id) = id else {
        let answer = session.api.get(&format!(
            "/certgate/v1/accounts/{account}/managed_authority"
        ))?;
        return show_managed(&answer.result, screen);
    };
    let id = id_of(id)?;
    match managed(session, &account, &id.to_string())? {
        Some(item) => show_managed(&item, screen),
        None => show_brought(
            &session
                .api
                .get(&format!("{}/{id}", brought_path(&account)))?,
            screen,
        ),
    }
}

fn show_managed(item: &RawValue, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json(item);
    }
    let authority: ManagedAuthority = understood(item)?;
    let in_use = if authority.in_force {
        "signs new certificates"
    } else {
        "replaced; its certificates stay valid and revocable"
    };
    screen.fields(&[
        ("id", authority.id),
        ("kind", "managed".to_owned()),
        ("name", authority.name),
        ("use", in_use.to_owned()),
        ("algorithm", authority.algorithm),
        ("revocation addresses", authority.public_url),
        ("created", authority.created_on),
        ("expires", authority.expires_on),
        ("fingerprint (SHA-256)", authority.fingerprint_sha256),
    ])?;
    screen.data(&format!(
        "\n{}",
        files::certificate_pem(&authority.certificate)?
    ))
}

fn show_brought(answer: &Answer, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let brought: Brought = answer.parse()?;
    brought_fields(&brought, screen)?;
    screen.data(&format!("\n{}", files::chain_pem(&brought.certificates)?))
}

fn brought_fields(brought: &Brought, screen: &mut Screen) -> Result<(), Failure> {
    screen.fields(&[
        ("id", brought.id.clone()),
        ("kind", "brought".to_owned()),
        ("name", brought.name.clone()),
        (
            "use",
            if brought.ca { "authority" } else { "leaf" }.to_owned(),
        ),
        ("issuer", brought.issuer.clone()),
        ("serial number", brought.serial_number.clone()),
        ("signature", brought.signature.clone()),
        ("uploaded", brought.uploaded_on.clone()),
        ("expires", brought.expires_on.clone()),
    ])
}

/// `certgate ca add`
pub fn add(session: &Session, arguments: &CaAddArgs, screen: &mut Screen) -> Result<(), Failure> {
    let certificates = files::read_public(&arguments.file)?;
    let private_key = arguments
        .key
        .as_deref()
        .map(|key| read_key(session, key))
        .transpose()?;
    let account = session.account(arguments.account.as_deref())?;
    let mut body = json!({ "certificates": certificates, "ca": !arguments.leaf });
    if let Some(name) = &arguments.name {
        body["name"] = name.as_str().into();
    }
    if let Some(private_key) = &private_key {
        body["private_key"] = private_key.as_str().into();
    }
    let answer = session.api.post(&brought_path(&account), &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    brought_fields(&answer.parse()?, screen)
}

/// `certgate ca remove`
pub fn remove(
    session: &Session,
    account: Option<&str>,
    id: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let id = id_of(id)?;
    let account = session.account(account)?;
    if managed(session, &account, &id.to_string())?.is_some() {
        return Err(Failure::failed(format!(
            "{id} is a managed authority: it stays for the revocation of what it signed"
        ))
        .hint("`certgate ca rotate` puts a new one in force"));
    }
    let answer = session
        .api
        .delete(&format!("{}/{id}", brought_path(&account)))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.say(&format!("removed {id}"));
    Ok(())
}

/// `certgate ca import`
pub fn import(
    session: &Session,
    arguments: &CaImportArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let certificate = files::read_public(&arguments.certificate)?;
    let private_key = read_key(session, &arguments.key)?;
    let account = session.account(arguments.account.as_deref())?;
    let before = in_force(session, &account)?;
    let body = json!({ "certificate": certificate, "private_key": private_key.as_str() });
    let answer = session.api.post(&managed_path(&account), &body)?;
    let imported: ManagedAuthority = answer.parse()?;
    put_in_force(&answer, before.as_ref(), screen)?;
    screen.say(&format!(
        "certificates that {} signed elsewhere stay valid wherever it is trusted; they are not in certgate's lists and \
         cannot be revoked here; while they live, give proxies the full list (full.crl) instead of the bundle",
        imported.name
    ));
    Ok(())
}

/// `certgate ca rotate`
pub fn rotate(
    session: &Session,
    account: Option<&str>,
    algorithm: Option<KeyName>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(account)?;
    let before = in_force(session, &account)?;
    let body = match algorithm {
        Some(algorithm) => json!({ "algorithm": key_algorithm(algorithm).name() }),
        None => json!({}),
    };
    let answer = session
        .api
        .post(&format!("{}/rotate", managed_path(&account)), &body)?;
    put_in_force(&answer, before.as_ref(), screen)
}

/// Says what a change of the authority means for certificates that there are and that there will be.
fn put_in_force(
    answer: &Answer,
    before: Option<&ManagedAuthority>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let now: ManagedAuthority = answer.parse()?;
    screen.say(&format!(
        "new certificates are signed by {} ({}) from now on",
        now.name, now.id
    ));
    screen
        .say("trust it wherever client certificates are checked: `certgate ca show` prints its certificate");
    if let Some(before) = before {
        screen.say(&format!(
            "certificates of {} ({}) stay valid, listed and revocable: keep trusting it until the last of them has expired",
            before.name, before.id
        ));
    }
    show_managed(&answer.result, screen)
}

/// The PEM of the authority that signed `certificate`, in force or replaced.
pub fn chain_of(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Zone {
        account: Owner,
    }
    #[derive(Deserialize)]
    struct Owner {
        id: String,
    }
    let zone: Zone = session
        .api
        .get(&format!("/client/v4/zones/{zone}"))?
        .parse()?;
    let account: AccountId = zone.account.id.parse().map_err(|_| {
        Failure::failed("the server's answer is not understood: the zone's account has no id")
    })?;
    let signer = &certificate.certificate_authority.id;
    let item = managed(session, &account, signer)?.ok_or_else(|| {
        Failure::failed("the certificate was signed by an authority that the account does not have")
    })?;
    files::certificate_pem(&understood::<ManagedAuthority>(&item)?.certificate)
}

/// The account's managed authority of that id.
fn managed(
    session: &Session,
    account: &AccountId,
    id: &str,
) -> Result<Option<Box<RawValue>>, Failure> {
    let items: Vec<Box<RawValue>> = session.api.get(&managed_path(account))?.parse()?;
    for item in items {
        if understood::<ManagedAuthority>(&item)?.id == id {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

fn in_force(session: &Session, account: &AccountId) -> Result<Option<ManagedAuthority>, Failure> {
    let all: Vec<ManagedAuthority> = session.api.get(&managed_path(account))?.parse()?;
    Ok(all.into_iter().find(|authority| authority.in_force))
}

/// A private key to send, which must not cross a network in clear text.
fn read_key(session: &Session, path: &Path) -> Result<Zeroizing<String>, Failure> {
    if session.api.is_cleartext_to_others() {
        return Err(Failure::usage(
            "the private key would cross the network in clear text: nothing was sent",
        )
        .hint("use an https address, or run the command on the server's machine"));
    }
    files::read_secret(path)
}

fn id_of(text: &str) -> Result<AuthorityId, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "{text:?} is no id of an authority: that is a UUID of 36 characters"
        ))
        .hint("`certgate ca list` shows the ids")
    })
}

fn understood<'a, T: Deserialize<'a>>(item: &'a RawValue) -> Result<T, Failure> {
    serde_json::from_str(item.get())
        .map_err(|error| Failure::failed(format!("the server's answer is not understood: {error}")))
}

fn managed_path(account: &AccountId) -> String {
    format!("/certgate/v1/accounts/{account}/managed_authorities")
}

fn brought_path(account: &AccountId) -> String {
    format!("/client/v4/accounts/{account}/mtls_certificates")
}

#[cfg(test)]
mod tests;
