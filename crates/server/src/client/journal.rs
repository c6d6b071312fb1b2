//! The journal of `cert issue --from`: which lines of the list are finished. It lies in the output directory, and its
//! lock keeps a second run out.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rows::Wanted;
use crate::failure::Failure;

/// The journal's name in the output directory.
pub const FILE: &str = "issued.jsonl";

/// A finished line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What its files are called, without ending.
    pub name: String,
    /// The zone it was issued in.
    pub zone_id: String,
    /// The certificate.
    pub certificate_id: String,
    /// What the line asked for.
    pub wanted: Wanted,
}

/// The journal, locked.
#[derive(Debug)]
pub struct Journal {
    file: File,
    entries: HashMap<String, Entry>,
}

impl Journal {
    /// Opens or makes the journal of `directory` and reads it. A last line that a killed process left unfinished counts as
    /// not written and is cut off.
    pub fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(FILE);
        let shown = path.display();
        let failed = |error: io::Error| Failure::io(format!("cannot use {shown}"), &error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::failed(format!(
                    "another certgate is issuing into {}",
                    directory.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut entries = HashMap::new();
        for (index, line) in text[..whole]
            .split_inclusive(|byte| *byte == b'\n')
            .enumerate()
        {
            let entry: Entry = serde_json::from_slice(line).map_err(|error| {
                Failure::failed(format!("{shown}, line {}: {error}", index + 1))
            })?;
            entries.insert(entry.name.clone(), entry);
        }
        file.set_len(whole as u64).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failed)?;
        Ok(Self { file, entries })
    }

    /// The entry of that name.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Appends an entry; it is on disk when this returns.
    pub fn append(&mut self, entry: &Entry) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::io(format!("cannot write {FILE}"), &error);
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(failed)
    }
}

/// Closing the file is not enough: a process that this one is starting at the same instant holds a copy of it.
impl Drop for Journal {
    fn drop(&mut self) {
        // A lock that cannot be released ends with the process.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            zone_id: "z".to_owned(),
            certificate_id: "c".to_owned(),
            wanted: Wanted {
                common_name: name.to_owned(),
                validity_days: Some(3),
                ..Wanted::default()
            },
        }
    }

    #[test]
    fn entries_are_there_after_every_kind_of_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut journal = Journal::open(directory.path()).unwrap();
        journal.append(&entry("a")).unwrap();
        journal.append(&entry("b")).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let end_of_first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(directory.path()).unwrap();
            assert_eq!(journal.entry("a").is_some(), cut >= end_of_first, "{cut}");
            assert_eq!(journal.entry("b").is_some(), cut == whole.len(), "{cut}");
            journal.append(&entry("c")).unwrap();
            drop(journal);
            let journal = Journal::open(directory.path()).unwrap();
            assert_eq!(journal.entry("c"), Some(&entry("c")));
        }
    }

    #[test]
    fn a_second_run_and_a_foreign_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::open(directory.path()).unwrap();
        let second = Journal::open(directory.path()).unwrap_err();
        assert!(second.to_string().contains("another certgate"), "{second}");
        drop(journal);
        std::fs::write(directory.path().join(FILE), "something else\n").unwrap();
        let foreign = Journal::open(directory.path()).unwrap_err();
        assert!(foreign.to_string().contains("line 1"), "{foreign}");
    }
}
