//! `certgate serve`: connects the parts and runs until a signal stops it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use certgate_api::{Api, ApiParts, Console, InvitePage, InviteParts};
use certgate_enforcement::listen_remedy;
use certgate_service::{EMAIL_DEFAULT, FirstNames, Initialised, Notifier, Outlet, Service};
use certgate_store::Store;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock_watch;
use crate::config::{Config, Database, StorageConfig};
use crate::connection::Limits;
use crate::data_dir::{DataDir, master_key};
use crate::descriptors;
use crate::failure::{self, Failure};
use crate::last_backup;
use crate::last_check::LastCheck;
use crate::listener::Listener;
use crate::log::Log;
use crate::metric_help;
use crate::notifications;
use crate::offline::OfflineSocket;
use crate::process;
use crate::public_url;
use crate::reload::{Identities, Origin, Reloader};
use crate::signals::StopSignals;
use crate::supervisor::{Supervisor, Tasks, names};
use crate::system::{SystemClock, SystemRandom};
use crate::tls::CurrentIdentity;

/// The interval at which the metrics recorder folds its records into histograms, which bounds its
/// memory.
pub const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// The interval at which the server forgets the files of invites whose time is over. No request
/// tells it to.
const INVITE_FILES_INTERVAL: Duration = Duration::from_secs(10);

/// The limit of the last writes to a shared database: a supervisor waits half a minute at most
/// before it kills the process, and requests may have taken most of it.
const LAST_WRITES_TIMEOUT: Duration = Duration::from_secs(5);

/// The bounds of the histogram buckets, in seconds.
const SECONDS_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// The names of the first account and zone that `serve` makes. `init` accepts others.
const FIRST_ACCOUNT: &str = "default";
const FIRST_ZONE: &str = "example.com";

/// Runs the server until SIGTERM or SIGINT.
pub fn run(origin: Origin, url_change: public_url::Change) -> Result<(), Failure> {
    let (layers, config, files) = origin.read_first()?;
    let identities = Identities::read(&config)?;
    let outlets = notifications::outlets(&config)?;
    process::raise_open_files();
    // Before the log, so that the first dropped line is counted too.
    let metrics = start_metrics().map_err(failure::with_causes)?;
    let log = Log::start(&config.log, config.log_format).map_err(failure::with_causes)?;
    let reloading = |service| {
        Reloader::new(
            origin,
            layers,
            files,
            identities.clone(),
            log.clone(),
            service,
        )
    };
    let ended = run_with(
        &config,
        url_change,
        &identities,
        outlets,
        metrics,
        &log,
        reloading,
    );
    log.end(ended.map_err(failure::with_causes))
}

fn run_with(
    config: &Config,
    url_change: public_url::Change,
    identities: &Identities,
    outlets: Vec<Arc<dyn Outlet>>,
    metrics: PrometheusHandle,
    log: &Log,
    reloading: impl FnOnce(Arc<Service>) -> Reloader,
) -> anyhow::Result<()> {
    // HTTP takes a quarter of the work of a request. More threads for it would only pass requests
    // between them.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((processors / 2).max(1))
        .thread_name("http")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        // Before anything is printed: a supervisor that reads the lines may send a signal.
        let mut stop = StopSignals::handle()?;
        let opened = tokio::select! {
            opened = Opened::open(config, url_change, outlets) => opened?,
            () = stop.recv() => {
                tracing::info!("stopped during the start");
                return Ok(());
            }
        };
        let reloader = reloading(opened.service.clone());
        serve(config, opened, identities, metrics, log, reloader, stop).await
    });
    // The process does not wait for a thread whose database does not answer.
    runtime.shutdown_background();
    ended
}

/// A data directory with its installation, and the sockets.
struct Opened {
    data_dir: DataDir,
    management: std::net::TcpListener,
    public: std::net::TcpListener,
    public_address: SocketAddr,
    enrolment: Option<(std::net::TcpListener, SocketAddr)>,
    invites: Option<(std::net::TcpListener, SocketAddr)>,
    api_url: String,
    service: Arc<Service>,
    notifier: Arc<Notifier>,
    /// The installation, if this start made it.
    made: Option<Initialised>,
}

