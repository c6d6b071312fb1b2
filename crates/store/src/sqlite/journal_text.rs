//! The text of the journal of revocations. [`super::journal`] has the file.
//!
//! The first line names the installation and the epoch after which the journal begins. Every other
//! line has these fields, with a tab between them: the epoch; `revoked` or `restored`; the reason;
//! the time in microseconds since the Unix epoch; the CA; the certificate; its serial number; the
//! SHA-256 of its DER form; its expiry in microseconds; the number that the account has for the
//! change. `-` stands for the fields that a restored certificate does not have. A restore adds a
//! line with the epochs that are skipped: the last of them; `skipped`; `told` or, if not every
//! change after the backup is known, `unknown`; and the epoch after which they begin. A change of
//! hostnames or CAs has a line with its epoch; `configuration`; the account; and its number there.
//! Lines of earlier versions have no number: the epoch was the number of the change in every
//! account.
//!
//! The last field of every line, also of the first, is the first 8 hex digits of the SHA-256 of all
//! before it. They reveal a line that was not written to its end, or that the disk has changed.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::RangeInclusive;

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{
    AccountId, AuthorityId, CertificateId, Hex, RevocationReason, SerialNumber, Timestamp, read_hex,
};

const FIRST_LINE: &str = "certgate revocations 1";

/// The longest line of the journal, in octets. Lines have about 250; two of them are one if the
/// disk has changed the line end between them.
const LINE_BYTES_MAX: u64 = 1024;

/// The most bits in which the first line of this installation's journal may differ from what was
/// written. The names of two installations differ in about 64.
const WRONG_BITS_MAX: u32 = 8;

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
    /// The number that the account has for it; `None` in lines of earlier versions.
    pub(super) number: Option<u64>,
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

/// A change of the hostnames or CAs of an account. The journal has its epoch and not its content,
/// which a restore loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JournaledConfiguration {
    pub(super) epoch: u64,
    pub(super) account: AccountId,
    /// The number that the account has for it; `None` in lines of earlier versions.
    pub(super) number: Option<u64>,
}

/// The account of a change, or its CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Account(AccountId),
    Authority(AuthorityId),
}

/// Successive epochs with successive numbers of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) owner: Owner,
    pub(super) first: u64,
    pub(super) last: u64,
    /// The number of the first of them.
    pub(super) number: u64,
}

/// The numbers of the changes in a journal, also of those that a later change of the same
/// certificate has replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) stretches: Vec<Numbered>,
    /// The epoch of the last line without a number; 0 if there is none.
    pub(super) unnumbered: u64,
    /// The place of the last stretch of each owner.
    last: HashMap<Owner, usize>,
}

impl Numbers {
    fn add(&mut self, owner: Owner, epoch: u64, number: Option<u64>) {
        let Some(number) = number else {
            self.unnumbered = epoch;
            return;
        };
        let last = self.last.get(&owner).copied();
        if let Some(last) = last.and_then(|place| self.stretches.get_mut(place))
            && last.last + 1 == epoch
            && last.number + (epoch - last.first) == number
        {
            last.last = epoch;
            return;
        }
        self.last.insert(owner, self.stretches.len());
        self.stretches.push(Numbered {
            owner,
            first: epoch,
            last: epoch,
            number,
        });
    }
}

/// A line after the first.
pub(super) enum Line {
    Change(JournaledChange),
    Skipped(Skipped),
    Configuration(JournaledConfiguration),
}

/// The beginning of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// The journal has every change after this epoch.
    After(u64),
    /// It is this installation's, and corrupt.
    Corrupt,
    /// It is not the journal of this installation.
    Other,
}

impl Head {
    /// Returns the first line of a journal.
    pub(super) fn write(installation: &str, after: u64) -> String {
        let text = format!("{FIRST_LINE} {installation} after {after}\t");
        format!("{text}{}\n", check_digits(text.as_bytes()))
    }

