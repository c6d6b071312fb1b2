//! Active health checks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::shared::Gateway;

/// The interval at which the configuration is read for checks that are due.
const INTERVAL: Duration = Duration::from_millis(500);

/// Checks the upstreams of all hosts that have a `health_path`, forever.
pub async fn check_forever(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut checked: HashMap<Arc<str>, Instant> = HashMap::new();
    loop {
        let now = ticks.tick().await;
        let active = gateway.active().clone();
        checked.retain(|name, _| active.hosts.contains_key(name));
        for host in active.hosts.values() {
            let Some(path) = host.config.health_path.clone() else {
                continue;
            };
            let interval = Duration::from_secs(host.config.health_interval_seconds.get().into());
            let last = checked.get(&host.name);
            if last.is_some_and(|last| now.duration_since(*last) < interval) {
                continue;
            }
            checked.insert(host.name.clone(), now);
            for upstream in host.upstreams.all() {
                let (upstream, host) = (upstream.clone(), host.clone());
                let (path, limits) = (path.clone(), active.config.limits);
                tokio::spawn(async move { upstream.check(&path, &host.authority, &limits).await });
            }
        }
    }
}