impl Opened {
    /// Opens or makes the installation. Dropping the future is as safe as a crash.
    async fn open(
        config: &Config,
        url_change: public_url::Change,
        outlets: Vec<Arc<dyn Outlet>>,
    ) -> anyhow::Result<Self> {
        // 1. The data directory and the sockets.
        let data_dir = DataDir::open(&config.installation.storage).await?;
        let (management, management_address) = bind(config.installation.listen, "--listen").await?;
        let (public, public_address) = bind(config.public_listen, "--public-listen").await?;
        let enrolment = match &config.enrolment {
            Some(enrolment) => Some(bind(enrolment.listen, "--enrol-listen").await?),
            None => None,
        };
        let invites = match &config.invites {
            Some(invites) => Some(bind(invites.listen, "--invite-listen").await?),
            None => None,
        };

        // 2. The installation and the rules.
        let api_url = config.installation.api_url(management_address);
        let names = FirstNames {
            email: EMAIL_DEFAULT.to_owned(),
            account: FIRST_ACCOUNT.to_owned(),
            zone: FIRST_ZONE.to_owned(),
        };
        let made = data_dir
            .initialise(&config.installation, &names, &api_url)
            .await?;
        let store = data_dir.store();
        let public_url = public_url::decide(&*store, config, public_address, url_change).await?;
        let service = Arc::new(data_dir.service(config, public_url).await?);
        if data_dir.begin_journal().await? {
            // No client may get a list from before the backup.
            service.settler.settle_all().await?;
        }
        let notifier = Arc::new(service.notifier(outlets, notifications::settings(config)));
        // Before the first request: its event is one of those that new destinations get.
        notifier.begin().await?;
        if let Err(error) = data_dir.update_profile(&api_url, config.installation.tls_certificate())
        {
            tracing::warn!("{error:#}; client commands need --api until you fix this");
        }
        Ok(Self {
            data_dir,
            management,
            public,
            public_address,
            enrolment,
            invites,
            api_url,
            service,
            notifier,
            made,
        })
    }
}

async fn serve(
    config: &Config,
    opened: Opened,
    identities: &Identities,
    metrics: PrometheusHandle,
    log: &Log,
    reloader: Reloader,
    mut stop: StopSignals,
) -> anyhow::Result<()> {
    let Opened {
        data_dir,
        management,
        public,
        public_address,
        enrolment,
        invites,
        api_url,
        service,
        notifier,
        made,
    } = opened;
    let store = data_dir.store();

    // 1. The background jobs and the listeners.
    let supervisor = Supervisor::new();
    let lost = store.clone();
    supervisor.need(names::STORE_WRITER, async move { lost.writer_lost().await });
    let offline = start_offline(&supervisor, &data_dir, &config.installation.storage);
    let jobs = start_jobs(&supervisor, &service, &notifier, metrics.clone(), reloader);
    let listeners = 2 + u64::from(enrolment.is_some()) + u64::from(invites.is_some());
    let connections = descriptors::connections(config.connections_max.get(), listeners);
    let tasks = supervisor.tasks();
    let tls = identities.clone();
    let (enrolment, enrolment_address) = enrolment.unzip();
    let (invites, invites_address) = invites.unzip();
    let api = Api::new(ApiParts {
        enrol_url: enrol_url(config, enrolment_address),
        invite_url: invite_url(config, invites_address),
        ..parts(
            config,
            &service,
            &notifier,
            metrics,
            tasks,
            tls,
            connections,
        )
    });
    let limits = Limits {
        connections,
        idle_timeout: config.request_timeout,
    };
    let router = certgate_api::management(api.clone(), console(config));
    let start = |name, socket, tls, router| {
        let answering = (config.trusted_proxies.clone(), config.documentation());
        Listener::start(&supervisor, name, socket, tls, router, limits, answering)
    };
    let tls = identities.management.as_ref();
    let tls = tls.map(CurrentIdentity::acceptor);
    let management = start(names::MANAGEMENT, management, tls, router);
    let responder = certgate_api::responder(api.clone());
    let public = start(names::PUBLIC, public, None, responder);
    let tls = identities.enrolment.as_ref();
    let enrolment = enrolment.zip(tls).map(|(socket, tls)| {
        let router = certgate_api::enrolment(api.clone());
        start(
            names::ENROLMENT,
            socket,
            Some(tls.acceptor_of_clients()),
            router,
        )
    });
    let invites = invites.zip(identities.invites.clone());
    let invites = invites.map(|(socket, tls)| {
        let router = certgate_api::invites(api, invite_page(tls.clone(), identities));
        start(names::INVITES, socket, Some(tls.acceptor()), router)
    });
    announce(&api_url, public_address, enrolment_address, invites_address);
    if let Some(made) = made {
        log.print(&welcome(&made, &api_url, config));
    }

    // 2. The end: requests in flight, and then the last writes.
    let ended = tokio::select! {
        () = stop.recv() => Ok(()),
        name = supervisor.lost() => Err(anyhow::anyhow!(
            "the task {name:?} ended by a defect, which the log describes: start certgate again; \
             no answered change is lost"
        )),
    };
    tracing::info!("stopping: requests in flight finish");
    supervisor.begin_stop();
    service.signals.end_waiting();
    let listeners = [Some(management), Some(public), enrolment, invites];
    stop_all(listeners.into_iter().flatten(), config.stop_timeout).await;
    supervisor.end(jobs.into_iter().chain(offline)).await;
    finish_writes(&service, &notifier, &*store).await;
    ended
}

