//! `certgate ca …`: the CAs of an account, managed and uploaded.

use std::path::Path;

use certgate_model::Timestamp;
use certgate_pki::{Purpose, read_chain};
use certgate_wire::{
    CreateMtlsCertificate, EnforcedCaState, MtlsCertificate, NewCa, PrivateKeyText,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::managed::{
    self, CaRequest, ManagedCa, id_of, report_active, report_prepared, show_managed, state_word,
    uploaded_path,
};
use crate::arguments::{CaAddArgs, CaImportArgs};
use crate::failure::Failure;
use crate::files;
use crate::http::{Answer, parsed};
use crate::output::Screen;
use crate::session::Session;

const HEADER: [&str; 6] = ["id", "kind", "name", "state", "from", "expires"];

/// The column that a terminal has no room for.
const FROM: usize = 4;

/// The hint for a certificate file with a private key in it.
const KEY_APART: &str = "name the file with the certificate alone, and the key's with --key";

/// A certificate that the account uploaded.
type Uploaded = MtlsCertificate<'static>;

/// The lists, byte for byte.
#[derive(Serialize)]
struct All<'a> {
    managed: &'a RawValue,
    requested: &'a RawValue,
    uploaded: &'a [Box<RawValue>],
}

/// `certgate ca list`
pub fn list(session: &Session, account: Option<&str>, screen: &mut Screen) -> Result<(), Failure> {
    let account = session.account(account)?;
    let managed = session.api.get(&managed::path(&account))?;
    let requested = session.api.get(&managed::requests_path(&account))?;
    let uploaded = session.every(&uploaded_path(&account))?;
    if screen.is_json() {
        return screen.json_of(&All {
            managed: &managed.result,
            requested: &requested.result,
            uploaded: &uploaded,
        });
    }
    let mut rows = Vec::new();
    for authority in managed.parse::<Vec<ManagedCa>>()? {
        rows.push(vec![
            authority.id.to_string(),
            "managed".to_owned(),
            authority.name.into_owned(),
            state_word(authority.state).to_owned(),
            screen.time(authority.created_on),
            screen.time(authority.expires_on),
        ]);
    }
    for request in requested.parse::<Vec<CaRequest>>()? {
        rows.push(vec![
            request.id.to_string(),
            "requested".to_owned(),
            request.name.into_owned(),
            "waits for its certificate".to_owned(),
            screen.time(request.created_on),
            String::new(),
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
    // Beside whole IDs, a terminal has no room for every time.
    if screen.is_short() {
        for row in &mut rows {
            row.remove(FROM);
        }
        let header: Vec<_> = HEADER
            .iter()
            .copied()
            .filter(|title| *title != HEADER[FROM])
            .collect();
        return screen.table(&header, rows);
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
    let id = id_of(session, &account, id)?;
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
    let account = session.account(account)?;
    let id = id_of(session, &account, id)?;
    if managed::find(session, &account, id)?.is_some() {
        return Err(Failure::failed(format!(
            "{id} is a managed CA: it stays for the revocation of its certificates"
        ))
        .hint("`certgate ca retire` removes it from the CAs that proxies trust"));
    }
    let requests = managed::requests_path(&account);
    let requested: Vec<CaRequest> = session.api.get(&requests)?.parse()?;
    if requested.iter().any(|request| request.id == id.into()) {
        let answer = session.api.delete(&format!("{requests}/{id}"))?;
        if screen.is_json() {
            return screen.json(&answer.result);
        }
        screen.say(&format!("removed request {id} and its key"));
        return Ok(());
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
    let key = arguments.key.as_deref();
    let private_key = key.map(|key| read_key(session, key)).transpose()?;
    let account = session.account(arguments.account.named())?;
    let before = managed::active(session, &account)?;
    let body = NewCa {
        certificate: Some(certificate.into()),
        private_key,
        name: arguments.name.as_deref().map(Into::into),
        prepare: arguments.prepare.then_some(true),
        ..NewCa::default()
    };
    let answer = session.api.post(&managed::path(&account), &body)?;
    let imported: ManagedCa = answer.parse()?;
    if imported.state == EnforcedCaState::Prepared {
        report_prepared(&imported, screen);
        show_managed(&answer.result, screen)?;
    } else {
        report_active(&answer, before.as_ref(), screen)?;
    }
    if arguments.key.is_some() {
        screen.say(&format!(
            "certificates that {} signed elsewhere stay valid on every server that trusts it; \
             certgate does not list them and cannot revoke them before `certgate cert adopt`; \
             until the last of them has expired, give proxies the full list (full.crl) instead of \
             the bundle",
            imported.name
        ));
    }
    Ok(())
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

#[cfg(test)]
mod tests;