    pub(super) fn read(line: &[u8], installation: &str) -> Self {
        let expected = format!("{FIRST_LINE} {installation} after ");
        let after = checked(line)
            .and_then(|text| {
                text.strip_suffix('\t')?
                    .strip_prefix(&expected)?
                    .parse()
                    .ok()
            })
            .filter(|after| *after <= EPOCH_MAX);
        if let Some(after) = after {
            return Self::After(after);
        }
        let wrong_bits = line
            .iter()
            .zip(expected.as_bytes())
            .map(|(one, other)| (one ^ other).count_ones());
        match line.len() >= expected.len() && wrong_bits.sum::<u32>() <= WRONG_BITS_MAX {
            true => Self::Corrupt,
            false => Self::Other,
        }
    }
}

/// The lines of a journal after its first one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// The last change of each certificate, in the order of those changes.
    pub(super) changes: Vec<JournaledChange>,
    /// The epochs that restores skipped.
    pub(super) skipped: Vec<Skipped>,
    /// The numbers of the changes.
    pub(super) numbers: Numbers,
    /// The number of corrupt lines.
    pub(super) corrupt_lines: u64,
    /// The epochs whose changes may have been in them.
    pub(super) missing: Vec<RangeInclusive<u64>>,
    /// The epoch of the last intact line, and the octets up to its end.
    pub(super) last: Option<(u64, u64)>,
    /// True if octets without a line end follow: a line that is being written, or a torn one.
    pub(super) is_torn: bool,
}

impl Body {
    /// Reads all intact lines, and keeps what came after the epoch `known`.
    pub(super) fn read(reader: impl Read, begins_after: u64, known: u64) -> io::Result<Self> {
        let mut lines = Lines::new(reader, 0);
        let mut body = Self::default();
        let mut changes = HashMap::new();
        let (mut last, mut is_gap) = (begins_after, false);
        while let Some(octets) = lines.next()? {
            body.is_torn = octets.last() != Some(&b'\n');
            let (line, is_intact) = match Line::read(&octets) {
                Some(line) => (Some(line), true),
                None => (Line::read_end(&octets), false),
            };
            if !is_intact {
                (body.corrupt_lines, is_gap) = (body.corrupt_lines + 1, true);
            }
            let Some(line) = line else { continue };
            let epoch = line.epoch();
            if epoch <= last {
                // Epochs grow: the disk has an old part of the file here.
                body.corrupt_lines += u64::from(is_intact);
                continue;
            }
            let first = last.max(known) + 1;
            if is_gap && first < epoch {
                body.missing.push(first..=epoch - 1);
            }
            (last, is_gap) = (epoch, false);
            body.last = Some((epoch, lines.offset));
            match line {
                Line::Change(change) if change.epoch > known => {
                    let owner = Owner::Authority(change.authority);
                    body.numbers.add(owner, epoch, change.number);
                    changes.insert((change.authority, change.serial), change);
                }
                Line::Skipped(one) if one.until > known => body.skipped.push(one),
                Line::Configuration(one) if one.epoch > known => {
                    let owner = Owner::Account(one.account);
                    body.numbers.add(owner, epoch, one.number);
                }
                Line::Change(_) | Line::Skipped(_) | Line::Configuration(_) => {}
            }
        }
        body.changes = changes.into_values().collect();
        body.changes.sort_unstable_by_key(|change| change.epoch);
        Ok(body)
    }
}

/// Reads lines and counts their octets.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    pub(super) offset: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R, offset: u64) -> Self {
        Self {
            reader: BufReader::new(reader),
            offset,
        }
    }

    /// Returns the next line with its end. A line of more than [`LINE_BYTES_MAX`] is cut.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        self.offset += self
            .reader
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)? as u64;
        Ok((!line.is_empty()).then_some(line))
    }
}

impl Line {
    pub(super) fn epoch(&self) -> u64 {
        match self {
            Self::Change(change) => change.epoch,
            Self::Skipped(skipped) => skipped.until,
            Self::Configuration(change) => change.epoch,
        }
    }

