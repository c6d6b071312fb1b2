//! The environment variables of certgate.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::failure::Failure;

/// The prefix of every environment variable of certgate.
pub const ENVIRONMENT_PREFIX: &str = "CERTGATE_";

/// The address of the management API.
pub const API: &str = "CERTGATE_API";

/// A PEM file with the CAs to trust for https.
pub const API_CA: &str = "CERTGATE_API_CA";

/// The configuration file.
pub const CONFIG: &str = "CERTGATE_CONFIG";

/// The name of the context of a command.
pub const CONTEXT: &str = "CERTGATE_CONTEXT";

/// An invite, which is a secret.
pub const INVITE: &str = "CERTGATE_INVITE";

/// The password of PKCS #12 files.
pub const P12_PASSWORD: &str = "CERTGATE_P12_PASSWORD";

/// The API token.
pub const TOKEN: &str = "CERTGATE_TOKEN";

/// The zone, by name or ID.
pub const ZONE: &str = "CERTGATE_ZONE";

/// The variables that are not settings of the server.
pub const CLIENT_VARIABLES: [&str; 8] = [
    API,
    API_CA,
    CONFIG,
    CONTEXT,
    INVITE,
    P12_PASSWORD,
    TOKEN,
    ZONE,
];

/// The environment variables that concern certgate. It has no `Debug`: tokens and keys are among
/// the values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Selects the `variables` that begin with `CERTGATE_`. An empty one counts as absent.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Failure> {
        let mut found = BTreeMap::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else {
                continue;
            };
            if !name.starts_with(ENVIRONMENT_PREFIX) {
                continue;
            }
            let value = value.into_string().map_err(|_| {
                Failure::usage(format!("{name} is not UTF-8")).hint("set it to text in UTF-8")
            })?;
            if !value.is_empty() {
                found.insert(name, value);
            }
        }
        Ok(Self(found))
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every variable with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0.iter();
        entries.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
