//! The renewal of one certificate.

mod attempts;
mod layout;
mod pair;
mod schedule;
mod settings;
mod verify;

use std::time::Duration;

use certgate_model::{KeyAlgorithm, Random, Timestamp};
use certgate_pki::ClientKey;

use self::attempts::Attempts;
pub use self::layout::{Layout, Lock};
use self::layout::{Next, Unconfirmed};
pub use self::pair::{Pair, certificates_pem};
pub use self::schedule::Life;
pub use self::settings::{FILE as SETTINGS_FILE, Settings};
pub use self::verify::{Expected, verified};
use crate::arguments::{Fingerprint, Within};
use crate::est::{Est, EstUrl, Identity, Refusal};
use crate::failure::{Exit, Failure};

/// The difference between this clock and the server's above which a message says so, in seconds.
const CLOCK_DIFFERENCE_SECONDS: i64 = 60;

/// Runs a command in a shell. The error has the end of its output.
pub type RunCommand<'a> = dyn Fn(&str) -> Result<(), String> + Sync + 'a;

/// The choices of the user, for every certificate.
pub struct Options {
    /// The time before the end in which a certificate is renewed.
    pub within: Within,
    /// Set if the key stays.
    pub same_key: bool,
    /// The server, instead of that in `est.toml`.
    pub server: Option<EstUrl>,
    /// The fingerprint, instead of that in `est.toml`.
    pub fingerprint: Option<Fingerprint>,
    /// The command that runs after a renewal.
    pub exec: Option<String>,
}

/// The machine on which renewals run.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    pub run_command: &'a RunCommand<'a>,
    pub random: &'a dyn Random,
    pub now: fn() -> Timestamp,
}

/// The result of a look at a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The certificate is not due before this instant.
    NotDue(Timestamp),
    /// The new certificate is in effect.
    Renewed {
        /// Its last second.
        not_after: Timestamp,
        /// The instant of its own renewal.
        renews_at: Timestamp,
    },
}

/// A failed attempt. The certificate and the key in effect have not changed.
#[derive(Debug)]
pub struct Trouble {
    pub failure: Failure,
    /// The least wait before the next attempt.
    pub wait: Option<Duration>,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            wait: None,
        }
    }
}

/// The renewals of one certificate.
pub struct Renewal<'a> {
    pub layout: Layout,
    pub options: &'a Options,
    pub machine: Machine<'a>,
    /// Prints a message.
    pub say: &'a (dyn Fn(&str) + Sync),
}

