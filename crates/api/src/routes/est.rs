//! Enrolment over Secure Transport (RFC 7030, RFC 8951). Answers that are not certificates are plain
//! text: people with curl read them, and programs of routers log them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse, Response};
use base64ct::{Base64, Encoding};
use certgate_model::{SECONDS_PER_DAY, StoredRules, Timestamp, ZoneRecord};
use certgate_pki::certs_only;
use certgate_service::{EnrolError, Fault, IssueError, Issued, PresentedInvite, RenewalRefused};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use zeroize::Zeroizing;

use crate::body::BODY_BYTES_MAX;
use crate::error::ApiError;
use crate::failure_log::Inside;
use crate::response::typed;
use crate::state::{Api, PeerAddress, PeerCertificate};

/// RFC 7030 §4.1.3 and §4.2.3.
const CERTIFICATES_TYPE: &str = "application/pkcs7-mime; smime-type=certs-only";

/// RFC 7030 §4.5.2.
const ATTRIBUTES_TYPE: &str = "application/csrattrs";

/// Clients that follow RFC 7030 expect it. RFC 8951 §3.1 has removed its meaning.
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// Seconds until a client tries again that the server has no time for.
const DEFERRED_SECONDS: u32 = 10;

/// The zone of the label in the path.
pub(crate) struct Label(pub(crate) Arc<ZoneRecord>);

impl FromRequestParts<Api> for Label {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let path = Path::<String>::from_request_parts(parts, api).await;
        let Path(name) = path.map_err(|_| EnrolError::NoZone)?;
        Ok(Self(api.service.enrolment.zone(&name).await?))
    }
}

/// The longest user name and password of HTTP Basic in Base64, in octets: an invite has about 100.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// Asks a client for a user name and password (RFC 7617 §2, RFC 7030 §3.2.3).
const CHALLENGE: &str = "Basic realm=\"ID and secret of an invite\", charset=\"UTF-8\"";

/// The client of a request.
pub(crate) struct Client {
    certificate: Option<PeerCertificate>,
    /// The value of `Authorization`.
    authorization: Option<HeaderValue>,
    /// [`None`]: it is unknown.
    address: Option<IpAddr>,
}

impl FromRequestParts<Api> for Client {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<PeerAddress>();
        let peer =
            peer.ok_or_else(|| ApiError::internal("the listener gave no address".to_owned()))?;
        Ok(Self {
            certificate: parts.extensions.get::<PeerCertificate>().cloned(),
            authorization: parts.headers.get(header::AUTHORIZATION).cloned(),
            address: api.trusted_proxies.client_of(peer.0, &parts.headers),
        })
    }
}

impl Client {
    /// The address of the client; [`None`]: it is unknown.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns the client's own certificate.
    pub(crate) fn certificate(&self) -> Result<&[u8], EnrolError> {
        let chain = self.certificate.as_ref().and_then(|chain| chain.0.first());
        chain.map(Vec::as_slice).ok_or(EnrolError::NoCertificate)
    }

    /// Returns the user name and the password of HTTP Basic, with a colon between them (RFC 7617
    /// §2), if the client sends them.
    fn password(&self) -> Result<Option<Zeroizing<String>>, Refused> {
        let value = self.authorization.as_ref();
        let value = value.and_then(|value| value.to_str().ok());
        let Some((scheme, encoded)) = value.and_then(|text| text.split_once(' ')) else {
            return Ok(None);
        };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Ok(None);
        }
        let read = || {
            let encoded = Some(encoded.trim()).filter(|text| text.len() <= PASSWORD_BYTES_MAX)?;
            let octets = Base64::decode_vec(encoded).ok()?;
            let text = Zeroizing::new(String::from_utf8(octets).ok()?);
            text.contains(':').then_some(text)
        };
        read().map(Some).ok_or_else(|| {
            let text = "the authorization header is not HTTP Basic with the ID and the secret of \
                        an invite";
            Refused::new(StatusCode::UNAUTHORIZED, text)
        })
    }
}

