//! The certgate executable.

mod audit;
mod authz;
mod backup;
mod check;
mod cli;
mod clock_watch;
mod config;
mod connection;
mod data_dir;
mod demo;
mod descriptors;
mod failure;
mod follow;
mod following;
mod gateway;
mod init;
mod inspector;
mod last_backup;
mod last_check;
mod limited;
mod listener;
mod log;
mod metric_help;
mod migrate;
mod notifications;
mod offline;
mod process;
mod public_url;
mod reload;
mod renew;
mod secret_file;
mod serve;
mod signals;
mod supervisor;
mod system;
mod tls;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use certgate_client::{ClientCommand, Context, Format, Screen, TokenCommand};
use clap::{CommandFactory, FromArgMatches};

use crate::cli::{AuditCommand, Cli, Command};
use crate::config::{
    Config, Configuration, Environment, Flags, Layers, SettingFlags, StorageConfig,
};
use crate::failure::Failure;
use crate::reload::Origin;
use crate::system::SystemRandom;

fn main() -> ExitCode {
    process::hide();
    let mut command = cli::with_examples(Cli::command());
    let words: Vec<_> = std::env::args_os().collect();
    let parsed = command
        .try_get_matches_from_mut(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| cli::explained(error, &command, words.get(1..).unwrap_or_default()));
    match run(parsed.unwrap_or_else(|error| error.exit()).command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let environment = Environment::from_variables(std::env::vars_os())?;
    let data_dir = |file: Option<&Path>| {
        let flags = Flags {
            file: file.map(Path::to_owned),
            ..Flags::default()
        };
        let layers = Layers::gather(&flags, &environment, Path::new(""))?;
        Ok(config::data_dir(&layers))
    };
    let config_dir = config_dir(|name| std::env::var_os(name).map(PathBuf::from));
    let context = Context {
        environment: &environment,
        data_dir: &data_dir,
        config_dir: config_dir.as_deref(),
        random: &SystemRandom,
    };
    match command {
        Command::Serve {
            public_url_changes,
            settings: flags,
        } => {
            let environment = environment.clone();
            let change = match public_url_changes {
                true => public_url::Change::Accepted,
                false => public_url::Change::Refused,
            };
            serve::run(Origin { flags, environment }, change)
        }
        Command::Init {
            arguments,
            settings,
        } => init::run(&settings.parse(&environment)?, arguments).map_err(failure::with_causes),
        Command::Check { share, settings } => check::run(&settings.parse(&environment)?, share),
        Command::Backup {
            file,
            despite_problems,
            settings,
        } => backup::back_up(&settings.parse(&environment)?, &file, despite_problems),
        Command::Restore {
            file,
            replace,
            despite_problems,
            settings,
        } => {
            let choice = backup::Choice {
                replace,
                despite_problems,
            };
            backup::restore(&settings.parse(&environment)?, &file, choice)
        }
        Command::Migrate(arguments) => {
            let settings: SettingFlags<StorageConfig> = arguments.into();
            migrate::run(&settings.parse(&environment)?)
        }
        Command::Gateway { config } => gateway::run(&config),
        Command::Demo { pause } => demo::run(pause),
        Command::Follow(arguments) => follow::run(arguments, &context),
        Command::Authz { config } => authz::run(&config),
        Command::Audit { command } => run_audit(command, &environment, &context),
        Command::Config {
            reference: true, ..
        } => Screen::of_process(Format::Table).data(&config::reference()),
        Command::Config {
            output, settings, ..
        } => {
            let layers = settings.layers(&environment)?;
            let config = Config::parse(&layers)?;
            let shown = config::show(&layers, &config);
            config::print(&shown, &mut Screen::of_process(output))
        }
        Command::Client(ClientCommand::Token {
            client,
            command: TokenCommand::Create(arguments),
        }) if arguments.offline => offline::run(client, &arguments, &environment),
        Command::Login(arguments) => certgate_client::login(&arguments, &context),
        Command::Logout(arguments) => certgate_client::logout(&arguments, &context),
        Command::Context { command } => certgate_client::contexts(&command, &context),
        Command::Enrol(arguments) => certgate_client::enrol(&arguments, &context),
        Command::Renew(arguments) => renew::run(&arguments, &context),
        Command::Client(command) => certgate_client::run(command, &context),
        Command::Completions { shell, install } => completions(shell, install),
        Command::Man { directory } => {
            cli::write_pages(cli::with_examples(Cli::command()), &directory)
        }
    }
}

fn run_audit(
    command: AuditCommand,
    environment: &Environment,
    context: &Context<'_>,
) -> Result<(), Failure> {
    match command {
        AuditCommand::List { client, arguments } => {
            certgate_client::audit(&client, &arguments, context)
        }
        AuditCommand::Verify {
            database,
            expect,
            output,
            settings,
        } => audit::verify(
            &settings.parse(environment)?,
            database,
            &expect,
            Screen::of_process(output),
        ),
    }
}

/// Prints or installs the completion script of a shell.
fn completions(shell: Option<clap_complete::Shell>, install: bool) -> Result<(), Failure> {
    let command = cli::with_examples(Cli::command());
    match (shell, install) {
        (Some(shell), false) => cli::print_completions(command, shell),
        (shell, _) => {
            let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
            cli::install_completions(command, shell, variable)
        }
    }
}

/// The directory of the user's configuration, as the XDG Base Directory Specification has it: a
/// relative path counts as absent.
fn config_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")))
}
