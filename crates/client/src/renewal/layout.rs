//! The files of a certificate on the disk.
//!
//! `FILE.d` is beside the certificate FILE. It has a directory with a number for each version of
//! certificate and key, and links to them:
//!
//! | Link | Leads to |
//! |---|---|
//! | current | the version in effect, through which FILE and the key's file lead |
//! | next | a new version: with its key only, or complete |
//! | previous | the version before `current`, until the command has accepted `current` |
//! | moving | a version that has the content of two plain files, which become links |
//!
//! A combined file has no link `current`: the file itself is replaced.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use certgate_model::Hex;
use certgate_pki::{PrivateKey, read_private_key_of_pair};
use zeroize::Zeroizing;

use super::pair::Pair;
use super::settings::Settings;
use crate::durable::{
    Access, make_directory_as, open_lock, partial_link, sync, write_as, write_link,
};
use crate::failure::Failure;
use crate::files;

/// The largest file with a certificate or a key, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The fingerprint of the certificate that a version replaces.
const REPLACES: &str = "replaces";

const CURRENT: &str = "current";
const NEXT: &str = "next";
const PREVIOUS: &str = "previous";
const MOVING: &str = "moving";

/// The files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// FILE, an absolute path.
    certificate: PathBuf,
    /// [`None`]: FILE has the key too.
    key: Option<PathBuf>,
    /// FILE.d
    directory: PathBuf,
}

/// The right to change the files. It lasts as long as this value.
pub struct Lock(File);

/// Closing the file is not enough: a child process that starts at this instant has a copy of it.
impl Drop for Lock {
    fn drop(&mut self) {
        // If this fails, the lock ends with the process.
        let _ = self.0.unlock();
    }
}

/// A version that is not in effect yet.
pub enum Next {
    /// There is none.
    Absent,
    /// The key of a request that may have been sent.
    Requested(PrivateKey),
    /// A verified certificate and its key.
    Issued(Pair),
}

/// A version that is in effect, and that its command has not accepted.
#[derive(Debug, Clone, Copy)]
pub struct Unconfirmed {
    previous: u64,
}

impl Layout {
    /// Finds the files of the certificate `file`. `key` is the file of its key, if the user named
    /// it.
    pub fn find(file: &Path, key: Option<&Path>) -> Result<Self, Failure> {
        let certificate = absolute(file)?;
        let directory = files::with_ending(&certificate, "d");
        let named = match key {
            Some(key) => Some(absolute(key)?),
            None => Settings::read(&directory)?
                .and_then(|settings| settings.key)
                .map(|key| certificate.with_file_name(key)),
        };
        let mut found = Self {
            key: None,
            certificate,
            directory,
        };
        let text = found.text(&found.certificate)?;
        found.key = match named {
            Some(key) => Some(key),
            None if certgate_pki::holds_private_key(&text) => None,
            None => Some(key_beside(&found.certificate)),
        };
        found.key = found.key.filter(|key| *key != found.certificate);
        Ok(found)
    }

    /// FILE, an absolute path.
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// FILE.d
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns true if the key is in a file that exists.
    pub fn has_key(&self) -> bool {
        self.key.as_ref().is_none_or(|key| key.exists())
    }

    /// Reads certificate and key as they are now, and compares them.
    pub fn read(&self) -> Result<Pair, Failure> {
        for (path, name) in self.files() {
            if is_link(path) && !self.is_ours(path, &name) {
                let shown = path.display();
                return Err(Failure::failed(format!(
                    "{shown} is a symbolic link that certgate did not make"
                ))
                .hint("name the file that it leads to"));
            }
        }
        let key = self.key.as_ref().unwrap_or(&self.certificate);
        let shown = match &self.key {
            Some(key) => format!("{} and {}", self.certificate.display(), key.display()),
            None => self.certificate.display().to_string(),
        };
        Pair::read(&self.text(&self.certificate)?, &self.text(key)?).map_err(|reason| {
            Failure::failed(format!("cannot use {shown}: {reason}"))
                .hint("nothing was changed; put a certificate and its key there")
        })
    }