impl Renewal<'_> {
    /// Looks at the certificate, and renews it if it is due. Without a lock of the caller, it takes
    /// one for the renewal.
    pub fn look(&self, lock: Option<&Lock>) -> Result<Outcome, Trouble> {
        // A certificate that is not due, with nothing to finish, needs no lock.
        if lock.is_none() && !self.layout.directory().exists() {
            let current = self.layout.read()?;
            let renews_at = self.renews_at(&current);
            if (self.machine.now)() < renews_at {
                return Ok(Outcome::NotDue(renews_at));
            }
            self.server()?;
        }
        match lock {
            Some(lock) => self.renew(lock),
            None => self.renew(&self.layout.lock()?),
        }
    }

    /// The instant of the renewal of a certificate.
    pub fn renews_at(&self, pair: &Pair) -> Timestamp {
        life(pair).renews_at(self.options.within, &pair.fingerprint())
    }

    /// Renews the certificate if it is due. The order of the steps makes a kill at any instant, a
    /// full disk and each failure harmless: the files lead to the old pair or to the new one.
    fn renew(&self, lock: &Lock) -> Result<Outcome, Trouble> {
        let (layout, now) = (&self.layout, (self.machine.now)());
        // 1. The steps that a killed process left.
        if let Some(unconfirmed) = layout.recover(lock)? {
            self.accept(lock, unconfirmed)?;
        }
        // 2. The files as they are now: another program may have replaced them.
        let current = layout.read()?;
        let replaces = current.fingerprint();
        // 3. A version that is verified, and that no command has accepted yet.
        let next = match layout.next(&replaces)? {
            Next::Issued(pair) if pair.not_after <= now => {
                layout.discard_next(lock)?;
                Next::Absent
            }
            next => next,
        };
        if let Next::Issued(pair) = next {
            return self.activate(lock, &pair);
        }
        let renews_at = self.renews_at(&current);
        if now < renews_at {
            return Ok(Outcome::NotDue(renews_at));
        }
        // 4. The limits.
        let mut attempts = Attempts::read(layout.directory())?;
        if let Some((from, reason)) = attempts.permitted_from(life(&current), now) {
            let failure = Failure::new(Exit::Failed, format!("too early to renew: {reason}"));
            return Err(Trouble {
                failure: failure.hint(format!("the next attempt is possible at {from}")),
                wait: Some(now.until(from).duration()),
            });
        }
        // 5. The server.
        let identity =
            Identity::Certificate(current.chain().to_vec(), current.key().pkcs8().clone());
        let (url, fingerprint) = self.server()?;
        let mut est = Est::connect(&url, fingerprint, identity)?;
        self.compare_clocks(now, est.date);
        // 6. The key, which is durable before the request: if the answer is lost, the next attempt
        //    asks for a certificate of the same key.
        let key = self.key(lock, next, &current)?;
        let request = key
            .renewal_request(current.certificate())
            .map_err(|error| Failure::failed(error.to_string()))?;
        // 7. The certificate.
        attempts.requested(now)?;
        let answer = est.simple_reenroll(&request).map_err(|refusal| {
            let wait = match refusal {
                Refusal::Later(wait, _) => Some(wait),
                Refusal::Refused(_) | Refusal::Failed(_) => None,
            };
            let failure = refusal.into_failure();
            Trouble { failure, wait }
        })?;
        let chain = verified(
            &answer,
            &Expected {
                spki: key.public_key_spki(),
                subject: Some(current.subject()),
                authorities: &est.authorities,
                at: est.date.unwrap_or_else(self.machine.now),
            },
        )?;
        // 8. Both on the disk, read back and compared. A file without the CAs above it stays one.
        let chain = match current.chain() {
            [_] => &chain[..1],
            _ => &chain[..],
        };
        let pair = layout.complete(lock, &certificates_pem(chain), &key.to_pkcs8_pem())?;
        attempts.issued(now)?;
        // 9. The only change of the files that programs read.
        self.activate(lock, &pair)
    }

    /// Puts a new version in effect and runs the command.
    fn activate(&self, lock: &Lock, pair: &Pair) -> Result<Outcome, Trouble> {
        let unconfirmed = self.layout.put_in_effect(lock)?;
        self.accept(lock, unconfirmed)?;
        Ok(Outcome::Renewed {
            not_after: pair.not_after,
            renews_at: self.renews_at(pair),
        })
    }

    /// Runs the command, and rolls back if it fails.
    fn accept(&self, lock: &Lock, unconfirmed: Unconfirmed) -> Result<(), Failure> {
        let Some(command) = &self.options.exec else {
            return self.layout.confirm(lock, unconfirmed);
        };
        let Err(reason) = (self.machine.run_command)(command) else {
            return self.layout.confirm(lock, unconfirmed);
        };
        self.layout.roll_back(lock, unconfirmed)?;
        // The program may have stopped: the command starts it with the previous files.
        let again = match (self.machine.run_command)(command) {
            Ok(()) => "and the command succeeded with them".to_owned(),
            Err(reason) => format!("and the command failed with them too: {reason}"),
        };
        Err(Failure::failed(format!(
            "the command failed: {reason}; the previous certificate and key are back, {again}"
        ))
        .hint("the next attempt uses the new certificate again, without a new request"))
    }

    /// Returns the server of the certificate.
    pub fn server(&self) -> Result<(EstUrl, Option<Fingerprint>), Failure> {
        if let Some(url) = &self.options.server {
            return Ok((url.clone(), self.options.fingerprint));
        }
        let settings = Settings::read(self.layout.directory())?.ok_or_else(|| {
            let shown = self.layout.certificate().display();
            Failure::usage(format!("the EST server of {shown} is not known"))
                .hint("name it with --est, and its certificate or CA with --fingerprint")
        })?;
        let (url, fingerprint) = settings.server()?;
        Ok((url, self.options.fingerprint.or(fingerprint)))
    }

    /// Returns the key of the new certificate, which is on the disk.
    fn key(&self, lock: &Lock, next: Next, current: &Pair) -> Result<ClientKey, Failure> {
        let failed = |error: certgate_pki::KeyError| Failure::failed(error.to_string());
        let own = || ClientKey::from_private_key(current.key().clone());
        let key = match (self.options.same_key, next) {
            (true, _) => own().ok_or_else(|| {
                Failure::failed("certgate cannot sign a request with a key of this kind")
                    .hint("renew without --same-key")
            })?,
            (false, Next::Requested(key))
                if key.public_key_spki() != current.key().public_key_spki() =>
            {
                if let Some(key) = ClientKey::from_private_key(key) {
                    return Ok(key);
                }
                ClientKey::generate(KeyAlgorithm::P256).map_err(failed)?
            }
            // A new key is of the kind of the old one.
            (false, _) => {
                let algorithm = own().map_or(KeyAlgorithm::P256, |key| key.algorithm());
                ClientKey::generate(algorithm).map_err(failed)?
            }
        };
        self.layout
            .begin(lock, &current.fingerprint(), &key.to_pkcs8_pem())?;
        Ok(key)
    }

    fn compare_clocks(&self, now: Timestamp, date: Option<Timestamp>) {
        let Some(date) = date else { return };
        let (ahead, behind) = (date.until(now).seconds(), now.until(date).seconds());
        let (difference, word) = match ahead > behind {
            true => (ahead, "ahead of"),
            false => (behind, "behind"),
        };
        if difference > CLOCK_DIFFERENCE_SECONDS {
            (self.say)(&format!(
                "the clock of this machine is {difference} s {word} that of the server: correct it"
            ));
        }
    }
}

/// The validity of a certificate.
pub fn life(pair: &Pair) -> Life {
    Life {
        not_before: pair.not_before,
        not_after: pair.not_after,
    }
}
