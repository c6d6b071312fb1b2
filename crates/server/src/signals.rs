//! The signals of the server. SIGTERM and SIGINT stop it, SIGHUP reloads its settings, and no other
//! signal ends it, unless the signal reports a fault of the program itself or cannot be handled.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// The signals that would end the process and have no meaning here: terminals, timers, limits of
/// the shell and tools send them.
const IGNORED: [Signal; 8] = [
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::XCPU,
    Signal::XFSZ,
];

#[cfg(target_os = "linux")]
const IGNORED_ON_LINUX: &[Signal] = &[Signal::IO, Signal::POWER, Signal::STKFLT];
#[cfg(not(target_os = "linux"))]
const IGNORED_ON_LINUX: &[Signal] = &[];

/// The real-time signals of Linux, of which C libraries reserve the first few for themselves.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// The signals that stop the server.
pub struct StopSignals {
    terminate: Signals,
    interrupt: Signals,
}

impl StopSignals {
    /// Handles all signals from now on.
    pub fn handle() -> io::Result<Self> {
        // Tokio's handlers stay for the life of the process, with or without a receiver.
        drop(signal(SignalKind::hangup())?);
        for ignored in IGNORED.iter().chain(IGNORED_ON_LINUX) {
            drop(signal(SignalKind::from_raw(ignored.as_raw()))?);
        }
        for number in REAL_TIME {
            // The C library refuses its own.
            let _ = signal(SignalKind::from_raw(number));
        }
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns the stream of SIGHUP.
pub fn hangup() -> io::Result<Signals> {
    signal(SignalKind::hangup())
}
