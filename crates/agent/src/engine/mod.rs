//! The task that owns the agent's state: everything that happens reaches it through a queue, nothing else changes it.
//!
//! Work is batched: after a change it waits [`SETTLE`] for more of the same before recomputing, at most [`LATEST`].
//! Other tasks read what it publishes in [`Shared`], or ask it by an [`AgentHandle`].

mod events;
mod links;
mod machines;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use weft_dataplane::{Config, Pod};
use weft_forwarder::{AgeOptions, AgeReport, Datapath, TimeoutRule};

use crate::controller::Event;
use crate::core::{AgentCore, ToController};
use crate::desired::{Desired, FABRIC_SLOT};
use crate::kernel::{Kernel, Netlink};
use crate::pkt0::Pkt0Counters;
use crate::ports::PortStore;
use crate::services::PortServices;
pub use events::{DropEvent, MAX_RECENT, Recent};
pub use machines::{Machine, MachineRequest, MachineStore};
pub use requests::{AgentHandle, Command};

/// How long to wait for more changes before recomputing.
const SETTLE: Duration = Duration::from_millis(15);
/// The longest a change waits.
const LATEST: Duration = Duration::from_millis(100);
/// How often completeness and waiting messages are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often the auditor compares.
pub const AUDIT: Duration = Duration::from_secs(15);
/// How often the configuration is saved, if it changed.
const SAVE: Duration = Duration::from_secs(1);
/// How often the kernel's tables are read without being told of a change.
const REREAD: Duration = Duration::from_secs(10);
/// How often the kernel is made to look for the other hosts' MACs.
const PROBE: Duration = Duration::from_secs(10);
/// UDP port that probes are sent to ("discard").
const PROBE_PORT: u16 = 9;
/// Commands waiting for the engine.
pub const COMMAND_QUEUE: usize = 256;
/// Drop events per second and CPU that the forwarder may send.
const EVENTS_PER_SECOND: u32 = 200;

/// What other tasks read.
pub struct Shared {
    /// The forwarder.
    pub datapath: Arc<dyn Datapath>,
    /// The desired picture.
    pub desired: watch::Sender<Arc<Desired>>,
    /// What the services answer.
    pub services: watch::Sender<Arc<BTreeMap<u32, PortServices>>>,
    /// The TAP's counters.
    pub pkt0: watch::Sender<Pkt0Counters>,
    /// How flows age.
    pub ageing: watch::Sender<AgeOptions>,
    /// The last step of ageing.
    pub aged: watch::Sender<AgeReport>,
    /// Recent drop events.
    pub recent: Recent,
}

impl Shared {
    /// Nothing known yet.
    pub fn new(datapath: Arc<dyn Datapath>) -> Self {
        Self {
            datapath,
            desired: watch::Sender::default(),
            services: watch::Sender::default(),
            pkt0: watch::Sender::default(),
            ageing: watch::Sender::default(),
            aged: watch::Sender::default(),
            recent: Recent::default(),
        }
    }
}

/// What the engine works with.
pub struct Parts {
    /// The decisions.
    pub core: AgentCore,
    /// Ports.
    pub ports: PortStore,
    /// Machines announced by a CNI plug-in.
    pub machines: MachineStore,
    /// The kernel.
    pub netlink: Netlink,
    /// Told of the kernel's changes.
    pub kernel_changes: watch::Receiver<u64>,
    /// Name of the interface towards the other hosts.
    pub fabric: String,
    /// Configured source of tunnels.
    pub tunnel_address: Option<Ipv4Addr>,
    /// Index of the TAP.
    pub pkt0_ifindex: u32,
    /// Number of controllers.
    pub controllers: usize,
    /// What others read.
    pub shared: Arc<Shared>,
}

/// The engine.
pub struct Engine {
    pub(crate) core: AgentCore,
    pub(crate) ports: PortStore,
    pub(crate) machines: MachineStore,
    pub(crate) kernel: Kernel,
    netlink: Netlink,
    kernel_changes: watch::Receiver<u64>,
    fabric: String,
    tunnel_address: Option<Ipv4Addr>,
    pkt0_ifindex: u32,
    queues: Vec<Option<mpsc::Sender<ToController>>>,
    backlog: Vec<VecDeque<ToController>>,
    pub(crate) reasons: Vec<String>,
    shared: Arc<Shared>,
    dirty_since: Option<Instant>,
    dirty_last: Option<Instant>,
    probed: BTreeSet<Ipv4Addr>,
    pub(crate) started: Instant,
}

