//! `/zones`

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountId, Page};
use certgate_service::{ManageZones, ReadZones, ZoneDraft, ZoneScope};

use crate::body::JsonBody;
use crate::error::{ApiError, zone_error};
use crate::extract::{Caller, ScopeOf};
use crate::openapi::{Answer, CreateZone, PageAnswer};
use crate::query::Query;
use crate::wire::{Deleted, Zone};
use crate::{Api, envelope};

/// List zones
///
/// Those that the token may read. A name may begin with `equal:`, `not_equal:`, `starts_with:`, `ends_with:` or `contains:`.
#[utoipa::path(
    get,
    path = "/client/v4/zones",
    tag = "Zones",
    operation_id = "zones-get",
    params(
        ("name" = Option<String>, Query, description = "The zone's name, or a condition on it"),
        ("status" = Option<String>, Query, description = "`active`; every zone is. `initializing`, `pending` and `moved` match none"),
        ("account.id" = Option<String>, Query, description = "32 hex digits"),
        ("account.name" = Option<String>, Query, description = "The account's name, or a condition on it"),
        ("match" = Option<String>, Query, description = "`all` (default) or `any` of the conditions"),
        ("order" = Option<String>, Query, description = "`name`, `status`, `account.id` or `account.name`; default: by creation"),
        ("direction" = Option<String>, Query, description = "`asc` (default) or `desc`"),
        ("page" = Option<u64>, Query, description = "From 1", minimum = 1, maximum = 9_007_199_254_740_991_u64),
        ("per_page" = Option<u64>, Query, description = "Page size; default 20", minimum = 5, maximum = 50),
    ),
    responses((status = 200, description = "A page of zones", body = PageAnswer<Zone<'static>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Caller(caller): Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let visible = caller
        .principal()
        .visible::<ReadZones>()
        .ok_or_else(ApiError::refused)?;
    let query = Query::parse(query.as_deref())?;
    let asked = query.page()?;
    let page = match query.zones(visible)? {
        Some(filter) => api.store.zones(&filter, asked.slice).await?,
        None => Page {
            items: Vec::new(),
            total: 0,
        },
    };
    envelope::list(asked, &page, Zone::from)
}

/// Create a zone
#[utoipa::path(
    post,
    path = "/client/v4/zones",
    tag = "Zones",
    operation_id = "zones-post",
    request_body = CreateZone,
    responses((status = 200, description = "The new zone", body = Answer<Zone<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Caller(caller): Caller,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let body = body.object();
    let draft = ZoneDraft {
        name: body.string("name")?.to_owned(),
    };
    let account = body.optional_object("account")?;
    let account = account
        .ok_or_else(|| body.missing("account", r#"an object such as {"id": "<account id>"}"#))?;
    let account: AccountId = account.string("id")?.parse().map_err(|_| {
        let message =
            "the account id is not 32 hexadecimal digits; GET /accounts lists them".to_owned();
        ApiError::member("/account/id", message)
    })?;
    let scope = api
        .service
        .access
        .account_scope::<ManageZones>(&caller, account)
        .await?;
    let zone = api
        .service
        .tenants
        .create_zone(&scope, draft)
        .await
        .map_err(zone_error)?;
    envelope::one(Zone::from(&zone))
}

/// Get a zone
#[utoipa::path(
    get,
    path = "/client/v4/zones/{zone_id}",
    tag = "Zones",
    operation_id = "zones-0-get",
    params(("zone_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The zone", body = Answer<Zone<'static>>)),
)]
pub(crate) async fn get(
    ScopeOf(scope): ScopeOf<ZoneScope<ReadZones>>,
) -> Result<Response, ApiError> {
    envelope::one(Zone::from(scope.zone()))
}

/// Delete a zone
///
/// Refused while it has certificates that are not revoked.
#[utoipa::path(
    delete,
    path = "/client/v4/zones/{zone_id}",
    tag = "Zones",
    operation_id = "zones-0-delete",
    params(("zone_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The id of the deleted zone", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<ZoneScope<ManageZones>>,
) -> Result<Response, ApiError> {
    let id = api
        .service
        .tenants
        .delete_zone(&scope)
        .await
        .map_err(zone_error)?;
    envelope::one(Deleted { id: id.to_string() })
}
