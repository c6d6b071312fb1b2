//! `contexts.toml`: the servers that a user has logged in to, with their tokens.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{Existing, write_file};
use crate::failure::Failure;
use crate::files;

/// The directory below the user's configuration, and the file in it.
const FILE: &str = "certgate/contexts.toml";

/// The largest file, in bytes: some thousand servers.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A server that the user has logged in to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerContext {
    /// The address of the management API.
    pub api: String,
    /// The token.
    pub token: String,
    /// A PEM file with the CAs to trust for https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_ca: Option<PathBuf>,
    /// The default zone, by name or ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Does not show the token.
impl fmt::Debug for ServerContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerContext")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

/// The servers by name, and the current one.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The name of the current context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, ServerContext>,
}

/// Returns the file below a directory of configuration.
pub fn file_below(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl Contexts {
    /// Reads the file of the user. Without a file, the user has no contexts.
    pub fn read(directory: Option<&Path>) -> Result<Self, Failure> {
        let Some(directory) = directory else {
            return Ok(Self::default());
        };
        let path = file_below(directory);
        let shown = path.display();
        let failed = |error: &io::Error| Failure::io(format!("cannot read {shown}"), error);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(&error)),
        };
        let mode = file.metadata().map_err(|error| failed(&error))?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Failure::usage(format!(
                "other users may read the tokens in {shown} (mode {mode:o})"
            ))
            .hint(format!("chmod 600 {shown}, and replace the tokens")));
        }
        let text = files::read_at_most(file, FILE_BYTES_MAX).map_err(|error| failed(&error))?;
        let text =
            std::str::from_utf8(&text).map_err(|_| failed(&ErrorKind::InvalidData.into()))?;
        // The parser's whole error quotes the line, which may be the one with a token.
        toml::from_str(text).map_err(|error: toml::de::Error| {
            Failure::usage(format!("{shown} is malformed: {}", error.message()))
                .hint("correct it, or remove it and log in again")
        })
    }

    /// Writes the file, readable only for its owner.
    pub fn write(&self, directory: Option<&Path>) -> Result<PathBuf, Failure> {
        let path = file_below(directory.ok_or_else(no_directory)?);
        let shown = path.display();
        let failed = |error: io::Error| Failure::io(format!("cannot write {shown}"), &error);
        let text = toml::to_string(self).map_err(|error| failed(io::Error::other(error)))?;
        let parent = path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .and_then(|()| {
                let comment = b"# Made by `certgate login`. Keep it secret.\n";
                let parts = [&comment[..], text.as_bytes()];
                write_file(&path, &parts, 0o600, Existing::Replaced)
            })
            .map_err(failed)?;
        Ok(path)
    }

    /// The context with this name.
    pub fn named(&self, name: &str) -> Result<&ServerContext, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let names: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            Failure::usage(format!("no context has the name {name:?}")).hint(
                match names.is_empty() {
                    true => "make one with `certgate login URL`".to_owned(),
                    false => format!("there are: {}", names.join(", ")),
                },
            )
        })
    }

    /// The current context with its name.
    pub fn current(&self) -> Option<(&str, &ServerContext)> {
        let (name, context) = self.contexts.get_key_value(self.current.as_deref()?)?;
        Some((name, context))
    }
}

fn no_directory() -> Failure {
    Failure::usage("neither XDG_CONFIG_HOME nor HOME names a directory for the token")
        .hint("set HOME, or give the token with CERTGATE_TOKEN")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn of(api: &str) -> ServerContext {
        ServerContext {
            api: api.to_owned(),
            token: "sesame-7f3a".to_owned(),
            api_ca: None,
            zone: None,
        }
    }

    #[test]
    fn contexts_are_private_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("new");
        let mut contexts = Contexts::read(Some(&config)).unwrap();
        assert!(contexts.current().is_none());
        contexts.contexts.insert("a.b".to_owned(), of("https://a"));
        contexts.current = Some("a.b".to_owned());
        let path = contexts.write(Some(&config)).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let again = Contexts::read(Some(&config)).unwrap();
        assert_eq!(again.current(), Some(("a.b", &of("https://a"))));
        assert!(again.named("b").unwrap_err().to_string().contains("a.b"));
        assert!(!format!("{again:?}").contains("sesame"));
        assert!(
            contexts
                .write(None)
                .unwrap_err()
                .to_string()
                .contains("HOME")
        );
    }

    #[test]
    fn a_file_for_others_or_malformed_is_refused_without_its_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let path = Contexts::default().write(Some(directory.path())).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let refused = Contexts::read(Some(directory.path())).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        for broken in [
            "token = \"sesame",
            "[contexts.a]\ntoken = \"sesame\"\nx = 1\n",
        ] {
            std::fs::write(&path, broken).unwrap();
            let refused = Contexts::read(Some(directory.path())).unwrap_err();
            assert!(!refused.to_string().contains("sesame"), "{refused}");
        }
    }
}
