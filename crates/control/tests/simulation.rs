//! A whole control plane without sockets and under a clock of its own: random configuration, sessions, routes, losses and
//! restarts from a seed. Whatever happened, in the end every agent holds exactly the routes that targets and announcements
//! allow, nobody holds a route it was not to have, and end-of-RIB took nothing away that was announced.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{LOOPBACK, lone_network, router};
use proptest::prelude::*;
use serde_json::json;
use weft_control::Timers;
use weft_control::node::{Action, Node, PeerInput, SessionId};
use weft_model::{Change, Object};
use weft_store::config::Update;
use weft_xmpp::items::{Encap, NextHop, RouteItem, UnicastItem};
use weft_xmpp::stanza::Stanza;

const AGENTS: usize = 3;
const NETWORKS: usize = 3;
const PREFIXES: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    /// Network with a set of shared targets, as bits.
    Network(usize, u8),
    RemoveNetwork(usize),
    /// Attach or detach a workload on an agent: network, prefix, label.
    Attach(usize, usize, usize, u32),
    Detach(usize, usize, usize),
    Kill(usize),
    Start(usize),
    /// Messages an agent's connection takes.
    Deliver(usize, usize),
    Pass(u64),
    RestartControl,
}

fn op() -> impl Strategy<Value = Op> {
    let (agent, net, prefix) = (0..AGENTS, 0..NETWORKS, 0..PREFIXES);
    prop_oneof![
        3 => (net.clone(), 0u8..4).prop_map(|(n, t)| Op::Network(n, t)),
        1 => net.clone().prop_map(Op::RemoveNetwork),
        8 => (agent.clone(), net.clone(), prefix.clone(), 16u32..19).prop_map(|(a, n, p, l)| Op::Attach(a, n, p, l)),
        4 => (agent.clone(), net, prefix).prop_map(|(a, n, p)| Op::Detach(a, n, p)),
        2 => agent.clone().prop_map(Op::Kill),
        3 => agent.clone().prop_map(Op::Start),
        6 => (agent, 0usize..20).prop_map(|(a, n)| Op::Deliver(a, n)),
        3 => (1u64..4000).prop_map(Op::Pass),
        1 => Just(Op::RestartControl),
    ]
}

fn ri(net: usize) -> String {
    format!("default-domain:default-project:net{net}:net{net}")
}

fn prefix(number: usize) -> String {
    format!("10.0.0.{}/32", number + 1)
}

fn item(agent: usize, number: usize, label: u32) -> Box<RouteItem> {
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, agent as u8 + 1));
    let hop = NextHop { label, encaps: BTreeSet::from([Encap::Udp]), ..NextHop::new(address) };
    Box::new(RouteItem::Unicast(UnicastItem {
        next_hops: vec![hop],
        ..UnicastItem::new(prefix(number).parse().unwrap())
    }))
}

/// What an agent holds of a route: next hops and labels.
type Hops = BTreeSet<(String, u32)>;

#[derive(Default)]
struct Host {
    session: Option<SessionId>,
    /// Its workloads: survive the agent.
    ports: BTreeMap<(usize, usize), u32>,
    /// Routes held; those of the session before stay until end-of-RIB.
    held: BTreeMap<(String, String), (SessionId, Hops)>,
    inbox: Vec<Stanza>,
    end_of_rib: bool,
}

struct Simulation {
    node: Node,
    now: Instant,
    revision: u64,
    networks: BTreeMap<usize, u8>,
    hosts: Vec<Host>,
    next_session: u64,
}

fn timers() -> Timers {
    Timers {
        quiet: Duration::from_secs(2),
        end_of_rib: Duration::from_secs(20),
        stale: Duration::from_secs(8),
        ..Timers::default()
    }
}

impl Simulation {
    fn new() -> Self {
        let now = Instant::now();
        let mut simulation = Simulation {
            node: Node::new(timers(), now).0,
            now,
            revision: 0,
            networks: BTreeMap::new(),
            hosts: (0..AGENTS).map(|_| Host::default()).collect(),
            next_session: 0,
        };
        simulation.snapshot();
        simulation
    }

    fn objects(&self) -> Vec<Arc<Object>> {
        let networks = self.networks.iter().map(|(net, targets)| network(*net, *targets));
        let routers = (0..AGENTS).map(|agent| router(&format!("host{agent}")));
        networks.chain(routers).map(Arc::new).collect()
    }

    fn snapshot(&mut self) {
        let update = Update::Snapshot { revision: self.revision, objects: self.objects() };
        self.node.configure(update, self.now);
    }