/// Returns the web console, if the settings have it.
fn console(config: &Config) -> Option<Console> {
    config.console.then(|| Console {
        path: certgate_console::PATH,
        routes: certgate_console::router(),
    })
}

/// Stops the listeners at the same time.
async fn stop_all(listeners: impl Iterator<Item = Listener>, limit: Duration) {
    let mut stopping = JoinSet::new();
    for listener in listeners {
        stopping.spawn(listener.stop(limit));
    }
    while stopping.join_next().await.is_some() {}
}

/// Returns the page of invites. The key of their listener signs profiles: devices show that they
/// trust its certificate.
fn invite_page(tls: Arc<CurrentIdentity>, identities: &Identities) -> InvitePage {
    let enrolment = identities.enrolment.clone();
    InvitePage {
        page: certgate_console::invite_router(),
        parts: InviteParts {
            signer: tls,
            enrolment_fingerprint: Arc::new(move || enrolment.as_ref()?.fingerprint()),
        },
    }
}

/// Makes the last writes and closes the store.
async fn finish_writes(service: &Service, notifier: &Notifier, store: &dyn Store) {
    let last_writes = async {
        write_last(service, notifier).await;
        store.close().await;
    };
    // Every request has its answer. The process waits for a disk, but not for a network.
    if !service.reads().is_shared() {
        last_writes.await;
    } else if tokio::time::timeout(LAST_WRITES_TIMEOUT, last_writes)
        .await
        .is_err()
    {
        tracing::warn!(
            "the database does not answer: the last use of tokens may be missing, and another node \
             settles after the lease has ended"
        );
    }
}

