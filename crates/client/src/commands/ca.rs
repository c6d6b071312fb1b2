//! `certgate ca …`: the CAs of an account, managed and uploaded.

use std::path::Path;

use certgate_model::{AccountId, AuthorityId, KeyAlgorithm, Timestamp};
use certgate_pki::{Purpose, read_chain};
use certgate_wire::{
    CreateMtlsCertificate, ImportCa, KeyAlgorithmName, MtlsCertificate, PrivateKeyText, RotateCa,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::managed::{self, ManagedCa};
use crate::arguments::{CaAddArgs, CaImportArgs, KeyName};
use crate::failure::Failure;
use crate::files;
use crate::http::{Answer, parsed};
use crate::output::Screen;
use crate::session::Session;

const HEADER: [&str; 6] = ["id", "kind", "name", "use", "from", "expires"];

/// The hint for a certificate file with a private key in it.
const KEY_APART: &str = "name the file with the certificate alone, and the key's with --key";

/// A certificate that the account uploaded.
type Uploaded = MtlsCertificate<'static>;

/// Both lists, byte for byte.
#[derive(Serialize)]
struct All<'a> {
    managed: &'a RawValue,
    uploaded: &'a [Box<RawValue>],
}

/// `certgate ca list`
pub fn list(session: &Session, account: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    let account = session.account(account)?;
    let managed = session.api.get(&managed::path(&account))?;
    let uploaded = session.every(&uploaded_path(&account))?;
    if screen.is_json() {
        return screen.json_of(&All {
            managed: &managed.result,
            uploaded: &uploaded,
        });
    }
    let mut rows = Vec::new();
    for authority in managed.parse::<Vec<ManagedCa>>()? {
        let in_use = if authority.in_force {
            "signs new certificates"
        } else {
            "superseded"
        };
        rows.push(vec![
            authority.id.to_string(),
            "managed".to_owned(),
            authority.name.into_owned(),
            in_use.to_owned(),
            screen.time(authority.created_on),
            screen.time(authority.expires_on),
        ]);
    }
    for item in uploaded {
        let certificate: Uploaded = parsed(&item)?;
        let in_use = if certificate.ca { "authority" } else { "leaf" };
        rows.push(vec![
            certificate.id.to_string(),
            "uploaded".to_owned(),
            certificate.name.unwrap_or_default().into_owned(),
            in_use.to_owned(),
            screen.time(certificate.uploaded_on),
            screen.time(certificate.expires_on),
        ]);
    }
    if rows.is_empty() {
        screen.say("no CAs: the first certificate makes the managed one");
        return Ok(());
    }
    screen.table(&HEADER, rows)
}

/// `certgate ca show`: the active CA, or the managed or uploaded CA with this ID.
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
    match managed::find(session, &account, id)? {
        Some(item) => show_managed(&item, screen),
        None => show_uploaded(
            &session
                .api
                .get(&format!("{}/{id}", uploaded_path(&account)))?,
            screen,
        ),
    }
}

fn show_managed(item: &RawValue, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json(item);
    }
    let authority: ManagedCa = parsed(item)?;
    let in_use = if authority.in_force {
        "signs new certificates"
    } else {
        "superseded; its certificates stay valid and revocable"
    };
    screen.fields(&[
        ("id", authority.id.to_string()),
        ("kind", "managed".to_owned()),
        ("name", authority.name.into_owned()),
        ("use", in_use.to_owned()),
        ("algorithm", authority.algorithm.to_string()),
        ("revocation addresses", authority.public_url.into_owned()),
        ("created", authority.created_on.to_string()),
        ("expires", authority.expires_on.to_string()),
        (
            "fingerprint (SHA-256)",
            authority.fingerprint_sha256.to_string(),
        ),
    ])?;
    screen.data(&format!(
        "\n{}",
        files::certificate_pem(&authority.certificate)?
    ))
}

fn show_uploaded(answer: &Answer, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let uploaded: Uploaded = answer.parse()?;
    uploaded_fields(&uploaded, screen)?;
    // As sent, it may have text around its certificates, and any form of lines.
    let purpose = match uploaded.ca {
        true => Purpose::Authority,
        false => Purpose::Leaf,
    };
    let chain = read_chain(&uploaded.certificates, purpose, Timestamp::EARLIEST);
    let pem = chain.map_err(Failure::not_understood)?.to_pem();
    screen.data(&format!("\n{pem}"))
}

