//! Sessions: the state machine of one connection, server's or client's side, without I/O or clock.
//!
//! A [`Session`] lives as long as one transport connection. Its owner feeds [`Input`]s together with the
//! present instant, drains [`Session::poll_output`] after each, and calls with [`Input::Timer`] no later
//! than [`Session::next_timeout`].
//!
//! ```text
//! Idle -Connected-> Open -+-> Established            (plain)
//!                         +-> Tls negotiation -StartTls/TlsReady-> Open again -> Established
//! any state -> Closed, with one typed reason
//! ```
//!
//! Always holds: exactly one [`Output::Closed`] ends a session's outputs; nothing is delivered before
//! [`Output::Established`]; no input panics. The owner decides about duplicate peers: it closes the
//! session it does not want.

mod established;
mod handshake;
mod header;
mod publish;
mod retry;
mod types;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use crate::parser::{Parser, StreamEvent};
pub use publish::MAX_PENDING_PUBLISHES;
use publish::PendingPublishes;
pub use retry::{CONNECT_TIMEOUT, ConnectRetry, JITTER};
pub use types::{CloseReason, HOLD_TIME, Input, OPEN_TIMEOUT, Output, Role, SessionConfig, Stats, Warning};

/// What is sent to say "still here".
const KEEPALIVE: &str = " ";
/// The stream's end tag.
const STREAM_END: &str = "</stream:stream>";

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not connected yet.
    Idle,
    /// Waiting for the peer's stream header.
    Open,
    /// Server: waiting for `<starttls/>`. Client: waiting for the features that offer it.
    Negotiate,
    /// Client: waiting for `<proceed/>`.
    Proceed,
    /// Waiting for the owner's TLS handshake.
    Handshake,
    /// Stanzas flow.
    Established,
    /// Over.
    Closed,
}

/// The state machine of one connection.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    role: Role,
    state: State,
    /// TLS is done.
    secured: bool,
    parser: Parser,
    /// The peer's name, from its stream header.
    peer: Option<String>,
    /// Text to be sent, not yet an output.
    pending_send: String,
    outputs: VecDeque<Output>,
    /// By when the session must be established.
    open_deadline: Option<Instant>,
    /// When the peer is given up.
    hold_deadline: Option<Instant>,
    /// When the next keepalive is due.
    keepalive_at: Option<Instant>,
    /// Numbers of stanza ids.
    next_subscribe: u64,
    next_publish: u64,
    pending: PendingPublishes,
    stats: Stats,
}

impl Session {
    /// The control node's side of an accepted connection.
    #[must_use]
    pub fn server(config: SessionConfig) -> Self {
        Self::new(config, Role::Server)
    }

    /// The agent's side.
    #[must_use]
    pub fn client(config: SessionConfig) -> Self {
        Self::new(config, Role::Client)
    }

    fn new(config: SessionConfig, role: Role) -> Self {
        let parser = Parser::new(config.limits);
        Self {
            config,
            role,
            state: State::Idle,
            secured: false,
            parser,
            peer: None,
            pending_send: String::new(),
            outputs: VecDeque::new(),
            open_deadline: None,
            hold_deadline: None,
            keepalive_at: None,
            next_subscribe: 0,
            next_publish: 0,
            pending: PendingPublishes::default(),
            stats: Stats::default(),
        }
    }

