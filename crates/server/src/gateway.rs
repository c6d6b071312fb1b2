//! `certgate gateway`: terminates TLS, and cuts the connections of revoked client certificates.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use certgate_enforcement::gateway::{Bound, Config, LogFormat as Format, Render};
use certgate_enforcement::{Follower, View};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::config::LogFormat;
use crate::failure::{self, Failure};
use crate::following;
use crate::log::Log;
use crate::process;
use crate::serve::{METRICS_UPKEEP, start_metrics};
use crate::signals::StopSignals;
use crate::system::{SystemClock, SystemRandom};

/// Runs until SIGTERM or SIGINT.
pub fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::read(file).map_err(|error| Failure::usage(error.to_string()))?;
    process::raise_open_files();
    let metrics = start_metrics().map_err(failure::with_causes)?;
    let format = match config.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    let log = Log::start(&config.log, format).map_err(failure::with_causes)?;
    let ended = run_with(config, file, metrics);
    log.end(ended.map_err(failure::with_causes))
}

fn run_with(config: Config, file: &Path, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("gateway")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(config, file, metrics));
    // The process does not wait for a thread that looks up a name.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, file: &Path, metrics: PrometheusHandle) -> anyhow::Result<()> {
    // 1. The sockets and the follower, with the view on disk.
    let mut stop = StopSignals::handle()?;
    let view = Arc::new(View::new());
    let point = config.point();
    let variable = |name: &str| std::env::var(name).ok();
    let clock = Arc::new(SystemClock);
    let bound = Bound::open(
        config,
        file.to_owned(),
        view.clone(),
        clock.clone(),
        variable,
    )?;
    let random = Arc::new(SystemRandom);
    let follower = Follower::new(point, view, bound.enforcer(), clock, random)?;
    announce(&bound);

    // 2. Follow and serve.
    let (end, mut ended) = watch::channel(false);
    let stopped = async move { drop(ended.wait_for(|ended| *ended).await) };
    let mut following = following::follow(follower, stopped)?;
    let upkeep = metrics.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    let render: Render = Arc::new(move || metrics.render());
    let mut is_following = true;
    let stopped = async {
        tokio::select! {
            () = stop.recv() => {}
            _ = &mut following => is_following = false,
        }
        tracing::info!("stopping: requests in flight finish");
    };
    bound.run(render, stopped).await;
    // Without its follower, the gateway would admit clients that were revoked later.
    anyhow::ensure!(
        is_following,
        "the follower ended by a defect, which the log describes: start the gateway again"
    );

    // 3. Only a point without connections may leave: until then, changes wait for it.
    end.send_replace(true);
    following.await?;
    Ok(())
}

/// Prints the addresses on standard output, and does not wait for its reader.
fn announce(bound: &Bound) {
    let (addresses, metrics) = bound.addresses();
    let mut text = String::new();
    for address in addresses {
        text += &format!("gateway listening on {address}\n");
    }
    if let Some(address) = metrics {
        text += &format!("metrics listening on http://{address}\n");
    }
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "cannot print the addresses on standard output");
        }
    });
}
