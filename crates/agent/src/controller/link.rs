//! One connection: the protocol's state machine between a socket and two queues.

use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use weft_xmpp::fsm::{Input, Output, Session, SessionConfig};

use super::{Event, SEND_QUEUE, Settings};
use crate::core::ToController;

/// Bytes read at once.
const READ_BUFFER: usize = 64 * 1024;
/// A peer that takes nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time the TLS handshake may take.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// The time to the next timer when the session has none.
const IDLE: Duration = Duration::from_secs(60);

/// A plain or secured stream.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

enum Stream {
    Plain(TcpStream),
    Secured(Box<dyn Wire>),
    /// Only while a handshake is under way.
    Gone,
}

impl Stream {
    fn wire(&mut self) -> Option<&mut (dyn Wire + '_)> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Secured(stream) => Some(stream.as_mut()),
            Self::Gone => None,
        }
    }
}

pub(super) struct Link<'a> {
    settings: &'a Settings,
    events: &'a mpsc::Sender<Event>,
    stream: Stream,
    session: Session,
    queue: Option<mpsc::Receiver<ToController>>,
}

impl<'a> Link<'a> {
    pub(super) fn new(settings: &'a Settings, events: &'a mpsc::Sender<Event>, stream: TcpStream) -> Self {
        let config =
            SessionConfig { tls: settings.tls.is_some(), ..SessionConfig::client(settings.name.clone()) };
        Self {
            settings,
            events,
            stream: Stream::Plain(stream),
            session: Session::client(config),
            queue: None,
        }
    }

    /// Talk until the end; returns why it ended.
    pub(super) async fn run(mut self) -> String {
        self.session.handle(Input::Connected, Instant::now());
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            if let Some(reason) = self.drain().await {
                return reason;
            }
            let timer = self.session.next_timeout().unwrap_or_else(|| Instant::now() + IDLE);
            let Some(wire) = self.stream.wire() else { return "no stream".to_owned() };
            tokio::select! {
                read = wire.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => self.session.handle(Input::Disconnected, Instant::now()),
                    Ok(n) => {
                        let bytes = buffer.get(..n).unwrap_or_default();
                        self.session.handle(Input::Bytes(bytes), Instant::now());
                    }
                },
                message = next(&mut self.queue) => match message {
                    Some(message) => self.send(message),
                    None => self.session.handle(Input::Close, Instant::now()),
                },
                () = tokio::time::sleep_until(timer.into()) => {
                    self.session.handle(Input::Timer, Instant::now());
                }
            }
        }
    }

    fn send(&mut self, message: ToController) {
        let input = match message {
            ToController::Send(stanza) => Input::Send(stanza),
            ToController::Publish { ri, item } => Input::Publish { ri, item },
            ToController::Withdraw { ri, item } => Input::Withdraw { ri, item },
        };
        self.session.handle(input, Instant::now());
    }

    /// Carry out what the session wants. Returns why it ended, if it did.
    async fn drain(&mut self) -> Option<String> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => {
                    if let Err(reason) = self.write(&bytes).await {
                        return Some(reason);
                    }
                }
                Output::StartTls => match self.secure().await {
                    Ok(()) => self.session.handle(Input::TlsReady, Instant::now()),
                    Err(reason) => return Some(reason),
                },
                Output::Established { peer } => {
                    if !self.established(peer).await {
                        return Some("the agent stops".to_owned());
                    }
                }
                Output::Stanza(stanza) => {
                    let controller = self.settings.controller;
                    if self.events.send(Event::Stanza { controller, stanza }).await.is_err() {
                        return Some("the agent stops".to_owned());
                    }
                }
                Output::Closed { reason } => return Some(reason.to_string()),
                other => tracing::warn!(controller = %self.settings.address, ?other, "session"),
            }
        }
        None
    }

    /// Returns whether the engine still listens.
    async fn established(&mut self, peer: String) -> bool {
        let (sender, receiver) = mpsc::channel(SEND_QUEUE);
        self.queue = Some(receiver);
        let controller = self.settings.controller;
        tracing::info!(controller = %self.settings.address, peer, "session established");
        let event = Event::Up { controller, peer, queue: sender };
        self.events.send(event).await.is_ok()
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some(wire) = self.stream.wire() else { return Err("no stream".to_owned()) };
        let write = async {
            wire.write_all(bytes).await?;
            wire.flush().await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, write).await {
            Err(_) => Err("the controller takes nothing".to_owned()),
            Ok(result) => result.map_err(|e| format!("sending: {e}")),
        }
    }

    async fn secure(&mut self) -> Result<(), String> {
        let Some(tls) = self.settings.tls.clone() else { return Err("no certificates".to_owned()) };
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err("already secured".to_owned());
        };
        let name = ServerName::from(self.settings.address.ip());
        let handshake = TlsConnector::from(tls.current()).connect(name, stream);
        match tokio::time::timeout(TLS_TIMEOUT, handshake).await {
            Err(_) => Err("TLS handshake timed out".to_owned()),
            Ok(Err(error)) => Err(format!("TLS handshake: {error}")),
            Ok(Ok(stream)) => {
                self.stream = Stream::Secured(Box::new(stream));
                Ok(())
            }
        }
    }
}

/// The next message, or never while there is no queue.
async fn next(queue: &mut Option<mpsc::Receiver<ToController>>) -> Option<ToController> {
    match queue {
        Some(queue) => queue.recv().await,
        None => std::future::pending().await,
    }
}
