//! The settings as flags, made from the table.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, ValueHint};

use super::layers::{Environment, Flags, Layers};
use super::setting::{Given, SETTINGS, Setting, Shape};
use super::{ConfigError, Configuration};

const FILE: &str = "config";

/// The settings of a command that reads the configuration `C`.
///
/// A setting that `C` does not have is neither in the help nor evaluated. Its flag is accepted all
/// the same, so that a script can give each command the flags of its server.
#[derive(Debug, Clone)]
pub struct SettingFlags<C> {
    flags: Flags,
    configuration: PhantomData<fn() -> C>,
}

impl<C: Configuration> SettingFlags<C> {
    /// Settings under other names than those of the table.
    pub fn new(flags: Flags) -> Self {
        Self {
            flags,
            configuration: PhantomData,
        }
    }

    /// The text of each setting and its source.
    pub fn layers(&self, environment: &Environment) -> Result<Layers, ConfigError> {
        Layers::gather(&self.flags, environment, Path::new(""))
    }

    /// The configuration that the command reads.
    pub fn parse(&self, environment: &Environment) -> Result<C, ConfigError> {
        C::parse(&self.layers(environment)?)
    }
}

impl<C: Configuration> clap::Args for SettingFlags<C> {
    fn augment_args(command: Command) -> Command {
        with_flags(command, |setting| setting.is_for(C::COMMANDS))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Configuration> clap::FromArgMatches for SettingFlags<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = given(matches, |setting| setting.is_for(C::COMMANDS));
        Ok(Self::new(flags))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn has_flag(setting: &Setting) -> bool {
    setting.given == Given::Anywhere
}

fn with_flags(command: Command, wanted: impl Fn(&Setting) -> bool) -> Command {
    let file = Arg::new(FILE)
        .long(FILE)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(clap::value_parser!(PathBuf))
        .help("Configuration file [default: ./certgate.toml if it exists]");
    let arguments = SETTINGS.iter().filter(|setting| has_flag(setting));
    let arguments = arguments.map(|setting| match wanted(setting) {
        true => as_argument(setting),
        false => unread(setting),
    });
    command
        .next_help_heading("Settings")
        .arg(file)
        .args(arguments)
}

fn as_argument(setting: &Setting) -> Arg {
    let help = match setting.default {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_owned(),
    };
    let argument = Arg::new(setting.name).long(setting.flag()).help(help);
    match setting.shape {
        Shape::Value(name) | Shape::List(name) => argument.value_name(name),
        Shape::Path(name) => argument.value_name(name).value_hint(ValueHint::AnyPath),
        Shape::Switch => argument
            .value_name("true|false")
            .hide_possible_values(true)
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

/// A flag of the server that this command accepts and does not read.
fn unread(setting: &Setting) -> Arg {
    let argument = Arg::new(setting.name).long(setting.flag()).hide(true);
    match setting.shape {
        Shape::Value(_) | Shape::List(_) | Shape::Path(_) => argument,
        Shape::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

fn given(matches: &ArgMatches, wanted: impl Fn(&Setting) -> bool) -> Flags {
    let wanted = SETTINGS
        .iter()
        .filter(|setting| has_flag(setting) && wanted(setting));
    let given = wanted
        .filter_map(|setting| {
            Some((
                setting.name,
                matches.get_one::<String>(setting.name)?.clone(),
            ))
        })
        .collect();
    Flags {
        given,
        file: matches.get_one::<PathBuf>(FILE).cloned(),
        renamed: &[],
    }
}
