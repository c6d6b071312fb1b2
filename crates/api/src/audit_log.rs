//! Reads audit logs, and shows their entries with the present names of objects.

use std::collections::HashMap;

use certgate_model::{
    AccountRecord, Actor, AuditEntry, AuditOwner, AuditQuery, CertificateId, Indexed,
    MtlsCertificateId, ResourceType, Timestamp, TokenId, TokenRecord, UserId, UserRecord, ZoneId,
};
use certgate_service::{AccountScope, ReadAccounts, ReadUser, UserScope};
use certgate_wire::{
    AccountName, AuditActor, AuditChain, AuditLog, AuditLogAction, AuditResource, AuditZone, Id,
    Sha256, Time,
};

use crate::audit_conditions::{AuditCondition, SCANNED_MAX};
use crate::certificate_search::log_not_indexed;
use crate::error::ApiError;
use crate::state::Api;

/// Entries that a request reads at a time where it must look at each.
const CHUNK: u32 = 1_000;

/// Entries of a log that meet all conditions.
pub(crate) struct Found {
    pub(crate) entries: Vec<AuditEntry>,
    /// The time and number of the entry after which the next ones begin; [`None`] at the end.
    pub(crate) next: Option<(Timestamp, u64)>,
    /// True if the request has looked at [`SCANNED_MAX`] entries and there are more.
    pub(crate) is_cut: bool,
}

/// The conditions on the entries of a log.
pub(crate) struct Selection {
    pub(crate) query: AuditQuery,
    /// Only entries about one of these certificates.
    pub(crate) certificates: Option<Vec<CertificateId>>,
    pub(crate) conditions: Vec<AuditCondition>,
}

impl Selection {
    /// Reads the next entries that the store can select.
    async fn read(
        &self,
        api: &Api,
        owner: AuditOwner,
        query: AuditQuery,
    ) -> Result<Vec<AuditEntry>, ApiError> {
        let Some(certificates) = &self.certificates else {
            return Ok(api.store.audit_entries(owner, query).await?);
        };
        let certificates = certificates.clone();
        let entries = api.store.certificate_entries(owner, certificates, query);
        match entries.await? {
            Indexed::Complete(entries) => Ok(entries),
            Indexed::NotYet => Err(log_not_indexed()),
        }
    }
}

/// Returns `count` entries that meet all conditions, after the first `skip` of them.
pub(crate) async fn find(
    api: &Api,
    names: &mut LogNames,
    selection: &Selection,
    skip: u64,
    count: u32,
) -> Result<Found, ApiError> {
    let Selection {
        query, conditions, ..
    } = selection;
    let is_plain = conditions.is_empty() && skip == 0;
    // One entry more than the count shows that there are further ones.
    let limit = if is_plain { count + 1 } else { CHUNK };
    let (mut entries, mut skipped, mut scanned) = (Vec::new(), 0, 0);
    let mut after = query.after;
    loop {
        let query = AuditQuery {
            after,
            limit,
            ..*query
        };
        let chunk = selection.read(api, names.owner(), query).await?;
        names.look_up(api, &chunk).await?;
        let is_end = chunk.len() < limit as usize;
        scanned += chunk.len();
        after = chunk.last().map(position).or(after);
        for entry in chunk {
            if !conditions.is_empty() {
                let log = names.log(&entry);
                if !conditions.iter().all(|condition| condition.holds(&log)) {
                    continue;
                }
            }
            if skipped < skip {
                skipped += 1;
                continue;
            }
            if entries.len() == count as usize {
                let next = entries.last().map(position);
                return Ok(Found {
                    entries,
                    next,
                    is_cut: false,
                });
            }
            entries.push(entry);
        }
        if is_end {
            return Ok(Found {
                entries,
                next: None,
                is_cut: false,
            });
        }
        if scanned >= SCANNED_MAX {
            return Ok(Found {
                entries,
                next: after,
                is_cut: true,
            });
        }
    }
}

fn position(entry: &AuditEntry) -> (Timestamp, u64) {
    (entry.by.at, entry.number)
}

/// The present names of the IDs in a log.
pub(crate) struct LogNames {
    account: Option<AccountRecord>,
    user: UserRecord,
    tokens: HashMap<TokenId, Option<TokenRecord>>,
    zones: HashMap<ZoneId, Option<String>>,
}

impl LogNames {
    /// Makes the names of the log of an account.
    pub(crate) async fn of_account(
        api: &Api,
        scope: &AccountScope<ReadAccounts>,
    ) -> Result<Self, ApiError> {
        let user = api.store.user().await?;
        let user = user.ok_or_else(|| ApiError::internal("the store has no user".to_owned()))?;
        Ok(Self::new(Some(scope.account().clone()), user))
    }

