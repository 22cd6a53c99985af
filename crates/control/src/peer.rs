//! One connection: moves bytes between a socket and the session's state machine, and stanzas between that and the control
//! task.
//!
//! Reading and writing go on at the same time, so that an agent that does not read cannot keep itself from being heard. From
//! the control task no more is taken than [`HIGH_WATER`] bytes wait to be written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use weft_tls::ServerTls;
use weft_xmpp::fsm::{Input, Output, Session};
use weft_xmpp::stanza::Stanza;

use crate::node::{PeerInput, SessionId};

/// Bytes read at once.
const READ_BUFFER: usize = 32 * 1024;
/// Bytes waiting to be written beyond which no more stanzas are taken.
const HIGH_WATER: usize = 256 * 1024;
/// How long the last bytes of a closed session may take.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a connection tells the control task.
#[derive(Debug)]
pub(crate) enum Event {
    /// The session is established.
    Up(Up),
    /// What the agent said, in order.
    Inputs(SessionId, Vec<PeerInput>),
    /// So many stanzas are written.
    Sent(SessionId, usize),
    /// The session is over.
    Down(SessionId, String),
    /// The connection ended before a session was established.
    Refused { address: SocketAddr, name: Option<String>, reason: String },
}

/// An established session.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) id: SessionId,
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) authenticated: bool,
    pub(crate) stanzas: mpsc::Sender<Stanza>,
    /// Dropped or sent to: ends the connection.
    pub(crate) close: oneshot::Sender<()>,
}

/// A connection being served.
pub(crate) struct Connection {
    pub(crate) id: SessionId,
    pub(crate) address: SocketAddr,
    pub(crate) session: Session,
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) events: mpsc::Sender<Event>,
    /// Stanzas from the control task; the sender goes there with [`Event::Up`].
    pub(crate) stanzas: (Option<mpsc::Sender<Stanza>>, mpsc::Receiver<Stanza>),
    /// Resolves when the control task wants an end.
    pub(crate) close: (Option<oneshot::Sender<()>>, oneshot::Receiver<()>),
    /// Names in the peer's certificate, once there is one.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) out: BytesMut,
    /// Something was written that may still be in the transport's buffer.
    pub(crate) unflushed: bool,
    /// Stanzas in `out`.
    pub(crate) unacknowledged: usize,
    pub(crate) up: bool,
}

/// How serving one transport ended.
enum End {
    StartTls,
    Closed(String),
    /// The control task is gone.
    Stopped,
}

impl Connection {
    /// Serves a connection to its end.
    pub(crate) async fn serve(mut self, mut stream: TcpStream) {
        self.session.handle(Input::Connected, Instant::now());
        let end = match self.exchange(&mut stream).await {
            End::StartTls => self.serve_tls(stream).await,
            end => end,
        };
        let event = match end {
            End::Stopped => return,
            End::StartTls => return,
            End::Closed(reason) if self.up => Event::Down(self.id, reason),
            End::Closed(reason) => {
                let name = self.session.peer().map(str::to_owned);
                Event::Refused { address: self.address, name, reason }
            }
        };
        // Fails only if the control task is gone.
        drop(self.events.send(event).await);
    }

