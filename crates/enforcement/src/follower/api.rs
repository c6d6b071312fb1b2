//! Requests to the management API over HTTP/1.1.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use certgate_model::{AccountId, lock};
use certgate_wire::ErrorItem;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, HeaderValue, IF_NONE_MATCH, USER_AGENT,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::address::Address;
use super::trust;

/// The limit of a new connection to the server, with TLS: a running server accepts within a few
/// round trips.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit of the wait for an answer of the server, or for its next part. The server's own limit
/// for a request is 30 s by default; a point that waits longer is better off with a new connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The largest answer without a list, in bytes: one object has less than 1 kB.
const OBJECT_BYTES_MAX: usize = 64 << 10;

/// The longest token, in bytes: a token has about forty characters.
const TOKEN_BYTES_MAX: usize = 4096;

/// The place of a token. `Debug` does not show the token.
#[derive(Clone)]
pub enum TokenSource {
    /// A file, which is read again after a refusal.
    File(PathBuf),
    /// The token itself.
    Text(Zeroizing<String>),
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}

/// The reason why a request has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The connection failed or ended.
    #[error("cannot reach the server: {0}")]
    Unreachable(String),
    /// A step took too long.
    #[error("the server did not {0} in time")]
    Timeout(&'static str),
    /// The server refused the request.
    #[error("the server answers {status}: {message} (code {code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The code of the API; 0 without one.
        code: u32,
        /// The words of the server.
        message: String,
    },
    /// The answer is not one of this API.
    #[error("cannot understand the server's answer: {0}")]
    NotUnderstood(String),
    /// The token cannot be read.
    #[error("cannot read the token from {0}")]
    Token(String),
}

impl ApiError {
    /// The code of the API, if the server refused the request.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Returns true if the server has too many requests of this kind.
    pub fn is_too_many(&self) -> bool {
        let too_many = StatusCode::TOO_MANY_REQUESTS.as_u16();
        matches!(self, Self::Refused { status, .. } if *status == too_many)
    }

    /// Returns true if the same request is useless before an operator changes something.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 400..=404 | 409 | 422),
            Self::Token(_) => true,
            _ => false,
        }
    }
}

/// A connection that sends requests.
type Sender = SendRequest<Full<Bytes>>;

/// The management API for one account.
pub struct Api {
    address: Address,
    tls: Option<TlsConnector>,
    token: TokenSource,
    account: AccountId,
    /// The value of the Authorization header, until it is refused.
    authorization: std::sync::Mutex<Option<HeaderValue>>,
    /// An idle connection for short requests.
    idle: std::sync::Mutex<Option<Sender>>,
}

impl Api {
    /// Prepares requests. `authorities`: a PEM file with the CAs to trust instead of the system's.
    pub fn new(
        address: Address,
        authorities: Option<&std::path::Path>,
        token: TokenSource,
        account: AccountId,
    ) -> Result<Self, trust::TrustError> {
        let tls = match address.is_tls {
            true => Some(TlsConnector::from(Arc::new(trust::client_config(
                authorities,
            )?))),
            false => None,
        };
        Ok(Self {
            address,
            tls,
            token,
            account,
            authorization: std::sync::Mutex::default(),
            idle: std::sync::Mutex::default(),
        })
    }

