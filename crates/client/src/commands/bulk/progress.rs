//! The progress file of `cert issue --from`: the finished lines of the list. It is in the output
//! directory, and its lock prevents a second run.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rows::Wanted;
use crate::failure::Failure;

/// The name of the progress file in the output directory.
pub const FILE: &str = "issued.jsonl";

/// A finished line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name of its files without the extension.
    pub name: String,
    /// The zone of the certificate.
    pub zone_id: String,
    /// The ID of the certificate.
    pub certificate_id: String,
    /// The fields of the line.
    pub wanted: Wanted,
}

/// The locked progress file.
#[derive(Debug)]
pub struct Progress {
    file: File,
    entries: HashMap<String, Entry>,
}

impl Progress {
    /// Opens or creates the progress file of `directory` and reads it. It cuts off a last line that
    /// a killed process left unfinished.
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
                    "another certgate issues into {}",
                    directory.display()
                ))
                .hint("wait for its end, or choose another directory with --out"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let complete = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let mut entries = HashMap::new();
        for (index, line) in text[..complete]
            .split_inclusive(|byte| *byte == b'\n')
            .enumerate()
        {
            let entry: Entry = serde_json::from_slice(line).map_err(|error| {
                Failure::failed(format!("{shown}, line {}: {error}", index + 1))
            })?;
            entries.insert(entry.name.clone(), entry);
        }
        file.set_len(complete as u64).map_err(failed)?;
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

    /// Appends an entry. It is on disk before this returns.
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

/// Closing the file is not enough: a child process that starts at this instant has a copy of it.
impl Drop for Progress {
    fn drop(&mut self) {
        // If this fails, the lock ends with the process.
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
    fn entries_survive_a_kill_at_any_byte() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut progress = Progress::open(directory.path()).unwrap();
        progress.append(&entry("a")).unwrap();
        progress.append(&entry("b")).unwrap();
        drop(progress);
        let complete = std::fs::read(&path).unwrap();
        let end_of_first = complete.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in 0..=complete.len() {
            std::fs::write(&path, &complete[..cut]).unwrap();
            let mut progress = Progress::open(directory.path()).unwrap();
            assert_eq!(progress.entry("a").is_some(), cut >= end_of_first, "{cut}");
            assert_eq!(
                progress.entry("b").is_some(),
                cut == complete.len(),
                "{cut}"
            );
            progress.append(&entry("c")).unwrap();
            drop(progress);
            let progress = Progress::open(directory.path()).unwrap();
            assert_eq!(progress.entry("c"), Some(&entry("c")));
        }
    }

    #[test]
    fn a_second_run_and_another_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let progress = Progress::open(directory.path()).unwrap();
        let second = Progress::open(directory.path()).unwrap_err();
        assert!(second.to_string().contains("another certgate"), "{second}");
        drop(progress);
        std::fs::write(directory.path().join(FILE), "something else\n").unwrap();
        let foreign = Progress::open(directory.path()).unwrap_err();
        assert!(foreign.to_string().contains("line 1"), "{foreign}");
    }
}