fn parts(
    config: &Config,
    service: &Arc<Service>,
    notifier: &Arc<Notifier>,
    metrics: PrometheusHandle,
    tasks: Arc<Tasks>,
    tls: Identities,
    connections_max: usize,
) -> ApiParts {
    let storage = &config.installation.storage;
    let directory = storage.data_dir.clone();
    // PostgreSQL's own backups leave no trace here.
    let is_embedded = matches!(storage.database, Database::Embedded);
    ApiParts {
        service: service.clone(),
        notifier: notifier.clone(),
        store: service.reads(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        metrics: Arc::new(move || {
            metrics_of_build();
            LastCheck::measure(&directory);
            if is_embedded {
                last_backup::measure(&directory);
            }
            CurrentIdentity::measure(
                tls.management.as_deref(),
                tls.enrolment.as_deref(),
                tls.invites.as_deref(),
            );
            metrics.render()
        }),
        missing_tasks: Arc::new(move || tasks.missing()),
        request_timeout: config.request_timeout,
        connections_max,
        trusted_proxies: config.trusted_proxies.clone(),
        invite_url: None,
        enrol_url: None,
        documentation: config.documentation(),
    }
}

/// Returns the address under which clients reach enrolment.
fn enrol_url(config: &Config, bound: Option<SocketAddr>) -> Option<String> {
    let given = config.enrolment.as_ref()?.url.clone();
    given.or_else(|| bound.map(|address| format!("https://{address}")))
}

/// Names the version of the server.
fn metrics_of_build() {
    metrics::gauge!("certgate_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Returns the beginning of the links of invites.
fn invite_url(config: &Config, bound: Option<SocketAddr>) -> Option<String> {
    let given = config.invite_url.clone();
    given.or_else(|| bound.map(|address| format!("https://{address}")))
}

/// Starts the task for `certgate token create --offline`. The server also works without it.
fn start_offline(
    supervisor: &Supervisor,
    data_dir: &DataDir,
    config: &StorageConfig,
) -> Option<JoinHandle<()>> {
    // Several processes can write to PostgreSQL.
    if matches!(config.database, Database::Postgres(_)) {
        return None;
    }
    let made = master_key(&config.master_key)
        .map_err(anyhow::Error::from)
        .and_then(|key| {
            Ok(OfflineSocket::bind(
                &config.data_dir,
                key,
                data_dir.store(),
            )?)
        });
    match made {
        Ok(socket) => {
            let socket = Arc::new(socket);
            let serve = move || socket.clone().serve_forever();
            Some(supervisor.keep(names::OFFLINE, serve))
        }
        Err(error) => {
            tracing::warn!(
                "cannot make the socket for `certgate token create --offline`, which needs a stop \
                 of the server until you fix this: {error:#}"
            );
            None
        }
    }
}

/// Starts the tasks that no request waits for. Each can be restarted at any point: what they do is
/// in the database, or in memory that others hold.
fn start_jobs(
    supervisor: &Supervisor,
    service: &Arc<Service>,
    notifier: &Arc<Notifier>,
    metrics: PrometheusHandle,
    reloader: Reloader,
) -> [JoinHandle<()>; 8] {
    let notifier = notifier.clone();
    let [settling, recording, watching, indexing, forgetting] = [(); 5].map(|()| service.clone());
    let reloader = Arc::new(Mutex::new(reloader));
    [
        supervisor.keep(names::RELOADER, move || {
            let reloader = reloader.clone();
            async move { reloader.lock().await.run_forever().await }
        }),
        supervisor.keep(names::CLOCK, move || {
            clock_watch::watch_forever(watching.signals.clone())
        }),
        supervisor.keep(names::SETTLER, move || {
            let service = settling.clone();
            async move { service.settler.settle_forever().await }
        }),
        supervisor.keep(names::INDEXER, move || {
            let service = indexing.clone();
            async move { service.indexer.index_forever().await }
        }),
        supervisor.keep(names::TOKEN_USES, move || {
            let service = recording.clone();
            async move { service.last_uses.record_forever().await }
        }),
        supervisor.keep(names::INVITE_FILES, move || {
            let service = forgetting.clone();
            async move {
                let mut ticks = tokio::time::interval(INVITE_FILES_INTERVAL);
                loop {
                    ticks.tick().await;
                    service.invite_files.forget_old();
                }
            }
        }),
        supervisor.keep(names::NOTIFIER, move || {
            let notifier = notifier.clone();
            async move { notifier.deliver_forever().await }
        }),
        supervisor.keep(names::METRICS, move || {
            let metrics = metrics.clone();
            async move {
                let mut ticks = tokio::time::interval(METRICS_UPKEEP);
                loop {
                    ticks.tick().await;
                    metrics.run_upkeep();
                }
            }
        }),
    ]
}

/// Writes the data that no request waits for.
async fn write_last(service: &Service, notifier: &Notifier) {
    if let Err(error) = notifier.finish().await {
        tracing::warn!(%error, "cannot note the last notifications: they are sent again");
    }
    if let Err(error) = service.last_uses.record_all().await {
        tracing::warn!(%error, "cannot record the last use of tokens");
    }
    if let Err(error) = service.settler.release_lease().await {
        tracing::warn!(%error, "cannot release the lease: another node settles after its end");
    }
    if let Err(error) = service.indexer.release_lease().await {
        tracing::warn!(%error, "cannot release the lease: another node indexes after its end");
    }
}

/// Connections that the system completes before the server accepts them. Linux takes 4,096 at most,
/// unless `net.core.somaxconn` differs. A burst that fills this queue delays others by a second.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted server gets its port while old connections still end.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn bind(
    address: SocketAddr,
    flag: &str,
) -> anyhow::Result<(std::net::TcpListener, SocketAddr)> {
    let listener = listen(address).map_err(|error| {
        let remedy = listen_remedy(&error, &format!("choose another address with {flag}"));
        anyhow::anyhow!("cannot listen on {address}: {error}: {remedy}")
    })?;
    let bound = listener.local_addr()?;
    Ok((listener.into_std()?, bound))
}

/// Prints the addresses on standard output, and does not wait for its reader.
fn announce(
    api_url: &str,
    public: SocketAddr,
    enrolment: Option<SocketAddr>,
    invites: Option<SocketAddr>,
) {
    let mut text = format!(
        "management API listening on {api_url}\n\
         public responder listening on http://{public}\n"
    );
    if let Some(enrolment) = enrolment {
        text += &format!("enrolment listening on https://{enrolment}\n");
    }
    if let Some(invites) = invites {
        text += &format!("invites listening on https://{invites}\n");
    }
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "cannot print the addresses on standard output");
        }
    });
}

