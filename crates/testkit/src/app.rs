use std::convert::Infallible;
use std::future::{Future, IntoFuture};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use certgate_api::{Api, ApiParts, PeerAddress, TrustedProxies};
use certgate_model::KeyAlgorithm;
use certgate_service::{
    Authority, EMAIL_DEFAULT, FirstInstallation, FirstNames, MasterKey, Settings, Settling,
};
use certgate_store::{SqliteOptions, SqliteStore, Store};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::{FakeClock, SeededRandom};

/// A whole certgate without sockets: requests go straight into the router.
pub struct TestApp {
    /// The management API.
    pub router: Router,
    /// The public responder.
    pub responder: Router,
    /// What it writes through.
    pub authority: Arc<Authority>,
    /// The clock of everything.
    pub clock: Arc<FakeClock>,
    /// The store.
    pub store: Arc<SqliteStore>,
    /// The first account.
    pub account_id: String,
    /// The first zone.
    pub zone_id: String,
    /// A token that may do everything.
    pub token: String,
    installed: Installed,
}

/// What outlives a start. The random numbers go on: a new start must not make the ids of the last one again.
struct Installed {
    clock: Arc<FakeClock>,
    random: Arc<SeededRandom>,
    master_key: Arc<MasterKey>,
    settings: Settings,
    directory: TempDir,
}

impl Installed {
    /// The management API, the public responder, and what they write through.
    async fn start(
        &self,
        store: Arc<SqliteStore>,
        change_api: impl FnOnce(&mut ApiParts),
    ) -> (Router, Router, Arc<Authority>) {
        let Self {
            clock,
            random,
            master_key,
            settings,
            ..
        } = self;
        let open = Authority::open(
            store,
            clock.clone(),
            random.clone(),
            master_key.clone(),
            settings.clone(),
        );
        let authority = Arc::new(open.await.expect("the installation opens"));
        let mut parts = ApiParts {
            authority: authority.clone(),
            store: authority.reads(),
            clock: clock.clone(),
            random: random.clone(),
            metrics: Arc::new(|| "# no recorder in tests\n".to_owned()),
            request_timeout: Duration::from_secs(30),
            trusted_proxies: TrustedProxies::default(),
        };
        change_api(&mut parts);
        let api = Api::new(parts);
        (
            certgate_api::management(api.clone()),
            certgate_api::responder(api),
            authority,
        )
    }
}

fn open_store(directory: &TempDir) -> Arc<SqliteStore> {
    let path = directory.path().join("certgate.db");
    Arc::new(SqliteStore::open(&path, SqliteOptions::default()).expect("the store opens"))
}

