//! The journal of revocations: a file beside the database that only grows, one line for each
//! change, so that a restore of the database does not undo the revocations after the backup.
//!
//! The first line names the installation. Every other line has these fields, with a tab between
//! them: the epoch; `revoked` or `restored`; the reason; the time in microseconds since the Unix
//! epoch; the CA; the certificate; its serial number; the SHA-256 of its DER form; its expiry in
//! microseconds; and the first 8 hex digits of the SHA-256 of all that, which reveal a line that
//! was not written to its end. `-` stands for the fields that a restored certificate does not have.
//!
//! A restore adds a line with the epochs that are skipped: the last of them; `skipped`; `told` or,
//! if not every change after the backup is known, `unknown`; and the epoch after which they begin.
//!
//! A line is written after its transaction was committed and before a caller is answered. If the
//! process ends in between, the database has the change, and the next start writes the line.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{
    AuthorityId, CertificateId, Hex, Installation, RevocationReason, SerialNumber, Timestamp,
    read_hex,
};

use super::db::SqliteDb;
use super::open;
use crate::StoreError;
use crate::db::{Db, Row, now, values};
use crate::verbs::revocations;

const FIRST_LINE: &str = "certgate revocations 1";

/// The longest line, in octets. Lines have about 250.
const LINE_BYTES_MAX: u64 = 512;

/// The octets at the end of the file that are read when it is opened: more than one transaction
/// writes.
const TAIL_BYTES: u64 = 1 << 18;

/// The most changes of a CA that one write has, so that all of a torn write is within
/// [`TAIL_BYTES`].
const WRITTEN_TOGETHER: u32 = 500;

/// The greatest epoch: JSON carries integers exactly up to this one (RFC 8259 §6).
const EPOCH_MAX: u64 = (1 << 53) - 1;

/// The last change of a certificate in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournaledChange {
    pub(super) epoch: u64,
    /// The time and the reason of the revocation; `None`: the certificate was restored.
    pub(super) revoked: Option<(Timestamp, RevocationReason)>,
    pub(super) authority: AuthorityId,
    pub(super) certificate: CertificateId,
    pub(super) serial: SerialNumber,
    pub(super) fingerprint_sha256: [u8; 32],
    pub(super) expires_on: Timestamp,
}

/// Epochs that no change gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skipped {
    /// The epoch before the first of them.
    pub(super) after: u64,
    /// The last of them.
    pub(super) until: u64,
    /// True if every change after the backup was known at the restore.
    pub(super) is_all: bool,
}

/// The number of epochs that are skipped, because the number of those after the last known one is
/// unknown: more than there can have been.
const GAP_EPOCHS: u64 = 1 << 32;

/// The content of a journal after a backup.
pub(super) struct JournalContent {
    /// The last change of each certificate, in the order of those changes.
    pub(super) changes: Vec<JournaledChange>,
    /// The epochs that restores after the backup skipped.
    pub(super) skipped: Vec<Skipped>,
    /// The epoch of the last one; that of the backup if there is none.
    pub(super) to_epoch: u64,
    /// True if those are all changes.
    pub(super) is_all: bool,
}

impl JournalContent {
    /// Returns the epochs to skip now. A journal cannot prove that its end is the end, so a client
    /// that knows a later epoch must be informed. If the journal does not have every change, so
    /// must every client that knows a later epoch than the backup's.
    pub(super) fn to_skip(&self, from_epoch: u64) -> Skipped {
        Skipped {
            after: match self.is_all {
                true => self.to_epoch,
                false => from_epoch,
            },
            until: self.to_epoch + GAP_EPOCHS,
            is_all: self.is_all,
        }
    }
}

/// A line after the first.
enum Line {
    Change(JournaledChange),
    Skipped(Skipped),
}

/// The open file.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The offset of the first change.
    begins: u64,
    /// The epoch after which the journal begins.
    after: u64,
    /// The length of the file up to the end of the last intact line.
    length: u64,
    /// The epoch of that line.
    epoch: u64,
    failed: bool,
}

