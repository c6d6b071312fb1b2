//! A way to a PostgreSQL that can be cut at a message of the client's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Where to cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before the server gets it.
    Before(&'static str),
    /// After the server has got it and has answered, before the client gets the answer.
    After(&'static str),
}

/// The proxy.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    cut: Arc<Mutex<Option<Cut>>>,
    is_closed: Arc<AtomicBool>,
}

impl Proxy {
    /// One to a server on this port of the local host.
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let cut = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&cut);
        let is_closed = Arc::new(AtomicBool::new(false));
        let is_closed_after_cut = Arc::clone(&is_closed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let is_cut = shared.lock().expect("nobody panicked").is_none();
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
        *self.cut.lock().expect("nobody panicked") = Some(cut);
    }

    /// Cuts once and lets nobody through afterwards.
    pub fn cut_for_ever(&self, cut: Cut) {
        self.cut(cut);
        self.is_closed.store(true, Ordering::SeqCst);
    }

    /// Whether it has been cut.
    pub fn has_cut(&self) -> bool {
        self.cut.lock().expect("nobody panicked").is_none()
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
                let has = |text: &str| sent[..count].windows(text.len()).any(|part| part == text.as_bytes());
                let now = {
                    let mut cut = cut.lock().expect("nobody panicked");
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
