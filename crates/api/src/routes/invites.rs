//! `/certgate/v1/zones/{zone_id}/invites`: not part of Cloudflare's API.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{Actor, Device, InviteRecord, Timestamp};
use certgate_service::{InviteDraft, InviteError, IssueCertificates, ReadCertificates, ZoneScope};
use certgate_wire::{
    Answer, CreateInvite, DeviceName, Id, Invite, InviteCreator, InvitePath, InviteStateName,
    LifetimeValue, NewInvite, PageAnswer, PageQuery, Time, ZonePath,
};

use crate::body::RequiredBody;
use crate::envelope;
use crate::error::ApiError;
use crate::query::Query;
use crate::routes::est;
use crate::state::Api;

/// List invites
///
/// Newest first, also those that cannot be used any more. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/zones/{zone_id}/invites",
    tag = "Invites",
    operation_id = "invites-list",
    params(ZonePath, PageQuery),
    responses((
        status = 200,
        description = "A page of invites",
        body = PageAnswer<Vec<Invite<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    scope: ZoneScope<ReadCertificates>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Query::parse(query.as_deref())?.page()?;
    let page = api.store.invites(scope.zone().id, asked.slice).await?;
    let now = api.clock.now();
    envelope::list(asked, &page, |invite| shown(invite, now))
}

/// Create an invite
///
/// Its holder gets certificates of its name, without a token. Only this answer has the `secret` and
/// the `link`. The issuance rules of the zone apply, now to the name, and to each certificate. A
/// token with issuance rules of its own cannot create invites. Not part of Cloudflare's API.
#[utoipa::path(
    post,
    path = "/certgate/v1/zones/{zone_id}/invites",
    tag = "Invites",
    operation_id = "invites-create",
    params(ZonePath),
    request_body = CreateInvite<'static>,
    responses((
        status = 200,
        description = "The new invite with its secret",
        body = Answer<NewInvite<'static>>,
    )),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    scope: ZoneScope<IssueCertificates>,
    RequiredBody(body): RequiredBody<CreateInvite<'static>>,
) -> Result<Response, ApiError> {
    let draft = InviteDraft {
        name: body.name.into_owned(),
        device: body.device.map_or(Device::Device, |device| device.0),
        lifetime: body.lifetime.map(|lifetime| lifetime.0),
        valid_for_seconds: body.valid_for_seconds.map(|seconds| seconds.0),
        uses: body.uses.map(|uses| uses.0),
    };
    let (invite, secret) = api.service.invites.create(&scope, draft).await?;
    let secret = secret.expose();
    let link = |base: &str| format!("{base}/i/{}#{secret}", invite.id);
    let est = |base: &str| est::address(base, scope.zone());
    envelope::one(NewInvite {
        link: api.invite_url.as_deref().map(|base| link(base).into()),
        est: api.enrol_url.as_deref().map(|base| est(base).into()),
        secret: secret.into(),
        invite: shown(&invite, invite.created_on),
    })
}

/// Get an invite
///
/// With the IDs of its certificates. Not part of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/zones/{zone_id}/invites/{invite_id}",
    tag = "Invites",
    operation_id = "invites-get",
    params(InvitePath),
    responses((status = 200, description = "The invite", body = Answer<Invite<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: ZoneScope<ReadCertificates>,
    path: InvitePath,
) -> Result<Response, ApiError> {
    let invite = api.store.invite(path.invite_id.into()).await?;
    let invite = invite.filter(|invite| invite.zone == scope.zone().id);
    let invite = invite.ok_or(InviteError::NotFound)?;
    envelope::one(shown(&invite, api.clock.now()))
}

/// Withdraw an invite
///
/// It cannot be used any more. Its certificates stay valid, and it stays in the list. An invite
/// that was used up, withdrawn or expired before does not change. Not part of Cloudflare's API.
#[utoipa::path(
    delete,
    path = "/certgate/v1/zones/{zone_id}/invites/{invite_id}",
    tag = "Invites",
    operation_id = "invites-withdraw",
    params(InvitePath),
    responses((status = 200, description = "The invite", body = Answer<Invite<'static>>)),
)]
pub(crate) async fn withdraw(
    State(api): State<Api>,
    scope: ZoneScope<IssueCertificates>,
    path: InvitePath,
) -> Result<Response, ApiError> {
    let invites = &api.service.invites;
    let invite = invites.withdraw(&scope, path.invite_id.into()).await?;
    envelope::one(shown(&invite, api.clock.now()))
}

/// Shows an invite as it is at `now`.
fn shown(invite: &InviteRecord, now: Timestamp) -> Invite<'_> {
    let kind = match invite.created_by {
        Actor::ApiKey(_) => "api_key",
        _ => "token",
    };
    let (_, creator) = invite.created_by.code();
    Invite {
        id: invite.id.into(),
        name: (&invite.name).into(),
        device: DeviceName(invite.device),
        lifetime: invite.lifetime.map(LifetimeValue),
        state: InviteStateName(invite.state(now)),
        uses: invite.uses_max,
        client_certificate_ids: invite.certificates.iter().map(|id| Id::from(*id)).collect(),
        wrong_secrets: invite.wrong_secrets,
        created_by: InviteCreator {
            kind: kind.into(),
            id: creator.map(|id| Id(*id)),
        },
        created_on: Time(invite.created_on),
        expires_on: Time(invite.expires_on),
        withdrawn_on: invite.withdrawn_on.map(Time),
    }
}
