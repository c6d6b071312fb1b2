//! What is in force and where it came from; and the reference for the documentation.

use serde::Serialize;

use super::setting::{Given, Id, SETTINGS};
use super::{Config, Layers, MasterKeySource};

/// Shown instead of a secret.
const MASK: &str = "********";

/// A setting in force.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// Its name.
    pub name: &'static str,
    /// Its value; [`None`] where it is unset.
    pub value: Option<String>,
    /// Where it came from.
    pub source: String,
}

/// Every setting with its value and its source, secrets masked.
pub fn show(layers: &Layers, config: &Config) -> Vec<Shown> {
    let derived = |key| match (key, &config.master_key) {
        (Id::PublicUrl, _) => Some(config.public_url(config.public_listen)),
        (Id::MasterKeyFile, MasterKeySource::File(path)) => Some(path.display().to_string()),
        _ => None,
    };
    let shown = SETTINGS.iter().map(|setting| {
        let value = match layers.text(setting.key) {
            Some(_) if setting.key == Id::DatabaseUrl => {
                config.database_url.as_ref().map(ToString::to_string)
            }
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

/// The table of settings in Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "| key | flag | environment | default | what it does |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let (key, flag) = match setting.given {
            Given::Anywhere => (
                format!("`{}`", setting.name),
                format!("`--{}`", setting.flag()),
            ),
            Given::EnvironmentOnly => ("–".to_owned(), "–".to_owned()),
        };
        let (help, stated) = match setting.help.split_once(" [default: ") {
            Some((help, stated)) => (help, Some(stated.trim_end_matches(']'))),
            None => (setting.help, None),
        };
        let default = match (setting.default, stated) {
            (Some(default), _) => format!("`{default}`"),
            (None, stated) => stated.unwrap_or("–").replace('<', "\\<"),
        };
        text.push_str(&format!(
            "| {key} | {flag} | `{}` | {default} | {help} |\n",
            setting.variable()
        ));
    }
    text
}
