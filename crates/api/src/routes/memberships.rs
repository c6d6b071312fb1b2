//! `/memberships`: the accounts of the user, in the form that command-line clients ask for first.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{AccountFilter, Page};
use certgate_service::{Caller, ReadAccounts};
use certgate_wire::{
    Answer, Membership, MembershipPath, MembershipsQuery, PageAnswer, TenantsPageQuery,
};

use crate::envelope;
use crate::error::ApiError;
use crate::objects::membership;
use crate::query::Query;
use crate::state::Api;

/// List memberships
///
/// One for each account that the token may read.
#[utoipa::path(
    get,
    path = "/client/v4/memberships",
    tag = "Memberships",
    operation_id = "user-account-memberships-list-memberships",
    params(MembershipsQuery, TenantsPageQuery),
    responses((
        status = 200,
        description = "A page of memberships",
        body = PageAnswer<Vec<Membership<'static>>>,
    )),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let principal = caller.principal();
    let visible = principal
        .visible::<ReadAccounts>()
        .ok_or_else(ApiError::refused)?;
    let query = Query::parse(query.as_deref())?;
    let asked = query.page_of_tenants()?;
    let page = match query.memberships()? {
        Some((name, direction)) => {
            let filter = AccountFilter {
                visible,
                name,
                direction,
            };
            api.store.accounts(&filter, asked.slice).await?
        }
        None => Page {
            items: Vec::new(),
            total: 0,
        },
    };
    envelope::list(asked, &page, |account| membership(principal, account))
}

/// Get a membership
#[utoipa::path(
    get,
    path = "/client/v4/memberships/{membership_id}",
    tag = "Memberships",
    operation_id = "user-account-memberships-membership-details",
    params(MembershipPath),
    responses((
        status = 200,
        description = "The membership",
        body = Answer<Membership<'static>>,
    )),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    path: MembershipPath,
    caller: Caller,
) -> Result<Response, ApiError> {
    let (access, account) = (&api.service.access, path.membership_id.into());
    let scope = access
        .account_scope::<ReadAccounts>(&caller, account)
        .await?;
    envelope::one(membership(caller.principal(), scope.account()))
}
