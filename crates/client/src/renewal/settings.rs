//! `est.toml` in the directory FILE.d: the server that issued a certificate.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::arguments::{Fingerprint, parse_fingerprint};
use crate::durable::{Access, write_as};
use crate::est::EstUrl;
use crate::failure::Failure;
use crate::files;

/// The name of the file.
pub const FILE: &str = "est.toml";

/// The largest file, in bytes: three short lines.
const FILE_BYTES_MAX: u64 = 16 << 10;

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The address of the server.
    pub url: String,
    /// The SHA-256 of the server's certificate, or of a CA above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The file of the key, seen from the directory of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

impl Settings {
    /// Reads the file in the directory, if there is one.
    pub fn read(directory: &Path) -> Result<Option<Self>, Failure> {
        let path = directory.join(FILE);
        let text = match files::read_text(&path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let shown = path.display();
                return Err(Failure::io(format!("cannot read {shown}"), &error));
            }
            Ok(text) => text,
        };
        let read = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let shown = path.display();
            Failure::usage(format!("{shown}: {}", error.message()))
                .hint("correct it, or name the server with --est")
        })?;
        Ok(Some(read))
    }

    /// Writes the file into the directory.
    pub fn write(&self, directory: &Path) -> Result<(), Failure> {
        let path = directory.join(FILE);
        let written = || -> io::Result<()> {
            let text = toml::to_string(self).map_err(io::Error::other)?;
            let text = format!("# The server of `certgate renew`.\n{text}");
            let access = Access::of(directory)?.of_file_inside();
            write_as(&path, directory, text.as_bytes(), access)
        };
        written().map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))
    }

    /// The server and its fingerprint.
    pub fn server(&self) -> Result<(EstUrl, Option<Fingerprint>), Failure> {
        let fingerprint = self.fingerprint.as_deref().map(parse_fingerprint);
        let fingerprint = fingerprint.transpose().map_err(|reason| {
            Failure::usage(format!(
                "the fingerprint in {FILE} is malformed: it {reason}"
            ))
        })?;
        Ok((EstUrl::new(&self.url)?, fingerprint))
    }
}