impl Journal {
    /// Opens the journal of an installation, and reads its beginning and its end; `None` if the
    /// file does not exist. `known` is the last epoch of the database.
    pub(super) fn open(
        path: &Path,
        installation: &str,
        known: u64,
    ) -> Result<Option<Self>, StoreError> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(path, &error)),
        };
        // The power failed after the file was created and before it had a line.
        if file
            .metadata()
            .map_err(|error| unavailable(path, &error))?
            .len()
            == 0
        {
            std::fs::remove_file(path).map_err(|error| unavailable(path, &error))?;
            return Ok(None);
        }
        let mut lines = Lines::new(&mut file, 0).map_err(|error| unavailable(path, &error))?;
        let first = lines.next().map_err(|error| unavailable(path, &error))?;
        let begins = lines.offset;
        let after = first.as_deref().and_then(|line| {
            let rest = line.strip_prefix(&format!("{FIRST_LINE} {installation} after "))?;
            rest.strip_suffix('\n')?.parse().ok()
        });
        let Some(after) = after else {
            return Err(StoreError::Corrupt(format!(
                "{} is not the journal of revocations of this installation: if it is here by \
                 mistake, move it away (revocations after the last backup are then lost)",
                path.display()
            )));
        };
        let mut journal = Self {
            path: path.to_owned(),
            file,
            begins,
            after,
            length: begins,
            epoch: after,
            failed: false,
        };
        journal.find_end(known)?;
        Ok(Some(journal))
    }

    /// Finds the last intact line. A torn line and those after it were being written when the power
    /// failed. The database has their changes, and they are written again.
    fn find_end(&mut self, known: u64) -> Result<(), StoreError> {
        let io_failed = |error: io::Error| unavailable(&self.path, &error);
        let size = self.file.metadata().map_err(io_failed)?.len();
        let mut from = size.saturating_sub(TAIL_BYTES).max(self.begins);
        if from > self.begins {
            let mut lines = Lines::new(&mut self.file, from).map_err(io_failed)?;
            lines.next().map_err(io_failed)?;
            from = lines.offset;
        }
        let mut lines = Lines::new(&mut self.file, from).map_err(io_failed)?;
        let (mut epoch, mut length, mut is_torn) = (self.epoch, from, false);
        while lines.offset < size {
            let line = lines
                .next()
                .map_err(io_failed)?
                .as_deref()
                .and_then(Line::read);
            match line {
                Some(line) if is_torn && line.epoch() > known => return Err(self.corrupt(epoch)),
                Some(line) if !is_torn => (epoch, length) = (line.epoch(), lines.offset),
                Some(_) => {}
                None => is_torn = true,
            }
        }
        if length == from && from > self.begins {
            return Err(self.corrupt(epoch));
        }
        (self.epoch, self.length) = (epoch, length);
        Ok(())
    }

    /// Creates the journal of an installation, which begins after `epoch`.
    pub(super) fn create(path: &Path, installation: &str, epoch: u64) -> Result<Self, StoreError> {
        let make = || -> io::Result<(File, u64)> {
            // The file gets its name only after it has its first line.
            let mut new = path.as_os_str().to_owned();
            new.push(".new");
            let mut options = OpenOptions::new();
            let mut file =
                open::private(options.create(true).truncate(true).read(true).write(true))
                    .open(&new)?;
            let line = format!("{FIRST_LINE} {installation} after {epoch}\n");
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, path)?;
            open::sync_directory(path)?;
            Ok((file, line.len() as u64))
        };
        let (file, length) = make().map_err(|error| unavailable(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            begins: length,
            after: epoch,
            length,
            epoch,
            failed: false,
        })
    }

    /// Opens the journal of an installation, if there is one, and reads its changes after `known`,
    /// the last epoch of the database.
    pub(super) fn read(
        path: &Path,
        installation: &str,
        known: u64,
    ) -> Result<(Option<Self>, JournalContent), StoreError> {
        let Some(mut journal) = Self::open(path, installation, known)? else {
            return Ok((
                None,
                JournalContent {
                    changes: Vec::new(),
                    skipped: Vec::new(),
                    to_epoch: known,
                    is_all: false,
                },
            ));
        };
        let (changes, skipped) = if journal.epoch > known {
            journal.changes_after(known)?
        } else {
            (Vec::new(), Vec::new())
        };
        let is_all = (journal.after..=journal.epoch).contains(&known)
            && skipped.iter().all(|one| one.is_all);
        let to_epoch = journal.epoch.max(known);
        Ok((
            Some(journal),
            JournalContent {
                changes,
                skipped,
                to_epoch,
                is_all,
            },
        ))
    }

    /// Adds the line of skipped epochs.
    pub(super) fn skip(&mut self, skipped: Skipped) -> Result<(), StoreError> {
        self.append(&skipped.to_line(), skipped.until)
    }

    /// Returns the epoch up to which the journal has the changes.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Renames the file, so that a new journal can be created.
    pub(super) fn move_aside(self, at: Timestamp) -> Result<(), StoreError> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".replaced-{}", at.unix_microseconds()));
        std::fs::rename(&self.path, name).map_err(|error| unavailable(&self.path, &error))
    }

    /// Returns the last change of each certificate that was changed after `epoch`, in the order of
    /// those changes, and the epochs that were skipped. Reads the whole file.
    fn changes_after(
        &mut self,
        epoch: u64,
    ) -> Result<(Vec<JournaledChange>, Vec<Skipped>), StoreError> {
        let io_failed = |error: io::Error| unavailable(&self.path, &error);
        let mut lines = Lines::new(&mut self.file, self.begins).map_err(io_failed)?;
        let mut last = 0;
        let (mut changes, mut skipped) = (HashMap::new(), Vec::new());
        while lines.offset < self.length {
            let line = lines
                .next()
                .map_err(io_failed)?
                .as_deref()
                .and_then(Line::read);
            let Some(line) = line.filter(|line| line.epoch() > last) else {
                return Err(self.corrupt(last));
            };
            last = line.epoch();
            match line {
                Line::Change(change) if change.epoch > epoch => {
                    changes.insert(change.serial, change);
                }
                Line::Skipped(one) if one.until > epoch => skipped.push(one),
                Line::Change(_) | Line::Skipped(_) => {}
            }
        }
        let mut changes: Vec<_> = changes.into_values().collect();
        changes.sort_unstable_by_key(|change| change.epoch);
        Ok((changes, skipped))
    }

    fn corrupt(&self, epoch: u64) -> StoreError {
        StoreError::Corrupt(format!(
            "the journal of revocations {} is corrupt after epoch {epoch}: restore the file, or \
             move it away (revocations after the last backup are then lost)",
            self.path.display()
        ))
    }

    /// Writes the changes after the last line. If that fails, they are written with the next
    /// change: the caller is answered, because the database has them.
    pub(super) fn follow(&mut self, db: &SqliteDb) {
        match self.write_changes(db) {
            Ok(()) if self.failed => {
                self.failed = false;
                tracing::info!(
                    path = %self.path.display(),
                    "the journal of revocations is written again"
                );
            }
            Ok(()) => {}
            Err(error) => {
                if !self.failed {
                    tracing::error!(
                        %error, path = %self.path.display(),
                        "the journal of revocations cannot be written: a restore would undo \
                         revocations from now on"
                    );
                }
                self.failed = true;
            }
        }
    }

    fn write_changes(&mut self, db: &SqliteDb) -> Result<(), StoreError> {
        let last = now(revocations::last_epoch(db))?;
        if last <= self.epoch {
            return Ok(());
        }
        loop {
            let lines = now(lines_after(db, self.epoch))?;
            let Some(newest) = lines.last() else { break };
            let text: String = lines.iter().map(Line::write).collect();
            self.append(&text, newest.epoch())?;
        }
        self.epoch = last;
        Ok(())
    }

    fn append(&mut self, text: &str, epoch: u64) -> Result<(), StoreError> {
        let write = || -> io::Result<()> {
            // A write to a file that was moved or removed succeeds, and is lost.
            let (there, open) = (std::fs::metadata(&self.path)?, self.file.metadata()?);
            if !is_same_file(&there, &open) {
                return Err(io::Error::other(
                    "another file has its path: the journal was moved while the server runs",
                ));
            }
            let mut file = &self.file;
            file.set_len(self.length)?;
            file.seek(SeekFrom::Start(self.length))?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        write().map_err(|error| unavailable(&self.path, &error))?;
        self.length += text.len() as u64;
        self.epoch = epoch;
        Ok(())
    }
}

