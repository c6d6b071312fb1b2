//! `certgate ca prepare`, `activate`, `retire`, `rotate`, `csr` and `export`.

use std::time::Duration;

use certgate_model::{AccountId, KeyAlgorithm, Timestamp};
use certgate_pki::{Purpose, read_chain};
use certgate_wire::{
    ChangeCaState, EnforcedCa, EnforcedCaState, EnforcementPoint, EnforcementPointStatus,
    EnforcementView, KeyAlgorithmName, MtlsCertificate, NewCa, RequestCa,
};

use super::managed::{
    self, CaRequest, ManagedCa, id_of, report_active, report_prepared, show_managed, uploaded_path,
};
use crate::arguments::{CaExportArgs, CaPrepareArgs, CaRotateArgs, CaStateArgs};
use crate::failure::Failure;
use crate::http::{Answer, parsed};
use crate::output::Screen;
use crate::session::Session;

/// The pause between two looks at the enforcement points, and the most looks: half a minute. A
/// point that is connected acknowledges within a second.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS_MAX: usize = 60;

/// `certgate ca prepare`
pub fn prepare(
    session: &Session,
    arguments: &CaPrepareArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(arguments.account.named())?;
    let (answer, prepared) = prepared(session, &account, arguments)?;
    report_prepared(&prepared, screen);
    show_managed(&answer.result, screen)
}

fn prepared(
    session: &Session,
    account: &AccountId,
    arguments: &CaPrepareArgs,
) -> Result<(Answer, ManagedCa), Failure> {
    // The server takes an algorithm for the wish to prepare: the account's is that of its CA.
    let algorithm = match arguments.algorithm {
        Some(name) => KeyAlgorithm::from(name),
        None => account_algorithm(session, account)?,
    };
    let body = NewCa {
        algorithm: Some(KeyAlgorithmName(algorithm)),
        name: arguments.name.as_deref().map(Into::into),
        ..NewCa::default()
    };
    let answer = session.api.post(&managed::path(account), &body)?;
    let prepared = answer.parse()?;
    Ok((answer, prepared))
}

fn account_algorithm(session: &Session, account: &AccountId) -> Result<KeyAlgorithm, Failure> {
    let path = format!("/client/v4/accounts/{account}");
    let account: certgate_wire::Account<'static> = session.api.get(&path)?.parse()?;
    Ok(account.authority_algorithm.0)
}

/// `certgate ca activate`
pub fn activate(
    session: &Session,
    arguments: &CaStateArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(arguments.account.named())?;
    let ca = named(session, &account, &arguments.ca)?;
    let points = points(session, &account)?;
    report_points(&ca, &points, screen);
    activate_named(session, &account, &ca, arguments.anyway, screen)
}

fn activate_named(
    session: &Session,
    account: &AccountId,
    ca: &ManagedCa,
    anyway: bool,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let before = managed::active(session, account)?;
    let answer = change(session, account, ca, "activate", anyway)?;
    report_active(&answer, before.as_ref(), screen)?;
    if let Some(before) = before.filter(|before| before.id != ca.id) {
        screen.say(&format!(
            "to undo this, run `certgate ca activate {}`; once the last of its certificates has \
             expired or was replaced, run `certgate ca retire {}`",
            before.id, before.id
        ));
    }
    Ok(())
}

fn change(
    session: &Session,
    account: &AccountId,
    ca: &ManagedCa,
    to: &str,
    anyway: bool,
) -> Result<Answer, Failure> {
    let path = format!("{}/{}/{to}", managed::path(account), ca.id);
    let body = ChangeCaState {
        anyway: anyway.then_some(true),
    };
    let changed = session.api.post(&path, &body);
    changed.map_err(|refusal| {
        let failure = Failure::from(refusal);
        // The server says whether this member lets it act.
        match failure.to_string().contains("\"anyway\"") {
            true => failure.also_hint("--anyway sends \"anyway\": true"),
            false => failure,
        }
    })
}

