//! The thread of a follower.

use certgate_enforcement::{Enforce, Follower};
use tokio::runtime::Builder;
use tokio::task::{JoinHandle, spawn_blocking};

/// Runs a follower until `stop` is ready, on a thread and a runtime of its own.
///
/// Requests do not delay it there, and the view takes memory once: the allocator of glibc gives
/// each thread an area of its own, and a view that moves between threads fills all of them.
pub fn follow<E>(
    follower: Follower<E>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<JoinHandle<()>>
where
    E: Enforce + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(spawn_blocking(move || {
        runtime.block_on(follower.run(stop));
        // It does not wait for a thread that looks up a name.
        runtime.shutdown_background();
    }))
}
