//! Listening sockets from the process that started this one (`sd_listen_fds(3)`): with a systemd
//! socket unit, a restart refuses no connection.

use std::io;
use std::net::TcpListener;

/// The first of the file descriptors (`SD_LISTEN_FDS_START`).
#[cfg(target_os = "linux")]
const FIRST: i32 = 3;

/// The most sockets that the gateway inherits from systemd. It has a few addresses.
const SOCKETS_MAX: i32 = 64;

/// Returns the inherited sockets. `variable` reads an environment variable. Empty without any, and
/// if they are meant for another process.
pub fn sockets(variable: impl Fn(&str) -> Option<String>) -> io::Result<Vec<TcpListener>> {
    let own = std::process::id().to_string();
    if variable("LISTEN_PID").is_some_and(|process| process != own) {
        return Ok(Vec::new());
    }
    let count = variable("LISTEN_FDS").and_then(|count| count.parse().ok());
    match count.unwrap_or(0) {
        0 => Ok(Vec::new()),
        count if (1..=SOCKETS_MAX).contains(&count) => take(count),
        _ => Err(io::Error::other("LISTEN_FDS is not a number of sockets")),
    }
}

/// Takes sockets by the numbers of their file descriptors. The system duplicates them for the
/// process itself, so that no code has to trust the numbers.
#[cfg(target_os = "linux")]
fn take(count: i32) -> io::Result<Vec<TcpListener>> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut sockets = Vec::new();
    for number in FIRST..FIRST + count {
        let descriptor = pidfd_getfd(&process, number, PidfdGetfdFlags::empty())?;
        let socket = TcpListener::from(descriptor);
        // Fails if the descriptor is not a socket with an address.
        socket.local_addr()?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

#[cfg(not(target_os = "linux"))]
fn take(_: i32) -> io::Result<Vec<TcpListener>> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
