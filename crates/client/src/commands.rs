//! The commands, each in a file of its own.

mod adopt;
mod audit;
mod bulk;
mod ca;
mod ca_states;
mod cert;
mod certificate;
mod doctor;
mod enrol;
mod history;
mod host;
mod invite;
mod issue;
mod login;
mod managed;
mod many;
mod names;
mod notifications;
mod renew;
mod rules;
mod search;
mod status;
mod token;
mod wait;
mod zone;

use self::cert::StatusRequest;
use crate::arguments::{
    ApiKeyCommand, AuditListArgs, CaCommand, CertCommand, ClientArgs, ClientCommand,
    ContextCommand, EnrolArgs, HostCommand, InviteArgs, InviteCommand, LoginArgs, LogoutArgs,
    NotificationsCommand, RenewArgs, RulesCommand, TokenCommand, ZoneCommand,
};
use crate::failure::Failure;
use crate::output::Screen;
use crate::renewal::RunCommand;
use crate::session::{Context, Session, screen_of};

/// Runs a client command on standard output and standard error.
pub fn run(command: ClientCommand, context: &Context<'_>) -> Result<(), Failure> {
    match command {
        ClientCommand::Cert {
            client,
            zone,
            command,
        } => cert(&client, context, zone.as_deref(), command),
        ClientCommand::Status { client, zone } => {
            let (session, screen) = &mut open(&client, context)?;
            let zone = session.zone(zone.as_deref())?;
            status::run(session, &zone, screen)
        }
        ClientCommand::Doctor { client, account } => {
            let (session, screen) = &mut open(&client, context)?;
            let directory = session.local_directory(&client, context);
            doctor::run(session, account.named(), directory.as_deref(), screen)
        }
        ClientCommand::Host {
            client,
            zone,
            ca,
            command,
        } => {
            let uploaded = host::uploaded_ca(ca.as_deref())?;
            let (session, screen) = &mut open(&client, context)?;
            let list = host::List {
                zone: session.zone(zone.as_deref())?,
                uploaded,
            };
            match command {
                HostCommand::List => host::list(session, &list, screen),
                HostCommand::Set { hostnames, .. } => host::set(session, &list, hostnames, screen),
                HostCommand::Add { hostnames } => host::add(session, &list, &hostnames, screen),
                HostCommand::Remove { hostnames } => {
                    host::remove(session, &list, &hostnames, screen)
                }
            }
        }
        ClientCommand::Zone { client, command } => {
            let (session, screen) = &mut open(&client, context)?;
            match command {
                ZoneCommand::List => zone::list(session, screen),
                ZoneCommand::Create { name, account } => {
                    zone::create(session, &name, account.named(), screen)
                }
                ZoneCommand::Delete { zone } => zone::delete(session, &zone, screen),
                ZoneCommand::Rules { command } => match command {
                    RulesCommand::Show { zone } => rules::show(session, &zone, screen),
                    RulesCommand::Set { zone, file } => rules::set(session, &zone, &file, screen),
                },
            }
        }
        ClientCommand::Token { client, command } => {
            let (session, screen) = &mut open(&client, context)?;
            match command {
                TokenCommand::Create(arguments) => token::create(session, &arguments, screen),
                TokenCommand::List => token::list(session, screen),
                TokenCommand::Revoke { id, yes } => token::revoke(session, &id, yes, screen),
                TokenCommand::Verify => token::verify(session, screen),
                TokenCommand::ApiKey { command } => match command {
                    ApiKeyCommand::Create => token::create_api_key(session, screen),
                    ApiKeyCommand::Delete => token::delete_api_key(session, screen),
                },
            }
        }
        ClientCommand::Invite {
            client,
            zone,
            arguments,
            command,
        } => invite(&client, context, zone.as_deref(), &arguments, command),
        ClientCommand::Notifications { client, command } => {
            notifications(&client, context, command)
        }
        ClientCommand::Ca { client, command } => {
            let (session, screen) = &mut open(&client, context)?;
            match command {
                CaCommand::List { account } => ca::list(session, account.named(), screen),
                CaCommand::Show { ca, account } => {
                    ca::show(session, account.named(), ca.as_deref(), screen)
                }
                CaCommand::Export(arguments) => ca_states::export(session, &arguments, screen),
                CaCommand::Prepare(arguments) => ca_states::prepare(session, &arguments, screen),
                CaCommand::Activate(arguments) => ca_states::activate(session, &arguments, screen),
                CaCommand::Retire(arguments) => ca_states::retire(session, &arguments, screen),
                CaCommand::Rotate(arguments) => ca_states::rotate(session, &arguments, screen),
                CaCommand::Csr(arguments) => ca_states::csr(session, &arguments, screen),
                CaCommand::Add(arguments) => ca::add(session, &arguments, screen),
                CaCommand::Remove { ca, account } => {
                    ca::remove(session, account.named(), &ca, screen)
                }
                CaCommand::Import(arguments) => ca::import(session, &arguments, screen),
            }
        }
    }
}

