//! The text of each setting and its source: flags win over the environment, the environment over
//! the file, and the file over defaults.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use certgate_client::Environment;
use certgate_client::{CLIENT_VARIABLES, CONFIG_VARIABLE};
use zeroize::Zeroizing;

use super::ConfigError;
use super::setting::{Changes, Given, Id, SETTINGS, Setting, Shape};
use crate::limited;

/// The default configuration file, which need not exist.
pub const FILE_DEFAULT: &str = "certgate.toml";

/// The longest configuration file, in bytes: a thousand times twenty settings.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// The file.
    File(PathBuf),
    /// No source has a value.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The settings of a command line.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The settings by name.
    pub given: Vec<(&'static str, String)>,
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Settings whose flag has another name, and that name.
    pub renamed: &'static [(&'static str, &'static str)],
}

/// The text of every setting and its source.
#[derive(Clone)]
pub struct Layers {
    values: Vec<Option<String>>,
    sources: Vec<Source>,
    file: PathBuf,
}

impl Layers {
    /// Gathers the texts. `directory` is the place of `certgate.toml` if no file is named.
    pub fn gather(
        flags: &Flags,
        environment: &Environment,
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let mut layers = Self {
            values: SETTINGS
                .iter()
                .map(|setting| setting.default.map(str::to_owned))
                .collect(),
            sources: vec![Source::Default; SETTINGS.len()],
            file: file_of(flags, environment).unwrap_or_else(|| directory.join(FILE_DEFAULT)),
        };
        let must_exist = file_of(flags, environment).is_some();
        if let Some(text) = read_file(&layers.file, must_exist)? {
            layers.add_file(&layers.file.clone(), &text)?;
        }
        layers.add_environment(environment)?;
        for (name, text) in &flags.given {
            let setting = SETTINGS.iter().find(|setting| setting.name == *name);
            let setting = setting.expect("the flags are made from the table");
            let other = flags.renamed.iter().find(|(setting, _)| setting == name);
            let flag = other.map_or_else(|| setting.flag(), |(_, flag)| (*flag).to_owned());
            layers.put(setting, text.clone(), Source::Flag(flag));
        }
        Ok(layers)
    }

    /// The text of a setting.
    pub fn text(&self, key: Id) -> Option<&str> {
        self.values[key as usize].as_deref()
    }

    /// The source of a setting.
    pub fn source(&self, key: Id) -> &Source {
        &self.sources[key as usize]
    }

    /// The files from which the values come.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [
            Id::TlsCertificate,
            Id::TlsKey,
            Id::EnrolTlsCertificate,
            Id::EnrolTlsKey,
            Id::InviteTlsCertificate,
            Id::InviteTlsKey,
        ];
        let named = files.map(|key| self.text(key).map(Path::new));
        named.into_iter().flatten().chain([&*self.file])
    }

    /// Takes over the settings of these names.
    pub fn adopt(&mut self, other: &Self, names: &[&'static str]) {
        for setting in SETTINGS
            .iter()
            .filter(|setting| names.contains(&setting.name))
        {
            let key = setting.key as usize;
            self.values[key].clone_from(&other.values[key]);
            self.sources[key].clone_from(&other.sources[key]);
        }
    }

    /// Returns the settings whose text differs, and the time at which the change takes effect.
    pub fn changed(&self, other: &Self) -> impl Iterator<Item = (&'static str, Changes)> {
        let differs = |setting: &&Setting| self.text(setting.key) != other.text(setting.key);
        let changed = SETTINGS.iter().filter(differs);
        changed.map(|setting| (setting.name, setting.changes))
    }

    fn put(&mut self, setting: &Setting, text: String, source: Source) {
        self.values[setting.key as usize] = Some(text);
        self.sources[setting.key as usize] = source;
    }

    fn add_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let shown = path.display();
        // The parser's message quotes the line, which may hold a secret by mistake.
        let table = toml::from_str::<toml::Table>(text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError::new(format!("{shown}, line {line}: {}", error.message()))
        })?;
        for (name, value) in table {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
                return Err(unknown(
                    &format!("key `{}` in {shown}", name.escape_debug()),
                    &name,
                    |setting| setting.name.to_owned(),
                ));
            };
            if setting.given == Given::EnvironmentOnly {
                return Err(ConfigError::new(format!(
                    "{name} in {shown}: the file must not contain this secret; use the \
                     environment variable {}",
                    setting.variable()
                )));
            }
            let text = text_of(value, setting)
                .map_err(|complaint| ConfigError::new(format!("{name} in {shown} {complaint}")))?;
            // An empty array counts as absent, as an empty variable does.
            if !text.is_empty() || !matches!(setting.shape, Shape::List(_)) {
                self.put(setting, text, Source::File(path.to_owned()));
            }
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        for (variable, text) in environment.iter() {
            if CLIENT_VARIABLES.contains(&variable) || is_of_kubernetes(variable, text) {
                continue;
            }
            let Some(setting) = SETTINGS
                .iter()
                .find(|setting| setting.variable() == variable)
            else {
                return Err(unknown(
                    &format!("environment variable {variable}"),
                    variable,
                    Setting::variable,
                ));
            };
            self.put(
                setting,
                text.to_owned(),
                Source::Environment(variable.to_owned()),
            );
        }
        Ok(())
    }
}

