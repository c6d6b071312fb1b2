//! The supervisor, which owns every long-running task of the server: a task that
//! ends is restarted where that is safe, and otherwise ends the process. `/readyz` names the tasks
//! that do not run.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certgate_model::lock;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// The pause before the first restart of a task, and the longest one. The pause doubles with each
/// restart: a task that fails at once must not use a processor.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The names of the tasks, as `/readyz`, the log and the metric have them.
pub mod names {
    /// The two tasks of a listener.
    #[derive(Clone, Copy)]
    pub struct Listener {
        /// The task that accepts connections.
        pub accepting: &'static str,
        /// The task that closes connections beyond their limits.
        pub limits: &'static str,
    }

    pub const MANAGEMENT: Listener = Listener {
        accepting: "management listener",
        limits: "management connection limits",
    };
    pub const PUBLIC: Listener = Listener {
        accepting: "public listener",
        limits: "public connection limits",
    };
    pub const ENROLMENT: Listener = Listener {
        accepting: "enrolment listener",
        limits: "enrolment connection limits",
    };
    pub const INVITES: Listener = Listener {
        accepting: "invite listener",
        limits: "invite connection limits",
    };
    pub const SETTLER: &str = "settler";
    pub const STORE_WRITER: &str = "store writer";
    pub const TOKEN_USES: &str = "record of token uses";
    pub const METRICS: &str = "metrics";
    pub const CLOCK: &str = "clock watch";
    pub const RELOADER: &str = "reload of settings";
    pub const INDEXER: &str = "search indexer";
    pub const OFFLINE: &str = "offline requests";
    pub const INVITE_FILES: &str = "invite files";
    pub const NOTIFIER: &str = "notifications";

    /// Tasks without which every request gets its right answer for the time of a restart: `/readyz`
    /// does not name them.
    pub const SECONDARY: [&str; 8] = [
        TOKEN_USES,
        METRICS,
        CLOCK,
        RELOADER,
        INDEXER,
        OFFLINE,
        INVITE_FILES,
        NOTIFIER,
    ];
}

/// The owner of the tasks.
pub struct Supervisor {
    tasks: Arc<Tasks>,
    pause_min: Duration,
    stopping: watch::Sender<bool>,
    ending: watch::Sender<bool>,
    /// The task that ended and cannot be restarted.
    lost: watch::Sender<Option<&'static str>>,
}

/// The names of the tasks that do not run now, without [`names::SECONDARY`].
#[derive(Default)]
pub struct Tasks {
    missing: Mutex<Vec<&'static str>>,
}

impl Tasks {
    /// Returns the names of the tasks that do not run now and without which the server is not
    /// ready.
    pub fn missing(&self) -> Vec<&'static str> {
        lock(&self.missing).clone()
    }

    fn set_missing(&self, name: &'static str, is_missing: bool) {
        let mut missing = lock(&self.missing);
        missing.retain(|other| *other != name);
        if is_missing && !names::SECONDARY.contains(&name) {
            missing.push(name);
        }
    }
}

impl Supervisor {
    pub fn new() -> Self {
        Self {
            tasks: Arc::default(),
            pause_min: PAUSE_MIN,
            stopping: watch::channel(false).0,
            ending: watch::channel(false).0,
            lost: watch::channel(None).0,
        }
    }

    /// The state of the tasks.
    pub fn tasks(&self) -> Arc<Tasks> {
        self.tasks.clone()
    }

    /// Runs a task and restarts it whenever it ends, until the process stops. The task must
    /// tolerate its own death at any point. Aborting the handle aborts the task.
    pub fn keep<F>(
        &self,
        name: &'static str,
        task: impl Fn() -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let restarts = metrics::counter!("certgate_task_restarts_total", "task" => name);
        restarts.increment(0);
        let (tasks, mut stopping) = (self.tasks(), self.stopping.subscribe());
        let mut ending = self.ending.subscribe();
        let pause_min = self.pause_min;
        tokio::spawn(async move {
            let mut pause = pause_min;
            loop {
                let begun = now();
                // A set aborts its task when it is dropped.
                let mut running = JoinSet::new();
                running.spawn(task());
                let is_ended = tokio::select! {
                    _ = running.join_next() => false,
                    Ok(_) = ending.wait_for(|ending| *ending) => true,
                };
                if is_ended {
                    return running.shutdown().await;
                }
                if *stopping.borrow() {
                    return;
                }
                tasks.set_missing(name, true);
                if begun.elapsed() > PAUSE_MAX {
                    pause = pause_min;
                }
                let seconds = pause.as_secs();
                tracing::error!(
                    task = name,
                    seconds,
                    "a task ended and restarts after a pause"
                );
                let stopped = stopping.wait_for(|stopping| *stopping);
                if timeout(pause, stopped).await.is_ok() {
                    return;
                }
                pause = (pause * 2).min(PAUSE_MAX);
                restarts.increment(1);
                tasks.set_missing(name, false);
            }
        })
    }

    /// Watches for the end of something that cannot be restarted, which ends the process.
    pub fn need(&self, name: &'static str, end: impl Future<Output = ()> + Send + 'static) {
        let (tasks, stopping, lost) = (self.tasks(), self.stopping.subscribe(), self.lost.clone());
        tokio::spawn(async move {
            end.await;
            if !*stopping.borrow() {
                tasks.set_missing(name, true);
                lost.send_replace(Some(name));
            }
        });
    }

