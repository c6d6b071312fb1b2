//! The requests of the page behind the link of an invite. Only a POST with the secret reads or uses
//! an invite: programs of chats open links to show a preview. Refusals are plain text, which the
//! page shows.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use certgate_model::Actor;
use certgate_service::{
    EnrolError, FILE_SECONDS, FileForm, InviteFile, PresentedInvite, ProfileSigner, key_for_devices,
};
use certgate_wire::{
    CertifyInvited, DeviceName, InviteEnrolment, InviteFileForm, InviteFileMade, InviteStateName,
    InvitedCertificate, MakeInviteFile, OpenInvite, OpenedInvite, Time,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::body::RequiredBody;
use crate::enforcement_objects::pem;
use crate::error::ApiError;
use crate::response;
use crate::routes::est::{self, Client, Refused};
use crate::state::Api;

/// The parts of the server that the page needs beside the API.
#[derive(Clone)]
pub struct InviteParts {
    /// Signs profiles with the key of the listener.
    pub signer: Arc<dyn ProfileSigner>,
    /// Returns the SHA-256 of the last certificate of the chain of enrolment, in hexadecimal
    /// digits. [`None`]: enrolment is off.
    pub enrolment_fingerprint: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Returns the content of an invite, and uses nothing.
pub(crate) async fn open(
    State(api): State<Api>,
    Extension(parts): Extension<InviteParts>,
    Path(id): Path<String>,
    client: Client,
    body: Result<RequiredBody<OpenInvite>, ApiError>,
) -> Result<Response, Refused> {
    let RequiredBody(OpenInvite { secret }) = body?;
    let secret = Zeroizing::new(secret);
    let presented = presented(&id, &secret, client.address());
    let (invite, zone) = api.service.invites.open(presented).await?;
    let account = api
        .store
        .account(zone.account)
        .await
        .map_err(EnrolError::from)?;
    let account = account.ok_or(EnrolError::NoZone)?;
    let enrolled = api
        .enrol_url
        .as_deref()
        .zip((parts.enrolment_fingerprint)());
    json(&OpenedInvite {
        name: (&invite.name).into(),
        device: DeviceName(invite.device),
        zone: (&zone.name).into(),
        account: (&account.name).into(),
        invited_by: creator(&api, invite.created_by).await?,
        state: InviteStateName(invite.state(api.clock.now())),
        expires_on: Time(invite.expires_on),
        uses_left: invite.uses_max.saturating_sub(invite.uses),
        key_type: key_for_devices(&zone).0.to_string(),
        enrol: enrolled.map(|(url, fingerprint)| InviteEnrolment {
            est: est::address(url, &zone),
            works: format!("{url}/works/{}", zone.name),
            fingerprint,
        }),
    })
}

/// Issues the certificate for a key of the holder.
pub(crate) async fn certificate(
    State(api): State<Api>,
    Path(id): Path<String>,
    client: Client,
    body: Result<RequiredBody<CertifyInvited>, ApiError>,
) -> Result<Response, Refused> {
    let RequiredBody(CertifyInvited { secret, csr }) = body?;
    let secret = Zeroizing::new(secret);
    let presented = presented(&id, &secret, client.address());
    let invites = &api.service.invites;
    let (issued, zone) = invites.redeem(presented, None, csr).await?;
    let signer = issued.certificate.authority.id;
    let enrolment = &api.service.enrolment;
    let authorities = enrolment.authorities_from(&zone, signer).await?;
    let chain = authorities.iter().take(1).map(|der| pem(der));
    json(&InvitedCertificate {
        certificate: pem(&issued.certificate.der),
        chain: chain.collect(),
    })
}

/// Makes a key, issues its certificate, and keeps both in a file until its download.
pub(crate) async fn file(
    State(api): State<Api>,
    Extension(parts): Extension<InviteParts>,
    Path(id): Path<String>,
    client: Client,
    body: Result<RequiredBody<MakeInviteFile>, ApiError>,
) -> Result<Response, Refused> {
    let RequiredBody(MakeInviteFile { secret, form }) = body?;
    let secret = Zeroizing::new(secret);
    let form = match form {
        InviteFileForm::Mobileconfig => FileForm::Profile,
        InviteFileForm::P12 => FileForm::Modern,
        InviteFileForm::P12Legacy => FileForm::Legacy,
    };
    let presented = presented(&id, &secret, client.address());
    let files = &api.service.invite_files;
    let made = files.make(presented, form, parts.signer).await?;
    json(&InviteFileMade {
        path: format!("../files/{}/{}", made.token, made.name),
        password: made.password.expose().into(),
        seconds: FILE_SECONDS,
    })
}

/// Returns a file that was made. A HEAD request, which programs of chats send, takes no download.
pub(crate) async fn download(
    State(api): State<Api>,
    method: Method,
    Path((token, _)): Path<(String, String)>,
) -> Result<Response, Refused> {
    if method == Method::HEAD {
        return Err(Refused::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "use GET: a download is counted",
        ));
    }
    let file = api.service.invite_files.take(&token);
    let InviteFile { form, name, octets } = file.ok_or_else(|| {
        let text = "this file was downloaded before, or its time is over: its key does not exist \
                    any more, ask for a new invite";
        Refused::new(StatusCode::NOT_FOUND, text)
    })?;
    let media_type = match form {
        FileForm::Profile => "application/x-apple-aspen-config",
        FileForm::Modern | FileForm::Legacy => "application/x-pkcs12",
    };
    // The octets are wiped after they were sent.
    let mut response = response::typed(media_type, Bytes::from_owner(octets));
    let attachment = format!("attachment; filename=\"{name}\"");
    if let Ok(value) = HeaderValue::try_from(attachment) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The headers that each answer of the listener has, unless it has its own.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Adds the headers that keep the secret and the certificate in the page.
pub(crate) async fn protected(mut response: Response) -> Response {
    // A browser would ask for a user name and a password.
    if response.status() == StatusCode::UNAUTHORIZED {
        *response.status_mut() = StatusCode::FORBIDDEN;
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
    }
    for (name, value) in HEADERS {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

pub(crate) async fn no_route() -> Refused {
    let text = "there is nothing at this address: open the whole link of your invite";
    Refused::new(StatusCode::NOT_FOUND, text)
}

fn presented<'a>(id: &'a str, secret: &'a str, from: Option<IpAddr>) -> PresentedInvite<'a> {
    PresentedInvite { id, secret, from }
}

/// Returns the name of the creator of an invite.
async fn creator(api: &Api, actor: Actor) -> Result<Option<String>, EnrolError> {
    Ok(match actor {
        Actor::Token(id) => {
            let token = api.store.token(id).await?;
            token.map(|token| format!("the API token “{}”", token.name))
        }
        Actor::ApiKey(_) => api.store.user().await?.map(|user| user.email),
        Actor::System
        | Actor::Offline
        | Actor::Certificate(_)
        | Actor::TrustedCa(_)
        | Actor::Invite(_) => None,
    })
}

fn json(value: &impl Serialize) -> Result<Response, Refused> {
    let text = serde_json::to_string(value)
        .map_err(|error| ApiError::internal(format!("cannot write an answer: {error}")))?;
    Ok(response::json(StatusCode::OK, text).into_response())
}
