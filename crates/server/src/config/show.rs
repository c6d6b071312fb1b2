//! The values of the settings and their sources, and the reference for the documentation.

use certgate_client::{Failure, Screen};
use serde::Serialize;

use super::setting::{Changes, Given, Id, SETTINGS};
use super::{Config, Database, Layers, MasterKeySource};

/// Hides a secret.
const MASK: &str = "********";

/// A setting with its value.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: &'static str,
    /// Its value, [`None`] if it is unset.
    pub value: Option<String>,
    /// The source of the value.
    pub source: String,
}

/// Returns every setting with its value and its source. Secrets are masked.
pub fn show(layers: &Layers, config: &Config) -> Vec<Shown> {
    let storage = &config.installation.storage;
    let derived = |key| match (key, &storage.master_key) {
        (Id::PublicUrl, _) => Some(config.public_url(config.public_listen)),
        (Id::MasterKeyFile, MasterKeySource::File(path)) => Some(path.display().to_string()),
        _ => None,
    };
    let shown = SETTINGS.iter().map(|setting| {
        let value = match layers.text(setting.key) {
            Some(_) if setting.key == Id::DatabaseUrl => match &storage.database {
                Database::Embedded => None,
                Database::Postgres(url) => Some(url.to_string()),
            },
            Some(_) if setting.has_secret() => Some(MASK.to_owned()),
            Some(text) => Some(text.to_owned()),
            None => derived(setting.key),
        };
        Shown {
            name: setting.name,
            value,
            source: layers.source(setting.key).to_string(),
        }
    });
    shown.collect()
}

/// Prints the settings.
pub fn print(shown: &[Shown], screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json_of(&shown);
    }
    let rows = shown.iter().map(|setting| {
        let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
        vec![setting.name.to_owned(), value, setting.source.clone()]
    });
    screen.table(&["setting", "value", "from"], rows)
}

/// Longest line of the reference, in characters.
const REFERENCE_COLUMNS: usize = 100;

/// The reference of all settings: a Markdown list.
pub fn reference() -> String {
    let mut text = String::new();
    for setting in SETTINGS {
        let (help, stated) = match setting.help.split_once(" [default: ") {
            Some((help, stated)) => (help, Some(stated.trim_end_matches(']'))),
            None => (setting.help, None),
        };
        let variable = setting.variable();
        let names = match setting.given {
            Given::Anywhere => format!("`{}` (`--{}`, `{variable}`)", setting.name, setting.flag()),
            Given::EnvironmentOnly => format!("`{variable}` (only in the environment)"),
        };
        let default = match (setting.default, stated) {
            (Some(default), _) => format!(" Default: `{default}`."),
            (None, Some(stated)) => format!(" Default: {}.", stated.replace('<', "\\<")),
            (None, None) => String::new(),
        };
        let reload = match setting.changes {
            Changes::AtStart => "",
            Changes::WhileRunning => " Can change while the server runs.",
        };
        let entry = format!("{names}: {help}.{default}{reload}");
        let mut line = "-".to_owned();
        for word in entry.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > REFERENCE_COLUMNS {
                text.push_str(&line);
                text.push('\n');
                line = " ".to_owned();
            }
            line.push(' ');
            line.push_str(word);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}