    pub(super) fn write(&self) -> String {
        match self {
            Self::Change(change) => change.to_line(),
            Self::Skipped(skipped) => skipped.to_line(),
            Self::Configuration(change) => change.to_line(),
        }
    }

    /// Reads an intact line, with its end.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let text = checked(line)?.strip_suffix('\t')?;
        let fields: Vec<_> = text.split('\t').collect();
        let parsed = match fields[..] {
            [until, "skipped", told, after] => Self::Skipped(Skipped {
                after: after.parse().ok()?,
                until: until.parse().ok()?,
                is_all: match told {
                    "told" => true,
                    "unknown" => false,
                    _ => return None,
                },
            }),
            [epoch, "configuration", account, ref number @ ..] => {
                Self::Configuration(JournaledConfiguration {
                    epoch: epoch.parse().ok()?,
                    account: account.parse().ok()?,
                    number: number_field(number)?,
                })
            }
            _ => Self::Change(JournaledChange::from_fields(&fields)?),
        };
        // Exactly what was written: no other form of the same values.
        let is_written = |parsed: &Self| parsed.write().as_bytes() == line;
        Some(parsed).filter(|parsed| parsed.epoch() <= EPOCH_MAX && is_written(parsed))
    }

    /// Reads an intact line after something else: the disk has changed the line end before it.
    fn read_end(octets: &[u8]) -> Option<Self> {
        (1..octets.len()).find_map(|at| Self::read(&octets[at..]))
    }
}

impl Skipped {
    pub(super) fn to_line(self) -> String {
        let told = if self.is_all { "told" } else { "unknown" };
        let text = format!("{}\tskipped\t{told}\t{}\t", self.until, self.after);
        format!("{text}{}\n", check_digits(text.as_bytes()))
    }
}

impl JournaledConfiguration {
    pub(super) fn to_line(self) -> String {
        let number = number_text(self.number);
        let text = format!("{}\tconfiguration\t{}\t{number}", self.epoch, self.account);
        format!("{text}{}\n", check_digits(text.as_bytes()))
    }
}

impl JournaledChange {
    pub(super) fn to_line(&self) -> String {
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
        let number = number_text(self.number);
        let text = format!(
            "{epoch}\t{what}\t{authority}\t{certificate}\t{serial}\t{fingerprint}\t{expires_on}\t\
             {number}"
        );
        format!("{text}{}\n", check_digits(text.as_bytes()))
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
            ref number @ ..,
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
            number: number_field(number)?,
        })
    }
}

/// Returns the last field of a change, with its tab; an empty text without a number.
fn number_text(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| format!("{number}\t"))
}

/// Reads the rest of the fields. The outer `None`: it is something else than a number.
fn number_field(rest: &[&str]) -> Option<Option<u64>> {
    match rest {
        [] => Some(None),
        [number] => {
            let number: u64 = number.parse().ok()?;
            (number <= EPOCH_MAX).then_some(Some(number))
        }
        _ => None,
    }
}

fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok().map(Timestamp::from_unix_microseconds)
}

/// Returns the text of a line before its check digits, if they are right.
fn checked(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (text, digits) = line.split_at(line.rfind('\t')? + 1);
    (digits == check_digits(text.as_bytes())).then_some(text)
}

fn check_digits(text: &[u8]) -> String {
    Hex(&digest(&SHA256, text).as_ref()[..4]).to_string()
}

/// The result of [`read_journal`].
#[cfg(feature = "conformance")]
#[derive(Debug, PartialEq, Eq)]
pub struct JournalRead {
    /// The epoch after which the journal begins; `None` if its first line is corrupt.
    pub after: Option<u64>,
    /// The changes after the known epoch, as lines.
    pub changes: Vec<(u64, String)>,
    /// The epochs that are missing.
    pub missing: Vec<RangeInclusive<u64>>,
    /// The number of corrupt lines.
    pub corrupt_lines: u64,
}

