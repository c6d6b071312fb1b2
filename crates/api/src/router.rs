//! All routes on one screen.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{Extension, Request};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::{Method, Uri, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::middleware::RequestLayer;
pub use crate::routes::invite_page::InviteParts;
use crate::routes::{
    account_tokens, accounts, adoption, api_key, audit, audit_logs, certificate_history,
    client_certificates, enforcement_points, enforcement_view, est, hostname_associations,
    invite_page, invites, issuance_rules, managed_authorities, managed_authority_requests,
    memberships, mtls_certificates, notifications, operations, permissions, publication,
    revocation_feed, summary, tokens, user, works, zones,
};
use crate::state::Api;
use crate::{code, openapi, response};

/// The web console, which the listener of the management API serves too.
pub struct Console {
    /// The address of its first page.
    pub path: &'static str,
    /// Its files.
    pub routes: Router<Api>,
}

/// Returns the management API, with the web console if there is one.
pub fn management(api: Api, console: Option<Console>) -> Router {
    let (documented, _) = documented().split_for_parts();
    let router = documented
        .route("/openapi.json", get(openapi_document))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics));
    let router = match console {
        Some(Console { path, routes }) => router
            .merge(routes)
            .fallback(move |request: Request| no_route_but_console(request, path)),
        None => router.fallback(no_route),
    };
    router
        .method_not_allowed_fallback(no_method)
        .layer(RequestLayer::of_management(&api))
        .with_state(api)
}

/// Returns the public responder. Clients without credentials reach it over plain HTTP.
pub fn responder(api: Api) -> Router {
    let router = Router::new()
        .route("/crl/{authority_id}/{file}", get(publication::crl))
        .route("/ca/{file}", get(publication::authority_certificate))
        .route("/ocsp", post(publication::ocsp_post))
        .route("/ocsp/", post(publication::ocsp_post))
        .route("/ocsp/{*request}", get(publication::ocsp_get))
        .route("/healthz", get(operations::healthz))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method);
    router
        .layer(RequestLayer::of_responder(&api))
        .with_state(api)
}

/// Returns the routes of enrolment (EST, RFC 7030). The label of a path is the name of a zone.
pub fn enrolment(api: Api) -> Router {
    let operations = Router::new()
        .route("/cacerts", get(est::ca_certificates))
        .route("/csrattrs", get(est::csr_attributes))
        .route("/simpleenroll", post(est::enrol))
        .route("/simplereenroll", post(est::reenrol));
    let router = Router::new()
        .nest("/.well-known/est/{label}", operations.clone())
        // strongSwan appends the whole path of RFC 7030 to that of its address.
        .nest("/{label}/.well-known/est", operations)
        .route("/works/{label}", get(works::works))
        .route("/healthz", get(operations::healthz))
        .fallback(est::no_route)
        .method_not_allowed_fallback(est::no_method);
    router
        .layer(RequestLayer::of_enrolment(&api))
        .with_state(api)
}

/// The page behind the links of invites.
pub struct InvitePage {
    /// Its files.
    pub page: Router<Api>,
    /// Parts of the server that its requests need.
    pub parts: InviteParts,
}

/// Returns the page behind the links of invites, and its requests.
pub fn invites(api: Api, InvitePage { page, parts }: InvitePage) -> Router {
    let router = page
        .route("/i/{id}/open", post(invite_page::open))
        .route("/i/{id}/certificate", post(invite_page::certificate))
        .route("/i/{id}/file", post(invite_page::file))
        .route("/files/{token}/{name}", get(invite_page::download))
        .route("/healthz", get(operations::healthz))
        .fallback(invite_page::no_route)
        .method_not_allowed_fallback(est::no_method);
    router
        .layer(Extension(parts))
        .layer(map_response(invite_page::protected))
        .layer(RequestLayer::of_invites(&api))
        .with_state(api)
}

