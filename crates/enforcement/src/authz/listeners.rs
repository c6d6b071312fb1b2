//! The listeners of a process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::connection::{Listener, Socket};
use super::questions::{InEffect, Judge, Questions};
use super::settings::{Address, AuthzSettings};
use super::status::Status;
use crate::listen_remedy;

/// The error for an address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {error}: {}",
    listen_remedy(error, "choose another address in the configuration file")
)]
pub struct BindError {
    address: String,
    error: io::Error,
}

/// The running listeners.
pub struct Listeners {
    judge: Arc<Judge>,
    running: Vec<Running>,
}

/// A listener that answers questions.
struct Running {
    address: Address,
    questions: Arc<Questions>,
    listener: Listener,
}

impl Listeners {
    /// Prepares to listen.
    pub fn new(judge: Arc<Judge>) -> Self {
        Self {
            judge,
            running: Vec::new(),
        }
    }

    /// Puts settings into effect: opens new listeners, changes those that stay, and stops the
    /// others. Nothing changes if an address cannot be bound. Returns the addresses of the new
    /// listeners.
    pub async fn apply(&mut self, settings: &AuthzSettings) -> Result<Vec<String>, BindError> {
        // 1. Bind everything, so that a failure changes nothing.
        let mut bound = Vec::new();
        for listener in &settings.listeners {
            if !self
                .running
                .iter()
                .any(|old| old.address == listener.address)
            {
                bound.push((listener.address.clone(), bind(&listener.address).await?));
            }
        }

        // 2. Stop what is not listed any more.
        let is_listed = |old: &Running| {
            let mut listed = settings.listeners.iter();
            listed.any(|listener| listener.address == old.address)
        };
        let (kept, ended): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(is_listed);
        self.running = kept;
        for old in ended {
            tokio::spawn(old.listener.stop(Duration::MAX));
        }

        // 3. Change and start the others.
        let mut names = Vec::new();
        for listener in &settings.listeners {
            let in_effect = InEffect {
                listener: listener.clone(),
                access_log: settings.access_log,
            };
            let mut running = self.running.iter();
            if let Some(same) = running.find(|old| old.address == listener.address) {
                same.questions.replace(in_effect);
                continue;
            }
            let Some(at) = bound
                .iter()
                .position(|(address, _)| *address == listener.address)
            else {
                continue;
            };
            let (address, socket) = bound.swap_remove(at);
            names.push(socket.name());
            let questions = Arc::new(Questions::new(self.judge.clone(), in_effect));
            self.running.push(Running {
                address,
                listener: Listener::start(socket, questions.clone()),
                questions,
            });
        }
        Ok(names)
    }

    /// Stops accepting connections, and waits up to `limit` for the questions in flight.
    pub async fn stop(self, limit: Duration) {
        let mut stopping = tokio::task::JoinSet::new();
        for running in self.running {
            stopping.spawn(running.listener.stop(limit));
        }
        stopping.join_all().await;
    }
}

impl Status {
    /// Listens for health checks and a monitoring system. Returns the address. The listener runs
    /// until the process ends.
    pub async fn listen(self, address: SocketAddr) -> Result<String, BindError> {
        let socket = bind(&Address::Tcp(address)).await?;
        let name = socket.name();
        std::mem::forget(Listener::start(socket, Arc::new(self)));
        Ok(name)
    }
}

async fn bind(address: &Address) -> Result<Socket, BindError> {
    let bound = Socket::bind(address).await;
    bound.map_err(|error| BindError {
        address: address.to_string(),
        error,
    })
}