    fn change(&mut self, change: Change) {
        self.revision += 1;
        // Now and then the watch is lost and everything is read anew.
        if self.revision.is_multiple_of(5) {
            return self.snapshot();
        }
        let update = Update::Changes { revision: self.revision, changes: vec![change] };
        self.node.configure(update, self.now);
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Network(net, targets) => {
                self.networks.insert(net, targets);
                self.change(Change::Put(Arc::new(network(net, targets))));
            }
            Op::RemoveNetwork(net) => {
                if self.networks.remove(&net).is_some() {
                    let Object { object_type, uuid, fq_name, .. } = network(net, 0);
                    self.change(Change::Delete { object_type, uuid, fq_name });
                }
            }
            Op::Attach(agent, net, number, label) => {
                self.hosts[agent].ports.insert((net, number), label);
                self.publish(agent, net, number, label);
            }
            Op::Detach(agent, net, number) => {
                if let Some(label) = self.hosts[agent].ports.remove(&(net, number)) {
                    let input = PeerInput::Withdraw { ri: ri(net), item: item(agent, number, label) };
                    self.say(agent, input);
                }
            }
            Op::Kill(agent) => {
                if let Some(id) = self.hosts[agent].session.take() {
                    self.hosts[agent].inbox.clear();
                    self.node.session_down(id, "killed", self.now);
                }
            }
            Op::Start(agent) => self.start(agent),
            Op::Deliver(agent, count) => self.deliver(agent, count),
            Op::Pass(millis) => self.pass(Duration::from_millis(millis)),
            Op::RestartControl => {
                self.node = Node::new(timers(), self.now).0;
                for host in &mut self.hosts {
                    host.session = None;
                    host.inbox.clear();
                }
                self.snapshot();
            }
        }
        self.collect();
    }

    fn say(&mut self, agent: usize, input: PeerInput) {
        if let Some(id) = self.hosts[agent].session {
            self.node.input(id, input, self.now);
        }
    }

    fn publish(&mut self, agent: usize, net: usize, number: usize, label: u32) {
        self.say(agent, PeerInput::Publish { ri: ri(net), item: item(agent, number, label) });
    }

    fn start(&mut self, agent: usize) {
        if self.hosts[agent].session.is_some() {
            return;
        }
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let address = SocketAddr::new(LOOPBACK, 1000 + agent as u16);
        self.node.session_up(id, &format!("host{agent}"), address, true, self.now);
        self.hosts[agent].session = Some(id);
        self.hosts[agent].end_of_rib = false;
        for net in 0..NETWORKS {
            let instance_id = net as u32 + 1;
            let stanza = Stanza::SubscribeVrf { ri: ri(net), instance_id, no_ribout: false, id: None };
            self.say(agent, PeerInput::Stanza(stanza));
        }
        for ((net, number), label) in self.hosts[agent].ports.clone() {
            self.publish(agent, net, number, label);
        }
        self.say(agent, PeerInput::Stanza(Stanza::EndOfRib));
    }

    /// Moves what the node wants sent into the inboxes.
    fn collect(&mut self) {
        self.node.pump(self.now);
        while let Some(action) = self.node.next_action() {
            match action {
                Action::Send(id, stanza) => {
                    let host = self.hosts.iter_mut().find(|host| host.session == Some(id)).unwrap();
                    host.inbox.push(stanza);
                    assert!(host.inbox.len() <= weft_control::node::WINDOW, "the window is kept");
                }
                Action::Close(_, reason) => panic!("closed: {reason}"),
            }
        }
    }

    fn deliver(&mut self, agent: usize, count: usize) {
        let Some(id) = self.hosts[agent].session else { return };
        let host = &mut self.hosts[agent];
        let count = count.min(host.inbox.len());
        for stanza in host.inbox.drain(..count).collect::<Vec<_>>() {
            host.receive(id, stanza);
        }
        self.node.sent(id, count);
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + Duration::from_millis(500));
            self.node.tick(self.now);
        }
    }

    /// Everybody comes back, everything is delivered, all timers run out.
    fn settle(&mut self) {
        for agent in 0..AGENTS {
            self.start(agent);
        }
        for _ in 0..60 {
            self.pass(Duration::from_millis(500));
            self.collect();
            for agent in 0..AGENTS {
                self.deliver(agent, usize::MAX);
            }
        }
    }

    fn imports(&self, to: usize, from: usize) -> bool {
        let (Some(a), Some(b)) = (self.networks.get(&to), self.networks.get(&from)) else { return false };
        to == from || a & b != 0
    }

    /// From scratch: all paths are equally preferred, so all are used together; a route whose only paths are the agent's own
    /// in that very network is not told to it.
    fn expected(&self, agent: usize) -> BTreeMap<(String, String), Hops> {
        let mut expected = BTreeMap::new();
        for net in 0..NETWORKS {
            for number in 0..PREFIXES {
                let (mut hops, mut foreign) = (Hops::new(), false);
                for (other, host) in self.hosts.iter().enumerate() {
                    for from in (0..NETWORKS).filter(|from| self.imports(net, *from)) {
                        if let Some(label) = host.ports.get(&(from, number)) {
                            hops.insert((format!("192.0.2.{}", other + 1), *label));
                            foreign |= (other, from) != (agent, net);
                        }
                    }
                }
                if foreign {
                    expected.insert((ri(net), prefix(number)), hops);
                }
            }
        }
        expected
    }
}

