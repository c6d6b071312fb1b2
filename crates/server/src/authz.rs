//! `certgate authz`: an enforcement point that answers the questions of reverse proxies.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use certgate_enforcement::authz::{self, AuthzSettings, Judge, Listeners, Status};
use certgate_enforcement::{
    Applied, Coverage, Enforce, EnforceError, Follower, PointSettings, TokenSource, View,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::block_in_place;

use crate::config::{ConfigError, LogFormat};
use crate::failure::{self, Failure};
use crate::following;
use crate::log::Log;
use crate::process;
use crate::reload::{FILES_INTERVAL, Files};
use crate::serve::{METRICS_UPKEEP, start_metrics};
use crate::signals::{self, StopSignals};
use crate::system::{SystemClock, SystemRandom};

/// The limit of the questions in flight when the process stops. Proxies wait one second.
const LAST_QUESTIONS_TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT.
pub fn run(file: &Path) -> Result<(), Failure> {
    let read = || AuthzSettings::read(file).map_err(|error| ConfigError::new(error.to_string()));
    // The files are looked at before they are read, so that no later change is missed.
    let files = Files::of(&read()?.files);
    let settings = read()?;
    process::raise_open_files();
    let metrics = start_metrics().map_err(failure::with_causes)?;
    let log = Log::start(&settings.log, log_format(&settings)).map_err(failure::with_causes)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("authz")
        .enable_all()
        .build()
        .map_err(|error| failure::with_causes(error.into()))?;
    let ended = runtime.block_on(answer_until_stop(file, settings, files, metrics, &log));
    runtime.shutdown_background();
    log.end(ended.map_err(failure::with_causes))
}

fn log_format(settings: &AuthzSettings) -> LogFormat {
    match settings.log_format {
        authz::LogFormat::Text => LogFormat::Text,
        authz::LogFormat::Json => LogFormat::Json,
    }
}

/// Requests are judged one by one against the view: a published change is enforced.
struct JudgedOneByOne;

impl Enforce for JudgedOneByOne {
    async fn enforce(&self, _: &Applied) -> Result<(), EnforceError> {
        Ok(())
    }
}

async fn answer_until_stop(
    file: &Path,
    settings: AuthzSettings,
    files: Files,
    metrics: PrometheusHandle,
    log: &Log,
) -> anyhow::Result<()> {
    // 1. The sockets, and the follower with the view on disk.
    let mut stop = StopSignals::handle()?;
    let view = Arc::new(View::new());
    view.set_stale_after(settings.point.stale.after);
    let follower = Follower::new(
        point(&settings),
        view.clone(),
        JudgedOneByOne,
        Arc::new(SystemClock),
        Arc::new(SystemRandom),
    )
    .map_err(|error| ConfigError::new(format!("{error}: correct {}", file.display())))?;
    let judge = Arc::new(Judge {
        view,
        stale: settings.point.stale,
        clock: Arc::new(SystemClock),
    });
    let mut listeners = Listeners::new(judge.clone());
    let mut names = listeners.apply(&settings).await?;
    names
        .iter_mut()
        .for_each(|name| *name = format!("authz listening on {name}\n"));
    if let Some(address) = settings.metrics_listen {
        let rendered = metrics.clone();
        let status = Status::new(judge, move || rendered.render());
        names.push(format!(
            "metrics listening on {}\n",
            status.listen(address).await?
        ));
    }
    announce(names.concat());

    // 2. Follow and answer.
    let (end, mut ended) = watch::channel(false);
    let stopped = async move { drop(ended.wait_for(|ended| *ended).await) };
    let mut following = following::follow(follower, stopped)?;
    let mut reloader = Reloader {
        file,
        settings,
        files,
    };
    let failed = tokio::select! {
        () = stop.recv() => None,
        error = reloader.run(&mut listeners, &metrics, log) => Some(error),
        _ = &mut following => Some(anyhow::anyhow!(
            "the follower ended by a defect, which the log describes: start authz again"
        )),
    };

    // 3. Answer the last questions, and only then let certgate stop waiting for this point.
    tracing::info!("stopping: questions in flight are answered");
    listeners.stop(LAST_QUESTIONS_TIMEOUT).await;
    end.send_replace(true);
    match failed {
        Some(error) => Err(error),
        None => Ok(following.await?),
    }
}

fn point(settings: &AuthzSettings) -> PointSettings {
    let point = &settings.point;
    PointSettings {
        api: point.api.clone(),
        token: TokenSource::File(point.token_file.clone()),
        account: point.account,
        name: point.name.clone(),
        state_dir: Some(point.state_dir.clone()),
        ca_file: point.ca_file.clone(),
        allow_cleartext: false,
        covers: vec![Coverage::Requests],
        when_stale: point.stale.when_stale,
        lease_seconds: point.lease_seconds,
        forget_seconds: None,
    }
}

/// Prints the addresses on standard output, and does not wait for its reader.
fn announce(text: String) {
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            tracing::warn!(%error, "cannot print the addresses on standard output");
        }
    });
}

/// The settings in effect, and their files.
struct Reloader<'a> {
    file: &'a Path,
    settings: AuthzSettings,
    files: Files,
}

impl Reloader<'_> {
    /// Reloads at each SIGHUP and after each change of the files. Returns if SIGHUP cannot be
    /// handled.
    async fn run(
        &mut self,
        listeners: &mut Listeners,
        metrics: &PrometheusHandle,
        log: &Log,
    ) -> anyhow::Error {
        let mut hangup = match signals::hangup() {
            Ok(hangup) => hangup,
            Err(error) => return error.into(),
        };
        let mut looks = tokio::time::interval(FILES_INTERVAL);
        let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
        let mut seen = self.files.clone();
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    self.files = Files::of(&self.settings.files);
                    self.reload("SIGHUP", listeners, log).await;
                }
                _ = looks.tick() => {
                    let now = block_in_place(|| Files::of(&self.settings.files));
                    // A file that still changes waits for the next look.
                    if now != self.files && now == seen {
                        self.files = now.clone();
                        self.reload("a change of the files", listeners, log).await;
                    }
                    seen = now;
                }
                _ = upkeep.tick() => metrics.run_upkeep(),
            }
        }
    }

    async fn reload(&mut self, by: &str, listeners: &mut Listeners, log: &Log) {
        let read = block_in_place(|| AuthzSettings::read(self.file));
        let applied = match read {
            Ok(settings) => match listeners.apply(&settings).await {
                Ok(names) => Ok((settings, names)),
                Err(error) => Err(error.to_string()),
            },
            Err(error) => Err(error.to_string()),
        };
        let count = |result: &'static str| {
            metrics::counter!("certgate_reloads_total", "result" => result).increment(1);
        };
        match applied {
            Ok((settings, names)) => {
                log.set_filter(&settings.log);
                let needs_restart = settings.point != self.settings.point
                    || settings.metrics_listen != self.settings.metrics_listen;
                let point = std::mem::replace(&mut self.settings, settings);
                if needs_restart {
                    // The next look compares with the settings in effect.
                    self.settings.point = point.point;
                    self.settings.metrics_listen = point.metrics_listen;
                    tracing::warn!("a change of the settings for the process needs a restart");
                }
                let opened = names.join(", ");
                tracing::info!(by, opened, "reloaded the settings");
                count("changed");
            }
            Err(error) => {
                tracing::error!(
                    by,
                    error,
                    "the settings were not reloaded: the earlier ones stay in effect"
                );
                count("rejected");
            }
        }
    }
}
