//! File descriptors: the process has a limited number, which its listeners share.

use rustix::process::{Resource, getrlimit};

/// File descriptors for everything but connections: a quarter of all, within these bounds. The
/// database, its journal and its readers take about thirty.
const RESERVE_MIN: u64 = 48;
const RESERVE_MAX: u64 = 256;

/// The fewest connections of a listener. With so few file descriptors, the process hardly starts.
const CONNECTIONS_MIN: u64 = 8;

/// Returns the number of connections for each of some listeners: `wanted`, or fewer if the process may not
/// open as many files. The connections of one listener never take the files of the others.
pub fn connections(wanted: usize, listeners: u64) -> usize {
    let open_files_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let possible = possible(open_files_max, listeners);
    let wanted = wanted as u64;
    metrics::gauge!("certgate_connections_unavailable").set(wanted.saturating_sub(possible) as f64);
    if possible < wanted {
        tracing::warn!(
            open_files_max,
            connections_max = wanted,
            connections = possible,
            "the process may open too few files for connections_max, so each listener has fewer \
             connections: raise the limit of open files (LimitNOFILE)"
        );
    }
    usize::try_from(wanted.min(possible)).unwrap_or(usize::MAX)
}

fn possible(open_files_max: u64, listeners: u64) -> u64 {
    let reserve = match open_files_max / 4 {
        ..RESERVE_MIN => RESERVE_MIN,
        RESERVE_MAX.. => RESERVE_MAX,
        quarter => quarter,
    };
    (open_files_max.saturating_sub(reserve) / listeners).max(CONNECTIONS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_and_the_database_share_the_open_files() {
        for (open_files_max, connections) in [
            (64, 8),
            (256, 96),
            (1_024, 384),
            (20_000, 9_872),
            (u64::MAX, (u64::MAX - 256) / 2),
        ] {
            assert_eq!(possible(open_files_max, 2), connections);
        }
        assert_eq!(possible(1_024, 3), 256);
    }
}
