//! The view on disk: a point that starts without the server continues with it.
//!
//! `snapshot` has everything as of an epoch, `changes` the changes after it. Each record of
//! `changes` names its snapshot by a checksum, so that no record counts for another one, and a
//! record that a crash cut off ends the file.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::{AccountId, AuthorityId, Timestamp};
use certgate_pki::sha256;
use certgate_wire::EnforcementView;
use serde::{Deserialize, Serialize};

use crate::configuration::Configuration;
use crate::revoked::Change;
use crate::revoked::{Revoked, RevokedSerials};

const SNAPSHOT: &str = "snapshot";
const CHANGES: &str = "changes";
const LOCK: &str = "lock";

/// The first octets of a snapshot: its form and version.
const MAGIC: &[u8; 8] = b"certgat1";

/// The most changes on disk before a new snapshot: 3 MB, which a start reads within milliseconds.
const RECORDS_MAX: u64 = 65_536;

/// A record: its kind, 37 octets, and 8 octets of a checksum.
const RECORD_BYTES: usize = 46;
const KIND_CHANGE: u8 = 1;
const KIND_CONFIRMED: u8 = 2;

/// The largest snapshot that is read, in bytes: 20 million certificates and a large view.
const SNAPSHOT_BYTES_MAX: u64 = 600 << 20;

#[derive(Serialize, Deserialize)]
struct Head {
    api: String,
    account: String,
    epoch: u64,
    confirmed_on: String,
    view: EnforcementView<'static>,
}

/// The view of an earlier process.
pub(super) struct Stored {
    pub epoch: u64,
    /// The time at which the last accepted acknowledgement was sent.
    pub confirmed_on: Timestamp,
    pub configuration: Configuration,
    pub revoked: Revoked,
}

/// The state directory of this process.
pub(super) struct Disk {
    directory: PathBuf,
    api: String,
    account: AccountId,
    /// The lock of the directory.
    lock: File,
    changes: Option<File>,
    /// The checksum of the snapshot.
    base: [u8; 32],
    records: u64,
}

/// Closing the file is not enough: a child process that starts at this instant has a copy of it.
impl Drop for Disk {
    fn drop(&mut self) {
        // If this fails, the lock ends with the process.
        let _ = self.lock.unlock();
    }
}

impl Disk {
    /// Opens the directory, and makes it if necessary. [`None`]: another process uses it.
    pub fn open(directory: &Path, api: &str, account: AccountId) -> io::Result<Option<Self>> {
        fs::create_dir_all(directory)?;
        let lock = File::create(directory.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Some(Self {
            directory: directory.to_owned(),
            api: api.to_owned(),
            account,
            lock,
            changes: None,
            base: [0; 32],
            records: 0,
        }))
    }

    /// Reads the view of an earlier process for the same server and account.
    pub fn load(&self) -> io::Result<Option<Stored>> {
        let path = self.directory.join(SNAPSHOT);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut octets = Vec::new();
        file.take(SNAPSHOT_BYTES_MAX).read_to_end(&mut octets)?;
        let corrupt = || io::Error::new(io::ErrorKind::InvalidData, "it is corrupt");
        let (content, sum) = octets.split_last_chunk::<32>().ok_or_else(corrupt)?;
        if sha256(content) != *sum {
            return Err(corrupt());
        }
        let (head, mut revoked) = read_snapshot(content).ok_or_else(corrupt)?;
        if head.api != self.api || head.account != self.account.to_string() {
            return Ok(None);
        }
        let configuration = Configuration::read(&head.view).map_err(|_| corrupt())?;
        let mut confirmed = (
            head.epoch,
            head.confirmed_on.parse().map_err(|_| corrupt())?,
        );
        self.read_changes(sum, &mut revoked, &mut confirmed)?;
        Ok(Some(Stored {
            epoch: confirmed.0,
            confirmed_on: confirmed.1,
            configuration,
            revoked,
        }))
    }