/// Reads lines and counts their octets.
struct Lines<'a> {
    reader: BufReader<&'a mut File>,
    offset: u64,
}

impl<'a> Lines<'a> {
    fn new(file: &'a mut File, offset: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            reader: BufReader::new(file),
            offset,
        })
    }

    /// Returns the next line if it is text. A line of more than [`LINE_BYTES_MAX`] is cut.
    fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.offset += self
            .reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)? as u64;
        Ok(String::from_utf8(line).ok())
    }
}

#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Returns the next lines after `epoch`, made from the database. An empty list means that the
/// journal has every change.
async fn lines_after<D: Db>(db: &D, epoch: u64) -> Result<Vec<Line>, StoreError> {
    let gaps = "SELECT after, until, is_all FROM epoch_gaps WHERE until > ?1 ORDER BY after";
    let mut lines = db
        .rows(gaps, &values![epoch], |row| {
            Ok(Line::Skipped(Skipped {
                after: row.get(0)?,
                until: row.get(1)?,
                is_all: row.get(2)?,
            }))
        })
        .await?;
    lines.extend(
        changes_after(db, epoch)
            .await?
            .into_iter()
            .map(Line::Change),
    );
    lines.sort_unstable_by_key(Line::epoch);
    // Each CA has at most this many changes in the list, so that those after it may be incomplete.
    lines.truncate(WRITTEN_TOGETHER as usize);
    Ok(lines)
}

