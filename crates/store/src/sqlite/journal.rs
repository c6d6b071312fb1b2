//! The journal of revocations: a file beside the database that only grows, one line for each
//! change, so that a restore of the database does not undo the revocations after the backup.
//!
//! [`super::journal_text`] has the form of its lines.
//!
//! A line is written after its transaction was committed and before a caller is answered. If the
//! process ends in between, the database has the change, and the next start writes the line.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{AccountId, AuthorityId, Hex, Installation, Timestamp};

use super::db::SqliteDb;
use super::journal_text::{
    Body, Head, JournaledChange, JournaledConfiguration, Line, Lines, Numbers, Skipped,
};
use super::open;
use crate::StoreError;
use crate::db::{Db, Row, now, values};
use crate::verbs::account_epochs::select_number;
use crate::verbs::revocations;

/// The octets at the end of the file that are read when it is opened: more than one transaction
/// writes.
const TAIL_BYTES: u64 = 1 << 18;

/// The most changes of a CA that one write has, so that all of a torn write is within
/// [`TAIL_BYTES`].
const WRITTEN_TOGETHER: u32 = 500;

/// The most ranges of missing epochs that the check names.
const EPOCHS_NAMED_MAX: usize = 20;

/// The number of epochs that are skipped, because the number of those after the last known one is
/// unknown: more than there can have been.
const GAP_EPOCHS: u64 = 1 << 32;

/// The content of a journal after a backup.
pub(super) struct JournalContent {
    /// The last change of each certificate, in the order of those changes.
    pub(super) changes: Vec<JournaledChange>,
    /// The epochs that restores after the backup skipped.
    pub(super) skipped: Vec<Skipped>,
    /// The numbers of the changes.
    pub(super) numbers: Numbers,
    /// The epoch of the last one; that of the backup if there is none.
    pub(super) to_epoch: u64,
    /// True if those are all changes.
    pub(super) is_all: bool,
    /// The epochs after the backup whose lines are corrupt.
    pub(super) missing: Vec<RangeInclusive<u64>>,
    /// True if the first line is corrupt, so that the journal cannot be continued.
    pub(super) has_corrupt_head: bool,
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

/// The open file.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The offset of the first change.
    begins: u64,
    /// The epoch after which the journal begins; `None` if its first line is corrupt.
    after: Option<u64>,
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
        let mut lines = Lines::new(&mut file, 0);
        let first = lines.next().map_err(|error| unavailable(path, &error))?;
        let begins = lines.offset;
        let after = match Head::read(&first.unwrap_or_default(), installation) {
            Head::After(after) => Some(after),
            Head::Corrupt => None,
            Head::Other => {
                return Err(StoreError::Corrupt(format!(
                    "{} is not the journal of revocations of this installation: if it is here by \
                     mistake, move it away (revocations after the last backup are then lost)",
                    path.display()
                )));
            }
        };
        let mut journal = Self {
            path: path.to_owned(),
            file,
            begins,
            after,
            length: begins,
            epoch: after.unwrap_or(0),
            failed: false,
        };
        journal.find_end(known)?;
        Ok(Some(journal))
    }

    /// Finds the last intact line. A torn line and those after it were being written when the power
    /// failed: the database has their changes, and they are written again. If it has not, because
    /// it comes from a backup, the intact lines after a corrupt one stay.
    fn find_end(&mut self, known: u64) -> Result<(), StoreError> {
        let io_failed = |error: io::Error| unavailable(&self.path, &error);
        let size = self.file.metadata().map_err(io_failed)?.len();
        let mut from = size.saturating_sub(TAIL_BYTES).max(self.begins);
        if from > self.begins {
            let mut lines = lines_from(&mut self.file, from).map_err(io_failed)?;
            lines.next().map_err(io_failed)?;
            from = lines.offset;
        }
        let found = find_end_from(&mut self.file, from, known).map_err(io_failed)?;
        let found = match found {
            // The whole end is corrupt.
            None if from > self.begins => {
                find_end_from(&mut self.file, self.begins, known).map_err(io_failed)?
            }
            found => found,
        };
        (self.epoch, self.length) = found.unwrap_or((self.epoch, self.begins));
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
            let line = Head::write(installation, epoch);
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
            after: Some(epoch),
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
        let mut content = JournalContent {
            changes: Vec::new(),
            skipped: Vec::new(),
            numbers: Numbers::default(),
            to_epoch: known,
            is_all: false,
            missing: Vec::new(),
            has_corrupt_head: false,
        };
        let Some(mut journal) = Self::open(path, installation, known)? else {
            return Ok((None, content));
        };
        let mut has_known = journal.after.is_some_and(|after| after <= known);
        has_known &= known <= journal.epoch;
        if journal.epoch > known {
            let body = journal.body(known)?;
            (content.changes, content.skipped) = (body.changes, body.skipped);
            (content.numbers, content.missing) = (body.numbers, body.missing);
        }
        content.has_corrupt_head = journal.after.is_none();
        content.is_all =
            has_known && content.missing.is_empty() && content.skipped.iter().all(|one| one.is_all);
        content.to_epoch = journal.epoch.max(known);
        Ok((Some(journal), content))
    }

    /// Reads every line, and keeps what came after the epoch `known`.
    fn body(&mut self, known: u64) -> Result<Body, StoreError> {
        let io_failed = |error: io::Error| unavailable(&self.path, &error);
        self.file
            .seek(SeekFrom::Start(self.begins))
            .map_err(io_failed)?;
        let after = self.after.unwrap_or(0);
        Body::read(&mut self.file, after, known).map_err(io_failed)
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

fn lines_from(file: &mut File, offset: u64) -> io::Result<Lines<&mut File>> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(Lines::new(file, offset))
}

