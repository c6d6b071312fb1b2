//! The CAs of an account: names, reports, and the CA's certificate for a chain.

use certgate_model::{AccountId, AuthorityId, ZoneId};
use certgate_wire::{EnforcedCaState, MtlsCertificate, Time, Zone};
use serde_json::value::RawValue;

use super::certificate::Certificate;
use crate::failure::Failure;
use crate::files;
use crate::http::{Answer, Refusal, parsed};
use crate::output::Screen;
use crate::session::Session;

/// The shortest beginning of an ID that stands for a CA, in characters.
const ID_CHARACTERS_MIN: usize = 6;

/// A managed CA.
pub type ManagedCa = certgate_wire::ManagedCa<'static>;

/// The path of an account's managed CAs.
pub fn path(account: &AccountId) -> String {
    format!("/certgate/v1/accounts/{account}/managed_authorities")
}

/// A request for the certificate of a managed CA.
pub type CaRequest = certgate_wire::CaRequest<'static>;

/// The path of the requests for certificates of an account's managed CAs.
pub fn requests_path(account: &AccountId) -> String {
    format!("/certgate/v1/accounts/{account}/managed_authority_requests")
}

/// Returns every managed CA of an account.
pub fn all(session: &Session, account: &AccountId) -> Result<Vec<ManagedCa>, Failure> {
    session.api.get(&path(account))?.parse()
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
    let all = all(session, account)?;
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

/// The path of an account's uploaded certificates.
pub fn uploaded_path(account: &AccountId) -> String {
    format!("/client/v4/accounts/{account}/mtls_certificates")
}

/// Returns the ID of the CA, uploaded certificate or request with this name, ID or beginning of an
/// ID. If several match, it names them.
pub fn id_of(session: &Session, account: &AccountId, text: &str) -> Result<AuthorityId, Failure> {
    let text = text.trim();
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let mut known: Vec<(String, String)> = Vec::new();
    for ca in all(session, account)? {
        let what = format!("{}, created {}", state_word(ca.state), day(ca.created_on));
        known.push((ca.id.to_string(), format!("{} ({what})", ca.name)));
    }
    let requests = session.api.get(&requests_path(account))?;
    for request in requests.parse::<Vec<CaRequest>>()? {
        let what = format!("requested {}", day(request.created_on));
        known.push((request.id.to_string(), format!("{} ({what})", request.name)));
    }
    for item in session.every(&uploaded_path(account))? {
        let uploaded: MtlsCertificate<'static> = parsed(&item)?;
        let what = format!("uploaded {}", day(uploaded.uploaded_on));
        let name = uploaded.name.unwrap_or_default();
        known.push((uploaded.id.to_string(), format!("{name} ({what})")));
    }
    let folded = text.to_lowercase();
    let is_prefix = folded.len() >= ID_CHARACTERS_MIN;
    known.retain(|(id, shown)| {
        let name = shown.rsplit_once(" (").map_or("", |(name, _)| name);
        name.to_lowercase() == folded || is_prefix && id.starts_with(&folded)
    });
    match &known[..] {
        [(id, _)] => id.parse().map_err(Failure::not_understood),
        [] => Err(Failure::usage(format!(
            "{text:?} is not the name or ID of a CA of the account"
        ))
        .hint("`certgate ca list` shows them")),
        several => {
            let lines: Vec<_> = several
                .iter()
                .map(|(id, shown)| format!("\n  {id}  {shown}"))
                .collect();
            Err(Failure::usage(format!(
                "{} CAs match {text:?}:{}",
                several.len(),
                lines.concat()
            ))
            .hint("use the ID of one of them"))
        }
    }
}

/// Writes the day of a time.
fn day(time: Time) -> String {
    format!("{:.10}", time.to_string())
}

/// Returns the word for a state.
pub const fn state_word(state: EnforcedCaState) -> &'static str {
    match state {
        EnforcedCaState::Prepared => "prepared",
        EnforcedCaState::Active => "active",
        EnforcedCaState::Superseded => "superseded",
        EnforcedCaState::Retired => "retired",
    }
}

/// Shows a managed CA.
pub fn show_managed(item: &RawValue, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json(item);
    }
    let authority: ManagedCa = parsed(item)?;
    let state = match authority.state {
        EnforcedCaState::Prepared => "prepared; signs no certificates yet",
        EnforcedCaState::Active => "active; signs new certificates",
        EnforcedCaState::Superseded => "superseded; its certificates stay valid and revocable",
        EnforcedCaState::Retired => "retired; enforcement points reject its certificates",
    };
    screen.fields(&[
        ("id", authority.id.to_string()),
        ("kind", "managed".to_owned()),
        ("name", authority.name.into_owned()),
        ("state", state.to_owned()),
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

/// Reports the consequences of a new active CA for old and new certificates.
pub fn report_active(
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
    if let Some(before) = before.filter(|before| before.id != now.id) {
        screen.say(&format!(
            "certificates of {} ({}) stay valid, listed and revocable: trust it until the last of \
             them has expired",
            before.name, before.id
        ));
    }
    show_managed(&answer.result, screen)
}

/// Reports the next step for a prepared CA.
pub fn report_prepared(prepared: &ManagedCa, screen: &mut Screen) {
    let (name, id) = (&prepared.name, prepared.id);
    screen.say(&format!(
        "prepared {name} ({id}); enforcement points trust it now. Give other proxies the output of \
         `certgate ca export --bundle`, then run `certgate ca activate {id}`"
    ));
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
