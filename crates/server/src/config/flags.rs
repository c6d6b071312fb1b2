//! The settings as flags, made from the table.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command, ValueHint};

use super::layers::Flags;
use super::setting::{Given, SETTINGS, Setting, Shape};

const FILE: &str = "config";

/// A flag for every setting.
#[derive(Debug, Clone, Default)]
pub struct ServeFlags(pub Flags);

/// A flag for every setting that making a data directory needs.
#[derive(Debug, Clone, Default)]
pub struct InitFlags(pub Flags);

impl clap::Args for ServeFlags {
    fn augment_args(command: Command) -> Command {
        with_flags(command, |_| true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for ServeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(given(matches, |_| true)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for InitFlags {
    fn augment_args(command: Command) -> Command {
        with_flags(command, |setting| setting.init)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for InitFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(given(matches, |setting| setting.init)))
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
        .help("Configuration file [default: ./certgate.toml if there is one]");
    let wanted = SETTINGS
        .iter()
        .filter(|setting| has_flag(setting) && wanted(setting));
    command
        .next_help_heading("Settings")
        .arg(file)
        .args(wanted.map(as_argument))
}

fn as_argument(setting: &Setting) -> Arg {
    let help = match setting.default {
        Some(default) => format!("{} [default: {default}]", setting.help),
        None => setting.help.to_owned(),
    };
    let argument = Arg::new(setting.name).long(setting.flag()).help(help);
    match setting.shape {
        Shape::Value(name) => argument.value_name(name),
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