    /// Makes the names of the log of the user.
    pub(crate) fn of_user(scope: &UserScope<ReadUser>) -> Self {
        Self::new(None, scope.user().clone())
    }

    fn new(account: Option<AccountRecord>, user: UserRecord) -> Self {
        Self {
            account,
            user,
            tokens: HashMap::new(),
            zones: HashMap::new(),
        }
    }

    /// Returns the ID of the user.
    pub(crate) fn user(&self) -> UserId {
        self.user.id
    }

    /// Returns the owner of the log.
    pub(crate) fn owner(&self) -> AuditOwner {
        match &self.account {
            Some(account) => AuditOwner::Account(account.id),
            None => AuditOwner::User(self.user.id),
        }
    }

    /// Looks up each token and zone once: few of them occur in many entries.
    async fn look_up(&mut self, api: &Api, entries: &[AuditEntry]) -> Result<(), ApiError> {
        for entry in entries {
            if let Actor::Token(id) = entry.by.actor
                && !self.tokens.contains_key(&id)
            {
                self.tokens.insert(id, api.store.token(id).await?);
            }
            if let Some(id) = entry.zone
                && !self.zones.contains_key(&id)
            {
                let zone = api.store.zone(id).await?;
                self.zones.insert(id, zone.map(|zone| zone.name));
            }
        }
        Ok(())
    }

    /// Shows an entry.
    pub(crate) fn log<'a>(&'a self, entry: &'a AuditEntry) -> AuditLog<'a> {
        let id = resource_id(entry);
        let kind = entry.resource_type.name();
        let action = entry.action.name();
        AuditLog {
            id: Sha256(entry.hash),
            account: self.account.as_ref().map(|account| AccountName {
                id: account.id.into(),
                name: (&account.name).into(),
            }),
            action: AuditLogAction {
                description: format!("{action} {kind} {id}").into(),
                result: "success".into(),
                time: Time(entry.by.at),
                kind: action.into(),
            },
            actor: self.actor(entry),
            resource: AuditResource {
                id: id.into(),
                product: "certgate".into(),
                kind: kind.into(),
            },
            zone: entry.zone.map(|zone| AuditZone {
                id: zone.into(),
                name: self
                    .zones
                    .get(&zone)
                    .and_then(Option::as_deref)
                    .map(Into::into),
            }),
            certgate: AuditChain {
                number: entry.number,
                hash: Sha256(entry.hash),
                fingerprint_sha256: entry.fingerprint_sha256.map(Sha256),
                detail: (&entry.detail).into(),
            },
        }
    }

    fn actor(&self, entry: &AuditEntry) -> AuditActor<'_> {
        let user = |context: &'static str| AuditActor {
            id: Some(self.user.id.into()),
            context: Some(context.into()),
            email: Some((&self.user.email).into()),
            kind: "user".into(),
            ..AuditActor::default()
        };
        let actor = match entry.by.actor {
            Actor::Token(id) => self.token_actor(id, user("api_token")),
            Actor::ApiKey(_) => user("api_key"),
            Actor::System => AuditActor {
                kind: "system".into(),
                ..AuditActor::default()
            },
            Actor::Offline => AuditActor {
                kind: "offline".into(),
                ..AuditActor::default()
            },
            Actor::Certificate(id) => AuditActor {
                id: Some(id.into()),
                kind: "certificate".into(),
                ..AuditActor::default()
            },
            Actor::TrustedCa(id) => AuditActor {
                id: Some(Id(*id.as_bytes())),
                kind: "mtls_certificate".into(),
                ..AuditActor::default()
            },
            Actor::Invite(id) => AuditActor {
                id: Some(Id(*id.as_bytes())),
                kind: "invite".into(),
                ..AuditActor::default()
            },
        };
        AuditActor {
            ip_address: entry.by.address.map(|address| address.to_string().into()),
            ..actor
        }
    }

    /// Returns the actor of a token: the account that owns it, or else the user. A token that was
    /// deleted has no name any more.
    fn token_actor<'a>(&'a self, id: TokenId, user: AuditActor<'a>) -> AuditActor<'a> {
        let token = self.tokens.get(&id).and_then(Option::as_ref);
        let actor = AuditActor {
            token_id: Some(id.into()),
            token_name: token.map(|token| (&token.name).into()),
            ..user
        };
        match token.and_then(|token| token.account) {
            Some(account) => AuditActor {
                id: Some(account.into()),
                email: None,
                kind: "account".into(),
                ..actor
            },
            None => actor,
        }
    }
}

/// Returns the ID in the form that other answers have: two kinds of objects have UUIDs.
fn resource_id(entry: &AuditEntry) -> String {
    match entry.resource_type {
        ResourceType::ManagedAuthority | ResourceType::MtlsCertificate => {
            MtlsCertificateId::from_bytes(entry.resource).to_string()
        }
        _ => Id(entry.resource).to_string(),
    }
}