fn uploaded_fields(uploaded: &Uploaded, screen: &mut Screen) -> Result<(), Failure> {
    screen.fields(&[
        ("id", uploaded.id.to_string()),
        ("kind", "uploaded".to_owned()),
        (
            "name",
            uploaded.name.as_deref().unwrap_or_default().to_owned(),
        ),
        (
            "use",
            if uploaded.ca { "authority" } else { "leaf" }.to_owned(),
        ),
        ("issuer", uploaded.issuer.to_string()),
        ("serial number", uploaded.serial_number.to_string()),
        ("signature", uploaded.signature.to_string()),
        ("uploaded", uploaded.uploaded_on.to_string()),
        ("expires", uploaded.expires_on.to_string()),
    ])
}

/// `certgate ca add`
pub fn add(session: &Session, arguments: &CaAddArgs, screen: &mut Screen) -> Result<(), Failure> {
    let certificates = files::read_public(&arguments.file, KEY_APART)?;
    let private_key = arguments
        .key
        .as_deref()
        .map(|key| read_key(session, key))
        .transpose()?;
    let account = session.account(arguments.account.named())?;
    let body = CreateMtlsCertificate {
        certificates: certificates.into(),
        ca: !arguments.leaf,
        name: arguments.name.as_deref().map(Into::into),
        private_key,
    };
    let answer = session.api.post(&uploaded_path(&account), &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    uploaded_fields(&answer.parse()?, screen)
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
    if managed::find(session, &account, id)?.is_some() {
        return Err(Failure::failed(format!(
            "{id} is a managed CA: it stays for the revocation of its certificates"
        ))
        .hint("`certgate ca rotate` makes a new CA that signs from then on"));
    }
    let answer = session
        .api
        .delete(&format!("{}/{id}", uploaded_path(&account)))?;
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
    let certificate = files::read_public(&arguments.certificate, KEY_APART)?;
    let private_key = read_key(session, &arguments.key)?;
    let account = session.account(arguments.account.named())?;
    let before = managed::active(session, &account)?;
    let body = ImportCa {
        certificate: certificate.into(),
        private_key,
    };
    let answer = session.api.post(&managed::path(&account), &body)?;
    let imported: ManagedCa = answer.parse()?;
    report_active(&answer, before.as_ref(), screen)?;
    screen.say(&format!(
        "certificates that {} signed elsewhere stay valid on every server that trusts it; certgate \
         does not list them and cannot revoke them; until the last of them has expired, give \
         proxies the full list (full.crl) instead of the bundle",
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
    let before = managed::active(session, &account)?;
    let algorithm = algorithm.map(|name| KeyAlgorithmName(KeyAlgorithm::from(name)));
    let body = RotateCa { algorithm };
    let answer = session
        .api
        .post(&format!("{}/rotate", managed::path(&account)), &body)?;
    report_active(&answer, before.as_ref(), screen)
}

/// Reports the consequences of a new active CA for old and new certificates.
fn report_active(
    answer: &Answer,
    before: Option<&ManagedCa>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let now: ManagedCa = answer.parse()?;
    screen.say(&format!(
        "{} ({}) signs new certificates from now on",
        now.name, now.id
    ));
    screen.say(
        "trust it on every server that checks client certificates: `certgate ca show` prints its \
         certificate",
    );
    if let Some(before) = before {
        screen.say(&format!(
            "certificates of {} ({}) stay valid, listed and revocable: trust it until the last of \
             them has expired",
            before.name, before.id
        ));
    }
    show_managed(&answer.result, screen)
}

/// Reads a private key to send. It must not cross a network in clear text.
fn read_key(session: &Session, path: &Path) -> Result<PrivateKeyText, Failure> {
    if session.api.is_cleartext_to_others() {
        return Err(Failure::usage(
            "the private key would cross the network in clear text: nothing was sent",
        )
        .hint("use an https address, or run the command on the server's machine"));
    }
    files::read_secret(path).map(PrivateKeyText::new)
}

fn id_of(text: &str) -> Result<AuthorityId, Failure> {
    text.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "{text:?} is not the ID of a CA: it is a UUID of 36 characters"
        ))
        .hint("`certgate ca list` shows the IDs")
    })
}

fn uploaded_path(account: &AccountId) -> String {
    format!("/client/v4/accounts/{account}/mtls_certificates")
}

#[cfg(test)]
mod tests;