    /// Sends a request for an object, and reads the object.
    pub async fn object<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl serde::Serialize>,
    ) -> Result<T, ApiError> {
        let body = match body {
            Some(body) => serde_json::to_vec(body)
                .map_err(|error| ApiError::NotUnderstood(error.to_string()))?,
            None => Vec::new(),
        };
        let body = Bytes::from(body);
        let kept = lock(&self.idle).take();
        let reused = match kept.filter(Sender::is_ready) {
            // The server may have closed the connection at this instant. Each request here has the
            // same effect twice.
            Some(mut sender) => match self.send(&mut sender, &method, path, &body).await {
                Ok(answer) => Some((sender, answer)),
                Err(ApiError::Unreachable(_)) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let (sender, answer) = match reused {
            Some(reused) => reused,
            None => {
                let mut sender = self.connect().await?;
                let answer = self.send(&mut sender, &method, path, &body).await?;
                (sender, answer)
            }
        };
        let status = answer.status();
        let octets = read_all(answer.into_body(), OBJECT_BYTES_MAX).await?;
        let result = self.result(status, &octets)?;
        lock(&self.idle).replace(sender);
        parse(result.get().as_bytes())
    }

    /// Sends a GET on a connection of its own, and returns the body of a successful answer.
    pub async fn open(&self, path: &str, accept: &'static str) -> Result<Body, ApiError> {
        let mut sender = self.connect().await?;
        let request = self
            .request(&Method::GET, path)?
            .header(ACCEPT, accept)
            .body(Full::default())
            .map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
        let answer = answer_to(&mut sender, request).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            let octets = read_all(answer.into_body(), OBJECT_BYTES_MAX).await?;
            self.result(status, &octets)?;
            return Err(ApiError::NotUnderstood(format!("status {status}")));
        }
        let kind = answer.headers().get(CONTENT_TYPE);
        if kind.is_none_or(|kind| !kind.as_bytes().starts_with(accept.as_bytes())) {
            let text = format!("it is not {accept}: upgrade the server");
            return Err(ApiError::NotUnderstood(text));
        }
        Ok(Body::new(answer.into_body()))
    }

    /// Reads a large object of at most `limit` bytes on a connection of its own.
    pub async fn large_object<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<T, ApiError> {
        let body = self.open(path, "application/json").await?;
        let octets = read_all(body.incoming, limit).await?;
        let result = self.result(StatusCode::OK, &octets)?;
        parse(result.get().as_bytes())
    }

    async fn send(
        &self,
        sender: &mut Sender,
        method: &Method,
        path: &str,
        body: &Bytes,
    ) -> Result<Response<Incoming>, ApiError> {
        let mut request = self
            .request(method, path)?
            .header(ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.clone()))
            .map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
        answer_to(sender, request).await
    }

    fn request(&self, method: &Method, path: &str) -> Result<http::request::Builder, ApiError> {
        let (prefix, account) = (&self.address.prefix, self.account);
        let uri = format!("{prefix}/certgate/v1/accounts/{account}/{path}");
        Ok(Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(HOST, &self.address.authority)
            .header(USER_AGENT, concat!("certgate/", env!("CARGO_PKG_VERSION")))
            .header(AUTHORIZATION, self.authorization()?))
    }

    fn authorization(&self) -> Result<HeaderValue, ApiError> {
        let mut kept = lock(&self.authorization);
        if let Some(value) = &*kept {
            return Ok(value.clone());
        }
        let text = match &self.token {
            TokenSource::Text(text) => text.clone(),
            TokenSource::File(path) => {
                let shown = path.display();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| ApiError::Token(format!("{shown}: {error}")))?;
                Zeroizing::new(text)
            }
        };
        let token = text.trim();
        let is_token = !token.is_empty()
            && token.len() <= TOKEN_BYTES_MAX
            && token.bytes().all(|octet| octet.is_ascii_graphic());
        let header = Zeroizing::new(format!("Bearer {token}"));
        let value = HeaderValue::from_str(&header).ok().filter(|_| is_token);
        let mut value = value
            .ok_or_else(|| ApiError::Token(format!("{:?}: it has no token in it", self.token)))?;
        value.set_sensitive(true);
        kept.replace(value.clone());
        Ok(value)
    }

    /// Reads the envelope of an answer.
    fn result(&self, status: StatusCode, octets: &[u8]) -> Result<Box<RawValue>, ApiError> {
        #[derive(Deserialize)]
        struct Envelope {
            success: bool,
            #[serde(default)]
            errors: Vec<ErrorItem<'static>>,
            result: Option<Box<RawValue>>,
        }
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            // The file may have another token now.
            lock(&self.authorization).take();
        }
        let envelope: Envelope = match serde_json::from_slice(octets) {
            Ok(envelope) => envelope,
            Err(_) if status.is_server_error() => {
                return Err(ApiError::Unreachable(format!("a proxy answers {status}")));
            }
            Err(error) => {
                let text = format!("status {status}, {error}");
                return Err(ApiError::NotUnderstood(text));
            }
        };
        if status.is_success()
            && envelope.success
            && let Some(result) = envelope.result
        {
            return Ok(result);
        }
        let first = envelope.errors.first();
        Err(ApiError::Refused {
            status: status.as_u16(),
            code: first.map_or(0, |item| item.code),
            message: first.map_or_else(String::new, |item| item.message.to_string()),
        })
    }

    async fn connect(&self) -> Result<Sender, ApiError> {
        connect(&self.address, self.tls.as_ref()).await
    }
}

/// Opens a connection, with TLS if there is a connector.
async fn connect(address: &Address, tls: Option<&TlsConnector>) -> Result<Sender, ApiError> {
    let connected = async {
        let unreachable = |error: std::io::Error| ApiError::Unreachable(error.to_string());
        let Address { host, port, .. } = address;
        let stream = TcpStream::connect((host.as_str(), *port))
            .await
            .map_err(unreachable)?;
        // A small request must not wait for the acknowledgement of the one before it.
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = tls else {
            return sender_over(stream).await;
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|error| ApiError::Unreachable(error.to_string()))?;
        sender_over(tls.connect(name, stream).await.map_err(unreachable)?).await
    };
    let connected = timeout(CONNECT_TIMEOUT, connected).await;
    connected.unwrap_or(Err(ApiError::Timeout("accept a connection")))
}

