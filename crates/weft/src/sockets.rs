//! Serving HTTP on TCP and on a unix socket, and the signals that end a role.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weft_api::{Limits, ServerTls, Serving};

/// Cancelled at SIGTERM, SIGINT or SIGHUP.
pub(crate) fn shutdown_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let mut signals = signal(kind).context("signal handler")?;
        let token = token.clone();
        tokio::spawn(async move {
            signals.recv().await;
            tracing::info!("asked to end");
            token.cancel();
        });
    }
    Ok(token)
}

/// Serves on TCP, with TLS if there is a configuration of it, until the token is cancelled; requests under way are finished.
pub(crate) async fn serve_tcp(
    address: SocketAddr,
    router: Router,
    tls: Option<Arc<ServerTls>>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let serving = Serving { limits: Limits::default(), tls };
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    tasks.spawn(weft_api::serve_with(listener, router, serving, stop.cancelled_owned()));
    Ok(())
}

/// The same on a unix socket that only root may use. A socket left by a crash is replaced.
pub(crate) fn serve_unix(
    path: &Path,
    router: Router,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let failed = || format!("cannot listen on {}", path.display());
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).with_context(failed),
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
    let path = path.to_owned();
    tasks.spawn(async move {
        weft_api::serve_with(listener, router, Serving::default(), stop.cancelled_owned()).await;
        let _ = std::fs::remove_file(&path);
    });
    Ok(())
}