/// Returns the first certificates whose last change came after `epoch`.
async fn changes_after<D: Db>(db: &D, epoch: u64) -> Result<Vec<JournaledChange>, StoreError> {
    let authorities = "SELECT number, id FROM authorities WHERE last_epoch > ?1";
    let authorities: Vec<(i64, AuthorityId)> = db
        .rows(authorities, &values![epoch], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    let changed = "SELECT statuses.epoch, statuses.revoked_on, statuses.reason, certificates.id, \
                   certificates.serial, certificates.fingerprint_sha256, certificates.expires_on \
                   FROM statuses INDEXED BY statuses_by_epoch \
                   JOIN certificates ON certificates.position = statuses.position \
                   WHERE statuses.authority = ?1 AND statuses.epoch IS NOT NULL \
                   AND statuses.epoch > ?2 ORDER BY statuses.epoch LIMIT ?3";
    let lost = "SELECT epoch, revoked_on, reason, id, serial, fingerprint_sha256, expires_on \
                FROM lost_certificates INDEXED BY lost_certificates_by_epoch \
                WHERE authority = ?1 AND epoch > ?2 ORDER BY epoch LIMIT ?3";
    let mut changes = Vec::new();
    for (number, authority) in authorities {
        for select in [changed, lost] {
            let read = |row: &dyn Row| {
                let (revoked_on, reason): (Option<_>, Option<_>) = (row.get(1)?, row.get(2)?);
                Ok(JournaledChange {
                    epoch: row.get(0)?,
                    revoked: revoked_on.zip(reason),
                    authority,
                    certificate: row.get(3)?,
                    serial: row.get(4)?,
                    fingerprint_sha256: row.get(5)?,
                    expires_on: row.get(6)?,
                })
            };
            let values = values![number, epoch, WRITTEN_TOGETHER];
            changes.extend(db.rows(select, &values, read).await?);
        }
    }
    Ok(changes)
}

impl Line {
    fn epoch(&self) -> u64 {
        match self {
            Self::Change(change) => change.epoch,
            Self::Skipped(skipped) => skipped.until,
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Change(change) => change.to_line(),
            Self::Skipped(skipped) => skipped.to_line(),
        }
    }

    fn read(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\n')?;
        let end = line.rfind('\t')? + 1;
        if line[end..] != check_digits(&line[..end]) {
            return None;
        }
        let fields: Vec<_> = line[..end - 1].split('\t').collect();
        let line = match fields[..] {
            [until, "skipped", told, after] => Self::Skipped(Skipped {
                after: after.parse().ok()?,
                until: until.parse().ok()?,
                is_all: match told {
                    "told" => true,
                    "unknown" => false,
                    _ => return None,
                },
            }),
            _ => Self::Change(JournaledChange::from_fields(&fields)?),
        };
        Some(line).filter(|line| line.epoch() <= EPOCH_MAX)
    }
}

impl Skipped {
    fn to_line(self) -> String {
        let told = if self.is_all { "told" } else { "unknown" };
        let text = format!("{}\tskipped\t{told}\t{}\t", self.until, self.after);
        format!("{text}{}\n", check_digits(&text))
    }
}

impl JournaledChange {
    fn to_line(&self) -> String {
        let Self {
            epoch,
            authority,
            certificate,
            serial,
            ..
        } = self;
        let what = match self.revoked {
            Some((at, reason)) => format!("revoked\t{}\t{}", reason.name(), at.unix_microseconds()),
            None => "restored\t-\t-".to_owned(),
        };
        let fingerprint = Hex(&self.fingerprint_sha256);
        let expires_on = self.expires_on.unix_microseconds();
        let text = format!(
            "{epoch}\t{what}\t{authority}\t{certificate}\t{serial}\t{fingerprint}\t{expires_on}\t"
        );
        format!("{text}{}\n", check_digits(&text))
    }

    fn from_fields(fields: &[&str]) -> Option<Self> {
        let [
            epoch,
            what,
            reason,
            at,
            authority,
            certificate,
            serial,
            fingerprint,
            expires_on,
        ] = fields[..]
        else {
            return None;
        };
        let revoked = match what {
            "revoked" => Some((timestamp(at)?, RevocationReason::from_name(reason)?)),
            "restored" => None,
            _ => return None,
        };
        Some(Self {
            epoch: epoch.parse().ok()?,
            revoked,
            authority: authority.parse().ok()?,
            certificate: certificate.parse().ok()?,
            serial: SerialNumber::from_bytes(read_hex(serial)?),
            fingerprint_sha256: read_hex(fingerprint)?,
            expires_on: timestamp(expires_on)?,
        })
    }
}

/// Returns the name of an installation in its journal: a digest of a value that no other
/// installation has.
pub(super) fn installation_name(installation: &Installation) -> String {
    Hex(&digest(&SHA256, &installation.master_key_check).as_ref()[..16]).to_string()
}

fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_unix_microseconds)
}

