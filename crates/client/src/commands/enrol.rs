//! `certgate enrol`: the first certificate of a machine, from an EST server.

use std::path::{Path, PathBuf};

use certgate_model::SubjectFields;
use certgate_pki::{ClientKey, read_private_key};
use zeroize::Zeroizing;

use crate::arguments::{EnrolArgs, Format};
use crate::durable::{Access, make_directory_as};
use crate::environment::{self, Environment};
use crate::est::{Est, EstUrl, Identity, Refusal};
use crate::failure::Failure;
use crate::files::{self, Secrecy};
use crate::output::{Screen, Style, wall_clock};
use crate::renewal::{Expected, Pair, Settings, certificates_pem, verified};
use crate::session::Context;

/// The longest invite, in bytes.
const INVITE_BYTES_MAX: u64 = 4096;

/// `certgate enrol`
pub fn run(arguments: &EnrolArgs, context: &Context<'_>) -> Result<(), Failure> {
    let mut screen = Screen::of_process(Format::Table).with(Style {
        wide: false,
        quiet: arguments.quiet,
    });
    // 1. Everything that can be wrong without the server.
    let url = EstUrl::new(&arguments.est)?;
    let name = arguments.cn.as_deref().unwrap_or("client");
    let stem = files::stem(arguments.out.as_deref(), &files::safe_name(name))?;
    let [key_path, crt_path] = ["key", "crt"].map(|ending| files::with_ending(&stem, ending));
    match (crt_path.symlink_metadata().is_ok(), arguments.if_absent) {
        (false, _) => {}
        (true, true) => {
            screen.say(&format!("{} exists already", crt_path.display()));
            return Ok(());
        }
        (true, false) => return Err(files::exists_already(&crt_path)),
    }
    let password = password(arguments, context.environment)?;
    // 2. The server proves its identity before it gets the invite.
    let mut est = Est::connect(&url, arguments.fingerprint, Identity::Password(password))?;
    // 3. The key and the server's address, on disk. An invite works once: if the answer is lost,
    //    the same command asks for a certificate of the same key.
    let key = key(&key_path, arguments)?;
    let directory = files::with_ending(&crt_path, "d");
    let settings = Settings {
        url: url.to_string(),
        fingerprint: arguments.fingerprint.map(|one| one.to_string()),
        key: key_path.file_name().map(PathBuf::from),
    };
    remember(&directory, &settings)?;
    // 4. The certificate.
    let subject = SubjectFields {
        common_name: arguments.cn.clone().unwrap_or_default(),
        ..SubjectFields::default()
    };
    let request = key
        .request_der(&subject)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let kept = format!(
        "the key stays in {}: run the same command again",
        key_path.display()
    );
    let answer = est
        .simple_enroll(&request)
        .map_err(|refusal| match refusal {
            Refusal::Refused(failure) => failure,
            Refusal::Later(_, failure) | Refusal::Failed(failure) => {
                failure.with_hint(kept.clone())
            }
        })?;
    // 5. The checks, and then the file.
    let expected = Expected {
        spki: key.public_key_spki(),
        subject: None,
        authorities: &est.authorities,
        at: est.date.unwrap_or_else(wall_clock),
    };
    let chain = verified(&answer, &expected)?;
    let pem = certificates_pem(&chain);
    files::write_new(&crt_path, pem.as_bytes(), Secrecy::Public)
        .map_err(|failure| failure.also_hint(&kept))?;
    let pair = Pair::read(&pem, &key.to_pkcs8_pem()).map_err(Failure::failed)?;
    let (key, crt) = (key_path.display(), crt_path.display());
    screen.say(&format!("wrote {key}, {crt}"));
    screen.say(&format!("renew it with: certgate renew {crt}"));
    let end = screen.full_time(certgate_wire::Time(pair.not_after));
    screen.table(
        &["subject", "expires_on"],
        [vec![pair.subject().to_owned(), end]],
    )
}

/// Reads the user name and the password of HTTP Basic.
fn password(
    arguments: &EnrolArgs,
    environment: &Environment,
) -> Result<Zeroizing<String>, Failure> {
    let text = match (&arguments.invite_file, &arguments.invite) {
        (Some(path), _) => files::read_text(path, INVITE_BYTES_MAX).map_err(|error| {
            let shown = path.display();
            Failure::usage(format!("cannot read the invite from {shown}: {error}"))
        })?,
        (None, Some(secret)) => Zeroizing::new(secret.0.clone()),
        (None, None) => {
            let found = environment.variable(environment::INVITE);
            let found = found.ok_or_else(|| {
                Failure::usage("no invite").hint("give one with --invite-file or CERTGATE_INVITE")
            })?;
            Zeroizing::new(found.to_owned())
        }
    };
    credentials(&text).ok_or_else(|| {
        Failure::usage("the invite is not a link with #, ID#SECRET or USER:PASSWORD")
            .hint("copy it from the message of its sender, with everything after the #")
    })
}

/// Reads an invite: the last part of the path of a link and its fragment, or a user name and a
/// password.
fn credentials(text: &str) -> Option<Zeroizing<String>> {
    let text = text.trim();
    let (user, secret) = match text.split_once('#') {
        Some((before, secret)) => {
            let before = before.trim_end_matches('/');
            (before.rsplit('/').next().unwrap_or_default(), secret)
        }
        None if text.starts_with("https://") => return None,
        None => text.split_once(':')?,
    };
    let is_usable =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| !byte.is_ascii_control());
    // RFC 7617 §2: a user name has no colon.
    (is_usable(user) && is_usable(secret) && !user.contains(':'))
        .then(|| Zeroizing::new(format!("{user}:{secret}")))
}

/// Makes the key, or takes that of an earlier run whose answer was lost.
fn key(path: &Path, arguments: &EnrolArgs) -> Result<ClientKey, Failure> {
    if path.symlink_metadata().is_ok() {
        let text = files::read_secret(path)?;
        let shown = path.display();
        let read = read_private_key(&text).map_err(|error| {
            Failure::usage(format!(
                "{shown} exists already, and cannot be used: {error}"
            ))
            .hint("move it away, or choose another place with --out")
        })?;
        return ClientKey::from_private_key(read).ok_or_else(|| {
            Failure::usage(format!(
                "{shown} exists already, with a key of another kind"
            ))
            .hint("move it away, or choose another place with --out")
        });
    }
    let key = ClientKey::generate(arguments.key_algorithm.into())
        .map_err(|error| Failure::failed(error.to_string()))?;
    files::write_new(path, key.to_pkcs8_pem().as_bytes(), Secrecy::Private)?;
    Ok(key)
}

fn remember(directory: &Path, settings: &Settings) -> Result<(), Failure> {
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let made = Access::of(parent)
        .and_then(|access| make_directory_as(directory, access.of_directory_inside()));
    made.map_err(|error| {
        let shown = directory.display();
        Failure::io(format!("cannot create the directory {shown}"), &error)
    })?;
    settings.write(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invites_are_links_pairs_and_passwords() {
        for (text, read) in [
            ("https://invite.example/i/abc#s-1\n", "abc:s-1"),
            ("https://invite.example/i/abc/#s", "abc:s"),
            ("abc#s:1", "abc:s:1"),
            ("user:pass word", "user:pass word"),
        ] {
            assert_eq!(credentials(text).as_deref().map(String::as_str), Some(read));
        }
        for bad in [
            "",
            "abc",
            "#s",
            "abc#",
            "https://invite.example/i/abc",
            "a:",
            "u:v#s",
            "a#\u{7}",
        ] {
            assert!(credentials(bad).is_none(), "{bad}");
        }
    }
}
