//! `certgate follow`: keeps the files of a proxy current, and confirms each change.

use std::sync::Arc;

use anyhow::Context as _;
use certgate_client::{Context, connection};
use certgate_enforcement::follow::{FileFormat, FilePoint, FollowSettings};
use certgate_enforcement::{Coverage, Follower, PointSettings, TokenSource, View, WhenStale};

use crate::cli::{FileFormatName, FollowArgs};
use crate::config::LogFormat;
use crate::failure::{self, Failure};
use crate::log::Log;
use crate::serve::start_metrics;
use crate::signals::StopSignals;
use crate::system::{SystemClock, SystemRandom};

impl From<FileFormatName> for FileFormat {
    fn from(name: FileFormatName) -> Self {
        match name {
            FileFormatName::Nginx => Self::Nginx,
            FileFormatName::Haproxy => Self::Haproxy,
            FileFormatName::EnvoySds => Self::EnvoySds,
            FileFormatName::Separate => Self::Separate,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
pub fn run(arguments: FollowArgs, context: &Context<'_>) -> Result<(), Failure> {
    let found = connection(&arguments.client, arguments.account.as_deref(), context)?;
    let format = FileFormat::from(arguments.format);
    let rereads_itself = matches!(format, FileFormat::EnvoySds | FileFormat::Separate);
    if arguments.exec.is_none() && !rereads_itself {
        return Err(
            Failure::usage("nginx and HAProxy read their files only at a reload")
                .hint("give the command with --exec, such as --exec 'nginx -s reload'"),
        );
    }
    let follow = FollowSettings {
        directory: arguments.directory,
        format,
        command: arguments.exec,
        every: arguments.every,
        settle: arguments.settle.unwrap_or(format.settle()),
        hostname: arguments.hostname,
        ca_file: found.authorities.clone(),
    };
    let point = PointSettings {
        api: found.api,
        token: match found.token_file {
            Some(file) => TokenSource::File(file),
            None => TokenSource::Text(found.token),
        },
        account: found.account,
        name: arguments.name,
        // The proxy serves its last files in any case, and a start reads everything anew.
        state_dir: None,
        ca_file: found.authorities,
        allow_cleartext: arguments.allow_cleartext,
        covers: vec![Coverage::Handshakes],
        // The proxy continues with the last lists until they expire.
        when_stale: WhenStale::Serve,
        lease_seconds: arguments.lease_seconds,
        forget_seconds: arguments.forget_seconds,
    };
    // Its counters are the log's: no address shows them.
    start_metrics().map_err(failure::with_causes)?;
    let log = Log::start(&arguments.log, LogFormat::Text).map_err(failure::with_causes)?;
    let ended = follow_until_stop(follow, point);
    log.end(ended.map_err(failure::with_causes))
}

fn follow_until_stop(follow: FollowSettings, point: PointSettings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("follow")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let mut stop = StopSignals::handle()?;
        let view = Arc::new(View::new());
        let directory = follow.directory.display().to_string();
        let files = FilePoint::new(follow, view.clone(), Arc::new(SystemClock))
            .with_context(|| format!("cannot use the directory {directory}"))?;
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let follower = Follower::new(point, view, files, clock, random)?;
        let stopped = async {
            tokio::select! {
                () = stop.recv() => {}
                () = follower.point().renew() => {}
            }
        };
        follower.run(stopped).await;
        Ok(())
    });
    runtime.shutdown_background();
    ended
}
