//! Invites: each gives its holder, who knows its secret, certificates of one name.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use certgate_model::{
    Actor, By, Device, InviteId, InviteRecord, InviteState, Lifetime, ZoneId, ZoneRecord,
};
use certgate_store::{Basis, InviteRecorded, InviteRefused};

use crate::access::{Access, IssueCertificates, ZoneScope, token_hash};
use crate::enrolment::{default_seconds, issued_for_key};
use crate::environment::Environment;
use crate::error::{EnrolError, InviteError, IssueError};
use crate::generated_secret::GeneratedSecret;
use crate::guesses::Guesses;
use crate::issuance::AppliedRules;
use crate::issuing::{Enrolling, Issued, Issuing};
use crate::measures;
use crate::names::checked_name;

/// Maximum number of invites of a zone, expired ones included: a list counts them.
pub const INVITES_MAX: u64 = 10_000;

/// Maximum number of certificates of an invite. An answer lists each.
const INVITE_USES_MAX: i64 = 100;

/// The time for which an invite is valid unless its creator says otherwise, in seconds: a day.
pub const INVITE_SECONDS_DEFAULT: i64 = 86_400;

/// The shortest and the longest time for which an invite is valid, in seconds: a minute, 30 days.
pub const INVITE_SECONDS: (i64, i64) = (60, 2_592_000);

/// Longest name of an invite, in characters (RFC 5280, `ub-common-name`).
const COMMON_NAME_CHARS_MAX: usize = 64;

/// Longest secret of an invite that is compared, in octets. Our own have 40.
const SECRET_BYTES_MAX: usize = 512;

/// An invite to create. Absent parts have their defaults.
#[derive(Debug, Clone)]
pub struct InviteDraft {
    /// The common name of the certificates.
    pub name: String,
    /// The kind of device.
    pub device: Device,
    /// The lifetime of the certificates.
    pub lifetime: Option<Lifetime>,
    /// The seconds for which the invite is valid.
    pub valid_for_seconds: Option<i64>,
    /// Maximum number of certificates; 1 by default.
    pub uses: Option<i64>,
}

/// An invite as its holder presents it. It has no `Debug`, because it holds the secret.
#[derive(Clone, Copy)]
pub struct PresentedInvite<'a> {
    /// The ID.
    pub id: &'a str,
    /// The secret.
    pub secret: &'a str,
    /// The address of the client, if it is known.
    pub from: Option<IpAddr>,
}

/// Creates, withdraws and redeems invites.
pub struct Invites {
    environment: Environment,
    access: Arc<Access>,
    issuing: Issuing,
    guesses: Guesses,
}

impl Invites {
    pub(crate) fn new(issuing: Issuing) -> Self {
        Self {
            environment: issuing.environment.clone(),
            access: issuing.access.clone(),
            issuing,
            guesses: Guesses::new(),
        }
    }