/// Returns the epoch and the end of the last intact line after an offset. What follows a corrupt
/// line counts only if the database, whose last epoch is `known`, lacks it.
fn find_end_from(file: &mut File, from: u64, known: u64) -> io::Result<Option<(u64, u64)>> {
    let mut lines = lines_from(file, from)?;
    let (mut end, mut is_torn) = (None, false);
    while let Some(octets) = lines.next()? {
        match Line::read(&octets) {
            Some(line) if !is_torn || line.epoch() > known => {
                end = Some((line.epoch(), lines.offset));
            }
            Some(_) => {}
            None => is_torn = true,
        }
    }
    Ok(end)
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
    lines.extend(configurations_after(db, epoch, &lines).await?);
    lines.sort_unstable_by_key(Line::epoch);
    // Each CA has at most this many changes in the list, so that those after it may be incomplete.
    lines.truncate(WRITTEN_TOGETHER as usize);
    Ok(lines)
}

/// Returns the accounts whose last change of hostnames or CAs came after `epoch`. The change that a
/// restore made has the line of the skipped epochs.
async fn configurations_after<D: Db>(
    db: &D,
    epoch: u64,
    skipped: &[Line],
) -> Result<Vec<Line>, StoreError> {
    let select = concat!(
        "SELECT configuration_epoch, id, ",
        select_number!("accounts.id", "accounts.configuration_epoch"),
        " FROM accounts WHERE configuration_epoch > ?1 ORDER BY configuration_epoch LIMIT ?2"
    );
    let read = |row: &dyn Row| {
        Ok(JournaledConfiguration {
            epoch: row.get(0)?,
            account: row.get(1)?,
            number: row.get(2)?,
        })
    };
    let values = values![epoch, WRITTEN_TOGETHER];
    let found = db.rows(select, &values, read).await?;
    let is_of_restore = |epoch| skipped.iter().any(|line| line.epoch() == epoch);
    let made = found.into_iter().filter(|one| !is_of_restore(one.epoch));
    Ok(made.map(Line::Configuration).collect())
}

/// Returns the first certificates whose last change came after `epoch`.
async fn changes_after<D: Db>(db: &D, epoch: u64) -> Result<Vec<JournaledChange>, StoreError> {
    let authorities = "SELECT number, id, account FROM authorities WHERE last_epoch > ?1";
    let authorities: Vec<(i64, AuthorityId, AccountId)> = db
        .rows(authorities, &values![epoch], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .await?;
    let changed = concat!(
        "SELECT statuses.epoch, statuses.revoked_on, statuses.reason, certificates.id, \
         certificates.serial, certificates.fingerprint_sha256, certificates.expires_on, ",
        select_number!("?4", "statuses.epoch"),
        " FROM statuses INDEXED BY statuses_by_epoch \
         JOIN certificates ON certificates.position = statuses.position \
         WHERE statuses.authority = ?1 AND statuses.epoch IS NOT NULL \
         AND statuses.epoch > ?2 ORDER BY statuses.epoch LIMIT ?3"
    );
    let lost = concat!(
        "SELECT epoch, revoked_on, reason, id, serial, fingerprint_sha256, expires_on, ",
        select_number!("?4", "lost_certificates.epoch"),
        " FROM lost_certificates INDEXED BY lost_certificates_by_epoch \
         WHERE lost_certificates.authority = ?1 AND lost_certificates.epoch > ?2 \
         ORDER BY lost_certificates.epoch LIMIT ?3"
    );
    let mut changes = Vec::new();
    for (number, authority, account) in authorities {
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
                    number: row.get(7)?,
                })
            };
            let values = values![number, epoch, WRITTEN_TOGETHER, account];
            changes.extend(db.rows(select, &values, read).await?);
        }
    }
    Ok(changes)
}

