//! The reader of the journal of revocations. A test of the store calls it too, with every file of
//! the corpus.

use std::collections::HashSet;

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::Hex;
use certgate_store::read_journal;

/// The name of the installation in the seeds.
const INSTALLATION: &str = "0123456789abcdef0123456789abcdef";

/// Reads a journal as it is, and with the check digits that each line should have: mutations of a
/// line fail at its digits.
pub fn journal(input: &[u8]) {
    read(input);
    let mut completed = Vec::new();
    for line in input.split_inclusive(|octet| *octet == b'\n') {
        match line.iter().rposition(|octet| *octet == b'\t') {
            Some(end) if line.ends_with(b"\n") => {
                let text = &line[..=end];
                let digits = digest(&SHA256, text);
                completed.extend_from_slice(text);
                completed.extend(Hex(&digits.as_ref()[..4]).to_string().bytes());
                completed.push(b'\n');
            }
            _ => completed.extend_from_slice(line),
        }
    }
    read(&completed);
}

/// Reads a journal as a restore does, with several epochs of the backup.
fn read(input: &[u8]) {
    for known in [0, 7, u64::from(u32::MAX)] {
        let Some(read) = read_journal(input, INSTALLATION, known) else {
            return;
        };
        let mut last = known;
        let mut lines = HashSet::new();
        for (epoch, line) in &read.changes {
            assert!(*epoch > last, "epochs grow, and are after the known one");
            last = *epoch;
            assert!(lines.insert(line), "a change occurs once");
            let octets = line.as_bytes();
            let is_there = input.windows(octets.len()).any(|part| part == octets);
            assert!(
                is_there,
                "nothing is replayed that the journal does not say: {line}"
            );
        }
        let mut end = known;
        for missing in &read.missing {
            assert!(*missing.start() > end && missing.start() <= missing.end());
            end = *missing.end();
            let is_missing = |epoch: &u64| missing.contains(epoch);
            assert!(!read.changes.iter().any(|(epoch, _)| is_missing(epoch)));
        }
        let is_intact = read.after.is_some() && read.corrupt_lines == 0;
        assert!(
            !is_intact || read.missing.is_empty(),
            "an intact journal lacks nothing"
        );
    }
}