impl TestApp {
    /// With the default settings.
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// With changed settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::made(change, |_| ()).await
    }

    /// Behind proxies that are believed.
    pub async fn behind(trusted_proxies: &str) -> Self {
        let trusted_proxies = trusted_proxies.parse().expect("a list of addresses");
        Self::made(|_| (), |api| api.trusted_proxies = trusted_proxies).await
    }

    /// With another limit for the time of a request.
    pub async fn with_time_limit(limit: Duration) -> Self {
        Self::made(|_| (), |api| api.request_timeout = limit).await
    }

    async fn made(
        change: impl FnOnce(&mut Settings),
        change_api: impl FnOnce(&mut ApiParts),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let store = open_store(&directory);
        let clock = Arc::new(FakeClock::new());
        let random = Arc::new(SeededRandom::new(1));
        let master_key = Arc::new(MasterKey::generate(&*random));
        let names = FirstNames {
            email: EMAIL_DEFAULT.to_owned(),
            account: "default".to_owned(),
            zone: "example.com".to_owned(),
        };
        let first =
            FirstInstallation::new(&*clock, &*random, &master_key, &names, KeyAlgorithm::P256);
        let first = first
            .expect("the names are good")
            .store(&*store)
            .await
            .expect("the store takes writes");
        let first = first.expect("the store is new");
        let mut settings = Settings::new("http://pki.example.com".to_owned());
        change(&mut settings);
        let installed = Installed {
            clock,
            random,
            master_key,
            settings,
            directory,
        };
        let (router, responder, authority) = installed.start(store.clone(), change_api).await;
        Self {
            router,
            responder,
            authority,
            clock: installed.clock.clone(),
            store,
            account_id: first.account_id.to_string(),
            zone_id: first.zone_id.to_string(),
            token: first.token.expose().to_owned(),
            installed,
        }
    }

    /// Stops it and starts it again on what it has stored, with the API's default settings.
    pub async fn restart(self) -> Self {
        let Self {
            router,
            responder,
            authority,
            store,
            ..
        } = self;
        store.close().await;
        // The lock of the database goes with the last of them.
        drop((router, responder, authority, store));
        let store = open_store(&self.installed.directory);
        let (router, responder, authority) = self.installed.start(store.clone(), |_| ()).await;
        Self {
            router,
            responder,
            authority,
            store,
            ..self
        }
    }

    /// A request with the token that may do everything. `{zone}` and `{account}` in the path stand for the first ones; a
    /// path that does not begin with `/client/`, `/certgate/` or `/!` is one below `/client/v4`.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        let path = path
            .replace("{zone}", &self.zone_id)
            .replace("{account}", &self.account_id);
        let path = match path.strip_prefix("/!") {
            Some(raw) => format!("/{raw}"),
            None if path.starts_with("/client/") || path.starts_with("/certgate/") => path,
            None => format!("/client/v4{path}"),
        };
        Call::new(&self.router, method, path).token(&self.token)
    }

    /// A request to the public responder, which wants no credentials.
    pub fn public(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.responder, method, path.to_owned())
    }

    /// See [`TestApp::call`].
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// See [`TestApp::call`].
    pub fn post(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::POST, path).body(body.to_string())
    }

    /// See [`TestApp::call`].
    pub fn put(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::PUT, path).body(body.to_string())
    }

    /// See [`TestApp::call`].
    pub fn patch(&self, path: &str) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    /// See [`TestApp::call`].
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// Issues a certificate in the first zone; its object.
    pub async fn issue(&self, common_name: &str) -> Value {
        let body = serde_json::json!({ "csr": crate::csr(common_name), "validity_days": 365 });
        self.post("/zones/{zone}/client_certificates", body)
            .await
            .result()
    }

    /// Does what the background task does: settles whatever is pending.
    pub async fn settle(&self) {
        let settling = self
            .authority
            .settle_all()
            .await
            .expect("the store takes writes");
        assert_eq!(settling, Settling::Done, "every list can be made");
    }

    /// Does what the background task does: records the uses of tokens that are due.
    pub async fn record_due_uses(&self) {
        self.authority
            .record_due_uses()
            .await
            .expect("the store takes writes");
    }

    /// Makes the user's API key; e-mail address and key.
    pub async fn api_key(&self) -> (String, String) {
        let made = self
            .call(Method::PUT, "/certgate/v1/user/api_key")
            .await
            .result();
        let text = |name: &str| made[name].as_str().expect("a new key has both").to_owned();
        (text("email"), text("api_key"))
    }

    /// Makes a token with one policy that allows `groups` (ids) on `resources`; its value.
    pub async fn token_for(&self, groups: &[&str], resources: &[&str]) -> String {
        let groups: Vec<_> = groups
            .iter()
            .map(|id| serde_json::json!({ "id": id }))
            .collect();
        let resources: serde_json::Map<_, _> = resources
            .iter()
            .map(|name| ((*name).to_owned(), Value::from("*")))
            .collect();
        let body = serde_json::json!({
            "name": "limited",
            "policies": [{ "effect": "allow", "permission_groups": groups, "resources": resources }],
        });
        let made = self.post("/user/tokens", body).await.result();
        made["value"]
            .as_str()
            .expect("a new token has a value")
            .to_owned()
    }

    /// Closes the store, so that every later write and read fails.
    pub async fn close_store(&self) {
        self.store.close().await;
    }
}