    /// Takes the lock of the files. It makes FILE.d.
    pub fn lock(&self) -> Result<Lock, Failure> {
        let parent = self.certificate.parent().unwrap_or(Path::new("/"));
        let opened = Access::of(parent).and_then(|access| {
            let access = access.of_directory_inside();
            make_directory_as(&self.directory, access)?;
            open_lock(&self.directory.join("lock"), access.of_file_inside())
        });
        let file = opened.map_err(|error| self.cannot_change(&error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                let shown = self.certificate.display();
                Err(
                    Failure::failed(format!("another certgate works with {shown}"))
                        .hint("wait for its end, or stop it"),
                )
            }
            Err(TryLockError::Error(error)) => Err(self.cannot_change(&error)),
        }
    }

    /// Completes or undoes the steps that a killed process left. Returns a version whose command
    /// has not succeeded yet.
    pub fn recover(&self, _: &Lock) -> Result<Option<Unconfirmed>, Failure> {
        let recovered = || -> io::Result<Option<Unconfirmed>> {
            for (path, _) in self.files() {
                ignore_missing(std::fs::remove_file(partial_link(path)))?;
            }
            files::remove_partial(&self.directory)?;
            self.complete_move()?;
            let unconfirmed = match (self.pointer(PREVIOUS)?, self.pointer(NEXT)?) {
                (Some(previous), Some(next)) if self.is_in_effect(next)? => {
                    Some(Unconfirmed { previous })
                }
                (Some(_), _) => {
                    self.unpoint(PREVIOUS)?;
                    None
                }
                // The command succeeded, and the process was killed before the end of `confirm`.
                (None, Some(next)) if self.is_in_effect(next)? => {
                    self.unpoint(NEXT)?;
                    None
                }
                (None, _) => None,
            };
            self.prune()?;
            Ok(unconfirmed)
        };
        recovered().map_err(|error| self.cannot_change(&error))
    }

