//! `certgate serve`: wires the parts together and runs until it is told to stop.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use certgate_api::{Api, ApiParts};
use certgate_service::{EMAIL_DEFAULT, FirstNames, Initialised};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Management};
use crate::data_dir::DataDir;
use crate::listener::{Limits, Listener};
use crate::log;
use crate::system::{SystemClock, SystemRandom};
use crate::tls;

/// How often the metrics recorder folds what it has recorded into its histograms, which bounds its memory.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How long the last writes to a shared database may take: whoever ends this process waits half a minute at the most, most of
/// which requests may have taken.
const LAST_WRITES_TIMEOUT: Duration = Duration::from_secs(5);

/// Bounds of the histogram buckets, in seconds.
const SECONDS_BUCKETS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

/// The names of the first account and zone when `serve` makes them; `init` can choose others.
const FIRST_ACCOUNT: &str = "default";
const FIRST_ZONE: &str = "example.com";

/// Runs the server until SIGTERM or SIGINT.
pub fn run(config: Config) -> anyhow::Result<()> {
    // First, so that the first dropped line is counted too.
    let metrics = start_metrics()?;
    log::start(&config)?;
    // Speaking HTTP takes a quarter of the work of a request; more threads for it would only hand requests around.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads((processors / 2).max(1))
        .thread_name("http")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(config, metrics));
    // A thread that still waits for a database which does not answer is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, metrics: PrometheusHandle) -> anyhow::Result<()> {
    // Before anything is printed: whoever reads the lines may send the signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    survive_signals()?;

    let tls = match &config.installation.management {
        Management::Cleartext => None,
        Management::Tls { certificate, key } => Some(tls::acceptor(certificate, key)?),
    };
    let data_dir = DataDir::open(&config.installation.storage).await?;
    let store = data_dir.store();
    let (management, management_address) = bind(config.installation.listen, "--listen").await?;
    let (public, public_address) = bind(config.public_listen, "--public-listen").await?;

    let api_url = config.installation.api_url(management_address);
    let names = FirstNames {
        email: EMAIL_DEFAULT.to_owned(),
        account: FIRST_ACCOUNT.to_owned(),
        zone: FIRST_ZONE.to_owned(),
    };
    let made = data_dir
        .initialise(&config.installation, &names, &api_url)
        .await?;
    let service = Arc::new(
        data_dir
            .service(&config, config.public_url(public_address))
            .await?,
    );
    if data_dir.begin_journal().await? {
        // Nobody is served a list from before the backup.
        service.settler.settle_all().await?;
    }
    if let Err(error) = data_dir.update_profile(&api_url) {
        tracing::warn!(
            "{error:#}; `certgate cert list` and the like need --api until this is mended"
        );
    }

    let api = Api::new(ApiParts {
        service: service.clone(),
        store: service.reads(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        metrics: Arc::new({
            let metrics = metrics.clone();
            move || metrics.render()
        }),
        request_timeout: config.request_timeout,
        trusted_proxies: config.trusted_proxies.clone(),
    });
    let limits = Limits {
        connections: config.connections_max.get(),
        idle_timeout: config.request_timeout,
    };
    let mut settling = tokio::spawn({
        let service = service.clone();
        async move { service.settler.settle_forever().await }
    });
    let recording = tokio::spawn({
        let service = service.clone();
        async move { service.last_uses.record_forever().await }
    });
    let upkeep = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        loop {
            ticks.tick().await;
            metrics.run_upkeep();
        }
    });
    let management = Listener::start(
        management,
        tls,
        certgate_api::management(api.clone()),
        limits,
    );
    let public = Listener::start(public, None, certgate_api::responder(api), limits);

    if let Err(error) = announce(&api_url, public_address) {
        tracing::warn!(%error, "the addresses could not be printed on standard output");
    }
    if let Some(made) = made {
        welcome(&made, &api_url, &config);
    }

    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        // It never ends by itself; without it no revocation would come into force.
        ended = &mut settling => Err(anyhow::anyhow!("the task that settles revocations ended: {ended:?}")),
    };
    tracing::info!("stopping: requests in flight finish");
    service.signals.end_waiting();
    tokio::join!(
        management.stop(config.request_timeout),
        public.stop(config.request_timeout)
    );
    settling.abort();
    recording.abort();
    upkeep.abort();
    let last_writes = async {
        if let Err(error) = service.last_uses.record_all().await {
            tracing::warn!(%error, "the last use of tokens was not recorded");
        }
        if let Err(error) = service.settler.release_lease().await {
            tracing::warn!(%error, "settling was not left to others, which wait for the end of a lease");
        }
        store.close().await;
    };
    // Every request has its answer. The embedded database is on a disk, which is waited for.
    if !service.reads().is_shared() {
        last_writes.await;
    } else if tokio::time::timeout(LAST_WRITES_TIMEOUT, last_writes)
        .await
        .is_err()
    {
        tracing::warn!(
            "the database does not answer: the last use of tokens may not be recorded, and others settle when a lease has ended"
        );
    }
    ended
}

/// Handles the signals that would end the process although they ask for something else: log rotation
/// and closing terminals send SIGHUP.
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
        format!("cannot listen on {address}: choose another address with {flag}, or stop what listens there")
    })?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn announce(api_url: &str, public: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "management API listening on {api_url}")?;
    writeln!(out, "public responder listening on http://{public}")?;
    out.flush()
}

/// Says, once, what a new user needs next. On standard error, which is where talk goes.
fn welcome(made: &Initialised, api_url: &str, config: &Config) {
    // As it was called: the next command is to be pasted, and the program need not be on the path.
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
    let text = format!(
        "\n\
         A new installation was made in {data_dir}, with the account \"{FIRST_ACCOUNT}\" and the zone {FIRST_ZONE}.\n\
         Its API token may do everything. It is shown this once, and kept in {data_dir}/client.toml for the\n\
         commands below:\n\n\
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
    );
    // Nobody may be reading; the token is in client.toml as well.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS_BUCKETS)?;
    let handle = builder
        .install_recorder()
        .context("cannot start the metrics")?;
    log::begin_to_count();
    Ok(handle)
}
