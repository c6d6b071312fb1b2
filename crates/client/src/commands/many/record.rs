//! The record of a change of many certificates: the list, which is durable before the first
//! request, then the outcome of each. It continues an interrupted change, and undoes a change.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use certgate_wire::{Id, ReasonName, Time};
use serde::{Deserialize, Serialize};

use crate::durable::{Existing, write_file};
use crate::failure::Failure;

/// The version of the format.
const VERSION: u32 = 1;

/// The certificates whose requests are announced in one line, before the first of them is sent.
const ANNOUNCED: usize = 256;

/// The outcomes after which the file is synchronized with the disk.
const SYNCED: usize = 1_000;

/// A direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Revokes.
    Revoke,
    /// Restores.
    Restore,
}

impl Action {
    /// The word in commands and names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Restore => "restore",
        }
    }

    /// The action that undoes this one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Revoke => Self::Restore,
            Self::Restore => Self::Revoke,
        }
    }
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The version of the format.
    version: u32,
    pub action: Action,
    /// The reason of a revocation.
    pub reason: Option<ReasonName>,
    /// The address of the management API.
    pub server: String,
    pub zone_id: Id,
    /// The conditions, for people.
    pub conditions: String,
    pub created_on: Time,
    /// The number of certificates in the list.
    count: usize,
}

/// The parts of the first line that a new change has.
#[derive(Debug, Clone)]
pub struct About {
    pub action: Action,
    pub reason: Option<ReasonName>,
    pub server: String,
    pub zone_id: Id,
    pub conditions: String,
    pub created_on: Time,
}

/// A certificate of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    pub id: Id,
    pub common_name: String,
}

/// A line after the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Requests for the first so many certificates may have been sent.
    Announced(usize),
    /// The certificate was changed.
    Changed(Id),
    /// The certificate had been changed before.
    Unchanged(Id),
    /// The server refused the change.
    Failed(Id, String),
}

/// The outcome of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Changed,
    Unchanged,
    Failed(String),
}

/// An open, locked record.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
    head: Head,
    planned: Vec<Planned>,
    outcomes: HashMap<Id, Outcome>,
    /// The certificates that an earlier run may have changed.
    doubtful: HashSet<Id>,
    announced: usize,
    unsynced: usize,
}

