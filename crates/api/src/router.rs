//! All routes on one screen, and what every request passes.

use axum::Router;
use axum::extract::OriginalUri;
use axum::routing::{get, post};
use http::StatusCode;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::middleware::Around;
use crate::routes::{
    accounts, api_key, audit, client_certificates, enforcement_points, hostname_associations,
    managed_authorities, mtls_certificates, operations, publication, tokens, user, zones,
};
use crate::{Api, code};

/// The management API.
pub fn management(api: Api) -> Router {
    let (documented, _) = documented().split_for_parts();
    let router = documented
        .route("/openapi.json", get(operations::openapi))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/metrics", get(operations::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method);
    router.layer(Around::new(&api)).with_state(api)
}

/// The public responder. Clients without credentials reach it over plain HTTP.
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
    router.layer(Around::new(&api)).with_state(api)
}

/// The OpenAPI document of the routes, without what they have in common.
pub(crate) fn document() -> OpenApi {
    documented().split_for_parts().1
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
        .routes(routes!(
            hostname_associations::list,
            hostname_associations::replace
        ))
        .routes(routes!(zones::list, zones::create))
        .routes(routes!(zones::get, zones::delete))
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::get, accounts::delete))
        .routes(routes!(audit::of_account))
        .routes(routes!(audit::of_user))
        .routes(routes!(managed_authorities::get))
        .routes(routes!(
            managed_authorities::list,
            managed_authorities::import
        ))
        .routes(routes!(managed_authorities::rotate))
        .routes(routes!(
            enforcement_points::list,
            enforcement_points::register
        ))
        .routes(routes!(enforcement_points::delete))
        .routes(routes!(enforcement_points::acknowledge))
        .routes(routes!(enforcement_points::changes))
        .routes(routes!(enforcement_points::stream))
        .routes(routes!(enforcement_points::revoked))
        .routes(routes!(mtls_certificates::list, mtls_certificates::create))
        .routes(routes!(mtls_certificates::get, mtls_certificates::delete))
        .routes(routes!(mtls_certificates::associations))
        .routes(routes!(user::get))
        .routes(routes!(user::verify_token))
        .routes(routes!(api_key::replace, api_key::delete))
        .routes(routes!(tokens::permission_groups))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::get, tokens::update, tokens::delete))
        .routes(routes!(tokens::roll))
}

async fn no_route(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::no_route(uri.path())
}

async fn no_method() -> ApiError {
    let message = "The route does not have this method; the allow header lists those it has";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, code::METHOD, message)
}
