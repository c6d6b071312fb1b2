//! Many sockets of a client that sends or reads slowly, or not at all. A process of its own holds
//! them, so that they take no time of the client that is measured.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// The interval at which each slow socket sends or reads a little.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Octets that a slow reader takes at a time.
const SLOW_READ_BYTES: usize = 1024;

/// Behaviour of the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Silent,
    HalfHead,
    SlowHead,
    SlowBody,
    /// Sends a request and never reads.
    Unread,
    /// Sends a request and reads its answer slowly.
    SlowReader,
    /// Sends a request and reads its answer, again and again.
    Reader,
}

impl Kind {
    pub const SENDERS: [Self; 4] = [Self::Silent, Self::HalfHead, Self::SlowHead, Self::SlowBody];

    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::HalfHead => "half a head",
            Self::SlowHead => "slow head",
            Self::SlowBody => "slow body",
            Self::Unread => "unread",
            Self::SlowReader => "slow reader",
            Self::Reader => "reader",
        }
    }

    fn beginning(self) -> &'static str {
        match self {
            Self::Silent => "",
            Self::HalfHead => "GET /healthz HTTP/1.1\r\nHo",
            Self::SlowHead => "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            Self::SlowBody => "POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
            Self::Unread | Self::SlowReader | Self::Reader => "",
        }
    }
}

/// An attack, as the process reads it.
#[derive(Serialize, Deserialize)]
pub struct Attack {
    pub address: SocketAddr,
    pub kind: Kind,
    pub sockets: usize,
    /// The request of those that read, or do not.
    pub request: String,
}

/// The process that attacks, until it is dropped.
pub struct Attacker {
    child: Child,
    /// The process ends when this is closed.
    _input: ChildStdin,
}

impl Attacker {
    /// Starts an attack. Returns when all sockets were connected.
    pub fn start(attack: &Attack) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench", "--inner", "--attack"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().context("no standard input")?;
        writeln!(input, "{}", serde_json::to_string(attack)?)?;
        let output = child.stdout.take().context("no standard output")?;
        let ready = BufReader::new(output).lines().next();
        let attacker = Self {
            child,
            _input: input,
        };
        ensure!(
            matches!(ready, Some(Ok(line)) if line == "ready"),
            "the attacker did not start: the limit of open files may be too low"
        );
        Ok(attacker)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the process of an attack, until its standard input ends.
pub fn run() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let attack: Attack = serde_json::from_str(&line)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (end, mut ended) = mpsc::channel::<()>(1);
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_line(&mut String::new());
        drop(end);
    });
    runtime.block_on(async {
        let mut sockets = Vec::with_capacity(attack.sockets);
        for _ in 0..attack.sockets {
            let mut socket = TcpStream::connect(attack.address).await?;
            // The server may have closed it for a newer one.
            let _ = socket.write_all(attack.kind.beginning().as_bytes()).await;
            let _ = socket.write_all(attack.request.as_bytes()).await;
            sockets.push(socket);
        }
        println!("ready");
        tokio::select! {
            () = go_on(&attack, sockets) => {}
            _ = ended.recv() => {}
        }
        Ok(())
    })
}

async fn go_on(attack: &Attack, mut sockets: Vec<TcpStream>) {
    let mut ticks = tokio::time::interval(SLOW_INTERVAL);
    match attack.kind {
        Kind::Silent | Kind::HalfHead | Kind::Unread => std::future::pending().await,
        Kind::SlowHead | Kind::SlowBody => loop {
            ticks.tick().await;
            sockets.retain(|socket| match socket.try_write(b"x") {
                Ok(_) => true,
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            });
        },
        Kind::SlowReader => loop {
            ticks.tick().await;
            let mut octets = [0; SLOW_READ_BYTES];
            sockets.retain(|socket| match socket.try_read(&mut octets) {
                Ok(count) => count > 0,
                Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
            });
        },
        Kind::Reader => {
            let request = attack.request.as_bytes();
            let all = sockets
                .into_iter()
                .map(|socket| read_again(socket, request));
            futures_util::future::join_all(all).await;
        }
    }
}

/// Reads answers, and sends the request again when one has ended, which its last chunk tells.
async fn read_again(mut socket: TcpStream, request: &[u8]) {
    let mut octets = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = socket.read(&mut octets).await {
        if octets[..count].ends_with(b"0\r\n\r\n") && socket.write_all(request).await.is_err() {
            return;
        }
    }
}
