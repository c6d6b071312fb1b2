//! `attempts.json` in the directory FILE.d: the requests and certificates of the last day. It
//! limits loops that a wrong clock or a short lifetime would make, also across restarts.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use certgate_model::{SECONDS_PER_DAY, Timestamp};
use certgate_wire::Time;
use serde::{Deserialize, Serialize};

use super::schedule::Life;
use crate::durable::{Access, write_as};
use crate::failure::Failure;
use crate::files;

/// The largest file, in bytes: some thousand instants, as a lifetime of a minute needs.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The requests and certificates of the last day.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Attempts {
    /// The instants of requests.
    requested: Vec<Time>,
    /// The instants of new certificates.
    issued: Vec<Time>,
    #[serde(skip)]
    directory: PathBuf,
}

impl Attempts {
    /// Reads the file in the directory FILE.d. A malformed file counts as an empty one.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join("attempts.json");
        let read: Self = match files::read_text(&path, FILE_BYTES_MAX) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::default(),
            Err(error) => {
                let shown = path.display();
                return Err(Failure::io(format!("cannot read {shown}"), &error));
            }
            Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        };
        Ok(Self {
            directory: directory.to_owned(),
            ..read
        })
    }

    /// Returns the instant from which the next request is permitted, and the reason; [`None`]: now.
    /// Instants in the future, from before the clock was set back, do not count.
    pub fn permitted_from(&self, life: Life, now: Timestamp) -> Option<(Timestamp, String)> {
        let interval = life.interval_seconds();
        let recent = self.issued.iter().map(|time| time.0);
        let recent = recent.filter(|time| time.until(now).is_within(interval));
        if let Some(last) = recent.max() {
            let reason = format!("a certificate was issued less than {interval} s ago");
            return Some((last.plus_seconds(interval), reason));
        }
        let limit = life.requests_per_day();
        let today = self.requested.iter().map(|time| time.0);
        let today = today.filter(|time| time.until(now).is_within(SECONDS_PER_DAY));
        let mut today: Vec<_> = today.collect();
        today.sort();
        let count = i64::try_from(today.len()).unwrap_or(i64::MAX);
        let first = today.first().filter(|_| count >= limit)?;
        let reason = format!("the limit of {limit} requests in a day is reached");
        Some((first.plus_seconds(SECONDS_PER_DAY), reason))
    }

    /// Records a request. Call it before you send the request.
    pub fn requested(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.requested.push(Time(now));
        self.write(now)
    }

    /// Records a new certificate.
    pub fn issued(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.issued.push(Time(now));
        self.write(now)
    }

    fn write(&mut self, now: Timestamp) -> Result<(), Failure> {
        for times in [&mut self.requested, &mut self.issued] {
            times.retain(|time| time.0.until(now).is_within(SECONDS_PER_DAY));
        }
        let path = self.directory.join("attempts.json");
        let written = || -> io::Result<()> {
            let text = serde_json::to_vec(self)?;
            let access = Access::of(&self.directory)?.of_file_inside();
            write_as(&path, &self.directory, &text, access)
        };
        written().map_err(|error| Failure::io(format!("cannot write {}", path.display()), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_limited_across_restarts() {
        let directory = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-08-14T10:30:00Z".parse().unwrap();
        let life = Life {
            not_before: now,
            not_after: now.plus_seconds(SECONDS_PER_DAY),
        };
        let read = || Attempts::read(directory.path()).unwrap();
        assert_eq!(read().permitted_from(life, now), None);
        for number in 0..30 {
            let at = now.plus_seconds(number * 60);
            assert_eq!(read().permitted_from(life, at), None, "{number}");
            read().requested(at).unwrap();
        }
        let late = now.plus_seconds(3_600);
        let (until, reason) = read().permitted_from(life, late).unwrap();
        assert_eq!(until, now.plus_seconds(SECONDS_PER_DAY));
        assert!(reason.contains("30 requests"), "{reason}");
        assert_eq!(read().permitted_from(life, until), None);
        // The clock was set back: those requests are in the future.
        assert_eq!(read().permitted_from(life, now.plus_seconds(-3_600)), None);
    }

    #[test]
    fn certificates_have_a_least_interval() {
        let directory = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-08-14T10:30:00Z".parse().unwrap();
        let life = Life {
            not_before: now,
            not_after: now.plus_seconds(600),
        };
        Attempts::read(directory.path())
            .unwrap()
            .issued(now)
            .unwrap();
        let read = Attempts::read(directory.path()).unwrap();
        let until = now.plus_seconds(60);
        let (found, reason) = read.permitted_from(life, now.plus_seconds(59)).unwrap();
        assert_eq!((found, reason.contains("60 s")), (until, true));
        assert_eq!(read.permitted_from(life, until), None);
        // A file that cannot be read does not stop renewals.
        std::fs::write(directory.path().join("attempts.json"), "{").unwrap();
        let read = Attempts::read(directory.path()).unwrap();
        assert_eq!(read.permitted_from(life, now), None);
    }
}
