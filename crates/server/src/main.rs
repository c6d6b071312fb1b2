//! The certgate executable.

mod audit;
mod backup;
mod check;
mod cli;
mod client;
mod config;
mod data_dir;
mod failure;
mod init;
mod inspector;
mod listener;
mod log;
mod migrate;
mod serve;
mod system;
mod tls;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{AuditCommand, Cli, Command, Format};
use crate::client::{Screen, commands};
use crate::config::{Config, Configuration, Environment, SettingFlags, StorageConfig};
use crate::failure::Failure;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let environment = Environment::from_variables(std::env::vars_os())?;
    match command {
        Command::Serve { settings } => Ok(serve::run(settings.parse(&environment)?)?),
        Command::Init {
            arguments,
            settings,
        } => Ok(init::run(&settings.parse(&environment)?, arguments)?),
        Command::Check { settings } => check::run(&settings.parse(&environment)?),
        Command::Backup { file, settings } => {
            backup::back_up(&settings.parse(&environment)?, &file)
        }
        Command::Restore {
            file,
            replace,
            settings,
        } => backup::restore(&settings.parse(&environment)?, &file, replace),
        Command::Migrate(arguments) => {
            let settings: SettingFlags<StorageConfig> = arguments.into();
            migrate::run(&settings.parse(&environment)?)
        }
        Command::Audit {
            command: AuditCommand::List { client, arguments },
        } => commands::audit(&client, &environment, &arguments),
        Command::Audit {
            command:
                AuditCommand::Verify {
                    database,
                    expect,
                    output,
                    settings,
                },
        } => audit::verify(
            &settings.parse(&environment)?,
            database,
            &expect,
            Screen::of_process(output),
        ),
        Command::Config {
            reference: true, ..
        } => Screen::of_process(Format::Table).data(&config::reference()),
        Command::Config {
            output, settings, ..
        } => {
            let layers = settings.layers(&environment)?;
            let config = Config::parse(&layers)?;
            Screen::of_process(output).settings(&config::show(&layers, &config))
        }
        Command::Cert {
            client,
            zone,
            command,
        } => commands::cert(&client, &environment, zone, command),
        Command::Host {
            client,
            zone,
            ca,
            command,
        } => commands::host(
            &client,
            &environment,
            zone.as_deref(),
            ca.as_deref(),
            command,
        ),
        Command::Zone { client, command } => commands::zone(&client, &environment, command),
        Command::Token { client, command } => commands::token(&client, &environment, command),
        Command::Ca { client, command } => commands::ca(&client, &environment, command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "certgate", &mut script);
            Screen::of_process(Format::Table).bytes(&script)
        }
    }
}
