use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use certgate_api::{Api, ApiParts, Documentation, InvitePage, InviteParts, TrustedProxies};
use certgate_model::KeyAlgorithm;
use certgate_service::{
    DerJudge, EMAIL_DEFAULT, FirstInstallation, FirstNames, MasterKey, NotifierSettings,
    ProfileIdentity, ProfileSigner, Service, Settings, Settling,
};
use certgate_store::{
    ReadCertificates, SearchLimits, SqliteInspector, SqliteOptions, SqliteStore, Store,
};
use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::call::Call;
use crate::{FakeClock, SeededRandom};

/// A complete certgate without sockets: requests go directly into the router.
pub struct TestApp {
    /// The management API.
    pub router: Router,
    /// The public responder.
    pub responder: Router,
    /// The routes of enrolment.
    pub enrolment: Router,
    /// The requests of the pages of invites, without the files of the page.
    pub invites: Router,
    /// The rules.
    pub service: Arc<Service>,
    /// The clock of all parts.
    pub clock: Arc<FakeClock>,
    /// The store.
    pub store: Arc<SqliteStore>,
    /// The first account.
    pub account_id: String,
    /// The first zone.
    pub zone_id: String,
    /// A token with every permission.
    pub token: String,
    installed: Installed,
}

/// The state that survives a restart. The random numbers continue: a restart must not create the
/// same IDs again.
struct Installed {
    clock: Arc<FakeClock>,
    random: Arc<SeededRandom>,
    master_key: Arc<MasterKey>,
    settings: Settings,
    directory: TempDir,
}

impl Installed {
    /// Starts the management API, the public responder and the rules.
    async fn start(
        &self,
        store: Arc<SqliteStore>,
        change_api: impl FnOnce(&mut ApiParts),
    ) -> (Router, Router, Router, Router, Arc<Service>) {
        let Self {
            clock,
            random,
            master_key,
            settings,
            ..
        } = self;
        let open = Service::open(
            store,
            clock.clone(),
            random.clone(),
            master_key.clone(),
            settings.clone(),
        );
        let service = Arc::new(open.await.expect("the installation opens"));
        let notifier_settings = NotifierSettings {
            expiring_days: 30,
            retry_seconds: 86_400,
        };
        let mut parts = ApiParts {
            service: service.clone(),
            notifier: Arc::new(service.notifier(Vec::new(), notifier_settings)),
            store: service.reads(),
            clock: clock.clone(),
            random: random.clone(),
            metrics: Arc::new(|| "# no recorder in tests\n".to_owned()),
            missing_tasks: Arc::new(Vec::new),
            request_timeout: Duration::from_secs(30),
            connections_max: 4_096,
            trusted_proxies: TrustedProxies::default(),
            invite_url: Some("https://invite.example".to_owned()),
            enrol_url: Some("https://enrol.example".to_owned()),
            documentation: Documentation::default(),
        };
        change_api(&mut parts);
        let api = Api::new(parts);
        (
            certgate_api::management(api.clone(), None),
            certgate_api::responder(api.clone()),
            certgate_api::enrolment(api.clone()),
            certgate_api::invites(api, invite_page()),
            service,
        )
    }
}

