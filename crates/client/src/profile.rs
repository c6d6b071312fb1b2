//! `client.toml` in the data directory: the address and the token for clients on this machine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable::{Existing, write_file};

/// The file's name in the data directory.
pub const FILE: &str = "client.toml";

/// The file of an installation that `serve` has not finished.
const NEW_FILE: &str = "client.toml.new";

/// The address, token and first IDs of the server of a data directory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalProfile {
    /// Base address of the management API.
    pub api: String,
    /// The token with every permission.
    pub token: String,
    /// The first account.
    pub account_id: String,
    /// The first zone.
    pub zone_id: String,
    /// The PEM file with the certificate of the management API. Clients on this machine trust it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
}

/// Does not show the token.
impl fmt::Debug for LocalProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalProfile")
            .field("api", &self.api)
            .finish_non_exhaustive()
    }
}

/// Writes the profile, readable only for its owner (0600). It replaces an older one in one step,
/// and is on disk before this returns: the token in it exists nowhere else.
pub fn write(directory: &Path, profile: &LocalProfile) -> io::Result<()> {
    write_as(FILE, directory, profile)
}

/// Writes the profile of a future installation under another name. Call [`keep_new`] or
/// [`drop_new`] afterwards.
pub fn write_new(directory: &Path, profile: &LocalProfile) -> io::Result<()> {
    write_as(NEW_FILE, directory, profile)
}

fn write_as(name: &str, directory: &Path, profile: &LocalProfile) -> io::Result<()> {
    let text = toml::to_string(profile).map_err(io::Error::other)?;
    let comment =
        b"# The client commands, such as `certgate cert list`, use this file. Keep it secret.\n";
    let parts = [&comment[..], text.as_bytes()];
    write_file(&directory.join(name), &parts, 0o600, Existing::Replaced)
}

/// Gives the profile of a finished installation its name.
pub fn keep_new(directory: &Path) -> io::Result<()> {
    std::fs::rename(directory.join(NEW_FILE), directory.join(FILE))?;
    std::fs::File::open(directory)?.sync_all()
}

/// Removes the profile of an installation that was not stored.
pub fn drop_new(directory: &Path) -> io::Result<()> {
    std::fs::remove_file(directory.join(NEW_FILE))
}

/// Reads the profile of a data directory, if it has one.
pub fn read(directory: &Path) -> io::Result<Option<LocalProfile>> {
    read_as(FILE, directory)
}

/// Reads the profile of an unfinished installation, if there is one.
pub fn read_new(directory: &Path) -> io::Result<Option<LocalProfile>> {
    read_as(NEW_FILE, directory)
}

fn read_as(name: &str, directory: &Path) -> io::Result<Option<LocalProfile>> {
    let text = match std::fs::read_to_string(directory.join(name)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The parser's error quotes the line, which may be the one with the token.
    let profile = toml::from_str(&text);
    profile.map(Some).map_err(|error: toml::de::Error| {
        io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn profile(api: &str) -> LocalProfile {
        LocalProfile {
            api: api.to_owned(),
            token: "sesame-7f3a".to_owned(),
            account_id: "a".repeat(32),
            zone_id: "b".repeat(32),
            tls_certificate: None,
        }
    }

    #[test]
    fn a_profile_is_read_back_replaced_and_private() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read(directory.path()).unwrap(), None);
        for api in ["http://127.0.0.1:1", "http://127.0.0.1:2"] {
            write(directory.path(), &profile(api)).unwrap();
            assert_eq!(read(directory.path()).unwrap(), Some(profile(api)));
        }
        let mode = std::fs::metadata(directory.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_profile_is_kept_or_removed() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        write(directory, &profile("old")).unwrap();
        for (end, left) in [
            (drop_new as fn(&Path) -> io::Result<()>, "old"),
            (keep_new, "new"),
        ] {
            write_new(directory, &profile("new")).unwrap();
            assert_eq!(read(directory).unwrap(), Some(profile("old")));
            assert_eq!(read_new(directory).unwrap(), Some(profile("new")));
            end(directory).unwrap();
            assert_eq!(read(directory).unwrap(), Some(profile(left)));
            assert_eq!(read_new(directory).unwrap(), None);
        }
    }

    #[test]
    fn the_token_is_in_no_message() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!format!("{:?}", profile("x")).contains("sesame"));
        for broken in [
            "token = \"sesame",
            "token = \"sesame\"\ntoken = \"sesame\"",
            "tokn = \"sesame\"",
        ] {
            std::fs::write(directory.path().join(FILE), broken).unwrap();
            assert!(
                !format!("{:?}", read(directory.path()).unwrap_err()).contains("sesame"),
                "{broken}"
            );
        }
    }
}
