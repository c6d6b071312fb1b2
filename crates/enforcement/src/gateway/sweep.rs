//! Ends that come with time: of certificates, of freshness, and of patience with clients.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::shared::Gateway;
use super::table::CutReason;

/// The interval of the sweep. Certificates and hosts have a second from their end to the cut.
const INTERVAL: Duration = Duration::from_millis(250);

/// Sweeps forever.
pub async fn sweep_forever(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stale = HashSet::new();
    loop {
        ticks.tick().await;
        gateway.table.cut_expired(gateway.clock.now());
        cut_stale(&gateway, &mut stale);
        let active = gateway.active().clone();
        let limits = &active.config.limits;
        gateway
            .table
            .cut_where(|connection| connection.activity.overdue(limits));
        for host in active.hosts.values() {
            for upstream in host.upstreams.all() {
                upstream.prune(limits);
            }
        }
    }
}

/// Cuts the connections of hosts that became stale. Later connections are answered with 503.
fn cut_stale(gateway: &Gateway, stale: &mut HashSet<Arc<str>>) {
    let active = gateway.active().clone();
    let now: HashSet<_> = active
        .hosts
        .values()
        .filter(|host| gateway.is_stale(host))
        .map(|host| host.name.clone())
        .collect();
    let new: HashSet<_> = now.difference(stale).cloned().collect();
    if !new.is_empty() {
        // At the start, the server has not been asked yet.
        for host in new.iter().filter(|_| gateway.view.fresh_since().is_some()) {
            tracing::error!(
                host = &**host,
                "the server has not confirmed the revocations for too long: requests get 503"
            );
        }
        // A host may have become fresh since the look above. Its connections were admitted then.
        gateway.table.cut_where(|connection| {
            let host = active.hosts.get(&connection.host)?;
            let is_stale = new.contains(&connection.host) && gateway.is_stale(host);
            is_stale.then_some(CutReason::Stale)
        });
    }
    for host in stale.difference(&now) {
        tracing::info!(host = &**host, "the revocations are confirmed again");
    }
    *stale = now;
}
