//! `/permissions`: the permissions of the caller itself.

use axum::extract::State;
use axum::response::Response;
use certgate_model::{Actor, PermissionGroup, Scope, Visible};
use certgate_service::{Caller, Principal};
use certgate_wire::{Answer, CallerPermission, CallerPermissions, EventActor, Id, Time};

use crate::envelope;
use crate::error::ApiError;
use crate::issuance_rules;
use crate::state::Api;

/// List the permissions of the caller
///
/// Every token and the API key may ask. A program learns which actions it can offer to its user.
/// The answer has the effect of all policies together, and the token's own issuance rules. Not part
/// of Cloudflare's API.
#[utoipa::path(
    get,
    path = "/certgate/v1/permissions",
    tag = "User",
    operation_id = "caller-permissions",
    responses((
        status = 200,
        description = "The permissions",
        body = Answer<CallerPermissions<'static>>,
    )),
)]
pub(crate) async fn get(State(api): State<Api>, caller: Caller) -> Result<Response, ApiError> {
    let principal = caller.principal();
    let token = principal.token();
    let user = match principal.actor() {
        Actor::ApiKey(_) => api.store.user().await?,
        _ => None,
    };
    let (kind, id, name) = match &user {
        Some(user) => ("api_key", Id::from(user.id), &*user.email),
        None => ("token", Id::from(token.id), &*token.name),
    };
    let mut permissions: Vec<_> = PermissionGroup::ALL
        .into_iter()
        .filter_map(|group| permission(principal, group))
        .collect();
    permissions.sort_by(|one, other| one.name.cmp(&other.name));
    envelope::one(CallerPermissions {
        caller: EventActor {
            kind: kind.into(),
            id: Some(id),
            name: Some(name.into()),
        },
        expires_on: token.expires_on.map(Time),
        issuance_rules: issuance_rules::shown(&token.issuance_rules),
        permissions,
    })
}

/// Returns the places where the caller has a permission; [`None`] without any.
fn permission(principal: &Principal, group: PermissionGroup) -> Option<CallerPermission<'static>> {
    let scope = group.scope();
    let places = match scope {
        Scope::User => principal.may_as_user(group).then(|| Visible {
            all: true,
            ..Visible::default()
        }),
        Scope::Account | Scope::Zone => principal.places_of(group),
    }?;
    Some(CallerPermission {
        id: group.id().into(),
        name: group.name().into(),
        scope: scope.name().into(),
        everywhere: places.all,
        accounts: ids(places.accounts),
        zones: ids(places.zones),
        except_accounts: ids(places.except_accounts),
        except_zones: ids(places.except_zones),
    })
}

/// Returns the IDs sorted and once each: several policies may name one.
fn ids<T: Ord>(mut found: Vec<T>) -> Vec<Id>
where
    Id: From<T>,
{
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(Id::from).collect()
}
