//! New configuration and certificates for a running gateway: at SIGHUP, and after a change of their
//! files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::block_in_place;

use super::config::Config;
use super::shared::Gateway;

/// The interval at which the gateway looks at the files. A file system has no event that holds for
/// all of their forms: Kubernetes exchanges a symbolic link two directories above.
const FILES_INTERVAL: Duration = Duration::from_secs(1);

/// The identity of a file's content: device, inode, size and time of the last change.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Reloads at each SIGHUP and after each change of the files, forever.
pub async fn reload_forever(path: PathBuf, gateway: Arc<Gateway>) {
    for result in ["changed", "rejected"] {
        count(result, 0);
    }
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::error!(%error, "cannot handle SIGHUP"),
    };
    let mut looks = tokio::time::interval(FILES_INTERVAL);
    let mut loaded = look(&path, &gateway);
    let mut seen = loaded.clone();
    loop {
        tokio::select! {
            _ = hangup.recv() => block_in_place(|| {
                loaded = look(&path, &gateway);
                reload(&path, &gateway, "SIGHUP");
            }),
            _ = looks.tick() => block_in_place(|| {
                let now = look(&path, &gateway);
                // A file that still changes, or a certificate whose key is not there yet, waits
                // for the next look.
                if now != loaded && now == seen {
                    loaded.clone_from(&now);
                    reload(&path, &gateway, "a change of the files");
                }
                seen = now;
            }),
        }
    }
}

fn reload(path: &Path, gateway: &Gateway, by: &str) {
    let replaced = Config::read(path)
        .map_err(|error| error.to_string())
        .and_then(|config| {
            let earlier = gateway.active().config.clone();
            warn_of_late(&earlier, &config);
            check_lease(&earlier, &config)?;
            gateway.replace(config)
        });
    match replaced {
        Ok(()) => {
            count("changed", 1);
            tracing::info!(by, "reloaded the configuration and the certificates");
        }
        Err(error) => {
            count("rejected", 1);
            tracing::error!(
                by,
                error,
                "the configuration was not reloaded: the earlier one stays in effect"
            );
        }
    }
}

/// The server knows the lease of the process since its start.
fn check_lease(earlier: &Config, later: &Config) -> Result<(), String> {
    if later.lease_seconds() <= earlier.lease_seconds() {
        return Ok(());
    }
    Err(format!(
        "the longest stale_after_seconds may not exceed that of the start: the lease of the \
         process is {} seconds: restart the gateway",
        earlier.lease_seconds()
    ))
}

fn warn_of_late(earlier: &Config, later: &Config) {
    let late = [
        ("api", earlier.api != later.api),
        ("token_file", earlier.token_file != later.token_file),
        ("account", earlier.account != later.account),
        ("name", earlier.name != later.name),
        ("state_dir", earlier.state_dir != later.state_dir),
        ("ca_file", earlier.ca_file != later.ca_file),
        ("listen", earlier.listen != later.listen),
        (
            "metrics_listen",
            earlier.metrics_listen != later.metrics_listen,
        ),
    ];
    let late: Vec<_> = late
        .into_iter()
        .filter(|(_, is_changed)| *is_changed)
        .map(|(name, _)| name)
        .collect();
    if !late.is_empty() {
        let settings = late.join(", ");
        tracing::warn!(settings, "these settings take effect after a restart");
    }
}

fn look(path: &Path, gateway: &Gateway) -> BTreeMap<PathBuf, Stamp> {
    let active = gateway.active();
    let files = active.config.files().chain([path]);
    files.map(|file| (file.to_owned(), stamp(file))).collect()
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let changed = (file.ctime(), file.ctime_nsec());
    Some((file.dev(), file.ino(), file.size(), changed.0, changed.1))
}

fn count(result: &'static str, times: u64) {
    metrics::counter!("certgate_gateway_reloads_total", "result" => result).increment(times);
}
