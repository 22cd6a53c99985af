//! The control node's logic, without sockets and without a clock: configuration, sessions and instants go in, actions come
//! out. So a whole control plane can run under a simulator.

mod feed;
mod pump;
mod report;
mod session;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weft_compiler::{Compiler, Delta};
use weft_model::ObjectType;
use weft_rib::{Limits, PeerId, Rib, Update};
use weft_store::Revision;
use weft_xmpp::config::ConfigOp;
use weft_xmpp::fsm;
use weft_xmpp::items::RouteItem;
use weft_xmpp::stanza::Stanza;

use crate::compiled::{CompiledView, CompiledWriter};
use crate::config::Timers;

pub use report::{NotFound, Query};

/// Messages handed to a connection and not yet written to its socket, at most.
pub const WINDOW: usize = 16;
/// Configuration changes waiting for a slow agent, at most; the session is closed beyond that, and the agent gets the state
/// of that time when it comes back. What an agent is sent when it subscribes does not count.
pub const MAX_WAITING_CONFIG: usize = 100_000;
/// Refused connections remembered for operators.
const MAX_REFUSALS: usize = 32;

/// Number of one connection; never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What an agent said.
#[derive(Debug)]
pub enum PeerInput {
    /// A stanza, other than a publish.
    Stanza(Stanza),
    /// A route announced.
    Publish {
        /// Routing instance.
        ri: String,
        /// The route.
        item: Box<RouteItem>,
    },
    /// A route taken back.
    Withdraw {
        /// Routing instance.
        ri: String,
        /// The route.
        item: Box<RouteItem>,
    },
    /// Something the session dropped.
    Warning(String),
}

/// What is to be done outside.
#[derive(Debug)]
pub enum Action {
    /// Hand a stanza to a connection.
    Send(SessionId, Stanza),
    /// End a connection; the node has forgotten it already.
    Close(SessionId, String),
}

/// Times in force: those of the process, overridden by the configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// Hold time of new sessions.
    pub hold: Duration,
    /// Cap on holding back end-of-RIB.
    pub end_of_rib: Duration,
    /// How long paths of a lost session are kept.
    pub stale: Duration,
}

/// What is remembered of an agent across its sessions.
#[derive(Debug)]
struct Agent {
    peer: PeerId,
    session: Option<SessionId>,
    /// When what is still stale goes.
    sweep_at: Option<Instant>,
    sessions: u64,
    last_close: Option<(Instant, String)>,
}

/// Counters of a session.
#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    publishes: u64,
    withdraws: u64,
    routes_refused: u64,
    warnings: u64,
    routes_sent: u64,
    retracts_sent: u64,
    config_sent: u64,
}

/// An established session.
#[derive(Debug)]
struct Session {
    name: String,
    peer: PeerId,
    address: SocketAddr,
    authenticated: bool,
    since: Instant,
    in_flight: usize,
    /// Name of the virtual-router it subscribed to.
    router: Option<String>,
    config: VecDeque<ConfigOp>,
    /// A route taken from the tables that did not fit into the last message.
    carry: Option<Update>,
    /// When a route, a subscription for routes or configuration last went in either direction.
    last_activity: Instant,
    end_of_rib_sent: bool,
    end_of_rib_received: bool,
    last_error: Option<(Instant, String)>,
    counters: Counters,
}

/// A connection that came to nothing.
#[derive(Debug)]
struct Refusal {
    at: Instant,
    address: SocketAddr,
    name: Option<String>,
    reason: String,
}

/// What is known of a snapshot before its end.
#[derive(Debug, Default)]
struct Loading {
    seen: BTreeSet<(ObjectType, Uuid)>,
    delta: Delta,
}

/// The control node's state.
#[derive(Debug)]
pub struct Node {
    timers: Timers,
    effective: Effective,
    started: Instant,
    /// Every configured agent is back, or the time for that is over.
    converged: bool,
    compiler: Compiler,
    compiled: CompiledWriter,
    rib: Rib,
    /// What the last configuration said; none before the first.
    revision: Option<Revision>,
    /// A snapshot that is being read.
    loading: Loading,
    /// Host names of the configured virtual-routers.
    routers: BTreeMap<Uuid, String>,
    agents: BTreeMap<String, Agent>,
    sessions: BTreeMap<SessionId, Session>,
    by_peer: HashMap<PeerId, SessionId>,
    /// Sessions with configuration to send.
    config_waiting: BTreeSet<SessionId>,
    refusals: VecDeque<Refusal>,
    actions: VecDeque<Action>,
    next_peer: u64,
}

impl Node {
    /// A node that knows nothing yet, and the view of what it compiles.
    pub fn new(timers: Timers, now: Instant) -> (Self, CompiledView) {
        let (compiled, view) = CompiledWriter::new();
        let effective = Effective { hold: timers.hold, end_of_rib: timers.end_of_rib, stale: timers.stale };
        let mut node = Node {
            timers,
            effective,
            started: now,
            converged: false,
            compiler: Compiler::new(),
            compiled,
            rib: Rib::new(Limits::default()),
            revision: None,
            loading: Loading::default(),
            routers: BTreeMap::new(),
            agents: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_peer: HashMap::new(),
            config_waiting: BTreeSet::new(),
            refusals: VecDeque::new(),
            actions: VecDeque::new(),
            next_peer: 0,
        };
        node.take_in_standing_intent();
        (node, view)
    }

    /// The next thing to do outside.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Times in force.
    pub fn effective(&self) -> Effective {
        self.effective
    }

    fn is_configured(&self, name: &str) -> bool {
        self.routers.values().any(|router| router == name)
    }
}

/// Plays the bytes an agent might send, against a node with that agent's session: for fuzzing.
pub fn fuzz_session(bytes: &[u8]) {
    let now = Instant::now();
    let (mut node, _) = Node::new(Timers::default(), now);
    let id = SessionId(0);
    node.session_up(id, "fuzz", SocketAddr::from(([127, 0, 0, 1], 1)), true, now);
    for output in fsm::fuzz_server(bytes) {
        let input = match output {
            fsm::Output::Stanza(stanza) => PeerInput::Stanza(stanza),
            fsm::Output::Publish { ri, item } => PeerInput::Publish { ri, item },
            fsm::Output::Withdraw { ri, item } => PeerInput::Withdraw { ri, item },
            _ => continue,
        };
        node.input(id, input, now);
        node.pump(now);
        while node.next_action().is_some() {}
        node.sent(id, WINDOW);
    }
    node.session_down(id, "end", now);
}
