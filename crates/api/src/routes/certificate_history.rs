//! `/zones/{zone_id}/client_certificates/{client_certificate_id}/history`

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use certgate_model::{Actor, HistoryEntry, HistoryEvent, Indexed, TokenId, UserRecord};
use certgate_service::{ReadCertificates, ZoneScope};
use certgate_wire::{
    Answer, CertificateEvent, ClientCertificatePath, EventActor, Id, ReasonName, Time,
};

use crate::certificate_search::log_not_indexed;
use crate::envelope;
use crate::error::ApiError;
use crate::state::Api;

/// Get the history of a client certificate
///
/// Oldest first: when the certificate was issued, revoked and restored, by whom and why, and when
/// the last change settled. At most the latest 1,000 entries. The numbers are those of the
/// account's audit log.
#[utoipa::path(
    get,
    path = "/certgate/v1/zones/{zone_id}/client_certificates/{client_certificate_id}/history",
    tag = "Client certificates",
    operation_id = "client-certificate-history",
    params(ClientCertificatePath),
    responses((
        status = 200,
        description = "The history",
        body = Answer<Vec<CertificateEvent<'static>>>,
    )),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: ZoneScope<ReadCertificates>,
    path: ClientCertificatePath,
) -> Result<Response, ApiError> {
    let id = path.client_certificate_id.into();
    let history = api.store.history(scope.zone().id, id).await?;
    let entries = match history.ok_or_else(ApiError::certificate_not_found)? {
        Indexed::Complete(entries) => entries,
        Indexed::NotYet => return Err(log_not_indexed()),
    };
    let names = ActorNames::read(&api, &entries).await?;
    let events: Vec<_> = entries.iter().map(|entry| names.event(entry)).collect();
    envelope::one(events)
}

/// The present names of the actors in a history.
struct ActorNames {
    user: Option<UserRecord>,
    tokens: HashMap<TokenId, Option<String>>,
}

impl ActorNames {
    async fn read(api: &Api, entries: &[HistoryEntry]) -> Result<Self, ApiError> {
        let mut names = Self {
            user: None,
            tokens: HashMap::new(),
        };
        for entry in entries {
            match entry.by.actor {
                Actor::Token(id) if !names.tokens.contains_key(&id) => {
                    let token = api.store.token(id).await?;
                    names.tokens.insert(id, token.map(|token| token.name));
                }
                Actor::ApiKey(_) if names.user.is_none() => names.user = api.store.user().await?,
                Actor::Token(_)
                | Actor::ApiKey(_)
                | Actor::System
                | Actor::Offline
                | Actor::Certificate(_)
                | Actor::TrustedCa(_)
                | Actor::Invite(_) => {}
            }
        }
        Ok(names)
    }

    fn event(&self, entry: &HistoryEntry) -> CertificateEvent<'_> {
        let (action, reason) = match entry.event {
            HistoryEvent::Issued => ("issued", None),
            HistoryEvent::Revoked { reason } => ("revoked", reason),
            HistoryEvent::Restored => ("restored", None),
            HistoryEvent::Settled => ("settled", None),
        };
        CertificateEvent {
            action: action.into(),
            at: Time(entry.by.at),
            actor: self.actor(entry.by.actor),
            address: entry.by.address.map(|address| address.to_string().into()),
            reason: reason.map(ReasonName),
            audit_entry: entry.audit_entry,
            epoch: entry.epoch,
        }
    }

    fn actor(&self, actor: Actor) -> EventActor<'_> {
        let (kind, id, name) = match actor {
            Actor::Token(id) => {
                let name = self.tokens.get(&id).and_then(Option::as_deref);
                ("token", Some(Id::from(id)), name)
            }
            Actor::ApiKey(id) => {
                let user = self.user.as_ref().filter(|user| user.id == id);
                ("api_key", Some(Id::from(id)), user.map(|user| &*user.email))
            }
            Actor::System => ("system", None, None),
            Actor::Offline => ("offline", None, None),
            Actor::Certificate(id) => ("certificate", Some(Id::from(id)), None),
            Actor::TrustedCa(id) => ("mtls_certificate", Some(Id(*id.as_bytes())), None),
            Actor::Invite(id) => ("invite", Some(Id(*id.as_bytes())), None),
        };
        EventActor {
            kind: kind.into(),
            id,
            name: name.map(Into::into),
        }
    }
}
