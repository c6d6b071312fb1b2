use std::future::IntoFuture;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Extension;
use certgate_api::PeerAddress;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::TestApp;

/// A whole certgate on a loopback socket, for blocking HTTP clients.
pub struct Loopback {
    /// The certgate behind the socket.
    pub app: TestApp,
    address: SocketAddr,
    runtime: Runtime,
}

impl Loopback {
    /// Starts certgate. It ends with this value.
    pub fn start() -> Self {
        Self::serving(TestApp::new())
    }

    /// Serves another certgate.
    pub fn serving(app: impl Future<Output = TestApp>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let (app, socket) = runtime.block_on(async {
            let address = (Ipv4Addr::LOCALHOST, 0);
            let socket = TcpListener::bind(address).await;
            (app.await, socket.expect("a port is free"))
        });
        let address = socket.local_addr().expect("a bound socket has its address");
        let peer = PeerAddress(IpAddr::from(Ipv4Addr::LOCALHOST));
        let router = app.router.clone().layer(Extension(peer));
        runtime.spawn(async move { axum::serve(socket, router).await });
        Self {
            app,
            address,
            runtime,
        }
    }

    /// The address of the management API.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a call of [`Loopback::app`].
    pub fn wait<C: IntoFuture>(&self, call: C) -> C::Output {
        self.runtime.block_on(call.into_future())
    }

    /// Issues a certificate in the first zone and returns its object.
    pub fn issue(&self, common_name: &str) -> Value {
        self.wait(self.app.issue(common_name))
    }
}