/// Reports the points that have acknowledged a CA, and those that have not.
fn report_points(ca: &ManagedCa, points: &[EnforcementPoint<'_>], screen: &mut Screen) {
    if points.is_empty() {
        screen.say(
            "no enforcement points are registered: make sure that every proxy trusts the CA \
             (`certgate ca export --bundle`)",
        );
    }
    for point in points {
        let name = &point.name;
        let seen = point.seen_on;
        screen.say(&match (is_known(ca, point), point.status) {
            (true, _) => format!("{name}: has acknowledged {}", ca.name),
            (false, EnforcementPointStatus::Silent) => {
                format!(
                    "{name}: has not acknowledged {}, silent since {seen}",
                    ca.name
                )
            }
            (false, _) => format!("{name}: has not acknowledged {} yet", ca.name),
        });
    }
}

fn is_known(ca: &ManagedCa, point: &EnforcementPoint<'_>) -> bool {
    ca.state != EnforcedCaState::Retired && point.acknowledged_epoch >= ca.published_epoch
}

fn points(
    session: &Session,
    account: &AccountId,
) -> Result<Vec<EnforcementPoint<'static>>, Failure> {
    let path = format!("/certgate/v1/accounts/{account}/enforcement_points");
    session.api.get(&path)?.parse()
}

/// `certgate ca retire`
pub fn retire(
    session: &Session,
    arguments: &CaStateArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(arguments.account.named())?;
    let ca = named(session, &account, &arguments.ca)?;
    let answer = change(session, &account, &ca, "retire", arguments.anyway)?;
    screen.say(&format!(
        "retired {} ({}): enforcement points reject its certificates; remove it from other proxies \
         (`certgate ca export --bundle`). To undo this, run `certgate ca activate {} --anyway`, and \
         activate the current CA again",
        ca.name, ca.id, ca.id
    ));
    show_managed(&answer.result, screen)
}

/// `certgate ca rotate`
pub fn rotate(
    session: &Session,
    arguments: &CaRotateArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(arguments.new.account.named())?;
    let question = match managed::active(session, &account)? {
        Some(active) => format!("Replace {} ({}) with a new CA?", active.name, active.id),
        None => "Create the account's first CA?".to_owned(),
    };
    if !arguments.yes {
        let answer = screen.ask(&format!("{question} [y/N] "), "add --yes")?;
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Err(Failure::failed("nothing was changed"));
        }
    }
    let (_, prepared) = prepared(session, &account, &arguments.new)?;
    screen.say(&format!("prepared {} ({})", prepared.name, prepared.id));
    let waiting = screen.working("waiting for enforcement points");
    let mut late = points(session, &account)?;
    for _ in 0..LOOKS_MAX {
        late.retain(|point| !is_known(&prepared, point));
        // A silent point answers late or never.
        let is_coming =
            |point: &EnforcementPoint<'_>| point.status != EnforcementPointStatus::Silent;
        if !late.iter().any(is_coming) {
            break;
        }
        session.api.pause(LOOK);
        late = points(session, &account)?;
    }
    drop(waiting);
    report_points(&prepared, &points(session, &account)?, screen);
    let activated = activate_named(session, &account, &prepared, arguments.anyway, screen);
    activated.map_err(|failure| {
        failure.also_hint(format!(
            "the CA stays prepared; when the points have acknowledged it, run `certgate ca \
             activate {}`",
            prepared.id
        ))
    })
}

