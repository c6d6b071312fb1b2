//! The text of each setting and its source: flags win over the environment, the environment over
//! the file, and the file over defaults.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use certgate_client::Environment;
use certgate_client::{CLIENT_VARIABLES, CONFIG_VARIABLE, ENVIRONMENT_PREFIX};

use super::ConfigError;
use super::setting::{Given, Id, SETTINGS, Setting};

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
        };
        let named = flags
            .file
            .clone()
            .or_else(|| environment.variable(CONFIG_VARIABLE).map(PathBuf::from));
        if let Some((path, text)) = read_file(named, directory)? {
            layers.add_file(&path, &text)?;
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
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(switch) => switch.to_string(),
                _ => {
                    return Err(ConfigError::new(format!(
                        "{name} in {shown} must be a text, a number or true/false"
                    )));
                }
            };
            self.put(setting, text, Source::File(path.to_owned()));
        }
        Ok(())
    }

    fn add_environment(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        for (variable, text) in environment.iter() {
            if CLIENT_VARIABLES.contains(&variable) || is_of_kubernetes(variable) {
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

fn read_file(
    named: Option<PathBuf>,
    directory: &Path,
) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let (path, must_exist) = match named {
        Some(path) => (path, true),
        None => (directory.join(FILE_DEFAULT), false),
    };
    match read_limited(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(None),
        Err(error) => Err(ConfigError::new(format!(
            "cannot read {}: {error}",
            path.display()
        ))),
    }
}

fn read_limited(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if read as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "larger than 1 MiB",
        ));
    }
    Ok(text)
}

/// Recognises the variables of a Kubernetes service called `certgate`, such as
/// `CERTGATE_SERVICE_HOST` and `CERTGATE_PORT_8787_TCP`, which every pod of its namespace has.
fn is_of_kubernetes(variable: &str) -> bool {
    let rest = variable
        .strip_prefix(ENVIRONMENT_PREFIX)
        .unwrap_or_default();
    rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
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