    /// Takes one input. `now` must not go backwards.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        match input {
            Input::Connected => self.connected(now),
            Input::Bytes(bytes) => self.bytes(bytes, now),
            Input::TlsReady => self.tls_ready(now),
            Input::Timer => self.timer(now),
            Input::Send(stanza) => self.send(&stanza, now),
            Input::Publish { ri, item } => self.send_route(&ri, *item, true, now),
            Input::Withdraw { ri, item } => self.send_route(&ri, *item, false, now),
            Input::Close => self.close(CloseReason::Local),
            Input::Disconnected => self.close(CloseReason::Disconnected),
        }
    }

    /// The next output; `None` when all are taken.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.flush_send();
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Timer`] is due next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.open_deadline, self.hold_deadline, self.keepalive_at].into_iter().flatten().min()
    }

    /// The peer's name, once its stream header has come.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// Whether stanzas flow.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.state == State::Established
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn bytes(&mut self, bytes: &[u8], now: Instant) {
        self.stats.bytes_received += bytes.len() as u64;
        match self.state {
            State::Idle | State::Handshake => return self.close(CloseReason::UnexpectedData),
            State::Established => self.hold_deadline = self.deadline(self.config.hold_time, now),
            _ => {}
        }
        self.parser.push(bytes);
        while self.state != State::Closed && self.state != State::Handshake {
            match self.parser.next_event() {
                Ok(None) => return,
                Ok(Some(event)) => self.event(event, now),
                Err(error) => self.close(CloseReason::Malformed(error)),
            }
        }
    }

    fn event(&mut self, event: StreamEvent, now: Instant) {
        match (event, self.state) {
            (StreamEvent::Close, _) => self.close(CloseReason::Remote),
            (StreamEvent::Open(header), State::Open) => self.stream_open(&header, now),
            (StreamEvent::Stanza(element), State::Established) => self.stanza(&element),
            (StreamEvent::Stanza(element), State::Negotiate | State::Proceed) => {
                self.negotiate(&element, now)
            }
            _ => self.close(CloseReason::OutOfOrder),
        }
    }

    fn timer(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if due(self.open_deadline) {
            self.close(CloseReason::OpenTimeout);
        } else if due(self.hold_deadline) {
            self.close(CloseReason::HoldTimeout);
        } else if due(self.keepalive_at) {
            self.stats.keepalives_sent += 1;
            self.write(KEEPALIVE, now);
        }
    }

    fn deadline(&self, after: std::time::Duration, now: Instant) -> Option<Instant> {
        if after.is_zero() { None } else { now.checked_add(after) }
    }

    /// Puts text into the send buffer and moves the next keepalive.
    fn write(&mut self, text: &str, now: Instant) {
        self.pending_send.push_str(text);
        self.wrote(now);
    }

    fn wrote(&mut self, now: Instant) {
        if self.state == State::Established {
            self.keepalive_at = self.deadline(self.config.hold_time / 3, now);
        }
    }

    fn flush_send(&mut self) {
        if !self.pending_send.is_empty() {
            let bytes = Bytes::from(std::mem::take(&mut self.pending_send));
            self.stats.bytes_sent += bytes.len() as u64;
            self.outputs.push_back(Output::Send(bytes));
        }
    }

    /// Queues an output behind what is to be sent before it.
    fn emit(&mut self, output: Output) {
        self.flush_send();
        self.outputs.push_back(output);
    }

    fn warn(&mut self, warning: Warning) {
        self.stats.count(&warning);
        self.outputs.push_back(Output::Warning(warning));
    }

    fn close(&mut self, reason: CloseReason) {
        let header_sent = match self.role {
            Role::Server => self.peer.is_some(),
            Role::Client => true,
        };
        let writable = !matches!(self.state, State::Idle | State::Handshake);
        if header_sent && writable && reason != CloseReason::Disconnected {
            self.pending_send.push_str(STREAM_END);
        }
        self.state = State::Closed;
        (self.open_deadline, self.hold_deadline, self.keepalive_at) = (None, None, None);
        self.pending = PendingPublishes::default();
        self.emit(Output::Closed { reason });
    }
}

/// Feeds arbitrary bytes to an established server session and drains it: for fuzzing.
#[must_use]
pub fn fuzz_server(bytes: &[u8]) -> Vec<Output> {
    let now = Instant::now();
    let mut session = Session::server(SessionConfig { tls: false, ..SessionConfig::server() });
    session.handle(Input::Connected, now);
    session.handle(Input::Bytes(header::open("fuzz", crate::CONTROL_JID, None, None).as_bytes()), now);
    session.handle(Input::Bytes(bytes), now);
    std::iter::from_fn(|| session.poll_output()).collect()
}

/// Feeds arbitrary bytes to an established client session and drains it: for fuzzing.
#[must_use]
pub fn fuzz_client(bytes: &[u8]) -> Vec<Output> {
    let now = Instant::now();
    let mut session = Session::client(SessionConfig { tls: false, ..SessionConfig::client("fuzz") });
    session.handle(Input::Connected, now);
    session.handle(Input::Bytes(header::open(crate::CONTROL_JID, "fuzz", Some("1"), None).as_bytes()), now);
    session.handle(Input::Bytes(bytes), now);
    std::iter::from_fn(|| session.poll_output()).collect()
}