/// Returns the OpenAPI document as JSON.
pub fn openapi_json() -> &'static str {
    static DOCUMENT: LazyLock<String> =
        LazyLock::new(|| openapi::complete(documented().split_for_parts().1));
    &DOCUMENT
}

async fn openapi_document() -> Response {
    response::typed("application/json", openapi_json())
}

fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(
            client_certificates::list,
            client_certificates::create
        ))
        .routes(routes!(
            client_certificates::get,
            client_certificates::reactivate,
            client_certificates::revoke
        ))
        .routes(routes!(certificate_history::get))
        .routes(routes!(summary::get))
        .routes(routes!(invites::list, invites::create))
        .routes(routes!(invites::get, invites::withdraw))
        .routes(routes!(
            hostname_associations::list,
            hostname_associations::replace
        ))
        .routes(routes!(issuance_rules::get, issuance_rules::replace))
        .routes(routes!(zones::list, zones::create))
        .routes(routes!(zones::get, zones::update, zones::delete))
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::get, accounts::update, accounts::delete))
        .routes(routes!(audit::of_account))
        .routes(routes!(audit::of_user))
        .routes(routes!(audit_logs::of_account))
        .routes(routes!(audit_logs::of_user))
        .routes(routes!(memberships::list))
        .routes(routes!(memberships::get))
        .routes(routes!(account_tokens::list, account_tokens::create))
        .routes(routes!(
            account_tokens::get,
            account_tokens::update,
            account_tokens::delete
        ))
        .routes(routes!(account_tokens::roll))
        .routes(routes!(account_tokens::verify))
        .routes(routes!(account_tokens::permission_groups))
        .routes(routes!(adoption::adopt))
        .routes(routes!(managed_authorities::get))
        .routes(routes!(
            managed_authorities::list,
            managed_authorities::create
        ))
        .routes(routes!(managed_authorities::crls))
        .routes(routes!(managed_authorities::rotate))
        .routes(routes!(managed_authorities::activate))
        .routes(routes!(managed_authorities::retire))
        .routes(routes!(
            managed_authority_requests::list,
            managed_authority_requests::create
        ))
        .routes(routes!(managed_authority_requests::delete))
        .routes(routes!(
            enforcement_points::list,
            enforcement_points::register
        ))
        .routes(routes!(enforcement_points::delete))
        .routes(routes!(enforcement_points::acknowledge))
        .routes(routes!(enforcement_view::get))
        .routes(routes!(revocation_feed::changes))
        .routes(routes!(revocation_feed::stream))
        .routes(routes!(revocation_feed::revoked))
        .routes(routes!(mtls_certificates::list, mtls_certificates::create))
        .routes(routes!(mtls_certificates::get, mtls_certificates::delete))
        .routes(routes!(mtls_certificates::associations))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::undelivered))
        .routes(routes!(notifications::retry))
        .routes(routes!(notifications::test))
        .routes(routes!(user::get, user::update))
        .routes(routes!(user::verify_token))
        .routes(routes!(permissions::get))
        .routes(routes!(api_key::replace, api_key::delete))
        .routes(routes!(tokens::permission_groups))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::get, tokens::update, tokens::delete))
        .routes(routes!(tokens::roll))
}

async fn no_route(uri: Uri) -> ApiError {
    ApiError::no_route(uri.path())
}

/// Sends a browser that opens the address of the API to the console.
async fn no_route_but_console(request: Request, console: &'static str) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let accept = request.headers().get_all(header::ACCEPT).iter();
    let mut accept = accept.filter_map(|value| value.to_str().ok());
    if is_read && request.uri().path() == "/" && accept.any(|text| text.contains("text/html")) {
        return Redirect::to(console).into_response();
    }
    no_route(request.uri().clone()).await.into_response()
}

async fn no_method() -> ApiError {
    let message = "The route does not have this method: use one of the allow header";
    ApiError::new(code::METHOD, message)
}