    /// Returns the version that waits to be put in effect, if it replaces the certificate with this
    /// fingerprint.
    pub fn next(&self, replaces: &[u8; 32]) -> Result<Next, Failure> {
        let read = || -> io::Result<Next> {
            let Some(next) = self.pointer(NEXT)? else {
                return Ok(Next::Absent);
            };
            let folder = self.version(next);
            files::remove_partial(&folder)?;
            let noted = std::fs::read_to_string(folder.join(REPLACES)).unwrap_or_default();
            if noted != Hex(replaces).to_string() {
                self.unpoint(NEXT)?;
                return Ok(Next::Absent);
            }
            let text = |path: PathBuf| match files::read_text(&path, FILE_BYTES_MAX) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                read => read.map(Some),
            };
            let certificate = text(folder.join(self.certificate_name()))?;
            let key = match &self.key {
                Some(_) => text(folder.join(self.key_name()))?,
                None => text(folder.join(REQUESTED_KEY))?,
            };
            let pair = certificate.and_then(|certificate| {
                let key = match &self.key {
                    Some(_) => key.as_ref()?,
                    None => &certificate,
                };
                Pair::read(&certificate, key).ok()
            });
            if let Some(pair) = pair {
                return Ok(Next::Issued(pair));
            }
            let key = key.and_then(|key| read_private_key_of_pair(&key).ok());
            Ok(key.map_or(Next::Absent, Next::Requested))
        };
        read().map_err(|error| self.cannot_change(&error))
    }

    /// Forgets the version that waits.
    pub fn discard_next(&self, _: &Lock) -> Result<(), Failure> {
        self.unpoint(NEXT)
            .map_err(|error| self.cannot_change(&error))
    }

    /// Makes a version with this key, PEM, which is durable before the request is sent.
    pub fn begin(&self, _: &Lock, replaces: &[u8; 32], key: &str) -> Result<(), Failure> {
        let begun = || -> io::Result<()> {
            let newest = self.versions()?.last().copied().unwrap_or(0);
            // The number before is for the content of files that are not links yet.
            let next = match self.key.is_some() && self.is_linked() {
                true => newest + 1,
                false => newest + 2,
            };
            let folder = self.make_version(next)?;
            let (name, like) = match &self.key {
                Some(path) => (self.key_name(), path),
                None => (REQUESTED_KEY.into(), &self.certificate),
            };
            let access = Access::of(like)?;
            write_as(&folder.join(name), &folder, key.as_bytes(), access)?;
            let noted = Hex(replaces).to_string();
            write_as(&folder.join(REPLACES), &folder, noted.as_bytes(), access)?;
            self.point(NEXT, next)
        };
        begun().map_err(|error| self.cannot_change(&error))
    }

    /// Adds the certificate, which the caller has verified, to the version that waits. Then it
    /// reads both from the disk and compares them.
    pub fn complete(&self, _: &Lock, certificates: &str, key: &str) -> Result<Pair, Failure> {
        let completed = || -> io::Result<Result<Pair, String>> {
            let next = self.pointer(NEXT)?.ok_or(ErrorKind::NotFound)?;
            let folder = self.version(next);
            let content = match &self.key {
                Some(_) => Zeroizing::new(certificates.to_owned()),
                None => Zeroizing::new(format!("{key}{certificates}")),
            };
            let path = folder.join(self.certificate_name());
            let access = Access::of(&self.certificate)?;
            write_as(&path, &folder, content.as_bytes(), access)?;
            let written = files::read_text(&path, FILE_BYTES_MAX)?;
            Ok(match &self.key {
                Some(_) => {
                    let key = files::read_text(&folder.join(self.key_name()), FILE_BYTES_MAX)?;
                    Pair::read(&written, &key)
                }
                None => {
                    ignore_missing(std::fs::remove_file(folder.join(REQUESTED_KEY)))?;
                    Pair::read(&written, &written)
                }
            })
        };
        completed()
            .map_err(|error| self.cannot_change(&error))?
            .map_err(|reason| {
                let shown = self.directory.display();
                Failure::failed(format!("the new files in {shown} are not usable: {reason}"))
            })
    }

    /// Puts the version that waits in effect, in one step. The previous one stays until
    /// [`Layout::confirm`] or [`Layout::roll_back`].
    pub fn put_in_effect(&self, _: &Lock) -> Result<Unconfirmed, Failure> {
        let put = || -> io::Result<Unconfirmed> {
            let next = self.pointer(NEXT)?.ok_or(ErrorKind::NotFound)?;
            let previous = match (&self.key, self.pointer(CURRENT)?) {
                (Some(_), Some(current)) if self.is_linked() => current,
                (Some(_), _) => self.move_into(next - 1)?,
                (None, _) => {
                    self.copy_into(next - 1)?;
                    next - 1
                }
            };
            self.point(PREVIOUS, previous)?;
            self.switch(next)?;
            Ok(Unconfirmed { previous })
        };
        put().map_err(|error| self.cannot_change(&error))
    }

    /// Ends a renewal: the command succeeded.
    pub fn confirm(&self, _: &Lock, _: Unconfirmed) -> Result<(), Failure> {
        self.unpoint(PREVIOUS)
            .and_then(|()| self.unpoint(NEXT))
            .and_then(|()| self.prune())
            .map_err(|error| self.cannot_change(&error))
    }

    /// Puts the previous version in effect again. The new one waits for the next attempt.
    pub fn roll_back(&self, _: &Lock, unconfirmed: Unconfirmed) -> Result<(), Failure> {
        self.switch(unconfirmed.previous)
            .and_then(|()| self.unpoint(PREVIOUS))
            .map_err(|error| self.cannot_change(&error))
    }

    /// The files that programs read, each with its name inside a version.
    fn files(&self) -> Vec<(&Path, PathBuf)> {
        let mut files = vec![(self.certificate.as_path(), self.certificate_name())];
        if let Some(key) = &self.key {
            // The key comes first: its link is made before that of the certificate.
            files.insert(0, (key, self.key_name()));
        }
        files
    }

    fn certificate_name(&self) -> PathBuf {
        self.certificate.file_name().unwrap_or_default().into()
    }

    /// The name of the key inside a version, which is not that of the certificate.
    fn key_name(&self) -> PathBuf {
        let name = |path: &PathBuf| PathBuf::from(path.file_name().unwrap_or_default());
        let key = self.key.as_ref().map(name).unwrap_or_default();
        match key == self.certificate_name() {
            true => files::with_ending(&key, "key"),
            false => key,
        }
    }

    fn version(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }

    fn make_version(&self, number: u64) -> io::Result<PathBuf> {
        let folder = self.version(number);
        make_directory_as(&folder, Access::of(&self.directory)?)?;
        Ok(folder)
    }

    /// The numbers of all versions, in order.
    fn versions(&self) -> io::Result<BTreeSet<u64>> {
        let mut numbers = BTreeSet::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        Ok(numbers)
    }

    /// Reads a link to a version.
    fn pointer(&self, name: &str) -> io::Result<Option<u64>> {
        match std::fs::read_link(self.directory.join(name)) {
            Ok(target) => Ok(target.to_str().and_then(|text| text.parse().ok())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn point(&self, name: &str, number: u64) -> io::Result<()> {
        write_link(&self.directory.join(name), Path::new(&number.to_string()))
    }

    fn unpoint(&self, name: &str) -> io::Result<()> {
        ignore_missing(std::fs::remove_file(self.directory.join(name)))?;
        sync(&self.directory)
    }

    /// The target of the link at `path`.
    fn target(&self, path: &Path, name: &Path) -> PathBuf {
        let directory = match path.parent() == self.directory.parent() {
            true => Path::new(self.directory.file_name().unwrap_or_default()),
            false => &self.directory,
        };
        directory.join(CURRENT).join(name)
    }

    fn is_ours(&self, path: &Path, name: &Path) -> bool {
        std::fs::read_link(path).is_ok_and(|target| target == self.target(path, name))
    }

    /// Returns true if all files that programs read are links of ours.
    fn is_linked(&self) -> bool {
        let files = self.files();
        files.iter().all(|(path, name)| self.is_ours(path, name))
    }

    /// Copies the files that programs read into a version.
    fn copy_into(&self, number: u64) -> io::Result<()> {
        let folder = self.make_version(number)?;
        for (path, name) in self.files() {
            let content = files::read_text(path, FILE_BYTES_MAX)?;
            let access = Access::of(path)?;
            write_as(&folder.join(name), &folder, content.as_bytes(), access)?;
        }
        Ok(())
    }

    /// Moves plain files into a version, and replaces them with links. At each instant, both names
    /// lead to the same content as before.
    fn move_into(&self, number: u64) -> io::Result<u64> {
        self.copy_into(number)?;
        self.point(MOVING, number)?;
        self.point(CURRENT, number)?;
        self.complete_move()?;
        match self.is_linked() {
            true => Ok(number),
            false => Err(io::Error::other(
                "another program changed them at this instant",
            )),
        }
    }

    fn complete_move(&self) -> io::Result<()> {
        let Some(number) = self.pointer(MOVING)? else {
            return Ok(());
        };
        if self.pointer(CURRENT)? == Some(number) {
            for (path, name) in self.files() {
                let moved = files::read_text(&self.version(number).join(&name), FILE_BYTES_MAX)?;
                // A file that another program has replaced meanwhile stays.
                if !self.is_ours(path, &name)
                    && !is_link(path)
                    && files::read_text(path, FILE_BYTES_MAX).is_ok_and(|text| text == moved)
                {
                    write_link(path, &self.target(path, &name))?;
                }
            }
        }
        self.unpoint(MOVING)
    }

    fn switch(&self, number: u64) -> io::Result<()> {
        match &self.key {
            Some(_) => self.point(CURRENT, number),
            None => {
                let from = self.version(number).join(self.certificate_name());
                let content = files::read_text(&from, FILE_BYTES_MAX)?;
                let access = Access::of(&self.certificate)?;
                // A leftover of this temporary file has a key: it is in FILE.d, not beside FILE.
                let directory = &self.directory;
                write_as(&self.certificate, directory, content.as_bytes(), access)
            }
        }
    }

    fn is_in_effect(&self, number: u64) -> io::Result<bool> {
        match &self.key {
            Some(_) => Ok(self.is_linked() && self.pointer(CURRENT)? == Some(number)),
            None => {
                let from = self.version(number).join(self.certificate_name());
                let text = |path: &Path| files::read_text(path, FILE_BYTES_MAX);
                Ok(text(&self.certificate)
                    .is_ok_and(|now| text(&from).is_ok_and(|version| now == version)))
            }
        }
    }

    /// Removes the versions that nothing leads to, except the one before the current one: programs
    /// that have just looked it up may still read it.
    fn prune(&self) -> io::Result<()> {
        let mut kept = BTreeSet::new();
        for name in [CURRENT, NEXT, PREVIOUS, MOVING] {
            kept.extend(self.pointer(name)?);
        }
        let versions = self.versions()?;
        let newest = match (self.pointer(CURRENT)?, &self.key) {
            (Some(current), _) => Some(current),
            (None, Some(_)) => None,
            (None, None) => versions.last().map(|last| last + 1),
        };
        kept.extend(newest.and_then(|newest| versions.range(..newest).next_back()));
        for number in versions.difference(&kept) {
            std::fs::remove_dir_all(self.version(*number))?;
        }
        Ok(())
    }

    fn text(&self, path: &Path) -> Result<Zeroizing<String>, Failure> {
        files::read_text(path, FILE_BYTES_MAX).map_err(|error| {
            let shown = path.display();
            let failure = Failure::usage(match error.kind() {
                ErrorKind::InvalidData => format!("{shown} is not PEM"),
                _ => format!("cannot read {shown}: {error}"),
            });
            match error.kind() {
                ErrorKind::NotFound if Some(path) == self.key.as_deref() => {
                    failure.hint("name the file of the key with --key")
                }
                ErrorKind::InvalidData => failure.hint(
                    "convert it: openssl x509 -inform DER -in FILE -out NEW, or openssl pkcs12",
                ),
                _ => failure,
            }
        })
    }

    fn cannot_change(&self, error: &io::Error) -> Failure {
        let shown = self.certificate.display();
        let failure = Failure::io(format!("cannot change the files of {shown}"), error);
        match error.kind() {
            ErrorKind::PermissionDenied => failure.hint(
                "run the command as the owner of the files, or as root: new files have the mode \
                 and the owners of the old ones",
            ),
            _ => failure.hint("the certificate and the key in effect have not changed"),
        }
    }
}

/// The key of a combined file, until its certificate comes.
const REQUESTED_KEY: &str = "requested.key";

/// The file of the key of a certificate: with the ending .key.
fn key_beside(certificate: &Path) -> PathBuf {
    let ending = certificate.extension().and_then(|ending| ending.to_str());
    match ending {
        Some("crt" | "pem" | "cer" | "cert") => certificate.with_extension("key"),
        _ => files::with_ending(certificate, "key"),
    }
}

/// Returns the path with the real path of its directory. A link at its end stays.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display();
    let name = path
        .file_name()
        .ok_or_else(|| Failure::usage(format!("{shown} is not the name of a file")))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent = parent
        .canonicalize()
        .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
    Ok(parent.join(name))
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.file_type().is_symlink())
}

fn ignore_missing(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
