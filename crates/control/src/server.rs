//! The control node as a running service: the listener, and the control task that owns the [`Node`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures::StreamExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weft_store::Store;
use weft_store::pages::{self, Piece};
use weft_tls::ServerTls;
use weft_xmpp::fsm::{Session, SessionConfig};
use weft_xmpp::stanza::Stanza;

use crate::compiled::CompiledView;
use crate::config::ControlConfig;
use crate::error::ControlError;
use crate::node::{Action, Node, NotFound, Query, SessionId, WINDOW};
use crate::peer::{Connection, Event, LAST_WORDS};

/// Connections served at once; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 8192;
/// Events of connections waiting for the control task; connections wait beyond that.
const MAX_EVENTS: usize = 1024;
/// Questions of operators waiting.
const MAX_QUERIES: usize = 16;
/// Events taken in before agents are told of the outcome: what is undone among them is never told.
const EVENTS_AT_ONCE: usize = 128;
/// Pause after a failure to accept (no descriptors left, say).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Shortest and longest pause between looks at the clock.
const TICK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A control node ready to run.
pub struct Control {
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    config: ControlConfig,
    store: Arc<dyn Store>,
    node: Node,
    queries: mpsc::Receiver<(Query, oneshot::Sender<Answer>)>,
}

/// A running control node, as others in the process see it; cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlHandle {
    compiled: CompiledView,
    queries: mpsc::Sender<(Query, oneshot::Sender<Answer>)>,
    address: SocketAddr,
}

/// What a question came to.
#[derive(Debug)]
pub enum Answer {
    /// The answer.
    Report(Value),
    /// There is no such thing.
    NotFound(NotFound),
    /// Nobody is there to answer.
    Stopped,
}

impl ControlHandle {
    /// What the compiler made of the configuration.
    pub fn compiled(&self) -> CompiledView {
        self.compiled.clone()
    }

    /// Where agents connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks the control task.
    pub async fn ask(&self, query: Query) -> Answer {
        let (sender, receiver) = oneshot::channel();
        if self.queries.send((query, sender)).await.is_err() {
            return Answer::Stopped;
        }
        receiver.await.unwrap_or(Answer::Stopped)
    }
}

/// Runs a control node until `shutdown` is cancelled. Where its handle is wanted, use [`Control`].
///
/// # Errors
/// It cannot start; see [`Control::bind`].
pub async fn run(
    config: ControlConfig,
    store: Arc<dyn Store>,
    shutdown: CancellationToken,
) -> Result<(), ControlError> {
    let (control, _handle) = Control::bind(config, store).await?;
    control.run(shutdown).await;
    Ok(())
}

impl Control {
    /// Opens the listener and reads the certificates. Agents are served once [`Control::run`] runs.
    ///
    /// # Errors
    /// The address is taken, or the certificates cannot be used.
    pub async fn bind(
        config: ControlConfig,
        store: Arc<dyn Store>,
    ) -> Result<(Self, ControlHandle), ControlError> {
        let tls = match &config.certs {
            Some(dir) => Some(Arc::new(ServerTls::of_directory(dir)?)),
            None => None,
        };
        let address = config.listen_xmpp;
        let listen = |source| ControlError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (node, compiled) = Node::new(config.timers, Instant::now());
        let (sender, queries) = mpsc::channel(MAX_QUERIES);
        let handle = ControlHandle { compiled, queries: sender, address };
        Ok((Control { listener, tls, config, store, node, queries }, handle))
    }

