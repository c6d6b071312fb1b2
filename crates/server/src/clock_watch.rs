//! The task that notices steps of the clock: a set clock, or a machine that was suspended.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use certgate_model::Clock;
use certgate_service::Signals;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::system::SystemClock;

/// Interval between two readings of the clock: after a step, lists are correct within two seconds.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// Longest time between two readings that is not a step, in seconds. A busy machine delays a
/// reading; a step that is taken for such a delay is found when a list is requested.
const STEP_SECONDS: i64 = 2;

/// Wakes the settler after each step of the clock. Without a timer of the system, warns once.
pub async fn watch_forever(signals: Arc<Signals>) {
    // The thread waits in the system.
    let watching = tokio::task::spawn_blocking(move || watch(&timer()?, &signals));
    if let Ok(Err(error)) = watching.await {
        tracing::warn!(
            %error,
            "the clock is not watched: after a step, lists are renewed when they are requested"
        );
        std::future::pending().await
    }
}

fn timer() -> io::Result<OwnedFd> {
    // This clock counts the time in which the machine was suspended, unlike the runtime's timers.
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    let each = Itimerspec {
        it_interval: LOOK,
        it_value: LOOK,
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &each)?;
    Ok(timer)
}

fn watch(timer: &OwnedFd, signals: &Signals) -> io::Result<Infallible> {
    let mut last = SystemClock.now();
    loop {
        // Returns after the interval, with the number of intervals that have passed.
        rustix::io::read(timer, &mut [0; 8])?;
        let now = SystemClock.now();
        if !last.until(now).is_within(STEP_SECONDS) {
            tracing::warn!(from = %last, to = %now, "the clock was set, or the machine suspended");
            signals.clock_stepped();
        }
        last = now;
    }
}