/// A request to make.
pub struct Call<'a> {
    router: &'a Router,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    endless: bool,
    peer: IpAddr,
}

impl<'a> Call<'a> {
    fn new(router: &'a Router, method: Method, path: String) -> Self {
        Self {
            router,
            method,
            path,
            headers: HeaderMap::new(),
            body: Vec::new(),
            endless: false,
            peer: IpAddr::from([127, 0, 0, 1]),
        }
    }

    /// With another token.
    pub fn token(self, value: &str) -> Self {
        self.header("authorization", &format!("Bearer {value}"))
    }

    /// Without credentials.
    pub fn anonymous(mut self) -> Self {
        self.headers.remove(header::AUTHORIZATION);
        self
    }

    /// With e-mail address and API key instead of a token.
    pub fn key(self, email: &str, key: &str) -> Self {
        self.anonymous()
            .header("x-auth-email", email)
            .header("x-auth-key", key)
    }

    /// With one more line of a header.
    pub fn line(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header's value");
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// With a body, whatever it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    /// The body stays open behind what was given, as if more were to come.
    pub fn without_an_end(mut self) -> Self {
        self.endless = true;
        self
    }

    /// From another address.
    pub fn from_address(mut self, address: &str) -> Self {
        self.peer = address.parse().expect("an address");
        self
    }

    async fn send(self) -> Answer {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        *request.headers_mut().expect("the path is a good one") = self.headers;
        let body = match self.endless {
            true => Body::new(Endless(Some(self.body.into()))),
            false => Body::from(self.body),
        };
        let request = request.extension(PeerAddress(self.peer)).body(body);
        let request = request.expect("the request is a good one");
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let bytes = body
            .collect()
            .await
            .expect("a body in memory is whole")
            .to_bytes()
            .to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes,
        }
    }
}

impl<'a> IntoFuture for Call<'a> {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A body of which only the beginning ever comes.
struct Endless(Option<Bytes>);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The body, which must be JSON and said to be.
    pub fn json(&self) -> Value {
        assert_eq!(
            self.headers
                .get(header::CONTENT_TYPE)
                .map(HeaderValue::as_bytes),
            Some(&b"application/json"[..])
        );
        serde_json::from_slice(&self.bytes).expect("the body is JSON")
    }

    /// The result of an answer that must be a success, in the envelope.
    #[track_caller]
    pub fn result(&self) -> Value {
        let json = self.json();
        assert_eq!(self.status, StatusCode::OK, "{json}");
        assert_eq!(
            (&json["success"], &json["errors"]),
            (&Value::Bool(true), &Value::Array(Vec::new()))
        );
        json["result"].clone()
    }

    /// Status, code, message and pointer of an answer that must be a failure, in the envelope.
    #[track_caller]
    pub fn error(&self) -> Failure {
        let json = self.json();
        assert_ne!(self.status, StatusCode::OK, "{json}");
        assert_eq!(
            (&json["success"], &json["result"]),
            (&Value::Bool(false), &Value::Null)
        );
        assert_eq!(json["messages"], Value::Array(Vec::new()));
        let errors = json["errors"].as_array().expect("errors is an array");
        assert_eq!(errors.len(), 1);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Failure {
            status: self.status.as_u16(),
            code: errors[0]["code"].as_u64().expect("a code is a number"),
            message: text(&errors[0]["message"]).expect("a message is a string"),
            pointer: text(&errors[0]["source"]["pointer"]),
        }
    }
}

/// A failed answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// Number of the error.
    pub code: u64,
    /// Its text.
    pub message: String,
    /// The input at fault.
    pub pointer: Option<String>,
}