    /// Waits for the end of a task that cannot be restarted, and returns its name.
    pub async fn lost(&self) -> &'static str {
        let mut lost = self.lost.subscribe();
        let lost = lost.wait_for(Option::is_some).await;
        lost.ok()
            .and_then(|lost| *lost)
            .expect("self holds the sender, and waits for Some")
    }

    /// Begins the stop: from now on, tasks may end.
    pub fn begin_stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Ends every task that still runs, and waits until these have ended: what they hold, such as
    /// the file of a socket, is released before the process ends.
    pub async fn end(&self, tasks: impl IntoIterator<Item = JoinHandle<()>>) {
        self.ending.send_replace(true);
        for task in tasks {
            // A task ends with an error if it was aborted before.
            let _ = task.await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures how long a task ran, for its next pause"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use certgate_model::Random;
    use certgate_testkit::SeededRandom;
    use tokio::sync::mpsc;

    use super::*;

    fn restarting_after(pause_min: Duration) -> Supervisor {
        Supervisor {
            pause_min,
            ..Supervisor::new()
        }
    }

    async fn until(tasks: &Tasks, missing: &[&str]) {
        while tasks.missing() != missing {
            tokio::task::yield_now().await;
        }
    }

    /// Random deaths of several tasks, judged by what the tasks report themselves.
    #[tokio::test]
    async fn no_task_stays_dead_and_none_runs_twice_at_once() {
        for seed in 0..200 {
            let supervisor = restarting_after(Duration::ZERO);
            let (started, mut starts) = mpsc::unbounded_channel();
            let running = ["a", "b", "c"].map(|_| Arc::new(AtomicU32::new(0)));
            for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
                let (started, running) = (started.clone(), running[index].clone());
                supervisor.keep(name, move || {
                    let running = Running::begin(&running);
                    let (kill, killed) = mpsc::unbounded_channel::<bool>();
                    started.send((index, kill)).unwrap();
                    live(killed, running)
                });
            }
            let random = SeededRandom::new(seed);
            let mut alive = [const { None }; 3];
            for _ in 0..30 {
                while alive.iter().any(Option::is_none) {
                    // Waits forever if a task is not restarted.
                    let (index, kill) = starts.recv().await.unwrap();
                    alive[index] = Some(kill);
                }
                let mut dice = [0; 2];
                random.fill(&mut dice);
                let killed = alive[usize::from(dice[0] % 3)].take().unwrap();
                killed.send(dice[1] % 2 == 0).unwrap();
            }
            supervisor.begin_stop();
        }
    }

    async fn live(mut killed: mpsc::UnboundedReceiver<bool>, _running: Running) {
        if killed.recv().await == Some(true) {
            // A panic without a message and a backtrace, of which the test would print thousands.
            std::panic::resume_unwind(Box::new("a defect"));
        }
    }

    /// Counts a running task for as long as it lives.
    struct Running(Arc<AtomicU32>);

    impl Running {
        fn begin(count: &Arc<AtomicU32>) -> Self {
            assert_eq!(count.fetch_add(1, Ordering::Relaxed), 0, "two at once");
            Self(count.clone())
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn a_task_that_does_not_run_is_named_until_the_stop() {
        let supervisor = restarting_after(PAUSE_MAX);
        let lives = supervisor.keep("lives", std::future::pending);
        let ended = supervisor.keep("ended", async || ());
        let panicked = supervisor.keep("panicked", async || panic!("a defect"));
        // These end before the next one.
        let secondary = names::SECONDARY.map(|name| supervisor.keep(name, async || ()));
        let last = supervisor.keep("last", async || ());
        let tasks = supervisor.tasks();
        until(&tasks, &["ended", "panicked", "last"]).await;
        supervisor.begin_stop();
        ended.await.unwrap();
        panicked.await.unwrap();
        last.await.unwrap();
        for task in secondary {
            task.await.unwrap();
        }
        lives.abort();
        assert!(lives.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn an_end_during_the_stop_is_in_order() {
        let supervisor = Supervisor::new();
        let (end, ends) = tokio::sync::watch::channel(false);
        let task = supervisor.keep("listener", move || {
            let mut ends = ends.clone();
            async move { drop(ends.wait_for(|end| *end).await) }
        });
        supervisor.begin_stop();
        end.send_replace(true);
        task.await.unwrap();
        assert_eq!(supervisor.tasks().missing(), [""; 0]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_task_has_released_what_it_holds_when_it_is_ended() {
        for _ in 0..200 {
            let supervisor = Supervisor::new();
            let held = Arc::new(());
            let holds = held.clone();
            let task = supervisor.keep("holder", move || {
                let holds = holds.clone();
                async move {
                    std::future::pending::<()>().await;
                    drop(holds);
                }
            });
            supervisor.begin_stop();
            supervisor.end([task]).await;
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }

    #[tokio::test]
    async fn the_end_of_a_needed_task_is_reported_unless_the_process_stops() {
        let supervisor = Supervisor::new();
        supervisor.need("writer", async {});
        assert_eq!(supervisor.lost().await, "writer");
        assert_eq!(supervisor.tasks().missing(), ["writer"]);

        let stopping = Supervisor::new();
        stopping.begin_stop();
        stopping.need("writer", async {});
        tokio::task::yield_now().await;
        assert_eq!(stopping.tasks().missing(), [""; 0]);
    }
}