/// Pages of invites without a file, and without a key that signs profiles.
fn invite_page() -> InvitePage {
    struct NoKey;

    impl ProfileSigner for NoKey {
        fn sign(&self, _: &mut dyn FnMut(&ProfileIdentity<'_>)) {}
    }

    InvitePage {
        page: Router::new(),
        parts: InviteParts {
            signer: Arc::new(NoKey),
            enrolment_fingerprint: Arc::new(|| Some("5f".repeat(32))),
        },
    }
}

fn written(image: &[u8]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be created");
    std::fs::write(directory.path().join("certgate.db"), image).expect("it can be written");
    directory
}

/// Runs the full check on the octets of a database; returns its lines, or the error.
pub fn check_database(image: &[u8]) -> Vec<String> {
    let directory = written(image);
    let inspector = match SqliteInspector::open(&directory.path().join("certgate.db")) {
        Ok(inspector) => inspector,
        Err(error) => return vec![error.to_string()],
    };
    let lines = inspector.check(&mut DerJudge::new(|_| ()));
    lines.unwrap_or_else(|error| vec![error.to_string()])
}

fn open_store(directory: &TempDir) -> Arc<SqliteStore> {
    Arc::new(opened(directory))
}

fn opened(directory: &TempDir) -> SqliteStore {
    let path = directory.path().join("certgate.db");
    SqliteStore::open(&path, SqliteOptions::default()).expect("the store opens")
}

impl TestApp {
    /// Starts certgate with the default settings.
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// Starts certgate with changed settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start(change, |_| ()).await
    }

    /// Starts certgate behind trusted proxies.
    pub async fn behind(trusted_proxies: &str) -> Self {
        let trusted_proxies = trusted_proxies.parse().expect("a list of addresses");
        Self::start(|_| (), |api| api.trusted_proxies = trusted_proxies).await
    }

    /// Starts certgate with the documentation below `base`.
    pub async fn documented(base: &str) -> Self {
        let documentation = Documentation::below(Some(base));
        Self::start(|_| (), |api| api.documentation = documentation).await
    }

    /// Starts certgate with another limit for the duration of a request.
    pub async fn with_time_limit(limit: Duration) -> Self {
        Self::start(|_| (), |api| api.request_timeout = limit).await
    }

    /// Starts certgate with other limits of searches.
    pub async fn with_search_limits(limits: SearchLimits) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let store = opened(&directory).with_search_limits(limits);
        Self::start_on(directory, Arc::new(store), |_| (), |_| ()).await
    }

    /// Starts without some of the server's tasks.
    pub async fn without_tasks(names: &'static [&'static str]) -> Self {
        Self::start(
            |_| (),
            |api| api.missing_tasks = Arc::new(|| names.to_vec()),
        )
        .await
    }

    async fn start(
        change: impl FnOnce(&mut Settings),
        change_api: impl FnOnce(&mut ApiParts),
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let store = open_store(&directory);
        Self::start_on(directory, store, change, change_api).await
    }

    async fn start_on(
        directory: TempDir,
        store: Arc<SqliteStore>,
        change: impl FnOnce(&mut Settings),
        change_api: impl FnOnce(&mut ApiParts),
    ) -> Self {
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
            .expect("the names are valid")
            .store(&*store)
            .await
            .expect("the store accepts writes");
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
        let (router, responder, enrolment, invites, service) =
            installed.start(store.clone(), change_api).await;
        Self {
            router,
            responder,
            enrolment,
            invites,
            service,
            clock: installed.clock.clone(),
            store,
            account_id: first.account_id.to_string(),
            zone_id: first.zone_id.to_string(),
            token: first.token.expose().to_owned(),
            installed,
        }
    }

    /// Stops it and starts it again on the same store, with the default settings of the API.
    pub async fn restart(self) -> Self {
        let Self {
            router,
            responder,
            enrolment,
            invites,
            service,
            store,
            ..
        } = self;
        store.close().await;
        // The last reference holds the lock of the database.
        drop((router, responder, enrolment, invites, service, store));
        let store = open_store(&self.installed.directory);
        let (router, responder, enrolment, invites, service) =
            self.installed.start(store.clone(), |_| ()).await;
        Self {
            router,
            responder,
            enrolment,
            invites,
            service,
            store,
            ..self
        }
    }

    /// Stops it, reads its database, and starts it again.
    pub async fn image(self) -> (Self, Vec<u8>) {
        let path = self.installed.directory.path().join("certgate.db");
        self.store.close().await;
        let image = std::fs::read(path).expect("the database can be read");
        (self.restart().await, image)
    }

    /// Stops it, and writes its database and its master key into the data directory of a server.
    pub async fn save(self, directory: &Path) -> std::io::Result<()> {
        self.store.close().await;
        let database = self.installed.directory.path().join("certgate.db");
        std::fs::copy(database, directory.join("certgate.db"))?;
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(directory.join("master.key"))?;
        file.write_all(self.installed.master_key.to_text().as_bytes())
    }

    /// Starts the same installation on the octets of another database. `None`: it does not start.
    pub async fn on_another(&self, image: &[u8]) -> Option<Self> {
        let directory = written(image);
        let path = directory.path().join("certgate.db");
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).ok()?);
        let installed = Installed {
            clock: self.installed.clock.clone(),
            random: self.installed.random.clone(),
            master_key: self.installed.master_key.clone(),
            settings: self.installed.settings.clone(),
            directory,
        };
        let (router, responder, enrolment, invites, service) =
            installed.start(store.clone(), |_| ()).await;
        Some(Self {
            router,
            responder,
            enrolment,
            invites,
            service,
            clock: installed.clock.clone(),
            store,
            account_id: self.account_id.clone(),
            zone_id: self.zone_id.clone(),
            token: self.token.clone(),
            installed,
        })
    }

    /// Makes a request with the token that has every permission. In the path, `{zone}` and
    /// `{account}` are the first ones. A path that does not begin with `/client/`, `/certgate/` or
    /// `/!` is one below `/client/v4`.
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

    /// Makes a request to the public responder, without credentials.
    pub fn public(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.responder, method, path.to_owned())
    }

    /// Makes a request of EST in the first zone, without credentials.
    pub fn est(&self, method: Method, operation: &str) -> Call<'_> {
        self.est_of("example.com", method, operation)
    }

    /// Makes a request of EST in the zone of this label.
    pub fn est_of(&self, label: &str, method: Method, operation: &str) -> Call<'_> {
        self.enrolment(method, &format!("/.well-known/est/{label}/{operation}"))
    }

    /// Makes a request to the enrolment listener, without credentials.
    pub fn enrolment(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.enrolment, method, path.to_owned())
    }

    /// Makes a request to the listener of the pages of invites, without credentials.
    pub fn invite_page(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.invites, method, path.to_owned())
    }

    /// Makes a GET request like [`TestApp::call`].
    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path)
    }

    /// Makes a POST request like [`TestApp::call`].
    pub fn post(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::POST, path).body(body.to_string())
    }

    /// Makes a PUT request like [`TestApp::call`].
    pub fn put(&self, path: &str, body: Value) -> Call<'_> {
        self.call(Method::PUT, path).body(body.to_string())
    }

    /// Makes a PATCH request like [`TestApp::call`].
    pub fn patch(&self, path: &str) -> Call<'_> {
        self.call(Method::PATCH, path)
    }

    /// Makes a DELETE request like [`TestApp::call`].
    pub fn delete(&self, path: &str) -> Call<'_> {
        self.call(Method::DELETE, path)
    }

    /// Issues a certificate in the first zone and returns its object.
    pub async fn issue(&self, common_name: &str) -> Value {
        let body = serde_json::json!({ "csr": crate::csr(common_name), "validity_days": 365 });
        self.post("/zones/{zone}/client_certificates", body)
            .await
            .result()
    }

    /// Renews a certificate of a zone by EST, with a new key, and returns the object of the newer
    /// one. `label` is the name of the zone.
    pub async fn renew(&self, zone: &str, label: &str, certificate: &Value) -> Value {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let (id, name) = (text(&certificate["id"]), text(&certificate["common_name"]));
        let found = self.store.certificate(
            zone.parse().expect("the ID of a zone"),
            id.parse().expect("the ID of a certificate"),
        );
        let record = found.await.expect("the store answers").expect("it exists");
        let answer = self
            .est_of(label, Method::POST, "simplereenroll")
            .with_certificates([record.der])
            .body(crate::csr(&name))
            .header("content-type", "application/pkcs10")
            .await;
        assert!(answer.status.is_success(), "{:?}", answer.bytes);
        let path = format!("/zones/{zone}/client_certificates");
        let old = self.get(&format!("{path}/{id}")).await.result();
        let new = text(&old["certgate"]["replaced_by"]);
        self.get(&format!("{path}/{new}")).await.result()
    }

    /// Settles pending changes like the background job.
    pub async fn settle(&self) {
        let settling = self.service.settler.settle_all().await;
        let settling = settling.expect("the store accepts writes");
        assert_eq!(settling, Settling::Done, "every list can be signed");
    }

    /// Records the due uses of tokens like the background job.
    pub async fn record_due_uses(&self) {
        let recorded = self.service.last_uses.record_due().await;
        recorded.expect("the store accepts writes");
    }

    /// Creates the user's API key and returns e-mail address and key.
    pub async fn api_key(&self) -> (String, String) {
        let made = self
            .call(Method::PUT, "/certgate/v1/user/api_key")
            .await
            .result();
        let text = |name: &str| made[name].as_str().expect("a new key has both").to_owned();
        (text("email"), text("api_key"))
    }

    /// Creates a token with one policy that allows `groups` (IDs) on `resources`, and returns its
    /// value.
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
            "policies": [{
                "effect": "allow",
                "permission_groups": groups,
                "resources": resources,
            }],
        });
        let made = self.post("/user/tokens", body).await.result();
        made["value"]
            .as_str()
            .expect("a new token has a value")
            .to_owned()
    }

    /// Closes the store. Every later write and read fails.
    pub async fn close_store(&self) {
        self.store.close().await;
    }
}