/// Returns the next commands of a new user, which standard error shows once. If they cannot be
/// printed, the token is in `client.toml` too.
fn welcome(made: &Initialised, api_url: &str, config: &Config) -> String {
    // The user pastes the next command, and the program may not be on the path.
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "certgate".to_owned());
    let token = made.token.expose();
    let zone_id = made.zone_id;
    let directory = &config.installation.storage.data_dir;
    let data_dir = directory.display();
    let place = match *directory == *Path::new(crate::config::DATA_DIR_DEFAULT) {
        true => String::new(),
        false => format!(" --data-dir {data_dir}"),
    };
    let browser = match config.console {
        true => {
            let path = certgate_console::PATH;
            format!("Or open {api_url}{path} in a browser, and paste the token.\n\n")
        }
        false => String::new(),
    };
    format!(
        "\n\
         certgate made a new installation in {data_dir},\n\
         with the account \"{FIRST_ACCOUNT}\" and the zone {FIRST_ZONE}.\n\
         Its API token has every permission. certgate shows it only once, and stores it in\n\
         {data_dir}/client.toml for the commands below:\n\n\
         \x20 {token}\n\n\
         Next, in another terminal, in this directory:\n\n\
         \x20 {program} cert issue --cn device-1{place}    # makes device-1.key and device-1.crt\n\
         \x20 {program} cert list{place}\n\
         \x20 {program} cert revoke{place} ID               # an ID that the list shows\n\
         \x20 {program} cert restore{place} ID\n\n\
         {browser}The list with curl:\n\n\
         \x20 export CERTGATE_TOKEN={token}\n\
         \x20 curl -H \"Authorization: Bearer $CERTGATE_TOKEN\" \\\n\
         \x20   {api_url}/client/v4/zones/{zone_id}/client_certificates\n\n"
    )
}

/// Starts to record metrics, once for the process.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS_BUCKETS)?;
    let handle = builder
        .install_recorder()
        .context("cannot start the metrics")?;
    metric_help::describe();
    Ok(handle)
}
