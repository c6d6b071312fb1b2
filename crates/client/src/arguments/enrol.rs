//! The arguments of `certgate enrol` and `certgate renew`.

use std::fmt;
use std::path::PathBuf;

use certgate_model::Hex;
use clap::{Args, ValueHint};

use super::values::parse_seconds;
use super::{KeyName, Secret};

/// `certgate enrol`
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// Address of the EST server, such as https://enrol.example.com/.well-known/est/example.com
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub est: String,
    /// SHA-256 of the server's certificate, or of the CA that signed it. A CA lasts longer
    /// [default: trust the CAs of this system]
    #[arg(long, value_name = "SHA256", value_parser = parse_fingerprint)]
    pub fingerprint: Option<Fingerprint>,
    /// File with the invite, - for standard input: its link, ID#SECRET or USER:PASSWORD [default:
    /// CERTGATE_INVITE]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "invite")]
    pub invite_file: Option<PathBuf>,
    /// Invite. Other users of this machine can see it while the command runs: prefer --invite-file
    #[arg(long, value_name = "INVITE")]
    pub invite: Option<Secret>,
    /// Common name of the request [default: none, because the invite has a name]
    #[arg(long, value_name = "NAME")]
    pub cn: Option<String>,
    /// Algorithm of the new key. Browsers and NSS do not accept ed25519
    #[arg(long, value_enum, value_name = "NAME", default_value = "p256")]
    pub key_algorithm: KeyName,
    /// Directory (existing, or with / at its end), or the beginning of the file names [default: the
    /// common name, or client]
    #[arg(long, value_name = "DIR|PREFIX", value_hint = ValueHint::AnyPath)]
    pub out: Option<PathBuf>,
    /// Do nothing if the certificate exists, for a command that runs at each start
    #[arg(long)]
    pub if_absent: bool,
    /// No messages but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// `certgate renew`
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Certificates to renew. The key is in the same file, or in a file with the ending .key
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present = "all")]
    pub files: Vec<PathBuf>,
    /// Every certificate in this directory that `certgate enrol` made, and with --est every .crt or
    /// .pem file that has a key
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "files")]
    pub all: Option<PathBuf>,
    /// File with the key, if it has another name
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "all")]
    pub key: Option<PathBuf>,
    /// Run until SIGTERM, and renew each certificate at its time
    #[arg(long)]
    pub daemon: bool,
    /// Command for a shell that runs after each renewal, such as 'systemctl reload nginx'. If it
    /// fails, the previous certificate and key come back
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub exec: Option<String>,
    /// Renew before only this part of the lifetime (1/3) or this time (20d, 8h) is left: at an
    /// instant up to as much earlier, so that a fleet is spread. 1/1 renews now
    #[arg(long, value_name = "PART|TIME", default_value = "1/3", value_parser = parse_within)]
    pub within: Within,
    /// Keep the key, instead of making a new one
    #[arg(long)]
    pub same_key: bool,
    /// Address of the EST server [default: that of `certgate enrol`]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub est: Option<String>,
    /// SHA-256 of the server's certificate, or of the CA that signed it [default: that of `certgate
    /// enrol`, or with --est the CAs of this system]
    #[arg(long, value_name = "SHA256", value_parser = parse_fingerprint)]
    pub fingerprint: Option<Fingerprint>,
    /// No messages but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// The SHA-256 of a certificate in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Returns true for the certificate with this fingerprint.
    pub fn is_of(self, certificate: &[u8]) -> bool {
        certgate_pki::sha256(certificate) == self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Hex(&self.0), f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a fingerprint as openssl and browsers print it: 64 hexadecimal digits, perhaps with
/// colons.
pub fn parse_fingerprint(text: &str) -> Result<Fingerprint, String> {
    let error = || {
        "must be the SHA-256 of a certificate, 64 hexadecimal digits: openssl x509 -in ca.pem \
         -noout -fingerprint -sha256"
            .to_owned()
    };
    let plain = text.trim();
    let plain = plain.rsplit_once('=').map_or(plain, |(_, digits)| digits);
    let digits: Vec<u8> = plain
        .bytes()
        .filter(|byte| !matches!(byte, b':' | b' '))
        .collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let mut octets = [0; 32];
    if !rest.is_empty() || pairs.len() != octets.len() {
        return Err(error());
    }
    for (octet, pair) in octets.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        let read = value(pair[0]).zip(value(pair[1]));
        let (high, low) = read.ok_or_else(error)?;
        *octet = u8::try_from(high << 4 | low).map_err(|_| error())?;
    }
    Ok(Fingerprint(octets))
}

/// The time before the end of a certificate in which it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// A part of the lifetime: numerator and denominator.
    Part(i64, i64),
    /// Seconds.
    Seconds(i64),
}

/// Reads a part such as `1/3`, or a time such as `20d` or `8h`.
pub fn parse_within(text: &str) -> Result<Within, String> {
    let part = text.trim().split_once('/').and_then(|(part, whole)| {
        let (part, whole) = (part.trim().parse().ok()?, whole.trim().parse().ok()?);
        ((1..=whole).contains(&part) && whole <= 1_000).then_some(Within::Part(part, whole))
    });
    let span = || {
        let seconds = parse_seconds(text.trim())?;
        (seconds > 0).then_some(Within::Seconds(seconds))
    };
    part.or_else(span)
        .ok_or_else(|| "must be a part of the lifetime (1/3) or a time (20d, 8h)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_programs_print_them() {
        let plain = "00".repeat(31) + "aF";
        let colons = plain.as_bytes().chunks(2).map(String::from_utf8_lossy);
        let colons = colons.collect::<Vec<_>>().join(":");
        for text in [
            plain.clone(),
            colons.clone(),
            format!("sha256 Fingerprint={colons}\n"),
        ] {
            let read = parse_fingerprint(&text).unwrap();
            assert_eq!(read.to_string(), plain.to_lowercase());
        }
        let [long, wrong] = [format!("{plain}00"), plain.replace('F', "g")];
        for bad in ["", "00", &plain[1..], &long, &wrong] {
            assert!(parse_fingerprint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_and_times_are_read() {
        assert_eq!(parse_within("2/3"), Ok(Within::Part(2, 3)));
        assert_eq!(parse_within("8h"), Ok(Within::Seconds(28_800)));
        for bad in [
            "", "0/3", "4/3", "1/0", "1/1001", "-1/3", "3", "0d", "1.5d", "x",
        ] {
            assert!(parse_within(bad).is_err(), "{bad}");
        }
    }
}
