//! Pauses of background jobs.

use std::time::Duration;

/// Lets time pass. No event announces what another process did, such as a new entry or the end of
/// its lease, and a rate limit has none.
#[expect(
    clippy::disallowed_methods,
    reason = "no event announces the end of a pause"
)]
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