    /// Serves agents until `shutdown` is cancelled; then ends all sessions.
    pub async fn run(self, shutdown: CancellationToken) {
        let (events_in, events) = mpsc::channel(MAX_EVENTS);
        let tracker = TaskTracker::new();
        let hold = Arc::new(AtomicU64::new(millis(self.config.timers.hold)));
        let stop = shutdown.child_token();
        let listener = Listener {
            listener: self.listener,
            tls: self.tls,
            hold: Arc::clone(&hold),
            events: events_in,
            tracker: tracker.clone(),
        };
        tracker.spawn(listener.run(stop.clone()));
        let quiet = self.config.timers.quiet;
        let task = ControlTask { node: self.node, connections: HashMap::new(), hold };
        task.run(self.store, events, self.queries, tick(quiet), stop).await;
        tracker.close();
        tracker.wait().await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn tick(quiet: Duration) -> Duration {
    (quiet / 4).clamp(TICK.0, TICK.1)
}

/// Accepts connections and starts a task for each.
struct Listener {
    listener: TcpListener,
    tls: Option<Arc<ServerTls>>,
    /// Hold time in force, in milliseconds.
    hold: Arc<AtomicU64>,
    events: mpsc::Sender<Event>,
    tracker: TaskTracker,
}

impl Listener {
    async fn run(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for number in 0.. {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = stop.cancelled() => return,
                (place, accepted) = next => match (place, accepted) {
                    (Ok(place), Ok((stream, address))) => {
                        let connection = self.connection(SessionId(number), address, &stream);
                        self.tracker.spawn(serve(connection, stream, stop.clone(), place));
                    }
                    (_, Err(error)) => {
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                    (Err(_), _) => return,
                },
            }
        }
    }

    fn connection(&self, id: SessionId, address: SocketAddr, stream: &TcpStream) -> Connection {
        // Without it a route would wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let hold_time = Duration::from_millis(self.hold.load(Ordering::Relaxed));
        let config = SessionConfig { tls: self.tls.is_some(), hold_time, ..SessionConfig::server() };
        let (sender, receiver) = mpsc::channel(WINDOW);
        let (close_sender, close_receiver) = oneshot::channel();
        Connection {
            id,
            address,
            session: Session::server(config),
            tls: self.tls.clone(),
            events: self.events.clone(),
            stanzas: (Some(sender), receiver),
            close: (Some(close_sender), close_receiver),
            names: None,
            out: BytesMut::new(),
            unflushed: false,
            unacknowledged: 0,
            up: false,
        }
    }
}

/// Serves a connection to its end, which comes soon once `stop` is cancelled.
async fn serve(
    connection: Connection,
    stream: TcpStream,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) {
    let mut serving = std::pin::pin!(connection.serve(stream));
    tokio::select! {
        () = &mut serving => {}
        // An established session says good-bye; one that is not might wait for its peer.
        () = stop.cancelled() => drop(tokio::time::timeout(LAST_WORDS, serving).await),
    }
    drop(place);
}

/// The task that owns the node.
struct ControlTask {
    node: Node,
    connections: HashMap<SessionId, (mpsc::Sender<Stanza>, oneshot::Sender<()>)>,
    hold: Arc<AtomicU64>,
}

impl ControlTask {
    async fn run(
        mut self,
        store: Arc<dyn Store>,
        mut events: mpsc::Receiver<Event>,
        mut queries: mpsc::Receiver<(Query, oneshot::Sender<Answer>)>,
        tick: Duration,
        stop: CancellationToken,
    ) {
        let mut follow = pages::follow(store);
        let mut ticker = tokio::time::interval(tick);
        ticker.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut loaded = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(piece) = follow.next() => {
                    loaded |= matches!(piece, Piece::End(_));
                    self.node.piece(piece, Instant::now());
                    self.hold.store(millis(self.node.effective().hold), Ordering::Relaxed);
                }
                // Sessions wait until there is a configuration to judge them by.
                Some(event) = events.recv(), if loaded => {
                    self.event(event);
                    for _ in 1..EVENTS_AT_ONCE {
                        let Ok(event) = events.try_recv() else { break };
                        self.event(event);
                    }
                }
                Some((query, sender)) = queries.recv() => {
                    let answer = match self.node.report(&query, Instant::now()) {
                        Ok(report) => Answer::Report(report),
                        Err(error) => Answer::NotFound(error),
                    };
                    // Whoever asked may have gone.
                    drop(sender.send(answer));
                }
                _ = ticker.tick() => self.node.tick(Instant::now()),
            }
            self.node.pump(Instant::now());
            self.act();
        }
    }

    fn event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Up(up) => {
                self.connections.insert(up.id, (up.stanzas, up.close));
                self.node.session_up(up.id, &up.name, up.address, up.authenticated, now);
            }
            Event::Inputs(id, inputs) => {
                for input in inputs {
                    self.node.input(id, input, now);
                }
            }
            Event::Sent(id, count) => self.node.sent(id, count),
            Event::Down(id, reason) => {
                self.connections.remove(&id);
                self.node.session_down(id, &reason, now);
            }
            Event::Refused { address, name, reason } => self.node.refused(address, name, reason, now),
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.node.next_action() {
            match action {
                Action::Send(id, stanza) => {
                    let Some((stanzas, _)) = self.connections.get(&id) else { continue };
                    // There is room: the node sends no more than the window. If not, the connection is at its end.
                    if let Err(error) = stanzas.try_send(stanza) {
                        tracing::debug!(%error, ?id, "stanza not handed over");
                    }
                }
                Action::Close(id, reason) => {
                    tracing::debug!(?id, reason, "closing");
                    // Dropping the sender ends the connection.
                    self.connections.remove(&id);
                }
            }
        }
    }
}