/// Returns the text of a value in the file. The complaint about another value follows its name.
fn text_of(value: toml::Value, setting: &Setting) -> Result<String, &'static str> {
    match (value, setting.shape) {
        (toml::Value::String(text), _) => Ok(text),
        (toml::Value::Integer(number), _) => Ok(number.to_string()),
        (toml::Value::Boolean(switch), _) => Ok(switch.to_string()),
        (toml::Value::Array(values), Shape::List(_)) => {
            let texts = values.iter().map(toml::Value::as_str);
            let texts: Option<Vec<_>> = texts.collect();
            // A comma would make two values of one.
            let texts = texts.filter(|texts| texts.iter().all(|text| !text.contains(',')));
            let texts = texts.ok_or("must be a text, or an array of texts without commas")?;
            Ok(texts.join(","))
        }
        (_, Shape::List(_)) => Err("must be a text or an array of texts"),
        _ => Err("must be a text, a number or true/false"),
    }
}

/// The file that the caller names.
fn file_of(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let named = || environment.variable(CONFIG_VARIABLE).map(PathBuf::from);
    flags.file.clone().or_else(named)
}

fn read_file(path: &Path, must_exist: bool) -> Result<Option<Zeroizing<String>>, ConfigError> {
    match File::open(path).and_then(|file| limited::read_text(file, FILE_BYTES_MAX)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(None),
        // Such as that of root, in which `runuser` leaves another user: it has no file for them. A
        // file in a directory that they may search is an error.
        Err(_) if !must_exist && is_hidden(path) => Ok(None),
        Err(error) => Err(ConfigError::new(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

/// Returns true if this user may not search the directory of the file.
fn is_hidden(path: &Path) -> bool {
    let found = std::fs::metadata(path);
    found.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Recognises the variables that every container of a Kubernetes namespace has about a service
/// whose name begins with `certgate`: for `certgate-public`, `CERTGATE_PUBLIC_SERVICE_HOST`,
/// `CERTGATE_PUBLIC_PORT=tcp://…` and `CERTGATE_PUBLIC_PORT_80_TCP_ADDR`. Docker's links have the
/// same form.
fn is_of_kubernetes(variable: &str, text: &str) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let words: Vec<&str> = variable.split('_').skip(1).collect();
    let is_about_port = |rest: &[&str]| match rest {
        [] => PROTOCOLS
            .iter()
            .any(|protocol| text.starts_with(&format!("{}://", protocol.to_lowercase()))),
        [number, protocol, rest @ ..] => {
            number.parse::<u16>().is_ok()
                && PROTOCOLS.contains(protocol)
                && matches!(rest, [] | ["PROTO" | "PORT" | "ADDR"])
        }
        _ => false,
    };
    (0..words.len()).any(|at| match &words[at..] {
        ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => true,
        ["PORT", rest @ ..] => is_about_port(rest),
        _ => false,
    })
}

fn unknown(what: &str, given: &str, spelling: impl Fn(&Setting) -> String) -> ConfigError {
    let nearest = SETTINGS
        .iter()
        .map(spelling)
        .min_by_key(|name| strsim::damerau_levenshtein(name, given))
        .expect("the table is not empty");
    ConfigError::new(format!(
        "unknown {what}; the nearest known one is `{nearest}`"
    ))
}
