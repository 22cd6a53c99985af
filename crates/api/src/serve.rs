//! Serving a router to clients that may be slow, many, or hostile: every wait for a client ends.
//!
//! Connections are bounded; a client that does not send its header or body in time, or does not take its answer, is
//! cut off. The bounds are [`Limits`].

use crate::tls::{Connection, Peer, ServerTls, handshake};
use crate::{ApiError, MAX_BODY_BYTES};
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

/// How long requests under way may take after `stop`.
const GOODBYE: Duration = Duration::from_secs(2);

/// What clients are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// Time for the header of a request, counted from the end of the request before: also how long a connection may idle.
    pub header: Duration,
    /// Time for the body of a request (408 beyond).
    pub body: Duration,
    /// Time in which a client must take at least something of what it is sent.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connections: 1024, header: seconds(60), body: seconds(30), write: seconds(30) }
    }
}

/// How a listener is served.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    /// What clients are allowed.
    pub limits: Limits,
    /// With it, clients must speak TLS.
    pub tls: Option<Arc<ServerTls>>,
}

/// Serves without TLS until `stop` resolves; bodies are read before the router sees a request.
pub async fn serve<L>(listener: L, router: Router, limits: Limits, stop: impl Future<Output = ()> + Send)
where
    L: Listener,
    L::Io: Connection,
{
    let router = whole_bodies(router, limits.body);
    serve_with(listener, router, Serving { limits, tls: None }, stop).await;
}

/// The router behind a reader of whole bodies, which waits for them no longer than that and takes no more than
/// [`MAX_BODY_BYTES`].
pub fn whole_bodies(router: Router, patience: Duration) -> Router {
    router.layer(middleware::from_fn_with_state(patience, whole_body))
}

/// Serves until `stop` resolves; then requests under way are finished, for a short time. The router is to bound bodies
/// itself ([`whole_bodies`]), after it has found out who sends them.
pub async fn serve_with<L>(
    mut listener: L,
    router: Router,
    serving: Serving,
    stop: impl Future<Output = ()> + Send,
) where
    L: Listener,
    L::Io: Connection,
{
    let places = Arc::new(Semaphore::new(serving.limits.connections));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await.0)
        };
        let (place, io) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        let (router, serving, watcher) = (router.clone(), serving.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection(io, router, serving, watcher).await;
            drop(place);
        });
    }
    if tokio::time::timeout(GOODBYE, graceful.shutdown()).await.is_err() {
        tracing::debug!("requests were cut off");
    }
}

async fn connection<I: Connection>(io: I, router: Router, serving: Serving, watcher: Watcher) {
    let (peer, limits) = (io.peer(), serving.limits);
    let Some(tls) = serving.tls else { return speak(io, peer, router, limits, watcher).await };
    match handshake(io, tls.current(), limits.header).await {
        Ok(io) => speak(io, peer.with_tls(), router, limits, watcher).await,
        Err(error) => tracing::debug!(%peer, error, "no TLS connection"),
    }
}

/// HTTP on one connection, until it ends.
async fn speak<I>(io: I, peer: Peer, router: Router, limits: Limits, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = WithPeer { inner: TowerToHyperService::new(router), peer };
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .serve_connection(TokioIo::new(Patient::new(io, limits.write)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Puts the other side into the extensions of every request.
struct WithPeer {
    inner: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<hyper::Request<Incoming>> for WithPeer {
    type Response = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<hyper::Request<Incoming>>>::Future;

    fn call(&self, mut request: hyper::Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.inner.call(request)
    }
}

/// Reads the body before anything else is done.
async fn whole_body(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    match whole(request, patience).await {
        Ok(request) => next.run(request).await,
        Err(refused) => refused,
    }
}

/// The request with its whole body, which is not waited for longer than that; or why it is refused.
pub(crate) async fn whole(request: Request, patience: Duration) -> Result<Request, Response> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let too_long = || {
        let message = format!("the body is longer than {MAX_BODY_BYTES} bytes");
        ApiError { status: StatusCode::PAYLOAD_TOO_LARGE, message }.into_response()
    };
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(too_long());
    }
    match tokio::time::timeout(patience, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(whole)) => Ok(Request::from_parts(parts, Body::from(whole.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(error)) => {
            Err(ApiError::bad_request(format!("the body was not read: {error}")).into_response())
        }
        Err(_) => {
            let message = format!("the body did not arrive within {patience:?}");
            Err(ApiError { status: StatusCode::REQUEST_TIMEOUT, message }.into_response())
        }
    }
}

/// A connection that fails when its peer takes nothing for too long.
struct Patient<T> {
    io: T,
    patience: Duration,
    deadline: Pin<Box<Sleep>>,
    /// A write is waiting for the peer, and the deadline counts.
    waiting: bool,
}

impl<T> Patient<T> {
    fn new(io: T, patience: Duration) -> Self {
        Self { io, patience, deadline: Box::pin(tokio::time::sleep(patience)), waiting: false }
    }

    fn judge<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.waiting = false;
            return result;
        }
        if !self.waiting {
            self.waiting = true;
            self.deadline.as_mut().reset(Instant::now() + self.patience);
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.judge(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write_vectored(cx, bytes);
        self.judge(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_shutdown(cx);
        self.judge(cx, result)
    }
}