/// Returns the CAs of the zone's account.
pub(crate) async fn ca_certificates(
    State(api): State<Api>,
    Label(zone): Label,
) -> Result<Response, Refused> {
    let authorities = api.service.enrolment.authorities(&zone).await?;
    let message = certs_only(authorities.iter().map(Vec::as_slice));
    Ok(encoded(CERTIFICATES_TYPE, &message))
}

/// Returns the attributes that the issuance rules of the zone demand; 204: none.
pub(crate) async fn csr_attributes(Label(zone): Label) -> Response {
    let demanded = match &zone.issuance_rules {
        StoredRules::Known(rules) => certgate_pki::csr_attributes(rules),
        StoredRules::Absent | StoredRules::Corrupt(_) => None,
    };
    match demanded {
        Some(attributes) => encoded(ATTRIBUTES_TYPE, &attributes),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Returns the address of a zone's EST below that of the listener.
pub(crate) fn address(listener: &str, zone: &ZoneRecord) -> String {
    format!("{listener}/.well-known/est/{}", zone.name)
}

/// Issues the first certificate of a client, which has an invite or a certificate of a trusted CA.
pub(crate) async fn enrol(
    State(api): State<Api>,
    Label(zone): Label,
    client: Client,
    request: Request,
) -> Result<Response, Refused> {
    let service = &api.service;
    let issued = match (client.password()?, client.certificate()) {
        (Some(password), _) => {
            let (id, secret) = password.split_once(':').unwrap_or_default();
            let presented = PresentedInvite {
                id,
                secret,
                from: client.address,
            };
            let csr = csr_of(request).await?;
            let redeemed = service.invites.redeem(presented, Some(zone.id), csr);
            redeemed.await.map(|(issued, _)| issued)
        }
        (None, Ok(certificate)) => {
            let csr = csr_of(request).await?;
            let enrolment = &service.enrolment;
            let issued = enrolment.enrol_with_certificate(zone, certificate, csr, client.address);
            issued.await
        }
        // The answer is a question. BouncyCastle sends its password only after one without a body.
        (None, Err(_)) => return Err(Refused::new(StatusCode::UNAUTHORIZED, "")),
    };
    let issued = issued.map_err(|error| Refused::from(error).deferred())?;
    Ok(issued_answer(&issued))
}

/// Renews the certificate that the client presents.
pub(crate) async fn reenrol(
    State(api): State<Api>,
    Label(zone): Label,
    client: Client,
    request: Request,
) -> Result<Response, Refused> {
    let certificate = client.certificate()?;
    let csr = csr_of(request).await?;
    let enrolment = &api.service.enrolment;
    let issued = enrolment.reenrol(zone, certificate, csr, client.address);
    let now = api.clock.now();
    let issued = issued
        .await
        .map_err(|error| Refused::at(error, now).deferred())?;
    Ok(issued_answer(&issued))
}

/// Reads the CSR. Its Base64 may have any lines, or those of PEM around it, and
/// `Content-Transfer-Encoding` says nothing (RFC 8951 §3.1).
async fn csr_of(request: Request) -> Result<String, Refused> {
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(ApiError::encoded_body().into());
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = body.await.map_err(|_| {
        let text = format!(
            "the body is cut off, or longer than {BODY_BYTES_MAX} bytes: send one CSR in Base64"
        );
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    })?;
    let octets = body.to_bytes();
    match octets.first() {
        // The header of a SEQUENCE; in Base64, a CSR begins with M.
        Some(0x30) if octets.get(1).is_some_and(|length| *length >= 0x80) => Err(binary()),
        _ => String::from_utf8(octets.into()).map_err(|_| binary()),
    }
}

fn binary() -> Refused {
    let text = "the body is binary: send the CSR in Base64 (RFC 8951), such as from \
                `openssl req -new … -outform DER | openssl base64`";
    Refused::new(StatusCode::BAD_REQUEST, text)
}

fn issued_answer(issued: &Issued) -> Response {
    let certificate = issued.certificate.der.as_slice();
    encoded(CERTIFICATES_TYPE, &certs_only([certificate]))
}

/// Returns an answer whose body is these octets in Base64, without line breaks: strongSwan does not
/// skip them.
fn encoded(media_type: &'static str, octets: &[u8]) -> Response {
    let mut response = typed(media_type, Base64::encode_string(octets));
    let headers = response.headers_mut();
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("base64"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(crate) async fn no_route() -> Refused {
    let text = "the path is unknown: EST is below /.well-known/est/<name of the zone>/, with \
                cacerts, csrattrs, simpleenroll and simplereenroll";
    Refused::new(StatusCode::NOT_FOUND, text)
}

pub(crate) async fn no_method() -> Refused {
    let text = "the path does not have this method: use one of the allow header";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, text)
}

/// A refusal in plain text.
pub(crate) struct Refused {
    status: StatusCode,
    text: Cow<'static, str>,
    retry_after_seconds: Option<u32>,
    inside: Option<Box<Inside>>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
            retry_after_seconds: None,
            inside: None,
        }
    }

    /// Translates an error of a request at this time.
    fn at(error: EnrolError, now: Timestamp) -> Self {
        let until = match &error {
            EnrolError::Issue(IssueError::NotRenewed(RenewalRefused::TooSoon { until })) => *until,
            EnrolError::Issue(IssueError::NotRenewed(RenewalRefused::TooOften)) => {
                Timestamp::from_unix((now.unix_day() + 1) * SECONDS_PER_DAY)
            }
            _ => return error.into(),
        };
        let seconds = now.until(until).seconds() + 1;
        Self {
            retry_after_seconds: u32::try_from(seconds).ok(),
            ..error.into()
        }
    }

    /// Lets the client repeat a request that the server has no time for (RFC 7030 §4.2.3).
    fn deferred(self) -> Self {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Self {
                status: StatusCode::ACCEPTED,
                text: "the server has no time now: repeat the same request as retry-after says"
                    .into(),
                retry_after_seconds: Some(self.retry_after_seconds.unwrap_or(DEFERRED_SECONDS)),
                ..self
            },
            _ => self,
        }
    }
}

