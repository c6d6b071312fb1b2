//! `/zones`

use std::borrow::Cow;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{
    AccountFilter, AccountId, Direction, Page, Slice, ZoneChange, ZoneProperties,
};
use certgate_service::{AccessError, Caller, ManageZones, ReadZones, ZoneDraft, ZoneScope};
use certgate_wire::{
    AccountReference, Answer, CreateZone, Deleted, PageAnswer, TenantsPageQuery, UpdateZone, Zone,
    ZonePath, ZonesQuery,
};

use crate::body::Body;
use crate::envelope;
use crate::error::ApiError;
use crate::error_translation::zone_error;
use crate::objects::zone;
use crate::query::Query;
use crate::state::Api;

/// List zones
///
/// The zones that the token may read. A name may begin with `equal:`, `not_equal:`, `starts_with:`,
/// `ends_with:` or `contains:`.
#[utoipa::path(
    get,
    path = "/client/v4/zones",
    tag = "Zones",
    operation_id = "zones-get",
    params(ZonesQuery, TenantsPageQuery),
    responses((
        status = 200,
        description = "A page of zones",
        body = PageAnswer<Vec<Zone<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let visible = caller
        .principal()
        .visible::<ReadZones>()
        .ok_or_else(ApiError::refused)?;
    let query = Query::parse(query.as_deref())?;
    let asked = query.page_of_tenants()?;
    let page = match query.zones(visible)? {
        Some(filter) => api.store.zones(&filter, asked.slice).await?,
        None => Page {
            items: Vec::new(),
            total: 0,
        },
    };
    envelope::list(asked, &page, zone)
}

/// Create a zone
///
/// Without an account, or with an empty one, in the only account in which the token may create
/// zones.
#[utoipa::path(
    post,
    path = "/client/v4/zones",
    tag = "Zones",
    operation_id = "zones-post",
    request_body = CreateZone<'static>,
    responses((status = 200, description = "The new zone", body = Answer<Zone<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Body(body): Body<CreateZone<'static>>,
) -> Result<Response, ApiError> {
    let account = match account_of(&body)? {
        Some(id) => id,
        None => only_account(&api, &caller).await?,
    };
    let scope = api.service.access.account_scope(&caller, account).await;
    let scope = scope.map_err(|error| match error {
        AccessError::NotFound => ApiError::no_tenant().at("/account/id"),
        other => other.into(),
    })?;
    let draft = ZoneDraft {
        name: body.name.into_owned(),
        properties: ZoneProperties {
            paused: body.paused.unwrap_or_default(),
            kind: body.kind.map(|kind| kind.0).unwrap_or_default(),
            vanity_name_servers: owned(body.vanity_name_servers).unwrap_or_default(),
        },
    };
    let created = api.service.tenants.create_zone(&scope, draft).await;
    envelope::one(zone(&created.map_err(zone_error)?))
}

/// Returns the account that the body names.
fn account_of(body: &CreateZone<'_>) -> Result<Option<AccountId>, ApiError> {
    let id = |named: &Option<AccountReference>| named.as_ref().and_then(|named| named.id);
    match (id(&body.account), id(&body.organization)) {
        (Some(account), Some(organization)) if account != organization => {
            let message = "account and organization are the same member and differ: send account";
            Err(ApiError::member("/organization/id", message.to_owned()))
        }
        (account, organization) => Ok(account.or(organization).map(Into::into)),
    }
}

/// Returns the account in which the caller may create zones, if there is only one.
async fn only_account(api: &Api, caller: &Caller) -> Result<AccountId, ApiError> {
    let visible = caller.principal().visible::<ManageZones>();
    let filter = AccountFilter {
        visible: visible.ok_or_else(ApiError::refused)?,
        name: None,
        direction: Direction::default(),
    };
    let found = api.store.accounts(&filter, Slice { first: 0, size: 1 });
    let Page { items, total } = found.await?;
    match items.first() {
        None => Err(ApiError::refused()),
        Some(only) if total == 1 => Ok(only.id),
        Some(_) => {
            let message = format!(
                "account.id is missing, and the token may create zones in {total} accounts: name \
                 one of them"
            );
            Err(ApiError::member("/account/id", message))
        }
    }
}

/// Get a zone
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}",
    tag = "Zones",
    operation_id = "zones-0-get",
    params(ZonePath),
    responses((status = 200, description = "The zone", body = Answer<Zone<'static>>)),
)]
pub(crate) async fn get(scope: ZoneScope<ReadZones>) -> Result<Response, ApiError> {
    envelope::one(zone(scope.zone()))
}

/// Change a zone
///
/// Absent members, and `null`, leave theirs as they are. No property has an effect on certificates.
#[utoipa::path(
    patch,
    path = "/client/v4/zones/{zone_id}",
    tag = "Zones",
    operation_id = "zones-0-patch",
    params(ZonePath),
    request_body = Option<UpdateZone<'static>>,
    responses((status = 200, description = "The zone", body = Answer<Zone<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    scope: ZoneScope<ManageZones>,
    Body(body): Body<UpdateZone<'static>>,
) -> Result<Response, ApiError> {
    let change = ZoneChange {
        paused: body.paused,
        kind: body.kind.map(|kind| kind.0),
        vanity_name_servers: owned(body.vanity_name_servers),
    };
    let changed = api.service.tenants.change_zone(&scope, change).await;
    envelope::one(zone(&changed.map_err(zone_error)?))
}

fn owned(names: Option<Vec<Cow<'static, str>>>) -> Option<Vec<String>> {
    Some(names?.into_iter().map(Cow::into_owned).collect())
}

/// Delete a zone
///
/// Refused while it has certificates that are not revoked.
#[utoipa::path(
    delete,
    path = "/client/v4/zones/{zone_id}",
    tag = "Zones",
    operation_id = "zones-0-delete",
    params(ZonePath),
    responses((status = 200, description = "The ID of the deleted zone", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    scope: ZoneScope<ManageZones>,
) -> Result<Response, ApiError> {
    let deleted = api.service.tenants.delete_zone(&scope).await;
    let id = deleted.map_err(zone_error)?.into();
    envelope::one(Deleted { id })
}
