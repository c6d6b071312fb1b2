//! The tips for unknown words on the command line. clap compares an unknown word with the words of
//! one command only, and its idea of similarity suggests `--config` for `--cn`.

use std::ffi::OsString;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// The most commands that a tip names.
const NAMED_MAX: usize = 3;

/// Options of other tools, and the words for the same thing here. Only words that the command has
/// are suggested.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["--validity", "--validity-days", "--ttl", "--lifetime"],
        "--days",
    ),
    (&["--name", "--common-name", "--subject"], "--cn"),
    (&["--format", "--json", "--csv", "--out-format"], "--output"),
    (
        &["--server", "--host", "--url", "--endpoint", "--addr"],
        "--api",
    ),
    (
        &["--insecure", "--cacert", "--ca-file", "--ca", "--tls-ca"],
        "--api-ca",
    ),
    (&["--port", "--bind", "--address", "--addr"], "--listen"),
    (&["--force", "--assume-yes", "--no-confirm"], "--yes"),
    (&["--limit", "--size", "--count"], "--per-page"),
    (&["--since", "--after"], "--issued-since"),
    (&["--dir", "--directory", "--path", "--db"], "--data-dir"),
    (&["--silent"], "--quiet"),
    (&["--debug"], "--verbose"),
    (&["--file", "--output-file"], "--out"),
    (&["--domain"], "--zone"),
    (&["--key-type", "--algorithm", "--curve"], "--key-algorithm"),
];

/// Options that name an object. The commands that take one object take it without an option.
const OBJECTS: &[&str] = &[
    "--cn",
    "--name",
    "--common-name",
    "--id",
    "--serial",
    "--fingerprint",
    "--pattern",
    "--file",
    "--out",
    "--output-file",
    "--hostname",
    "--zone",
];

/// Words of other tools for commands, and the words for the same thing here.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["start", "run", "server", "daemon", "up"], "serve"),
    (&["certs", "certificate", "certificates"], "cert"),
    (&["hosts", "hostname", "hostnames"], "host"),
    (&["zones", "domain", "domains"], "zone"),
    (&["tokens"], "token"),
    (&["cas", "authority", "authorities"], "ca"),
    (&["ls", "all"], "list"),
    (&["get", "info", "describe", "view"], "show"),
    (&["create", "new", "sign", "make", "request"], "issue"),
    (&["delete", "remove", "rm", "disable", "block"], "revoke"),
    (&["rm", "revoke"], "delete"),
    (&["rm", "delete"], "remove"),
    (&["new", "add"], "create"),
    (&["unrevoke", "reactivate", "enable", "undo"], "restore"),
    (&["verify"], "check"),
    (&["enroll"], "enrol"),
    (&["download", "pem"], "export"),
    (&["dump"], "backup"),
];

/// Replaces the tips of clap in an error about the `words` after the program's name.
pub fn explained(mut error: Error, root: &Command, words: &[OsString]) -> Error {
    if error.kind() == ErrorKind::InvalidValue {
        keep_slips(&mut error);
        return error;
    }
    let (kind, unknown) = match error.kind() {
        ErrorKind::UnknownArgument => ("argument", ContextKind::InvalidArg),
        ErrorKind::InvalidSubcommand => ("command", ContextKind::InvalidSubcommand),
        _ => return error,
    };
    let Some(ContextValue::String(unknown)) = error.get(unknown) else {
        return error;
    };
    let unknown = unknown.clone();
    let (path, command) = command_of(root, words);
    let (word, value) = match unknown.split_once('=') {
        Some((word, value)) => (word, Some(value)),
        None => (unknown.as_str(), None),
    };
    let tip = match kind {
        "argument" if word.starts_with("--") => {
            let value = value.map(OsString::from);
            option_tip(
                root,
                command,
                &path,
                word,
                value.as_ref().or(next(words, word)),
            )
        }
        "argument" => None,
        _ => command_tip(root, command, &path, word),
    };
    for kind in [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedCommand,
        ContextKind::SuggestedValue,
        ContextKind::Suggested,
        ContextKind::TrailingArg,
    ] {
        let _ = error.remove(kind);
    }
    if let Some(tip) = tip {
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        let _ = error.insert(ContextKind::Suggested, tip);
    }
    // clap adds its own suggestion to the usage line.
    let usage = command.clone().bin_name(path).render_usage();
    let _ = error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    error
}

/// Removes the suggestion of a value that is another word, not a slip of the finger.
fn keep_slips(error: &mut Error) {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidValue) else {
        return;
    };
    let is_slip = match error.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(known)) => similar(given, std::iter::once(known.clone())),
        _ => None,
    };
    if is_slip.is_none() {
        let _ = error.remove(ContextKind::SuggestedValue);
    }
}