    async fn serve_tls(&mut self, stream: TcpStream) -> End {
        let Some(tls) = &self.tls else {
            return End::Closed("TLS is not configured".to_owned());
        };
        let acceptor = TlsAcceptor::from(tls.current());
        let deadline = self.session.next_timeout().map(tokio::time::Instant::from_std);
        let deadline =
            deadline.unwrap_or_else(|| tokio::time::Instant::now() + weft_xmpp::fsm::CONNECT_TIMEOUT);
        let mut stream = match tokio::time::timeout_at(deadline, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return End::Closed(format!("TLS handshake: {error}")),
            Err(_) => return End::Closed("TLS handshake: not finished in time".to_owned()),
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        match certificate.map(weft_tls::peer_names) {
            Some(Ok(names)) => self.names = Some(names),
            Some(Err(error)) => return End::Closed(error.to_string()),
            None => return End::Closed("no certificate".to_owned()),
        }
        self.session.handle(Input::TlsReady, Instant::now());
        self.exchange(&mut stream).await
    }

    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut S) -> End {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            match self.outputs().await {
                Some(End::Closed(reason)) => {
                    drop(tokio::time::timeout(LAST_WORDS, flush(&mut writer, &mut self.out)).await);
                    return End::Closed(reason);
                }
                Some(End::StartTls) => match flush(&mut writer, &mut self.out).await {
                    Ok(()) => {
                        self.unflushed = false;
                        return End::StartTls;
                    }
                    Err(error) => return End::Closed(error.to_string()),
                },
                Some(end) => return end,
                None => {}
            }
            if !self.step(&mut reader, &mut writer, &mut buffer).await {
                return End::Stopped;
            }
        }
    }

    /// Waits for one thing to happen and tells the session; false if the control task is gone.
    async fn step<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        reader: &mut R,
        writer: &mut W,
        buffer: &mut [u8],
    ) -> bool {
        let deadline = self.session.next_timeout().map(tokio::time::Instant::from_std);
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = &mut self.close.1 => self.session.handle(Input::Close, Instant::now()),
            read = reader.read(buffer) => match read {
                Ok(0) | Err(_) => self.session.handle(Input::Disconnected, Instant::now()),
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or(&[]);
                    self.session.handle(Input::Bytes(bytes), Instant::now());
                }
            },
            written = flush(writer, &mut self.out), if self.unflushed => match written {
                Ok(()) => {
                    self.unflushed = false;
                    return self.acknowledge().await;
                }
                Err(_) => self.session.handle(Input::Disconnected, Instant::now()),
            },
            stanza = self.stanzas.1.recv(), if self.up && self.out.len() < HIGH_WATER => match stanza {
                Some(stanza) => {
                    self.unacknowledged += 1;
                    self.session.handle(Input::Send(stanza), Instant::now());
                }
                None => self.session.handle(Input::Close, Instant::now()),
            },
            () = timer => self.session.handle(Input::Timer, Instant::now()),
        }
        true
    }

    async fn acknowledge(&mut self) -> bool {
        let count = std::mem::take(&mut self.unacknowledged);
        count == 0 || self.events.send(Event::Sent(self.id, count)).await.is_ok()
    }

    /// Takes what the session wants; `Some` if this transport is done with.
    async fn outputs(&mut self) -> Option<End> {
        let mut inputs = Vec::new();
        let mut end = None;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(bytes) => {
                    self.out.extend_from_slice(&bytes);
                    self.unflushed = true;
                }
                Output::StartTls => end = Some(End::StartTls),
                Output::Closed { reason } => end = Some(End::Closed(reason.to_string())),
                Output::Established { peer } => {
                    if let Err(refused) = self.established(peer).await {
                        return Some(refused);
                    }
                }
                Output::Stanza(stanza) => inputs.push(PeerInput::Stanza(stanza)),
                Output::Publish { ri, item } => inputs.push(PeerInput::Publish { ri, item }),
                Output::Withdraw { ri, item } => inputs.push(PeerInput::Withdraw { ri, item }),
                Output::Warning(warning) => inputs.push(PeerInput::Warning(warning.to_string())),
            }
        }
        // Before the session is established there is nobody to warn.
        if self.up && !inputs.is_empty() && self.events.send(Event::Inputs(self.id, inputs)).await.is_err() {
            return Some(End::Stopped);
        }
        // Bytes unsent at the end are of no use to a control task that counts them.
        end
    }

    /// The session stands: the peer must be who it says it is.
    async fn established(&mut self, name: String) -> Result<(), End> {
        if let Some(names) = &self.names
            && !names.contains(&name)
        {
            let text = format!("calls itself {name}, its certificate is for {}", names.join(", "));
            return Err(End::Closed(text));
        }
        let (Some(stanzas), Some(close)) = (self.stanzas.0.take(), self.close.0.take()) else {
            return Err(End::Stopped);
        };
        self.up = true;
        let authenticated = self.names.is_some();
        let up = Up { id: self.id, name, address: self.address, authenticated, stanzas, close };
        self.events.send(Event::Up(up)).await.map_err(|_| End::Stopped)
    }
}

/// Writes all of it. If dropped half-way, what is written is gone from `out`.
async fn flush<W: AsyncWrite + Unpin>(writer: &mut W, out: &mut BytesMut) -> std::io::Result<()> {
    while out.has_remaining() {
        writer.write_buf(out).await?;
    }
    writer.flush().await
}
