use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use certgate_api::{Documentation, PeerAddress, PeerCertificate, TrustedProxies};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::ServiceExt;

use super::answer::{Answered, Arriving};
use super::origin::Origin;
use super::places::{NotBegun, Place, Seat};
use super::stream::Watched;

/// The largest head of a request, in bytes: many times all headers of the API's clients. A larger
/// head gets 431.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The time that a connection stays open for one more request after the listener stops: a request
/// on its way would be lost with the connection.
const LAST_REQUEST: Duration = Duration::from_millis(250);

/// HTTP on a connection.
pub struct Http {
    /// The routes.
    pub router: Router,
    /// The documentation to which errors refer.
    pub documentation: Documentation,
    /// The address at the other end.
    pub peer: IpAddr,
    /// The chain that the client presented in the TLS handshake.
    pub certificate: Option<PeerCertificate>,
    /// The trusted proxies, if the peer is one of them.
    pub proxies: Option<TrustedProxies>,
    /// Becomes true when the listener stops.
    pub stopped: watch::Receiver<bool>,
    /// The place of the connection.
    pub place: Place,
}

impl Http {
    /// Answers the requests of the connection, until it ends.
    pub async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self {
            router,
            documentation,
            peer,
            certificate,
            proxies,
            mut stopped,
            place,
        } = self;
        let seat = place.seat().clone();
        let of_heads = documentation.clone();
        let refusal = move |answer: &[u8]| certgate_api::refused_head(answer, &of_heads);
        let stream = Watched::new(stream, seat.clone(), Box::new(refusal));
        let is_last = stopped.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let client = proxies
                .as_ref()
                .map(|proxies| client_of(proxies, peer, request.headers()));
            let has_body = !request.body().is_end_stream();
            let begun = seat.begin(has_body, client);
            let (router, seat, is_last) = (router.clone(), seat.clone(), is_last.clone());
            let client = (peer, certificate.clone());
            let documentation = documentation.clone();
            async move {
                let mut answer = match begun {
                    Ok(()) => answer(router, client, request, has_body, &seat).await,
                    Err(NotBegun::TooMany) => certgate_api::too_many_requests(&documentation),
                    Err(NotBegun::Closed) => return Err(NotBegun::Closed),
                };
                if *is_last.borrow() {
                    answer
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok(answer.map(|body| Answered::new(body, seat)))
            }
        });
        let connection = http1::Builder::new()
            // The sweeps limit the time of a head.
            .header_read_timeout(None::<Duration>)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let until_stop = async {
            let mut ended = tokio::select! {
                ended = connection.as_mut() => Some(ended),
                _ = stopped.wait_for(|stopped| *stopped) => None,
            };
            if ended.is_none() {
                // A graceful shutdown closes an idle connection at once, even if it has an unread
                // request. Therefore the next answer announces the end, if there is one.
                ended = tokio::time::timeout(LAST_REQUEST, connection.as_mut())
                    .await
                    .ok();
            }
            match ended {
                Some(ended) => ended,
                None => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        let ended = tokio::select! {
            ended = until_stop => ended,
            () = place.closed() => Ok(()),
        };
        // The end of a connection, such as a protocol error, concerns its client alone.
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended with an error");
        }
    }
}

async fn answer(
    router: Router,
    (peer, certificate): (IpAddr, Option<PeerCertificate>),
    mut request: Request<Incoming>,
    has_body: bool,
    seat: &Arc<Seat>,
) -> Response {
    request.extensions_mut().insert(PeerAddress(peer));
    if let Some(certificate) = certificate {
        request.extensions_mut().insert(certificate);
    }
    let request = request.map(|body| match has_body {
        true => Body::new(Arriving::new(body, seat.clone())),
        false => Body::empty(),
    });
    let Ok(answer) = router.oneshot(request).await;
    answer
}

/// Returns the address that a request over a trusted proxy counts for. A request without a readable
/// one counts for the proxy.
fn client_of(proxies: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> Origin {
    proxies.client_of(peer, headers).unwrap_or(peer).into()
}