/// Reads a whole journal, which a server may be writing, and returns what is wrong with it.
pub(super) fn check(path: &Path, installation: &str) -> Result<Vec<String>, StoreError> {
    let shown = path.display();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unavailable(path, &error)),
    };
    let io_failed = |error: io::Error| unavailable(path, &error);
    let mut lines = Vec::new();
    let mut first = Lines::new(&file, 0);
    let head = first.next().map_err(io_failed)?.unwrap_or_default();
    let after = match Head::read(&head, installation) {
        Head::After(after) => after,
        Head::Corrupt => {
            lines.push(format!("the journal {shown}: its first line is corrupt"));
            0
        }
        Head::Other => {
            lines.push(format!(
                "the journal {shown} belongs to another installation"
            ));
            return Ok(lines);
        }
    };
    let mut rest = &file;
    rest.seek(SeekFrom::Start(first.offset))
        .map_err(io_failed)?;
    let body = Body::read(rest, after, 0).map_err(io_failed)?;
    // A torn line is being written, or the next start completes it.
    let corrupt = body.corrupt_lines - u64::from(body.is_torn);
    if corrupt > 0 {
        lines.push(format!("the journal {shown}: {corrupt} lines are corrupt"));
    }
    let missing = body.missing.iter().take(EPOCHS_NAMED_MAX);
    lines.extend(missing.map(|epochs| match (epochs.start(), epochs.end()) {
        (first, last) if first == last => {
            format!("the journal {shown}: the epoch {first} is missing")
        }
        (first, last) => format!("the journal {shown}: the epochs {first} to {last} are missing"),
    }));
    Ok(lines)
}

/// Returns the name of an installation in its journal: a digest of a value that no other
/// installation has.
pub(super) fn installation_name(installation: &Installation) -> String {
    Hex(&digest(&SHA256, &installation.master_key_check).as_ref()[..16]).to_string()
}

fn unavailable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "the journal of revocations {}: {error}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use certgate_model::{CertificateId, RevocationReason, SerialNumber};

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
            number: Some(epoch),
        }
    }

    fn written(directory: &Path, lines: &str) -> PathBuf {
        let path = directory.join("a.revocations");
        std::fs::write(&path, format!("{}{lines}", Head::write("me", 5))).unwrap();
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
            journal.body(5).unwrap().changes,
            [change(9, false)],
            "the last change of the only certificate"
        );
        assert_eq!(journal.body(9).unwrap().changes, []);
    }

    #[test]
    fn skipped_epochs_are_read_back() {
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
        assert_eq!(journal.body(10).unwrap().changes, [change(5_999, false)]);
    }

    #[test]
    fn a_torn_last_line_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let (intact, last) = (change(6, true).to_line(), change(7, true).to_line());
        for end in [1, 20, last.len() - 1] {
            let path = written(directory.path(), &format!("{intact}{}", &last[..end]));
            let mut journal = open(&path, 6);
            assert_eq!(journal.body(0).unwrap().changes, [change(6, true)]);
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
        // The database, restored from a backup, does not have the torn line.
        let (journal, content) = Journal::read(&path, "me", 7).unwrap();
        assert_eq!((journal.unwrap().epoch(), content.is_all), (9, true));
        let (_, content) = Journal::read(&path, "me", 6).unwrap();
        assert_eq!((content.missing, content.is_all), (vec![7..=7], false));
    }

    #[test]
    fn intact_lines_are_kept_and_journals_of_others_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (first, last) = (change(6, true).to_line(), change(7, true).to_line());
        let corrupt = first.replace("keyCompromise", "superseded");
        let path = written(directory.path(), &format!("{corrupt}{last}"));
        let (_, content) = Journal::read(&path, "me", 5).unwrap();
        assert_eq!(content.changes, [change(7, true)]);
        assert_eq!((content.missing, content.is_all), (vec![6..=6], false));
        assert_eq!(check(&path, "me").unwrap().len(), 2);
        // Epochs grow.
        let path = written(directory.path(), &format!("{last}{first}{last}"));
        let body = open(&path, 7).body(0).unwrap();
        assert_eq!((body.corrupt_lines, body.changes.len()), (2, 1));
        assert!(refused(Journal::open(&path, "you", 0)).contains("not the journal"));
        std::fs::write(&path, "\n").unwrap();
        assert!(refused(Journal::open(&path, "me", 0)).contains("not the journal"));
        assert!(
            Journal::open(&directory.path().join("none"), "me", 0)
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_corrupt_first_line_leaves_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), &change(6, true).to_line());
        let whole = std::fs::read(&path).unwrap();
        for octet in 0..Head::write("me", 5).len() - 1 {
            let mut flipped = whole.clone();
            flipped[octet] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let (_, content) = Journal::read(&path, "me", 5).unwrap();
            assert_eq!(content.changes, [change(6, true)], "octet {octet}");
            assert!(content.has_corrupt_head && !content.is_all, "octet {octet}");
            assert_ne!(check(&path, "me").unwrap(), Vec::<String>::new());
        }
    }
}