impl Record {
    /// Writes a new record. The list is complete and on disk before this returns.
    pub fn create(path: &Path, about: About, planned: &[Planned]) -> Result<Self, Failure> {
        let head = Head {
            version: VERSION,
            action: about.action,
            reason: about.reason,
            server: about.server,
            zone_id: about.zone_id,
            conditions: about.conditions,
            created_on: about.created_on,
            count: planned.len(),
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::failed(format!("{} exists already", path.display()))
                    .hint("choose another file with --record")
            }
            _ => cannot_use(path, &error),
        };
        let mut text = line_of(&head).map_err(failed)?;
        for certificate in planned {
            text.extend(line_of(certificate).map_err(failed)?);
        }
        write_file(path, &[&text], 0o600, Existing::Kept).map_err(failed)?;
        Self::open(path)
    }

    /// Opens and locks a record. It cuts off a last line that a killed process left unfinished.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| cannot_use(path, &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let shown = path.display();
                return Err(
                    Failure::failed(format!("another certgate works with {shown}"))
                        .hint("wait for its end"),
                );
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let complete = text.iter().rposition(|byte| *byte == b'\n');
        let complete = complete.map_or(0, |at| at + 1);
        let mut lines = text[..complete].split_inclusive(|byte| *byte == b'\n');
        let head: Head = read_line(path, 1, lines.next().unwrap_or_default())?;
        if head.version != VERSION {
            return Err(Failure::failed(format!(
                "{} has the format {}, and this program knows {VERSION}",
                path.display(),
                head.version
            ))
            .hint("use the program that wrote it"));
        }
        let mut record = Self {
            path: path.to_owned(),
            planned: Vec::with_capacity(head.count),
            outcomes: HashMap::new(),
            doubtful: HashSet::new(),
            announced: 0,
            unsynced: 0,
            head,
            file,
        };
        for (index, line) in lines.enumerate() {
            let number = index + 2;
            if record.planned.len() < record.head.count {
                record.planned.push(read_line(path, number, line)?);
            } else {
                record.apply(read_line(path, number, line)?);
            }
        }
        if record.planned.len() < record.head.count {
            return Err(Failure::failed(format!(
                "{} lacks {} certificates of its list",
                path.display(),
                record.head.count - record.planned.len()
            ))
            .hint("the file is corrupt: start a new change"));
        }
        let announced = record.planned.iter().take(record.announced);
        let doubtful = announced.filter(|one| record.outcome(one.id).is_none());
        record.doubtful = doubtful.map(|one| one.id).collect();
        let end = record.file.set_len(complete as u64);
        end.and_then(|()| record.file.seek(SeekFrom::End(0)))
            .map_err(failed)?;
        Ok(record)
    }

    fn apply(&mut self, line: Line) {
        match line {
            Line::Announced(count) => self.announced = self.announced.max(count),
            Line::Changed(id) => drop(self.outcomes.insert(id, Outcome::Changed)),
            Line::Unchanged(id) => drop(self.outcomes.insert(id, Outcome::Unchanged)),
            Line::Failed(id, problem) => {
                self.outcomes.insert(id, Outcome::Failed(problem));
            }
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first line.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The list.
    pub fn planned(&self) -> &[Planned] {
        &self.planned
    }

    /// The outcome of a certificate; [`None`]: no answer has come yet.
    pub fn outcome(&self, id: Id) -> Option<&Outcome> {
        self.outcomes.get(&id)
    }

    /// Returns true if the certificate at `index` has no outcome that lasts: its request was not
    /// sent, its answer was lost, or the server refused it.
    pub fn is_left(&self, index: usize) -> bool {
        let outcome = self
            .planned
            .get(index)
            .map(|planned| self.outcome(planned.id));
        matches!(outcome, Some(None | Some(Outcome::Failed(_))))
    }

    /// Returns true if an earlier run may have sent the request for the certificate at `index`
    /// without recording its outcome.
    pub fn may_be_changed(&self, index: usize) -> bool {
        let planned = self.planned.get(index);
        index < self.announced
            && planned.is_some_and(|one| match self.outcome(one.id) {
                None => true,
                Some(Outcome::Failed(_)) => self.doubtful.contains(&one.id),
                Some(Outcome::Changed | Outcome::Unchanged) => false,
            })
    }

    /// The certificates that the change has changed, or may have changed.
    pub fn changed(&self) -> impl Iterator<Item = &Planned> {
        let planned = self.planned.iter().enumerate();
        let changed = planned.filter(|(index, one)| {
            self.outcome(one.id) == Some(&Outcome::Changed) || self.may_be_changed(*index)
        });
        changed.map(|(_, one)| one)
    }

    /// Announces the request for the certificate at `index`. Call it before you send the request.
    pub fn announce(&mut self, index: usize) -> Result<(), Failure> {
        if index < self.announced {
            return Ok(());
        }
        let count = (index + ANNOUNCED).min(self.planned.len());
        self.append(Line::Announced(count))
    }

    /// Records the outcome of a certificate. A refusal does not say that an earlier run has not
    /// changed the certificate: the file keeps that doubt for the undo.
    pub fn finish(&mut self, id: Id, outcome: Outcome) -> Result<(), Failure> {
        if let Outcome::Failed(_) = &outcome
            && self.doubtful.contains(&id)
        {
            self.outcomes.insert(id, outcome);
            return Ok(());
        }
        self.append(match outcome {
            Outcome::Changed => Line::Changed(id),
            Outcome::Unchanged => Line::Unchanged(id),
            Outcome::Failed(problem) => Line::Failed(id, problem),
        })?;
        self.unsynced += 1;
        match self.unsynced >= SYNCED {
            true => self.sync(),
            false => Ok(()),
        }
    }

    /// Makes every outcome durable.
    pub fn sync(&mut self) -> Result<(), Failure> {
        self.unsynced = 0;
        let synced = self.file.sync_data();
        synced.map_err(|error| cannot_use(&self.path, &error))
    }

    fn append(&mut self, line: Line) -> Result<(), Failure> {
        let written = line_of(&line).and_then(|text| self.file.write_all(&text));
        written.map_err(|error| cannot_use(&self.path, &error))?;
        self.apply(line);
        Ok(())
    }
}

/// Closing the file is not enough: a child process that starts at this instant has a copy of it.
impl Drop for Record {
    fn drop(&mut self) {
        // If this fails, the lock ends with the process.
        let _ = self.file.unlock();
    }
}

fn line_of(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

fn read_line<'a, T: Deserialize<'a>>(
    path: &Path,
    number: usize,
    line: &'a [u8],
) -> Result<T, Failure> {
    serde_json::from_slice(line).map_err(|error| {
        Failure::failed(format!("{}, line {number}: {error}", path.display()))
            .hint("give the file that `cert revoke --match` or `cert restore --match` wrote")
    })
}

fn cannot_use(path: &Path, error: &io::Error) -> Failure {
    Failure::io(format!("cannot use {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(number: u8) -> Planned {
        Planned {
            id: Id([number; 16]),
            common_name: format!("device-{number}"),
        }
    }

    fn create(path: &Path, count: u8) -> Result<Record, Failure> {
        let list: Vec<_> = (0..count).map(planned).collect();
        let time = Time("2026-08-14T10:30:00Z".parse().unwrap());
        let about = About {
            action: Action::Revoke,
            reason: None,
            server: "https://ca.example".to_owned(),
            zone_id: Id([9; 16]),
            conditions: "all".to_owned(),
            created_on: time,
        };
        Record::create(path, about, &list)
    }

    #[test]
    fn outcomes_survive_a_kill_at_any_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let mut record = create(&path, 3).unwrap();
        let list_end = std::fs::read(&path).unwrap().len();
        record.announce(0).unwrap();
        record.finish(planned(0).id, Outcome::Changed).unwrap();
        record
            .finish(planned(1).id, Outcome::Failed("x".to_owned()))
            .unwrap();
        drop(record);
        let complete = std::fs::read(&path).unwrap();
        for cut in list_end..=complete.len() {
            std::fs::write(&path, &complete[..cut]).unwrap();
            let mut record = Record::open(&path).unwrap();
            let whole = complete[..cut]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                - 4;
            assert_eq!(record.is_left(0), whole < 2, "{cut}");
            assert!(record.is_left(1) && record.is_left(2));
            // Everything that an announced request may have changed counts as changed.
            let changed: Vec<_> = record.changed().map(|one| one.id.0[0]).collect();
            let expected: &[u8] = match whole {
                0 => &[],
                1 | 2 => &[0, 1, 2],
                _ => &[0, 2],
            };
            assert_eq!(changed, expected, "{cut}");
            record.finish(planned(2).id, Outcome::Unchanged).unwrap();
            drop(record);
            assert!(!Record::open(&path).unwrap().is_left(2));
        }
    }

    #[test]
    fn a_refusal_does_not_end_the_doubt_of_an_earlier_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let mut record = create(&path, 2).unwrap();
        record.announce(0).unwrap();
        let refused = || Outcome::Failed("gone".to_owned());
        record.finish(planned(0).id, refused()).unwrap();
        drop(record);
        // The answer about the second was lost. The next run asks again.
        let mut record = Record::open(&path).unwrap();
        record.finish(planned(1).id, refused()).unwrap();
        assert_eq!(record.outcome(planned(1).id), Some(&refused()));
        assert!(record.may_be_changed(1) && !record.may_be_changed(0));
        drop(record);
        let record = Record::open(&path).unwrap();
        assert_eq!(record.changed().collect::<Vec<_>>(), [&planned(1)]);
    }

    #[test]
    fn a_record_is_not_replaced_shared_or_cut() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let record = create(&path, 2).unwrap();
        let second = create(&path, 2).unwrap_err();
        assert!(second.to_string().contains("exists already"), "{second}");
        let second = Record::open(&path).unwrap_err();
        assert!(second.to_string().contains("another certgate"), "{second}");
        drop(record);
        let text = std::fs::read_to_string(&path).unwrap();
        let cut = text.trim_end().rsplit_once('\n').unwrap().0;
        std::fs::write(&path, format!("{cut}\n")).unwrap();
        let cut = Record::open(&path).unwrap_err();
        assert!(cut.to_string().contains("lacks 1 certificates"), "{cut}");
        std::fs::write(&path, "something else\n").unwrap();
        let foreign = Record::open(&path).unwrap_err();
        assert!(foreign.to_string().contains("line 1"), "{foreign}");
    }
}