fn check_digits(text: &str) -> String {
    Hex(&digest(&SHA256, text.as_bytes()).as_ref()[..4]).to_string()
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "the journal of revocations {}: {error}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(epoch: u64, revoked: bool) -> JournaledChange {
        JournaledChange {
            epoch,
            revoked: revoked.then(|| {
                (
                    Timestamp::from_unix(1_790_000_000),
                    RevocationReason::KeyCompromise,
                )
            }),
            authority: AuthorityId::from_bytes([1; 16]),
            certificate: CertificateId::from_bytes([2; 16]),
            serial: SerialNumber::from_bytes([0x43; 20]),
            fingerprint_sha256: [4; 32],
            expires_on: Timestamp::from_unix(1_800_000_000),
        }
    }

    fn written(directory: &Path, lines: &str) -> PathBuf {
        let path = directory.join("a.revocations");
        std::fs::write(&path, format!("{FIRST_LINE} me after 5\n{lines}")).unwrap();
        path
    }

    fn open(path: &Path, known: u64) -> Journal {
        Journal::open(path, "me", known).unwrap().unwrap()
    }

    fn refused<T>(outcome: Result<T, StoreError>) -> String {
        match outcome {
            Err(StoreError::Corrupt(text)) => text,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the journal was accepted"),
        }
    }

    #[test]
    fn lines_are_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let changes = [change(6, true), change(9, false)];
        let lines: String = changes.iter().map(JournaledChange::to_line).collect();
        let mut journal = open(&written(directory.path(), &lines), 6);
        assert_eq!(journal.epoch(), 9);
        assert_eq!(
            journal.changes_after(5).unwrap().0,
            [change(9, false)],
            "the last change of the only certificate"
        );
        assert_eq!(journal.changes_after(9).unwrap().0, []);
        assert!(
            lines
                .lines()
                .all(|line| (line.len() as u64) < LINE_BYTES_MAX)
        );
    }

    #[test]
    fn skipped_epochs_are_read_back_with_is_all() {
        let directory = tempfile::tempdir().unwrap();
        let skipped = |after, until, is_all| Skipped {
            after,
            until,
            is_all,
        };
        for (is_all, known, expected) in [(true, 5, true), (false, 5, false), (false, 30, true)] {
            let lines = format!(
                "{}{}",
                change(6, true).to_line(),
                skipped(6, 20, is_all).to_line()
            );
            let path = written(
                directory.path(),
                &format!("{lines}{}", change(31, true).to_line()),
            );
            let (journal, content) = Journal::read(&path, "me", known).unwrap();
            assert_eq!((content.is_all, content.to_epoch), (expected, 31));
            assert_eq!(content.skipped.len(), usize::from(known < 20));
            assert_eq!(journal.unwrap().epoch(), 31);
        }
    }

    #[test]
    fn a_moved_file_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), "");
        let mut journal = open(&path, 5);
        std::fs::rename(&path, directory.path().join("moved")).unwrap();
        assert!(journal.append("line", 6).is_err());
        written(directory.path(), "");
        assert!(
            journal
                .append("line", 6)
                .unwrap_err()
                .to_string()
                .contains("another file")
        );
    }

    #[test]
    fn opening_a_long_file_reads_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let lines: String = (6..6_000)
            .map(|epoch| change(epoch, epoch % 2 == 0).to_line())
            .collect();
        assert!(lines.len() as u64 > 2 * TAIL_BYTES);
        let path = written(directory.path(), &lines);
        let mut journal = open(&path, 10);
        assert_eq!(
            (journal.epoch(), journal.length),
            (5_999, std::fs::metadata(&path).unwrap().len())
        );
        assert_eq!(journal.changes_after(10).unwrap().0, [change(5_999, false)]);
    }

    #[test]
    fn a_torn_last_line_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let (intact, last) = (change(6, true).to_line(), change(7, true).to_line());
        for end in [1, 20, last.len() - 1] {
            let path = written(directory.path(), &format!("{intact}{}", &last[..end]));
            let mut journal = open(&path, 6);
            assert_eq!(journal.changes_after(0).unwrap().0, [change(6, true)]);
            assert_eq!(
                (journal.epoch(), journal.length),
                (6, std::fs::metadata(&path).unwrap().len() - end as u64)
            );
        }
        // The disk can have the end of a long write and not its beginning. The database has all of
        // it.
        let later: String = [change(8, true), change(9, true)]
            .iter()
            .map(JournaledChange::to_line)
            .collect();
        let path = written(
            directory.path(),
            &format!("{intact}{}{later}", "\0".repeat(300)),
        );
        assert_eq!(open(&path, 9).epoch(), 6);
        assert!(
            refused(Journal::open(&path, "me", 7)).contains("corrupt after epoch 6"),
            "the database, restored from a backup, does not have the torn line"
        );
    }

    #[test]
    fn corrupt_journals_and_those_of_others_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (first, last) = (change(6, true).to_line(), change(7, true).to_line());
        let corrupt = first.replace("keyCompromise", "superseded");
        let path = written(directory.path(), &format!("{corrupt}{last}"));
        assert!(refused(Journal::open(&path, "me", 0)).contains("corrupt after epoch 5"));
        let path = written(directory.path(), &format!("{last}{first}{last}"));
        assert!(
            refused(open(&path, 7).changes_after(0)).contains("corrupt after epoch 7"),
            "epochs grow"
        );
        assert!(refused(Journal::open(&path, "you", 0)).contains("not the journal"));
        std::fs::write(&path, "\n").unwrap();
        assert!(refused(Journal::open(&path, "me", 0)).contains("not the journal"));
        assert!(
            Journal::open(&directory.path().join("none"), "me", 0)
                .unwrap()
                .is_none()
        );
    }
}
