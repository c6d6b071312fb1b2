//! A proxy in front of PostgreSQL that can cut the connection at a message of the client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The place of a cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the server gets the message with this text.
    Before(&'static str),
    /// After the server has answered that message, and before the client gets the answer.
    After(&'static str),
}

/// The proxy.
pub struct Proxy {
    /// The port of the proxy.
    pub port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
    is_closed: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts a proxy to a server on this port of the local host.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let cut = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&cut);
        let is_closed = Arc::new(AtomicBool::new(false));
        let is_closed_after_cut = Arc::clone(&is_closed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let is_cut = shared.lock().expect("no thread panicked").is_none();
                if !(is_cut && is_closed_after_cut.load(Ordering::SeqCst)) {
                    tokio::spawn(forward(client, server, Arc::clone(&shared)));
                }
            }
        });
        Self {
            port,
            cut,
            is_closed,
        }
    }

    /// Cuts once, at the next message with this text.
    pub fn cut(&self, cut: Cut) {
        *self.cut.lock().expect("no thread panicked") = Some(cut);
    }

    /// Cuts once, and rejects every later connection.
    pub fn cut_for_ever(&self, cut: Cut) {
        self.cut(cut);
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Returns whether the cut has happened.
    pub fn has_cut(&self) -> bool {
        self.cut.lock().expect("no thread panicked").is_none()
    }
}

async fn forward(mut client: TcpStream, server: u16, cut: Arc<Mutex<Option<Cut>>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let (mut sent, mut received) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(count @ 1..) = read else { return };
                let has = |text: &str| {
                    let mut parts = sent[..count].windows(text.len());
                    parts.any(|part| part == text.as_bytes())
                };
                let now = {
                    let mut cut = cut.lock().expect("no thread panicked");
                    match *cut {
                        Some(Cut::Before(text) | Cut::After(text)) if has(text) => cut.take(),
                        _ => None,
                    }
                };
                if let Some(Cut::Before(_)) = now {
                    return;
                }
                if server.write_all(&sent[..count]).await.is_err() {
                    return;
                }
                if now.is_some() {
                    let _ = server.read(&mut received).await;
                    return;
                }
            }
            read = server.read(&mut received) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&received[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
