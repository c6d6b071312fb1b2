//! The listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::connection::Accepted;
use super::places::Places;
use super::shared::Gateway;
use crate::accepting::pause_or;

/// Connections that the system completes before the gateway accepts them. A burst that fills this
/// queue delays clients by a second.
const BACKLOG: u32 = 4_096;

/// Connections that are accepted one after another before every other task gets its turn.
const ACCEPTED_AT_ONCE: usize = 16;

/// Listens on an address.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restarted gateway gets its port while old connections still end.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// The end of a listener, after which connections in its queue wait for the next process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Another process inherits the socket with the queue.
    Inherited,
    /// The queue ends with this process, so its connections are accepted first.
    Own,
}

/// Accepts connections until the gateway stops.
pub async fn accept(
    gateway: Arc<Gateway>,
    socket: StdListener,
    queue: Queue,
    places: Arc<Places>,
    stopped: watch::Receiver<bool>,
) {
    let socket = match TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot use a listening socket"),
    };
    let begin = |accepted: io::Result<(tokio::net::TcpStream, SocketAddr)>| {
        let (stream, peer) = accepted?;
        let limits = gateway.active().config.limits;
        match places.take(&limits) {
            Ok(place) => {
                let accepted = Accepted {
                    gateway: gateway.clone(),
                    stream,
                    peer,
                    place,
                    stopped: stopped.clone(),
                };
                tokio::spawn(accepted.serve());
            }
            Err(full) => full.count(1),
        }
        io::Result::Ok(())
    };
    let mut stop = stopped.clone();
    for number in 1_usize.. {
        if number.is_multiple_of(ACCEPTED_AT_ONCE) {
            tokio::task::yield_now().await;
        }
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        if let Err(error) = begin(accepted) {
            tracing::warn!(%error, "cannot accept a connection");
            if pause_or(stop.wait_for(|stopped| *stopped)).await {
                break;
            }
        }
    }
    if queue == Queue::Own {
        // Clients in the queue already consider themselves connected and may have sent a request.
        let Ok(queue) = socket.into_std() else { return };
        while let Ok((stream, peer)) = queue.accept() {
            let stream = stream
                .set_nonblocking(true)
                .and_then(|()| tokio::net::TcpStream::from_std(stream));
            let _ = begin(stream.map(|stream| (stream, peer)));
        }
    }
}