/// Public files, such as CRLs, which need no token.
pub struct PublicFiles {
    tls: Option<TlsConnector>,
}

/// A public file with its entity tag.
pub struct PublicFile {
    pub content: Vec<u8>,
    pub tag: Option<HeaderValue>,
}

impl PublicFiles {
    /// Prepares requests. `authorities` are as in [`Api::new`]. Without any CA, only http works.
    pub fn new(authorities: Option<&std::path::Path>) -> Self {
        let configuration = trust::client_config(authorities).ok();
        Self {
            tls: configuration.map(|configuration| TlsConnector::from(Arc::new(configuration))),
        }
    }

    /// Reads a file of at most `limit` bytes; [`None`] if it still has the entity tag `known`.
    pub async fn get(
        &self,
        url: &str,
        known: Option<&HeaderValue>,
        limit: usize,
    ) -> Result<Option<PublicFile>, ApiError> {
        let address =
            Address::read(url).map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
        let tls = match (address.is_tls, &self.tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls),
            (true, None) => {
                return Err(ApiError::Unreachable(
                    "no CA is trusted for https".to_owned(),
                ));
            }
        };
        let mut sender = connect(&address, tls).await?;
        let mut request = Request::get(&address.prefix)
            .header(HOST, &address.authority)
            .header(USER_AGENT, concat!("certgate/", env!("CARGO_PKG_VERSION")));
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        let request = request
            .body(Full::default())
            .map_err(|error| ApiError::NotUnderstood(error.to_string()))?;
        let answer = answer_to(&mut sender, request).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED => return Ok(None),
            status => {
                return Err(ApiError::Refused {
                    status: status.as_u16(),
                    code: 0,
                    message: format!("{url} is not published"),
                });
            }
        }
        let tag = answer.headers().get(ETAG).cloned();
        let content = read_all(answer.into_body(), limit).await?;
        Ok(Some(PublicFile { content, tag }))
    }
}

async fn sender_over<S>(stream: S) -> Result<Sender, ApiError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ApiError::Unreachable(error.to_string()))?;
    tokio::spawn(async move {
        // An error here is also one of the request.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn answer_to(
    sender: &mut Sender,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ApiError> {
    match timeout(ANSWER_TIMEOUT, sender.send_request(request)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(ApiError::Unreachable(error.to_string())),
        Err(_) => Err(ApiError::Timeout("answer")),
    }
}

async fn read_all(body: Incoming, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Body::new(body);
    let mut octets = Vec::new();
    while let Some(part) = body.part(ANSWER_TIMEOUT).await? {
        if octets.len() + part.len() > limit {
            let text = format!("it has more than {limit} bytes");
            return Err(ApiError::NotUnderstood(text));
        }
        octets.extend_from_slice(&part);
    }
    Ok(octets)
}

/// Reads JSON.
pub fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(octets).map_err(|error| ApiError::NotUnderstood(error.to_string()))
}

/// The body of an answer, read piece by piece.
pub struct Body {
    incoming: Incoming,
    buffer: BytesMut,
}

impl Body {
    fn new(incoming: Incoming) -> Self {
        Self {
            incoming,
            buffer: BytesMut::new(),
        }
    }

    /// Reads the next part of any length; [`None`] at the end.
    async fn part(&mut self, wait: Duration) -> Result<Option<Bytes>, ApiError> {
        loop {
            match timeout(wait, self.incoming.frame()).await {
                Err(_) => return Err(ApiError::Timeout("send the rest of an answer")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(ApiError::Unreachable(error.to_string())),
                Ok(Some(Ok(frame))) => {
                    // Trailers have no data.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Reads exactly this many octets.
    pub async fn octets(&mut self, count: usize) -> Result<Bytes, ApiError> {
        while self.buffer.len() < count {
            match self.part(ANSWER_TIMEOUT).await? {
                Some(part) => self.buffer.extend_from_slice(&part),
                None => return Err(ApiError::NotUnderstood("it is truncated".to_owned())),
            }
        }
        Ok(self.buffer.split_to(count).freeze())
    }

    /// Reads a line without its end, of at most `limit` bytes; [`None`] at the end of the body.
    /// `wait` limits the wait for each part.
    pub async fn line(&mut self, limit: usize, wait: Duration) -> Result<Option<Bytes>, ApiError> {
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..]
                .iter()
                .position(|octet| *octet == b'\n');
            if let Some(place) = found {
                let mut line = self.buffer.split_to(searched + place + 1);
                line.truncate(searched + place);
                return Ok(Some(line.freeze()));
            }
            searched = self.buffer.len();
            if searched > limit {
                let text = format!("a line has more than {limit} bytes");
                return Err(ApiError::NotUnderstood(text));
            }
            match self.part(wait).await? {
                Some(part) => self.buffer.extend_from_slice(&part),
                None => return Ok(None),
            }
        }
    }
}