/// `certgate ca csr`
pub fn csr(
    session: &Session,
    arguments: &CaPrepareArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(arguments.account.named())?;
    let algorithm = arguments.algorithm.map(KeyAlgorithm::from);
    let body = RequestCa {
        algorithm: algorithm.map(KeyAlgorithmName),
        name: arguments.name.as_deref().map(Into::into),
    };
    let answer = session.api.post(&managed::requests_path(&account), &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let request: CaRequest = answer.parse()?;
    screen.data(&request.csr)?;
    screen.say(&format!(
        "the server keeps the key of request {}: sign the request with your CA, and run `certgate \
         ca import --certificate FILE`",
        request.id
    ));
    Ok(())
}

/// `certgate ca export`
pub fn export(
    session: &Session,
    arguments: &CaExportArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(arguments.account.named())?;
    let certificates = match (&arguments.hostname, &arguments.ca) {
        (Some(hostname), _) => of_hostname(session, &account, hostname)?,
        (None, Some(text)) => vec![certificates_of(session, &account, text)?],
        (None, None) if arguments.bundle => {
            let all = managed::all(session, &account)?;
            let trusted = all
                .into_iter()
                .filter(|ca| ca.state != EnforcedCaState::Retired);
            trusted.map(|ca| ca.certificate.into_owned()).collect()
        }
        (None, None) => {
            let path = format!("/certgate/v1/accounts/{account}/managed_authority");
            let active: ManagedCa = session.api.get(&path)?.parse()?;
            vec![active.certificate.into_owned()]
        }
    };
    if certificates.is_empty() {
        return Err(
            Failure::failed("the account has no CA that a proxy must trust")
                .hint("the first certificate creates one, and so does `certgate ca prepare`"),
        );
    }
    for certificate in certificates {
        screen.data(&format!("{}\n", certificate.trim_end()))?;
    }
    Ok(())
}

/// Returns the certificates of a CA in PEM: of an uploaded one its chain.
fn certificates_of(session: &Session, account: &AccountId, text: &str) -> Result<String, Failure> {
    let id = id_of(session, account, text)?;
    if let Some(item) = managed::find(session, account, id)? {
        return Ok(parsed::<ManagedCa>(&item)?.certificate.into_owned());
    }
    let path = format!("{}/{id}", uploaded_path(account));
    let uploaded: MtlsCertificate<'static> = session.api.get(&path)?.parse()?;
    let chain = read_chain(&uploaded.certificates, Purpose::Leaf, Timestamp::EARLIEST);
    let chain = chain.or_else(|_| {
        read_chain(
            &uploaded.certificates,
            Purpose::Authority,
            Timestamp::EARLIEST,
        )
    });
    Ok(chain.map_err(Failure::not_understood)?.to_pem())
}

/// Returns the certificates of the CAs that a hostname accepts, and of their chains.
fn of_hostname(
    session: &Session,
    account: &AccountId,
    hostname: &str,
) -> Result<Vec<String>, Failure> {
    let path = format!("/certgate/v1/accounts/{account}/enforcement");
    let view: EnforcementView<'static> = session.api.get(&path)?.parse()?;
    let folded = hostname.to_lowercase();
    let listed = view.hostnames.iter().find(|host| host.hostname == folded);
    let Some(listed) = listed else {
        return Err(
            Failure::failed(format!("{hostname:?} does not ask for client certificates"))
                .hint("`certgate host list` shows the hostnames"),
        );
    };
    let is_listed = |ca: &&EnforcedCa<'_>| listed.certificate_authorities.contains(&ca.id);
    let accepted = view.certificate_authorities.iter().filter(is_listed);
    let certificates =
        accepted.flat_map(|ca| [&ca.certificate].into_iter().chain(&ca.intermediates));
    Ok(certificates.map(|pem| pem.clone().into_owned()).collect())
}

/// Returns the managed CA with this name or ID.
fn named(session: &Session, account: &AccountId, text: &str) -> Result<ManagedCa, Failure> {
    let id = id_of(session, account, text)?;
    let all = managed::all(session, account)?;
    all.into_iter()
        .find(|ca| ca.id == id.into())
        .ok_or_else(|| {
            Failure::failed(format!("{text:?} is not a managed CA of the account"))
                .hint("`certgate ca list` shows the managed CAs")
        })
}
