use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::error::Fault;

/// The priority of a thread that gives way: a third of the usual share of a busy processor, so that
/// a key is still made within the time limit of its request.
const LOW_PRIORITY: i32 = 5;

/// The time after which an idle thread ends. The next work starts another.
const IDLE: Duration = Duration::from_secs(3_600);

/// A pool of threads for work that computes instead of waiting.
///
/// A request that disconnects gives up its place in the queue, so the number of queued jobs is
/// bounded by the connections of the listeners.
///
/// It is a runtime of which only the threads for blocking work are used. They sleep until there is
/// work. Those of rayon look for work some dozen times before they sleep, which cost more than a
/// signature when certificates were issued one by one.
pub(crate) struct Signers {
    threads: Handle,
    /// [`None`] after it was ended.
    runtime: Option<Runtime>,
}

impl Signers {
    /// Makes a pool of one thread for each processor.
    pub(crate) fn start() -> Result<Self, Fault> {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Self::build("signer", processors, || {})
    }

    /// Makes a pool of one thread for keys whose generation takes seconds. It gives way to the
    /// signatures that requests wait for.
    pub(crate) fn for_slow_keys() -> Result<Self, Fault> {
        Self::build("slow-keys", 1, || {
            if let Err(error) = setpriority_process(Some(gettid()), LOW_PRIORITY) {
                tracing::debug!(%error, "the thread of slow keys keeps its priority");
            }
        })
    }

    /// Makes a pool of one thread for searches of weak RSA keys.
    pub(crate) fn for_key_searches() -> Result<Self, Fault> {
        Self::build("key-searches", 1, || {})
    }

    fn build(name: &str, threads: usize, begin: fn()) -> Result<Self, Fault> {
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(threads)
            .thread_keep_alive(IDLE)
            .thread_name(name)
            .on_thread_start(begin)
            .build();
        let runtime = runtime.map_err(|error| {
            Fault::Internal(format!("cannot make the signing threads: {error}"))
        })?;
        Ok(Self {
            threads: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs `work` on the pool.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.begin(move |answer| {
            // The request may have disconnected meanwhile.
            let _ = answer.send(work());
        })
        .await
    }

    /// Like [`Signers::run`], for work that continues elsewhere and sends its answer from there.
    pub(crate) async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        // A panic drops the sender, which the caller reports.
        self.threads.spawn_blocking(move || {
            // The request may have disconnected, and not need the work.
            if !answer.is_closed() {
                work(answer);
            }
        });
        answered.await.map_err(|_| {
            Fault::Internal(
                "the work on a certificate panicked, or the store ended first".to_owned(),
            )
        })
    }
}

impl Drop for Signers {
    fn drop(&mut self) {
        // Without waiting for the work of requests that have ended.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
