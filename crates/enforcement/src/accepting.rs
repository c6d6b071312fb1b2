//! The pause after a failed `accept`.

use std::time::Duration;

use tokio::time::timeout;

/// The pause of a listener after a failed `accept`: usually the process has no free file
/// descriptor, and no event announces one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Ends after the pause, or with `stopped`. Returns true if `stopped` ended it.
pub(crate) async fn pause_or(stopped: impl Future) -> bool {
    timeout(ACCEPT_PAUSE, stopped).await.is_ok()
}