    /// Applies the records up to the last one that confirms them.
    fn read_changes(
        &self,
        base: &[u8; 32],
        revoked: &mut Revoked,
        confirmed: &mut (u64, Timestamp),
    ) -> io::Result<()> {
        let file = match File::open(self.directory.join(CHANGES)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let mut file = BufReader::new(file);
        let mut waiting = Vec::new();
        let mut record = [0; RECORD_BYTES];
        while file.read_exact(&mut record).is_ok() {
            let (content, check) = record.split_at(RECORD_BYTES - 8);
            if check_of(base, content) != check {
                break;
            }
            match content[0] {
                KIND_CHANGE => waiting.push(read_change(&content[1..])),
                KIND_CONFIRMED => {
                    for change in waiting.drain(..) {
                        revoked.change(change.authority, change.serial, change.revoked);
                    }
                    let number = |from: usize| {
                        let octets = content.get(from..).and_then(|rest| rest.first_chunk());
                        u64::from_be_bytes(octets.copied().unwrap_or_default())
                    };
                    let at = i64::try_from(number(9)).unwrap_or_default();
                    *confirmed = (number(1), Timestamp::from_unix_microseconds(at));
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Writes everything, and forgets the changes before.
    pub fn write(
        &mut self,
        epoch: u64,
        confirmed_on: Timestamp,
        view: &EnforcementView<'static>,
        revoked: &Revoked,
    ) -> io::Result<()> {
        let head = Head {
            api: self.api.clone(),
            account: self.account.to_string(),
            epoch,
            confirmed_on: confirmed_on.to_string(),
            view: view.clone(),
        };
        let head = serde_json::to_vec(&head)?;
        let mut file = tempfile::Builder::new()
            .prefix(".partial-")
            .tempfile_in(&self.directory)?;
        // Written piece by piece: a copy of everything in memory would double what the view takes.
        let mut out = BufWriter::new(Summed::new(&mut file));
        out.write_all(MAGIC)?;
        out.write_all(&(head.len() as u64).to_be_bytes())?;
        out.write_all(&head)?;
        for (id, serials) in revoked.authorities() {
            out.write_all(id.as_bytes())?;
            out.write_all(&(serials.len() as u64).to_be_bytes())?;
            for serial in serials.iter() {
                out.write_all(serial)?;
            }
        }
        let summed = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let sum = summed.sum();
        file.write_all(&sum)?;
        file.as_file().sync_all()?;
        file.persist(self.directory.join(SNAPSHOT))
            .map_err(|error| error.error)?;
        // Records of the earlier snapshot do not count for this one.
        self.changes = Some(File::create(self.directory.join(CHANGES))?);
        self.base = sum;
        self.records = 0;
        File::open(&self.directory)?.sync_all()
    }

    /// Returns true if it is time for a new snapshot.
    pub fn is_full(&self) -> bool {
        self.changes.is_none() || self.records >= RECORDS_MAX
    }

    /// Requests a new snapshot. Until then, the earlier one counts as of its last confirmation.
    pub fn set_full(&mut self) {
        self.changes = None;
    }

    /// Appends changes. They count after the next [`Self::confirm`].
    pub fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let records = changes.iter().map(|change| {
            let mut content = [0; RECORD_BYTES - 8];
            content[0] = KIND_CHANGE;
            content[1..17].copy_from_slice(change.authority.as_bytes());
            content[17..37].copy_from_slice(&change.serial);
            content[37] = u8::from(change.revoked);
            content
        });
        self.append_records(records)
    }

    /// Appends that every change up to `epoch` is known, and that the server confirmed it.
    pub fn confirm(&mut self, epoch: u64, at: Timestamp) -> io::Result<()> {
        let mut content = [0; RECORD_BYTES - 8];
        content[0] = KIND_CONFIRMED;
        content[1..9].copy_from_slice(&epoch.to_be_bytes());
        let at = u64::try_from(at.unix_microseconds()).unwrap_or_default();
        content[9..17].copy_from_slice(&at.to_be_bytes());
        self.append_records([content].into_iter())
    }

    fn append_records(
        &mut self,
        records: impl Iterator<Item = [u8; RECORD_BYTES - 8]>,
    ) -> io::Result<()> {
        let written = self.write_records(records);
        if written.is_err() {
            // A later confirmation would also count for the records that are missing.
            self.set_full();
        }
        written
    }

    fn write_records(
        &mut self,
        records: impl Iterator<Item = [u8; RECORD_BYTES - 8]>,
    ) -> io::Result<()> {
        let Some(file) = &self.changes else {
            return Ok(());
        };
        let mut out = BufWriter::new(file);
        for content in records {
            out.write_all(&content)?;
            out.write_all(&check_of(&self.base, &content))?;
            self.records += 1;
        }
        out.flush()
    }
}

/// A writer that knows the SHA-256 of everything that was written.
struct Summed<W> {
    out: W,
    digest: Context,
}

impl<W: Write> Summed<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            digest: Context::new(&SHA256),
        }
    }

    fn sum(self) -> [u8; 32] {
        let digest = self.digest.finish();
        digest.as_ref().try_into().expect("SHA-256 has 32 octets")
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.out.write(octets)?;
        self.digest.update(&octets[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn check_of(base: &[u8; 32], content: &[u8]) -> [u8; 8] {
    let sum = sha256(&[base, content].concat());
    sum.first_chunk().copied().unwrap_or_default()
}

fn read_change(content: &[u8]) -> Change {
    let (authority, rest) = content.split_at(16);
    let (serial, rest) = rest.split_at(20);
    Change {
        authority: AuthorityId::from_bytes(authority.try_into().unwrap_or_default()),
        serial: serial.try_into().unwrap_or_default(),
        revoked: rest.first() == Some(&1),
    }
}

fn read_snapshot(content: &[u8]) -> Option<(Head, Revoked)> {
    let rest = content.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
    let (head, mut rest) = rest.split_at_checked(length)?;
    let head = serde_json::from_slice(head).ok()?;
    let mut revoked = Revoked::default();
    while !rest.is_empty() {
        let (id, after) = rest.split_first_chunk::<16>()?;
        let (count, after) = after.split_first_chunk::<8>()?;
        let count = usize::try_from(u64::from_be_bytes(*count)).ok()?;
        let (octets, after) = after.split_at_checked(count.checked_mul(20)?)?;
        let mut serials = RevokedSerials::default();
        if !serials.append(octets.as_chunks::<20>().0.iter().copied()) {
            return None;
        }
        serials.shrink();
        revoked.insert(AuthorityId::from_bytes(*id), serials);
        rest = after;
    }
    Some((head, revoked))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> EnforcementView<'static> {
        EnforcementView {
            epoch: 3,
            hostnames: Vec::new(),
            certificate_authorities: Vec::new(),
        }
    }

    fn change(number: u8, revoked: bool) -> Change {
        Change {
            authority: AuthorityId::from_bytes([1; 16]),
            serial: [number; 20],
            revoked,
        }
    }

    fn open(directory: &Path) -> Disk {
        let account = AccountId::from_bytes([7; 16]);
        Disk::open(directory, "http://a", account).unwrap().unwrap()
    }

    fn numbers(stored: &Stored) -> Vec<u8> {
        let all = stored.revoked.authorities();
        all.flat_map(|(_, serials)| serials.iter().map(|serial| serial[0]))
            .collect()
    }

    #[test]
    fn confirmed_changes_are_read_back_and_others_wait() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_unix;
        let mut disk = open(folder.path());
        assert!(disk.load().unwrap().is_none());
        let mut revoked = Revoked::default();
        revoked.change(AuthorityId::from_bytes([1; 16]), [5; 20], true);
        disk.write(3, at(100), &view(), &revoked).unwrap();
        disk.append(&[change(6, true), change(5, false)]).unwrap();
        disk.confirm(5, at(110)).unwrap();
        disk.append(&[change(7, true)]).unwrap();
        let stored = disk.load().unwrap().unwrap();
        assert_eq!((stored.epoch, stored.confirmed_on), (5, at(110)));
        assert_eq!(numbers(&stored), [6]);

        // A crash cuts off a record anywhere.
        let path = folder.path().join(CHANGES);
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let stored = disk.load().unwrap().unwrap();
            let expected = if end < 3 * RECORD_BYTES {
                (3, 5)
            } else {
                (5, 6)
            };
            assert_eq!((stored.epoch, numbers(&stored)[0]), expected, "{end}");
        }
        // Each changed octet of the snapshot is noticed.
        fs::write(&path, &whole).unwrap();
        let path = folder.path().join(SNAPSHOT);
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x20;
            fs::write(&path, changed).unwrap();
            assert!(disk.load().is_err(), "{place}");
        }
        // Records of an earlier snapshot do not count.
        let changes = fs::read(folder.path().join(CHANGES)).unwrap();
        disk.write(9, at(200), &view(), &Revoked::default())
            .unwrap();
        fs::write(folder.path().join(CHANGES), changes).unwrap();
        let stored = disk.load().unwrap().unwrap();
        assert_eq!((stored.epoch, numbers(&stored)), (9, vec![]));
    }

    #[test]
    fn nothing_is_confirmed_after_a_change_that_could_not_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_unix;
        let mut disk = open(folder.path());
        disk.write(3, at(100), &view(), &Revoked::default())
            .unwrap();
        // The disk is full for one write.
        let path = folder.path().join(CHANGES);
        let writable = disk.changes.replace(File::open(&path).unwrap());
        assert!(disk.append(&[change(6, true)]).is_err());
        if disk.changes.is_some() {
            disk.changes = writable;
        }
        disk.confirm(4, at(110)).unwrap();
        assert_eq!(disk.load().unwrap().unwrap().epoch, 3);
        assert!(disk.is_full(), "the next acknowledgement writes everything");
    }

    #[test]
    fn a_directory_belongs_to_one_process_one_server_and_one_account() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = open(folder.path());
        let account = AccountId::from_bytes([7; 16]);
        let second = Disk::open(folder.path(), "http://a", account).unwrap();
        assert!(second.is_none());
        let at = Timestamp::from_unix(100);
        disk.write(3, at, &view(), &Revoked::default()).unwrap();
        let of_child = disk.lock.try_clone().unwrap();
        drop(disk);
        let other = AccountId::from_bytes([8; 16]);
        for (api, account) in [("http://b", account), ("http://a", other)] {
            let disk = Disk::open(folder.path(), api, account).unwrap().unwrap();
            assert!(disk.load().unwrap().is_none(), "{api} {account}");
        }
        assert!(open(folder.path()).load().unwrap().is_some());
        drop(of_child);
    }
}