impl Engine {
    /// An engine that has not read the kernel yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            core: parts.core,
            ports: parts.ports,
            machines: parts.machines,
            kernel: Kernel::default(),
            netlink: parts.netlink,
            kernel_changes: parts.kernel_changes,
            fabric: parts.fabric,
            tunnel_address: parts.tunnel_address,
            pkt0_ifindex: parts.pkt0_ifindex,
            queues: (0..parts.controllers).map(|_| None).collect(),
            backlog: (0..parts.controllers).map(|_| VecDeque::new()).collect(),
            reasons: vec![String::new(); parts.controllers],
            shared: parts.shared,
            dirty_since: None,
            dirty_last: None,
            probed: BTreeSet::new(),
            started: Instant::now(),
        }
    }

    /// Work until `shutdown`. The tables are left as they are: traffic goes on.
    pub async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        mut commands: mpsc::Receiver<Command>,
        shutdown: CancellationToken,
    ) {
        let mut tick = interval(TICK);
        let (mut audit, mut save) = (interval(AUDIT), interval(SAVE));
        let (mut reread, mut probe) = (interval(REREAD), interval(PROBE));
        let mut kernel_changes = self.kernel_changes.clone();
        loop {
            let due = self.sync_due();
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
                command = commands.recv() => match command {
                    Some(command) => command(&mut self),
                    None => return,
                },
                changed = kernel_changes.changed() => match changed {
                    Ok(()) => self.read_kernel().await,
                    Err(_) => return,
                },
                _ = reread.tick() => self.read_kernel().await,
                _ = probe.tick() => self.probe(true),
                () = until(due) => {
                    self.sync();
                    self.prepare_links().await;
                }
                _ = tick.tick() => self.core.tick(Instant::now()),
                _ = audit.tick() => self.audit(),
                _ = save.tick() => self.core.save_config(),
                () = shutdown.cancelled() => break,
            }
            self.note_changes();
            self.forward();
        }
        self.core.save_config();
    }

    fn event(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Up { controller, peer, queue } => {
                if let Some(slot) = self.queues.get_mut(controller) {
                    *slot = Some(queue);
                }
                if let Some(waiting) = self.backlog.get_mut(controller) {
                    waiting.clear();
                }
                self.core.controller_up(controller, &peer, now);
            }
            Event::Down { controller, reason } => {
                if let Some(slot) = self.queues.get_mut(controller) {
                    *slot = None;
                }
                if let Some(slot) = self.reasons.get_mut(controller) {
                    *slot = reason;
                }
                self.core.controller_down(controller, now);
            }
            Event::Stanza { controller, stanza } => self.core.stanza(controller, stanza, now),
        }
    }

    /// When to recompute.
    fn sync_due(&self) -> Option<Instant> {
        let (since, last) = (self.dirty_since?, self.dirty_last?);
        Some((since + LATEST).min(last + SETTLE))
    }

    fn note_changes(&mut self) {
        if self.core.needs_sync() {
            let now = Instant::now();
            self.dirty_since.get_or_insert(now);
            self.dirty_last = Some(now);
        }
    }

    fn sync(&mut self) {
        (self.dirty_since, self.dirty_last) = (None, None);
        self.core.sync();
        self.core.stamp_subscriptions(Instant::now());
        self.publish();
        self.resolve_machines();
        let remotes = &self.core.desired().remotes;
        if *remotes != self.core.underlay().ways.keys().copied().collect() {
            self.probe(false);
            self.apply_kernel();
        }
    }

    /// Hand what follows from the last round to the other tasks.
    fn publish(&self) {
        let desired = self.core.desired();
        self.shared.services.send_if_modified(|old| {
            let changed = **old != desired.services;
            if changed {
                *old = Arc::new(desired.services.clone());
            }
            changed
        });
        let rules = self.core.view().global.flow_aging.iter();
        let rules = rules.map(|(protocol, port, seconds)| TimeoutRule {
            protocol: *protocol,
            port: *port,
            idle: Duration::from_secs((*seconds).into()),
        });
        let options = AgeOptions { rules: rules.collect(), ..AgeOptions::default() };
        self.shared.ageing.send_if_modified(|old| {
            let changed = *old != options;
            *old = options;
            changed
        });
        self.shared.desired.send_replace(desired.clone());
    }

    fn audit(&mut self) {
        if let Err(error) = self.core.audit() {
            tracing::warn!(%error, "audit");
        }
    }

    /// Pass messages on to the sessions, as many as their queues take.
    fn forward(&mut self) {
        while let Some((controller, message)) = self.core.poll_send() {
            if let Some(waiting) = self.backlog.get_mut(controller) {
                waiting.push_back(message);
            }
        }
        for (queue, waiting) in self.queues.iter().zip(&mut self.backlog) {
            let Some(queue) = queue else {
                waiting.clear();
                continue;
            };
            while !waiting.is_empty() {
                let Ok(permit) = queue.try_reserve() else { break };
                if let Some(message) = waiting.pop_front() {
                    permit.send(message);
                }
            }
        }
    }

    pub(super) async fn read_kernel(&mut self) {
        match self.netlink.read().await {
            Err(error) => tracing::warn!(%error, "the kernel's tables cannot be read"),
            Ok(kernel) => {
                if kernel != self.kernel {
                    self.kernel = kernel;
                    self.apply_kernel();
                }
                self.prepare_links().await;
            }
        }
    }

    /// Take over what the kernel's picture and the ports mean for the core.
    pub(super) fn apply_kernel(&mut self) {
        let ports = self.kernel.local_ports(self.ports.iter());
        let gone: Vec<u32> = self.core.ports().iter().map(|p| p.ifindex).collect();
        for ifindex in gone.into_iter().filter(|i| !ports.iter().any(|p| p.ifindex == *i)) {
            self.core.port_removed(ifindex);
        }
        let machines = self.ports.iter().filter(|p| p.enabled).filter_map(|p| p.instance);
        let announced = self.machines.iter().map(|m| m.machine);
        self.core.set_ports(ports, machines.chain(announced).collect());
        let remotes = &self.core.desired().remotes;
        let underlay = self.kernel.underlay(&self.fabric, self.tunnel_address, self.pkt0_ifindex, remotes);
        if let Some(underlay) = underlay {
            self.core.set_underlay(underlay);
            self.configure();
        }
        self.note_changes();
    }

    /// Write the forwarder's configuration record if it is not what it should be.
    fn configure(&mut self) {
        let underlay = self.core.underlay().clone();
        let datapath = self.shared.datapath.clone();
        let old = match datapath.config() {
            Ok(old) => old.unwrap_or_else(Config::zeroed),
            Err(error) => return tracing::warn!(%error, "forwarder configuration"),
        };
        let seed = uuid::Uuid::new_v4().as_fields().0;
        let new = Config {
            flags: weft_dataplane::config::CONFIG_TRAP_TTL,
            fabric_ifindex: underlay.fabric_ifindex,
            pkt0_ifindex: underlay.pkt0_ifindex,
            tunnel_ip: underlay.tunnel_ip.octets(),
            fabric_mtu: underlay.fabric_mtu.into(),
            // A new seed would move established flows to other source ports.
            hash_seed: if old.hash_seed == 0 { seed } else { old.hash_seed },
            fabric_slot: FABRIC_SLOT,
            fabric_mac: underlay.fabric_mac,
            events_per_second: EVENTS_PER_SECOND,
            ..old
        };
        if new == old {
            return;
        }
        let written = datapath
            .set_config(&new)
            .and_then(|()| datapath.attach_fabric(underlay.fabric_ifindex))
            .and_then(|()| match underlay.pkt0_ifindex {
                0 => Ok(()),
                tap => datapath.attach_pkt0(tap),
            });
        if let Err(error) = written {
            tracing::error!(%error, "forwarder configuration");
        }
    }

    /// Make the kernel resolve the other hosts (all, or those that are new): a datagram nobody listens to is enough.
    fn probe(&mut self, all: bool) {
        let remotes = self.core.desired().remotes.clone();
        let new: Vec<_> = remotes.iter().filter(|r| all || !self.probed.contains(*r)).copied().collect();
        self.probed = remotes;
        if new.is_empty() {
            return;
        }
        let source = self.core.underlay().tunnel_ip;
        let socket = match std::net::UdpSocket::bind((source, 0)).and_then(|s| {
            s.set_nonblocking(true)?;
            Ok(s)
        }) {
            Ok(socket) => socket,
            Err(error) => return tracing::debug!(%error, "probe"),
        };
        for remote in new {
            if let Err(error) = socket.send_to(&[0], (remote, PROBE_PORT)) {
                tracing::debug!(%remote, %error, "probe");
            }
        }
    }
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