fn cert(
    client: &ClientArgs,
    context: &Context<'_>,
    zone: Option<&str>,
    command: CertCommand,
) -> Result<(), Failure> {
    let (session, screen) = &mut open(client, context)?;
    let zone = &session.zone(zone)?;
    match command {
        CertCommand::List(arguments) => cert::list(session, zone, &arguments, screen),
        CertCommand::Count(arguments) => cert::count(session, zone, &arguments, screen),
        CertCommand::Show { name } => cert::show(session, zone, &name, screen),
        CertCommand::History { name } => history::list(session, zone, &name, screen),
        CertCommand::Issue(arguments) => issue::run(session, zone, &arguments, context, screen),
        CertCommand::Revoke(arguments) => {
            let request = StatusRequest::Revoke(arguments.reason);
            many::change(session, zone, &arguments.change, request, screen)
        }
        CertCommand::Restore(arguments) => {
            many::change(session, zone, &arguments, StatusRequest::Restore, screen)
        }
        CertCommand::Export { name, out, chain } => {
            cert::export(session, zone, &name, out.as_deref(), chain, screen)
        }
        CertCommand::Adopt { files } => adopt::adopt(session, zone, &files, screen),
    }
}

fn invite(
    client: &ClientArgs,
    context: &Context<'_>,
    zone: Option<&str>,
    arguments: &InviteArgs,
    command: Option<InviteCommand>,
) -> Result<(), Failure> {
    if let (Some(name), Some(_)) = (&arguments.name, &command) {
        let failure = Failure::usage(format!("there is a name before the command: {name:?}"));
        return Err(failure.hint("leave it out, or run: certgate invite NAME"));
    }
    let (session, screen) = &mut open(client, context)?;
    let zone = session.zone(zone)?;
    match command {
        None => invite::create(session, zone, arguments, screen),
        Some(InviteCommand::List) => invite::list(session, zone, screen),
        Some(InviteCommand::Withdraw { id }) => invite::withdraw(session, zone, id, screen),
    }
}

fn notifications(
    client: &ClientArgs,
    context: &Context<'_>,
    command: Option<NotificationsCommand>,
) -> Result<(), Failure> {
    let (session, screen) = &mut open(client, context)?;
    match command {
        None => notifications::list(session, screen),
        Some(NotificationsCommand::Undelivered) => notifications::undelivered(session, screen),
        Some(NotificationsCommand::Retry) => notifications::retry(session, screen),
        Some(NotificationsCommand::Test) => notifications::test(session, screen),
    }
}

/// `certgate audit list`
pub fn audit(
    client: &ClientArgs,
    arguments: &AuditListArgs,
    context: &Context<'_>,
) -> Result<(), Failure> {
    let (session, screen) = &mut open(client, context)?;
    audit::list(session, arguments, screen)
}

/// `certgate login`
pub fn login(arguments: &LoginArgs, context: &Context<'_>) -> Result<(), Failure> {
    login::login(arguments, context)
}

/// `certgate logout`
pub fn logout(arguments: &LogoutArgs, context: &Context<'_>) -> Result<(), Failure> {
    login::logout(arguments, context)
}

/// `certgate context`
pub fn contexts(command: &ContextCommand, context: &Context<'_>) -> Result<(), Failure> {
    login::context(command, context)
}

/// `certgate enrol`
pub fn enrol(arguments: &EnrolArgs, context: &Context<'_>) -> Result<(), Failure> {
    enrol::run(arguments, context)
}

/// `certgate renew`. With `--daemon`, it returns only if it cannot start. `run_command` runs a
/// command in a shell, without the secrets of this process.
pub fn renew(
    arguments: &RenewArgs,
    context: &Context<'_>,
    run_command: &RunCommand<'_>,
) -> Result<(), Failure> {
    renew::run(arguments, context, run_command)
}

fn open(client: &ClientArgs, context: &Context<'_>) -> Result<(Session, Screen), Failure> {
    let mut screen = screen_of(client);
    let session = Session::open(client, context, &mut screen)?;
    Ok((session, screen))
}