/// The command that the words name, with its path. A value of an option may have the name of a
/// command: then the tip is about that one, which does no harm.
fn command_of<'a>(root: &'a Command, words: &[OsString]) -> (String, &'a Command) {
    let (mut path, mut command) = (root.get_name().to_owned(), root);
    for word in words.iter().filter_map(|word| word.to_str()) {
        let Some(found) = command.find_subcommand(word) else {
            continue;
        };
        command = found;
        path = format!("{path} {}", found.get_name());
    }
    (path, command)
}

/// The word after an option, if it is its value.
fn next<'a>(words: &'a [OsString], option: &str) -> Option<&'a OsString> {
    let place = words.iter().position(|word| word == option)?;
    let value = words.get(place + 1)?;
    let is_value = value.to_str().is_some_and(|text| !text.starts_with('-'));
    is_value.then_some(value)
}

fn option_tip(
    root: &Command,
    command: &Command,
    path: &str,
    word: &str,
    value: Option<&OsString>,
) -> Option<String> {
    let has = |option: &str| has_option(command, option);
    let object = command.get_positionals().next();
    let synonym = OPTIONS
        .iter()
        .find(|(words, ours)| words.contains(&word) && has(ours));
    if let Some((_, ours)) = synonym {
        return Some(match (word, *ours) {
            ("--json" | "--csv", _) => format!("use '--output {}'", word.trim_start_matches('-')),
            ("--insecure", ours) => {
                format!("use '{ours} FILE' with the CA that signed the server's certificate")
            }
            (_, ours) => format!("use '{ours}'"),
        });
    }
    if let (Some(object), true) = (object, OBJECTS.contains(&word)) {
        let name = object.get_value_names().and_then(|names| names.first());
        let value = match (value.and_then(|value| value.to_str()), name) {
            (Some(value), _) => value.to_owned(),
            (None, Some(name)) => name.to_string(),
            (None, None) => object.get_id().to_string().to_uppercase(),
        };
        return Some(format!("write it without an option: {path} {value}"));
    }
    let options = command.get_arguments().filter(|one| !one.is_hide_set());
    let options = options.filter_map(|one| Some(format!("--{}", one.get_long()?)));
    if let Some(similar) = similar(word, options) {
        return Some(format!("there is '{similar}'"));
    }
    let mut others = Vec::new();
    with_option(root, root.get_name(), word, &mut others);
    named(&others).map(|others| format!("{others} has '{word}'"))
}

fn command_tip(root: &Command, command: &Command, path: &str, word: &str) -> Option<String> {
    let names = || {
        let commands = command.get_subcommands();
        commands.map(|one| one.get_name().to_owned())
    };
    let synonyms = COMMANDS.iter().filter(|(words, _)| words.contains(&word));
    let mut ours = synonyms.map(|(_, ours)| (*ours).to_owned());
    if let Some(ours) = ours.find(|ours| names().any(|name| name == *ours)) {
        return Some(format!("there is '{path} {ours}'"));
    }
    let mut others = Vec::new();
    with_command(root, root.get_name(), word, &mut others);
    match others.first() {
        Some(first) => Some(match named(&others) {
            Some(others) => format!("there is {others}"),
            None => format!("several commands have it, such as '{first}'"),
        }),
        None => similar(word, names()).map(|name| format!("there is '{path} {name}'")),
    }
}

/// The most similar word: a slip of the finger, not another word.
fn similar(word: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let distance = |known: &str| strsim::damerau_levenshtein(known, word);
    let letters = word.trim_start_matches('-').chars().count();
    let most = if letters < 6 { 1 } else { 2 };
    let known = known.map(|known| (distance(&known), known));
    let (_, known) = known.filter(|(slips, _)| *slips <= most).min()?;
    // One slip in two letters makes another word.
    (letters > 2).then_some(known)
}

fn has_option(command: &Command, option: &str) -> bool {
    let mut arguments = command.get_arguments();
    arguments.any(|one| !one.is_hide_set() && one.get_long() == option.strip_prefix("--"))
}

fn with_option(command: &Command, path: &str, option: &str, found: &mut Vec<String>) {
    for below in command.get_subcommands() {
        let path = format!("{path} {}", below.get_name());
        if !below.has_subcommands() && has_option(below, option) {
            found.push(path.clone());
        }
        with_option(below, &path, option, found);
    }
}

fn with_command(command: &Command, path: &str, word: &str, found: &mut Vec<String>) {
    for below in command.get_subcommands() {
        let path = format!("{path} {}", below.get_name());
        if below.get_name() == word {
            found.push(path.clone());
        }
        with_command(below, &path, word, found);
    }
}

/// Lists a few commands; [`None`] if none has the word, or so many that the list does not help.
fn named(commands: &[String]) -> Option<String> {
    let quoted: Vec<_> = commands.iter().map(|one| format!("'{one}'")).collect();
    match quoted.split_last() {
        Some((last, [])) => Some(last.clone()),
        Some((last, others)) if others.len() < NAMED_MAX => {
            Some(format!("{} and {last}", others.join(", ")))
        }
        _ => None,
    }
}