impl Host {
    fn receive(&mut self, id: SessionId, stanza: Stanza) {
        match stanza {
            Stanza::RouteMessage { ri, items, retracts, .. } => {
                for (name, item) in items {
                    let hops =
                        item.next_hops().iter().map(|hop| (hop.address.to_string(), hop.label)).collect();
                    self.held.insert((ri.clone(), name), (id, hops));
                }
                for name in retracts {
                    self.held.remove(&(ri.clone(), name));
                }
            }
            Stanza::EndOfRib => {
                self.end_of_rib = true;
                self.held.retain(|_, (session, _)| *session == id);
            }
            Stanza::Config(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn network(net: usize, targets: u8) -> Object {
    let mut network = lone_network(&format!("net{net}"), net as u32 + 1);
    let shared: Vec<String> = (0..2)
        .filter(|bit| targets & (1 << bit) != 0)
        .map(|bit| format!("target:64512:{}", 50 + bit))
        .collect();
    if !shared.is_empty() {
        network.props.insert("route_target_list".into(), json!({ "route_target": shared }));
    }
    network
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_agent_ends_with_exactly_the_routes_allowed(ops in prop::collection::vec(op(), 1..80)) {
        let mut simulation = Simulation::new();
        for op in &ops {
            simulation.apply(op);
        }
        simulation.settle();
        for agent in 0..AGENTS {
            let host = &simulation.hosts[agent];
            prop_assert!(host.end_of_rib, "host{} was never told that this is all", agent);
            let held: BTreeMap<_, _> = host.held.iter().map(|(key, (_, hops))| (key.clone(), hops.clone())).collect();
            prop_assert_eq!(held, simulation.expected(agent), "host{}", agent);
        }
    }
}

/// The order of things when a control node is restarted under two agents: neither loses a route of the other.
#[test]
fn a_restart_of_the_control_node_takes_nothing_away() {
    let mut simulation = Simulation::new();
    let route = (ri(0), prefix(0));
    for op in [Op::Network(0, 1), Op::Start(0), Op::Start(1), Op::Start(2), Op::Attach(0, 0, 0, 17)] {
        simulation.apply(&op);
    }
    simulation.settle();
    assert!(simulation.hosts[1].held.contains_key(&route));
    simulation.apply(&Op::RestartControl);
    simulation.apply(&Op::Start(1));
    simulation.apply(&Op::Start(2));
    for _ in 0..10 {
        simulation.pass(Duration::from_secs(1));
        simulation.collect();
        simulation.deliver(1, usize::MAX);
        assert!(simulation.hosts[1].held.contains_key(&route), "host0 is not back yet");
    }
    simulation.settle();
    assert!(simulation.hosts[1].end_of_rib && simulation.hosts[1].held.contains_key(&route));
}

/// Whatever an agent sends, the node takes it or ends the session; the fuzz target goes on from here.
#[test]
fn arbitrary_bytes_do_no_harm() {
    let subscribe = |ri: &str| {
        Stanza::SubscribeVrf { ri: ri.into(), instance_id: 1, no_ribout: false, id: None }.encode("fuzz", "x")
    };
    let publish = |number| {
        let item = item(0, number, 17);
        let node = item.node(&ri(0));
        let first =
            Stanza::PublishItem { node: node.clone(), item: Some(item), id: None }.encode("fuzz", "x");
        first + &Stanza::Associate { ri: ri(0), node, id: None }.encode("fuzz", "x")
    };
    let whole = [subscribe(&ri(0)), publish(0), publish(1), Stanza::EndOfRib.encode("fuzz", "x")].concat();
    for cut in 0..whole.len() {
        weft_control::node::fuzz_session(&whole.as_bytes()[..cut]);
    }
    weft_control::node::fuzz_session([subscribe(&ri(0)), subscribe(&ri(0)), publish(0)].concat().as_bytes());
}
