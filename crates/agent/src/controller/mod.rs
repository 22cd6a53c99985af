//! The session with one controller: connect, secure, talk, and try again with growing pauses.
//!
//! The protocol is [`weft_xmpp::fsm`]; this task owns the socket, the clock and the queue. What it hears goes to the
//! engine as [`Event`]s.

mod link;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use weft_tls::ClientTls;
use weft_xmpp::stanza::Stanza;

use crate::core::ToController;
use link::Link;

/// Messages waiting to be sent to one controller; the engine keeps what does not fit.
pub const SEND_QUEUE: usize = 1024;
/// Events waiting for the engine; the session stops reading while it is full.
pub const EVENT_QUEUE: usize = 1024;
/// First pause before another attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause before another attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Time a connection has to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A session that lived this long starts again with the shortest pause.
const STABLE: Duration = Duration::from_secs(10);

/// What happened on a session.
#[derive(Debug)]
pub enum Event {
    /// Stanzas flow; what is to be sent goes into the queue.
    Up {
        /// Which controller.
        controller: usize,
        /// Its name.
        peer: String,
        /// Where to put what it is to be told.
        queue: mpsc::Sender<ToController>,
    },
    /// It is over.
    Down {
        /// Which controller.
        controller: usize,
        /// Why, in words.
        reason: String,
    },
    /// A stanza came.
    Stanza {
        /// Which controller.
        controller: usize,
        /// The stanza.
        stanza: Stanza,
    },
}

/// Settings of one session.
#[derive(Clone)]
pub struct Settings {
    /// Which controller.
    pub controller: usize,
    /// Its address.
    pub address: SocketAddr,
    /// This host's name.
    pub name: String,
    /// Certificates; `None` for no TLS.
    pub tls: Option<Arc<ClientTls>>,
}

/// Keep a session with one controller until `shutdown`.
pub async fn run(settings: Settings, events: mpsc::Sender<Event>, shutdown: CancellationToken) {
    let mut pause = FIRST_PAUSE;
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        let reason = tokio::select! {
            reason = attempt(&settings, &events) => reason,
            () = shutdown.cancelled() => return,
        };
        tracing::info!(controller = %settings.address, reason, "no session");
        let controller = settings.controller;
        if events.send(Event::Down { controller, reason }).await.is_err() {
            return;
        }
        pause = if started.elapsed() >= STABLE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Up to a tenth more, so that the agents of a data centre do not come back all at once.
fn jittered(pause: Duration) -> Duration {
    let spread = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
    pause + pause.mul_f64(spread as f64 / 2550.0)
}

/// One connection, to its end. Returns why it ended.
async fn attempt(settings: &Settings, events: &mpsc::Sender<Event>) -> String {
    let connect = tokio::net::TcpStream::connect(settings.address);
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Err(_) => "connecting timed out".to_owned(),
        Ok(Err(error)) => format!("connecting: {error}"),
        Ok(Ok(stream)) => {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "nodelay");
            }
            Link::new(settings, events, stream).run().await
        }
    }
}
