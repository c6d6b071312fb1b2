//! From what was typed to the function that does it.

use super::output::Screen;
use super::session::Session;
use super::{audit, ca, cert, host, issue, token, zone};
use crate::cli::{
    ApiKeyCommand, AuditListArgs, CaCommand, CertCommand, ClientArgs, HostCommand, TokenCommand,
    ZoneCommand,
};
use crate::config::Environment;
use crate::failure::Failure;

/// `certgate audit list`
pub fn audit(
    client: &ClientArgs,
    environment: &Environment,
    arguments: &AuditListArgs,
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(client.output);
    let session = Session::open(client, environment, &mut screen)?;
    audit::list(&session, arguments, &mut screen)
}

/// `certgate cert …`
pub fn cert(
    client: &ClientArgs,
    environment: &Environment,
    zone: Option<String>,
    command: CertCommand,
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(client.output);
    let session = Session::open(client, environment, &mut screen)?;
    let zone = session.zone(zone.as_deref())?;
    match command {
        CertCommand::List(arguments) => cert::list(&session, &zone, &arguments, &mut screen),
        CertCommand::Show { id } => cert::show(&session, &zone, &id, &mut screen),
        CertCommand::Issue(arguments) => {
            issue::run(&session, &zone, &arguments, environment, &mut screen)
        }
        CertCommand::Revoke { ids, reason } => cert::change(
            &session,
            &zone,
            &ids,
            cert::Change::Revoke(reason),
            &mut screen,
        ),
        CertCommand::Restore { ids } => {
            cert::change(&session, &zone, &ids, cert::Change::Restore, &mut screen)
        }
        CertCommand::Export { id, out, chain } => {
            cert::export(&session, &zone, &id, out.as_deref(), chain, &mut screen)
        }
    }
}

/// `certgate host …`
pub fn host(
    client: &ClientArgs,
    environment: &Environment,
    zone: Option<&str>,
    ca: Option<&str>,
    command: HostCommand,
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(client.output);
    let authority = host::authority(ca)?;
    let session = Session::open(client, environment, &mut screen)?;
    let list = host::List {
        zone: session.zone(zone)?,
        authority,
    };
    match command {
        HostCommand::List => host::list(&session, &list, &mut screen),
        HostCommand::Set { hostnames, .. } => host::set(&session, &list, hostnames, &mut screen),
        HostCommand::Add { hostnames } => host::add(&session, &list, &hostnames, &mut screen),
        HostCommand::Remove { hostnames } => host::remove(&session, &list, &hostnames, &mut screen),
    }
}

/// `certgate zone …`
pub fn zone(
    client: &ClientArgs,
    environment: &Environment,
    command: ZoneCommand,
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(client.output);
    let session = Session::open(client, environment, &mut screen)?;
    match command {
        ZoneCommand::List => zone::list(&session, &mut screen),
        ZoneCommand::Create { name, account } => {
            zone::create(&session, &name, account.as_deref(), &mut screen)
        }
        ZoneCommand::Delete { zone } => zone::delete(&session, &zone, &mut screen),
    }
}

/// `certgate token …`
pub fn token(
    client: &ClientArgs,
    environment: &Environment,
    command: TokenCommand,
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(client.output);
    let session = Session::open(client, environment, &mut screen)?;
    match command {
        TokenCommand::Create(arguments) => token::create(&session, &arguments, &mut screen),
        TokenCommand::List => token::list(&session, &mut screen),
        TokenCommand::Revoke { id } => token::revoke(&session, &id, &mut screen),
        TokenCommand::Verify => token::verify(&session, &mut screen),
        TokenCommand::ApiKey {
            command: ApiKeyCommand::Create,
        } => token::create_api_key(&session, &mut screen),
        TokenCommand::ApiKey {
            command: ApiKeyCommand::Delete,
        } => token::delete_api_key(&session, &mut screen),
    }
}

/// `certgate ca …`
pub fn ca(
    client: &ClientArgs,
    environment: &Environment,
    command: CaCommand,
) -> Result<(), Failure> {
    let mut screen = Screen::of_process(client.output);
    let session = Session::open(client, environment, &mut screen)?;
    match command {
        CaCommand::List { account } => ca::list(&session, account.as_deref(), &mut screen),
        CaCommand::Show { id, account } => {
            ca::show(&session, account.as_deref(), id.as_deref(), &mut screen)
        }
        CaCommand::Add(arguments) => ca::add(&session, &arguments, &mut screen),
        CaCommand::Remove { id, account } => {
            ca::remove(&session, account.as_deref(), &id, &mut screen)
        }
        CaCommand::Import(arguments) => ca::import(&session, &arguments, &mut screen),
        CaCommand::Rotate { algorithm, account } => {
            ca::rotate(&session, account.as_deref(), algorithm, &mut screen)
        }
    }
}