    /// Creates an invite. Its secret is returned once, and only its hash is stored.
    pub async fn create(
        &self,
        scope: &ZoneScope<IssueCertificates>,
        draft: InviteDraft,
    ) -> Result<(InviteRecord, GeneratedSecret), InviteError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        let zone = scope.zone();
        if scope.has_own_rules() {
            return Err(InviteError::TokenRules);
        }
        let name = common_name(&draft.name)?;
        let lifetime = self.lifetime(draft.lifetime)?;
        if let Some(rules) = AppliedRules::of_zone(zone)? {
            rules.check_invited(&name, lifetime)?;
        }
        let valid = within(
            draft.valid_for_seconds,
            INVITE_SECONDS_DEFAULT,
            INVITE_SECONDS,
            "/valid_for_seconds",
        )?;
        let uses = within(draft.uses, 1, (1, INVITE_USES_MAX), "/uses")?;
        let secret = GeneratedSecret::token_value(&**random);
        let by = scope.by(now);
        let invite = InviteRecord {
            id: InviteId::time_ordered(now, &**random),
            zone: zone.id,
            name,
            device: draft.device,
            lifetime,
            uses_max: u32::try_from(uses).unwrap_or(1),
            hash: token_hash(secret.expose()),
            created_by: by.actor,
            created_on: now,
            expires_on: now.plus_seconds(valid),
            withdrawn_on: None,
            wrong_secrets: 0,
            uses: 0,
            certificates: Vec::new(),
        };
        let max = INVITES_MAX;
        match store.record_invite(invite.clone(), max, by).await? {
            InviteRecorded::Recorded => Ok((invite, secret)),
            InviteRecorded::NoZone => Err(InviteError::NoZone),
            InviteRecorded::TooMany => Err(InviteError::TooMany { max }),
        }
    }

    fn lifetime(&self, given: Option<Lifetime>) -> Result<Option<Lifetime>, InviteError> {
        let max = self.environment.limits().validity_days_max;
        match given {
            Some(lifetime) if lifetime.days_begun() > max => {
                let reason = format!("the lifetime is {lifetime}: use at most {max}d");
                Err(InviteError::Invalid {
                    pointer: "/lifetime",
                    reason,
                })
            }
            given => Ok(given),
        }
    }

    /// Withdraws an invite, unless it was used up, withdrawn or expired before; returns it as it is
    /// then.
    pub async fn withdraw(
        &self,
        scope: &ZoneScope<IssueCertificates>,
        id: InviteId,
    ) -> Result<InviteRecord, InviteError> {
        let by = scope.by(self.environment.now());
        let store = &self.environment.store;
        let withdrawn = store.withdraw_invite(scope.zone().id, id, by).await?;
        withdrawn.ok_or(InviteError::NotFound)
    }

    /// Returns an invite and its zone to its holder, also one that cannot be used any more. This
    /// does not use it.
    pub async fn open(
        &self,
        presented: PresentedInvite<'_>,
    ) -> Result<(InviteRecord, Arc<ZoneRecord>), EnrolError> {
        let invite = self.proven(presented, None).await?;
        let state = invite.state(self.environment.now());
        if state == InviteState::Locked {
            // The secret may be a lucky guess.
            return Err(not_open(state));
        }
        let zone = self.access.zone(invite.zone).await?;
        Ok((invite, zone.ok_or(EnrolError::NoZone)?))
    }

    /// Returns an open invite and its zone to its holder. This does not use it.
    pub(crate) async fn open_unused(
        &self,
        presented: PresentedInvite<'_>,
    ) -> Result<(InviteRecord, Arc<ZoneRecord>), EnrolError> {
        let (invite, zone) = self.open(presented).await?;
        match invite.state(self.environment.now()) {
            InviteState::Open => Ok((invite, zone)),
            closed => Err(not_open(closed)),
        }
    }

    /// Uses an invite: issues a certificate of its name, and returns it with its zone. `zone`: it
    /// must be an invite of this zone. A CSR with the key of an earlier use gets the same
    /// certificate, because the answer of that use may be lost.
    pub async fn redeem(
        &self,
        presented: PresentedInvite<'_>,
        zone: Option<ZoneId>,
        csr: String,
    ) -> Result<(Issued, Arc<ZoneRecord>), EnrolError> {
        // 1. The client knows the secret, and the invite is open. The same is decided again in the
        //    transaction that records the certificate.
        let invite = self.proven(presented, zone).await?;
        let now = self.environment.now();
        let state = invite.state(now);
        if state == InviteState::Locked {
            return Err(not_open(state));
        }
        let zone = self.access.zone(invite.zone).await?;
        let zone = zone.ok_or(EnrolError::NoZone)?;
        if let Some(repeated) = self.repeated(&invite, &zone, &csr).await? {
            return Ok((repeated, zone));
        }
        if state != InviteState::Open {
            return Err(not_open(state));
        }

        // 2. The certificate and its use are one commit.
        let lifetime = invite.lifetime.map(|one| i64::from(one.seconds()));
        let enrolling = Enrolling {
            csr: csr.clone(),
            seconds: lifetime.unwrap_or_else(|| default_seconds(&zone)),
            renewed: None,
            name: Some(invite.name.clone()),
            basis: Basis::Invite(invite.id),
            by: By {
                actor: Actor::Invite(invite.id),
                address: presented.from,
                at: now,
            },
            zone: zone.clone(),
        };
        let issued = self.issuing.enrol(enrolling).await;
        if let Err(IssueError::NotInvited(InviteRefused::NotOpen(InviteState::Used))) = &issued {
            // The same request may have been faster.
            let used = self.environment.store.invite(invite.id).await?;
            if let Some(used) = used
                && let Some(repeated) = self.repeated(&used, &zone, &csr).await?
            {
                return Ok((repeated, zone));
            }
        }
        let issued = issued?;
        measures::enrolled("invite");
        Ok((issued, zone))
    }

    /// Returns the certificate of an earlier use that has the key of this CSR.
    async fn repeated(
        &self,
        invite: &InviteRecord,
        zone: &ZoneRecord,
        csr: &str,
    ) -> Result<Option<Issued>, EnrolError> {
        if invite.certificates.is_empty() {
            return Ok(None);
        }
        issued_for_key(&self.issuing, zone, &invite.certificates, csr).await
    }

    /// Returns the invite whose secret the client knows. The answer does not say whether the ID or
    /// the secret is wrong.
    async fn proven(
        &self,
        presented: PresentedInvite<'_>,
        zone: Option<ZoneId>,
    ) -> Result<InviteRecord, EnrolError> {
        let PresentedInvite { id, secret, from } = presented;
        let now = self.environment.now();
        if let Some(retry_after_seconds) = self.guesses.refused(from, now) {
            return Err(EnrolError::TooManyGuesses {
                retry_after_seconds,
            });
        }
        let found = match id.parse::<InviteId>() {
            Ok(id) => self.environment.store.invite(id).await?,
            Err(_) => None,
        };
        let Some(invite) = found else {
            self.guesses.note(from, now);
            return Err(EnrolError::NoInvite);
        };
        let is_known = secret.len() <= SECRET_BYTES_MAX
            && verify_slices_are_equal(&token_hash(secret).0, &invite.hash.0).is_ok();
        if !is_known {
            self.guesses.note(from, now);
            if invite.wrong_secrets < InviteRecord::WRONG_SECRETS_MAX {
                self.environment.store.note_wrong_secret(invite.id).await?;
                tracing::warn!(invite = %invite.id, ?from, "a wrong secret was sent for an invite");
            }
            return Err(EnrolError::NoInvite);
        }
        match zone.is_none_or(|zone| zone == invite.zone) {
            true => Ok(invite),
            false => Err(EnrolError::NoInvite),
        }
    }
}

fn not_open(state: InviteState) -> EnrolError {
    IssueError::NotInvited(InviteRefused::NotOpen(state)).into()
}

fn common_name(given: &str) -> Result<String, InviteError> {
    let invalid = |reason| InviteError::Invalid {
        pointer: "/name",
        reason,
    };
    let name = checked_name(given).map_err(invalid)?;
    let length = name.chars().count();
    match length <= COMMON_NAME_CHARS_MAX {
        true => Ok(name),
        false => Err(invalid(format!(
            "the name has {length} characters: use at most {COMMON_NAME_CHARS_MAX}"
        ))),
    }
}

fn within(
    given: Option<i64>,
    default: i64,
    (min, max): (i64, i64),
    pointer: &'static str,
) -> Result<i64, InviteError> {
    let given = given.unwrap_or(default);
    match (min..=max).contains(&given) {
        true => Ok(given),
        false => Err(InviteError::Invalid {
            pointer,
            reason: format!(
                "{} is {given}: use a whole number from {min} to {max}",
                pointer.trim_start_matches('/')
            ),
        }),
    }
}
