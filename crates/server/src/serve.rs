//! `certgate serve`: connects the parts and runs until a signal stops it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use certgate_api::{Api, ApiParts};
use certgate_service::{EMAIL_DEFAULT, FirstNames, Initialised, Service};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::clock_watch;
use crate::config::{Config, Management};
use crate::data_dir::DataDir;
use crate::failure::{self, Failure};
use crate::last_check::LastCheck;
use crate::listener::{Limits, Listener};
use crate::log::Log;
use crate::system::{SystemClock, SystemRandom};
use crate::tls;

/// The interval at which the metrics recorder folds its records into histograms, which bounds its
/// memory.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

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
pub fn run(config: Config) -> Result<(), Failure> {
    let tls = match &config.installation.management {
        Management::Cleartext => None,
        Management::Tls { certificate, key } => {
            // A certificate that cannot be used is a wrong configuration: a restart does not help.
            let acceptor = tls::acceptor(certificate, key);
            Some(acceptor.map_err(|error| Failure::usage(format!("{error:#}")))?)
        }
    };
    // First, so that the first dropped line is counted too.
    let metrics = start_metrics().map_err(failure::with_causes)?;
    let log = Log::start(&config).map_err(failure::with_causes)?;
    let ended = run_with(config, tls, metrics, &log).map_err(failure::with_causes);
    log.end(ended)
}

fn run_with(
    config: Config,
    tls: Option<TlsAcceptor>,
    metrics: PrometheusHandle,
    log: &Log,
) -> anyhow::Result<()> {
    // HTTP takes a quarter of the work of a request. More threads for it would only pass requests
    // between them.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((processors / 2).max(1))
        .thread_name("http")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(config, tls, metrics, log));
    // The process does not wait for a thread whose database does not answer.
    runtime.shutdown_background();
    ended
}

async fn serve(
    config: Config,
    tls: Option<TlsAcceptor>,
    metrics: PrometheusHandle,
    log: &Log,
) -> anyhow::Result<()> {
    // 1. The signals, before anything is printed: a supervisor that reads the lines may send one.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    survive_signals()?;

    // 2. The data directory and the sockets.
    let data_dir = DataDir::open(&config.installation.storage).await?;
    let store = data_dir.store();
    let (management, management_address) = bind(config.installation.listen, "--listen").await?;
    let (public, public_address) = bind(config.public_listen, "--public-listen").await?;

    // 3. The installation and the rules.
    let api_url = config.installation.api_url(management_address);
    let names = FirstNames {
        email: EMAIL_DEFAULT.to_owned(),
        account: FIRST_ACCOUNT.to_owned(),
        zone: FIRST_ZONE.to_owned(),
    };
    let made = data_dir
        .initialise(&config.installation, &names, &api_url)
        .await?;
    let public_url = config.public_url(public_address);
    let service = Arc::new(data_dir.service(&config, public_url).await?);
    if data_dir.begin_journal().await? {
        // No client may get a list from before the backup.
        service.settler.settle_all().await?;
    }
    if let Err(error) = data_dir.update_profile(&api_url) {
        tracing::warn!("{error:#}; client commands need --api until you fix this");
    }

    // 4. The background jobs and the listeners.
    let mut jobs = Jobs::start(&service, metrics.clone());
    if let Err(error) = clock_watch::start(service.signals.clone()) {
        tracing::warn!(%error, "{}", clock_watch::NOT_WATCHED);
    }
    let api = Api::new(parts(&config, &service, metrics));
    let limits = Limits {
        connections: config.connections_max.get(),
        idle_timeout: config.request_timeout,
    };
    let router = certgate_api::management(api.clone());
    let management = Listener::start(management, tls, router, limits);
    let public = Listener::start(public, None, certgate_api::responder(api), limits);
    announce(&api_url, public_address);
    if let Some(made) = made {
        log.print(&welcome(&made, &api_url, &config));
    }

    // 5. The end: requests in flight, and then the last writes.
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        // The job never ends by itself. Without it no revocation would take effect.
        ended = &mut jobs.settling => {
            Err(anyhow::anyhow!("the job that settles revocations ended: {ended:?}"))
        }
    };
    tracing::info!("stopping: requests in flight finish");
    service.signals.end_waiting();
    tokio::join!(
        management.stop(config.request_timeout),
        public.stop(config.request_timeout)
    );
    jobs.stop();
    let last_writes = async {
        write_last(&service).await;
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
    ended
}

fn parts(config: &Config, service: &Arc<Service>, metrics: PrometheusHandle) -> ApiParts {
    let directory = config.installation.storage.data_dir.clone();
    ApiParts {
        service: service.clone(),
        store: service.reads(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        metrics: Arc::new(move || {
            LastCheck::measure(&directory);
            metrics.render()
        }),
        request_timeout: config.request_timeout,
        trusted_proxies: config.trusted_proxies.clone(),
    }
}

/// The background jobs of a server.
struct Jobs {
    settling: JoinHandle<()>,
    recording: JoinHandle<()>,
    upkeep: JoinHandle<()>,
}

impl Jobs {
    fn start(service: &Arc<Service>, metrics: PrometheusHandle) -> Self {
        let [settling, recording] = [service.clone(), service.clone()];
        Self {
            settling: tokio::spawn(async move { settling.settler.settle_forever().await }),
            recording: tokio::spawn(async move { recording.last_uses.record_forever().await }),
            upkeep: tokio::spawn(async move {
                let mut ticks = tokio::time::interval(METRICS_UPKEEP);
                loop {
                    ticks.tick().await;
                    metrics.run_upkeep();
                }
            }),
        }
    }

    fn stop(self) {
        self.settling.abort();
        self.recording.abort();
        self.upkeep.abort();
    }
}

/// Writes the data that no request waits for.
async fn write_last(service: &Service) {
    if let Err(error) = service.last_uses.record_all().await {
        tracing::warn!(%error, "cannot record the last use of tokens");
    }
    if let Err(error) = service.settler.release_lease().await {
        tracing::warn!(%error, "cannot release the lease: another node settles after its end");
    }
}

/// Handles the signals that would end the process although they ask for something else: log
/// rotation and closing terminals send SIGHUP.
fn survive_signals() -> std::io::Result<()> {
    let mut reload = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while reload.recv().await.is_some() {
            tracing::info!(
                "SIGHUP changes nothing: certgate reads its configuration at the start only, so \
                 that a change needs a restart"
            );
        }
    });
    // Tokio's handlers stay for the life of the process, with or without a receiver.
    for kind in [
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
    ] {
        drop(signal(kind)?);
    }
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}: choose another address with {flag}, or stop the program \
             that listens there"
        )
    })?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Prints the addresses on standard output, and does not wait for its reader.
fn announce(api_url: &str, public: SocketAddr) {
    let text = format!(
        "management API listening on {api_url}\n\
         public responder listening on http://{public}\n"
    );
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
         The list with curl:\n\n\
         \x20 export CERTGATE_TOKEN={token}\n\
         \x20 curl -H \"Authorization: Bearer $CERTGATE_TOKEN\" \\\n\
         \x20   {api_url}/client/v4/zones/{zone_id}/client_certificates\n\n"
    )
}

fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS_BUCKETS)?;
    builder
        .install_recorder()
        .context("cannot start the metrics")
}