/// Reads a journal as a restore does: for tests and the fuzz target. `None`: it is not that of this
/// installation.
#[cfg(feature = "conformance")]
pub fn read_journal(octets: &[u8], installation: &str, known: u64) -> Option<JournalRead> {
    let mut lines = Lines::new(octets, 0);
    let first = lines.next().ok()?.unwrap_or_default();
    let after = match Head::read(&first, installation) {
        Head::After(after) => Some(after),
        Head::Corrupt => None,
        Head::Other => return None,
    };
    let rest = octets.get(first.len()..).unwrap_or_default();
    let body = Body::read(rest, after.unwrap_or(0), known).ok()?;
    let changes = body.changes.iter();
    Some(JournalRead {
        after,
        changes: changes
            .map(|change| (change.epoch, change.to_line()))
            .collect(),
        missing: body.missing,
        corrupt_lines: body.corrupt_lines,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(epoch: u64) -> JournaledChange {
        JournaledChange {
            epoch,
            revoked: (epoch != 7).then(|| {
                (
                    Timestamp::from_unix(1_790_000_000),
                    RevocationReason::KeyCompromise,
                )
            }),
            authority: AuthorityId::from_bytes([1; 16]),
            certificate: CertificateId::from_bytes([epoch as u8; 16]),
            serial: SerialNumber::from_bytes([0x40 + epoch as u8; 20]),
            fingerprint_sha256: [4; 32],
            expires_on: Timestamp::from_unix(1_800_000_000),
            number: Some(epoch),
        }
    }

    #[test]
    fn one_flipped_bit_costs_at_most_its_own_line() {
        let epochs = [6, 7, 8];
        let lines = epochs.map(|epoch| change(epoch).to_line());
        let text = lines.concat();
        assert!(text.len() as u64 > LINE_BYTES_MAX / 2);
        // Every bit of the journal, except that every other octet gets one of its bits only.
        for octet in 0..text.len() {
            for bit in 0..if octet % 2 == 0 { 8 } else { 1 } {
                let mut flipped = text.clone().into_bytes();
                flipped[octet] ^= 1 << bit;
                // The judge is the place alone: the line of the octet.
                let mut end = 0;
                let lost = lines.iter().position(|line| {
                    end += line.len();
                    octet < end
                });
                let lost = epochs[lost.unwrap()];
                let body = Body::read(&flipped[..], 5, 5).unwrap();
                let kept: Vec<_> = body.changes.iter().map(|change| change.epoch).collect();
                let expected: Vec<_> = epochs.into_iter().filter(|one| *one != lost).collect();
                assert_eq!(kept, expected, "octet {octet}, bit {bit}");
                assert!(body.corrupt_lines > 0, "octet {octet}, bit {bit}");
                let missing = if lost == 8 { vec![] } else { vec![lost..=lost] };
                assert_eq!(body.missing, missing, "octet {octet}, bit {bit}");
            }
        }
        let body = Body::read(text.as_bytes(), 5, 6).unwrap();
        assert_eq!(body.changes, [change(7), change(8)]);
        assert_eq!((body.corrupt_lines, body.is_torn), (0, false));
        assert_eq!(body.last, Some((8, text.len() as u64)));
    }

    #[test]
    fn journals_of_other_installations_differ_from_a_corrupt_one() {
        let names = [
            "0123456789abcdef0123456789abcdef",
            "fedcba9876543210fedcba9876543210",
        ];
        let line = Head::write(names[0], 5);
        assert_eq!(Head::read(line.as_bytes(), names[0]), Head::After(5));
        assert_eq!(Head::read(line.as_bytes(), names[1]), Head::Other);
        for octet in 0..line.len() {
            for bit in 0..8 {
                let mut flipped = line.clone().into_bytes();
                flipped[octet] ^= 1 << bit;
                assert_eq!(
                    Head::read(&flipped, names[0]),
                    Head::Corrupt,
                    "{octet} {bit}"
                );
            }
        }
    }
}