impl From<EnrolError> for Refused {
    fn from(error: EnrolError) -> Self {
        let text = error.to_string();
        let status = match error {
            EnrolError::NoZone => StatusCode::NOT_FOUND,
            EnrolError::NoInvite => StatusCode::UNAUTHORIZED,
            EnrolError::TooManyGuesses {
                retry_after_seconds,
            } => {
                return Self {
                    retry_after_seconds: Some(retry_after_seconds),
                    ..Self::new(StatusCode::TOO_MANY_REQUESTS, text)
                };
            }
            EnrolError::NoCertificate
            | EnrolError::OtherCertificate
            | EnrolError::NotTrusted
            | EnrolError::Unacceptable(_)
            | EnrolError::RetiredAuthority
            | EnrolError::NotValid { .. } => StatusCode::FORBIDDEN,
            EnrolError::Issue(error) => match error {
                IssueError::OtherSubject
                | IssueError::OtherName { .. }
                | IssueError::NotInvitedName { .. }
                | IssueError::FurtherName { .. } => StatusCode::BAD_REQUEST,
                IssueError::NotRenewed(
                    RenewalRefused::TooSoon { .. } | RenewalRefused::TooOften,
                ) => StatusCode::TOO_MANY_REQUESTS,
                IssueError::NotRenewed(_) | IssueError::NotInvited(_) => StatusCode::FORBIDDEN,
                IssueError::Busy { .. } => {
                    return ApiError::from(Fault::Unavailable(text)).into();
                }
                other => return ApiError::from(other).into(),
            },
        };
        Self::new(status, text)
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let (status, text, retry_after_seconds, inside) = error.plain();
        Self {
            status,
            text,
            retry_after_seconds,
            inside,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = match self.text.is_empty() {
            true => Body::empty(),
            false => Body::from(sentence(&self.text)),
        };
        let mut response = typed("text/plain; charset=utf-8", body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(CHALLENGE);
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(inside) = self.inside {
            response.extensions_mut().insert(*inside);
        }
        response
    }
}

/// Returns a text as a line that begins with a capital letter.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['\n']).collect()
}
