use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use rustix::process::setpriority_process;
use rustix::thread::gettid;
use tokio::sync::oneshot;

use crate::error::Fault;

/// The priority of a thread that gives way: a third of the usual share of a busy processor, so that
/// a key is still made within the time limit of its request.
const LOW_PRIORITY: i32 = 5;

/// A pool of threads for work that computes instead of waiting.
///
/// A request that disconnects gives up its place in the queue, so the number of queued jobs is
/// bounded by the connections of the listeners.
pub(crate) struct Signers(ThreadPool);

impl Signers {
    /// Starts one thread for each processor.
    pub(crate) fn start() -> Result<Self, Fault> {
        Self::build(ThreadPoolBuilder::new().thread_name(|number| format!("signer-{number}")))
    }

    /// Starts one thread for keys whose generation takes seconds. It gives way to the signatures
    /// that requests wait for.
    pub(crate) fn for_slow_keys() -> Result<Self, Fault> {
        let give_way = |_: usize| {
            if let Err(error) = setpriority_process(Some(gettid()), LOW_PRIORITY) {
                tracing::debug!(%error, "the thread of slow keys keeps its priority");
            }
        };
        Self::build(
            ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(|_| "slow-keys".to_owned())
                .start_handler(give_way),
        )
    }

    /// Starts one thread for searches of weak RSA keys.
    pub(crate) fn for_key_searches() -> Result<Self, Fault> {
        let builder = ThreadPoolBuilder::new().num_threads(1);
        Self::build(builder.thread_name(|_| "key-searches".to_owned()))
    }

    fn build(threads: ThreadPoolBuilder) -> Result<Self, Fault> {
        threads
            .build()
            .map(Self)
            .map_err(|error| Fault::Internal(format!("cannot start the signing threads: {error}")))
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
        self.0.spawn(move || {
            // The request has disconnected and does not need the work.
            if answer.is_closed() {
                return;
            }
            // A panic on this thread would end the process. Instead it drops the sender, which the
            // caller reports.
            let _ = catch_unwind(AssertUnwindSafe(|| work(answer)));
        });
        answered.await.map_err(|_| {
            Fault::Internal(
                "the work on a certificate panicked, or the store ended first".to_owned(),
            )
        })
    }
}
