//! The tables and readings of a forwarder, behind one trait.
//!
//! Writes are idempotent (put replaces, delete of what is not there succeeds). A change of routes, bridge entries,
//! next hops' meaning or policy takes effect on established flows after [`Datapath::bump_vrf`] of the VRFs concerned;
//! new flows see it at once.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use weft_dataplane::{
    BridgeEntry, Config, Counters, DropReason, Event, Flow, Interface, Label, NextHop, Route, RuleList,
    Verdict, VerdictKey, Vni,
};

use crate::ForwarderError;

type Result<T> = std::result::Result<T, ForwarderError>;

/// A verdict with its key.
pub type VerdictEntry = (VerdictKey, Verdict);

/// One direction of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// The VRF its packets are in.
    pub zone: u16,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// Source port or ICMP identifier.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The entry.
    pub flow: Flow,
}

/// Which flows to remove; `None` matches everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowFilter {
    /// Flows of this zone (either direction's).
    pub zone: Option<u16>,
    /// Flows whose packets come from this interface (either direction's).
    pub ifindex: Option<u32>,
}

/// Packets dropped for one reason on one slot, since the maps were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DropCount {
    /// Counter slot.
    pub slot: u32,
    /// Reason.
    pub reason: DropReason,
    /// Packets.
    pub packets: u64,
}

/// Counters of one slot, summed over the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCounters {
    /// Counter slot.
    pub slot: u32,
    /// Sums.
    pub counters: Counters,
}

/// An idle time for one protocol, or one port of it (as destination of the opening direction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeoutRule {
    /// IP protocol.
    pub protocol: u8,
    /// Destination port; `None` for all.
    pub port: Option<u16>,
    /// Idle time after which the session is removed.
    pub idle: Duration,
}

/// How one step of ageing works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgeOptions {
    /// Entries to look at, at most, in this step; the next step goes on from there.
    pub budget: usize,
    /// Idle time of sessions with no rule of their own.
    pub idle: Duration,
    /// Idle time of established TCP sessions with no rule of their own.
    pub tcp_established: Duration,
    /// Idle time of TCP sessions that are closed (both FIN, or RST).
    pub tcp_closed: Duration,
    /// Exceptions; a rule with the port goes before one with only the protocol.
    pub rules: Vec<TimeoutRule>,
}

impl Default for AgeOptions {
    fn default() -> Self {
        AgeOptions {
            budget: 65_536,
            idle: Duration::from_secs(180),
            tcp_established: Duration::from_secs(3600),
            tcp_closed: Duration::from_secs(3),
            rules: Vec::new(),
        }
    }
}

/// What one step of ageing did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgeReport {
    /// Entries looked at.
    pub scanned: usize,
    /// Entries removed.
    pub removed: usize,
    /// Whether the step reached the end of the tables (the next one starts again).
    pub complete: bool,
}

/// A forwarder's tables and readings. Every method may be called from any thread and may block for a system call.
#[allow(missing_docs, reason = "put, delete and list of each table say what they do")]
pub trait Datapath: Send + Sync {
    /// The configuration record; `None` before it was first written.
    fn config(&self) -> Result<Option<Config>>;
    /// Writes the configuration record (`schema` is filled in).
    fn set_config(&self, config: &Config) -> Result<()>;

    fn put_interface(&self, ifindex: u32, interface: &Interface) -> Result<()>;
    fn delete_interface(&self, ifindex: u32) -> Result<()>;
    fn interfaces(&self) -> Result<Vec<(u32, Interface)>>;

    /// Writes a next hop at an index (1.. ; 0 is always discard). `generation` is kept by the forwarder: an entry that
    /// changed makes the flows through it be judged again. Put another meaning on an index only after no route names it.
    fn put_next_hop(&self, index: u32, next_hop: &NextHop) -> Result<()>;
    /// Makes an index discard.
    fn delete_next_hop(&self, index: u32) -> Result<()>;
    /// The next hops that are not discard, `generation` zero.
    fn next_hops(&self) -> Result<Vec<(u32, NextHop)>>;

    fn put_route(&self, vrf: u16, prefix: IpNet, route: &Route) -> Result<()>;
    fn delete_route(&self, vrf: u16, prefix: IpNet) -> Result<()>;
    fn routes(&self) -> Result<Vec<(u16, IpNet, Route)>>;

    fn put_bridge(&self, vrf: u16, mac: [u8; 6], entry: &BridgeEntry) -> Result<()>;
    fn delete_bridge(&self, vrf: u16, mac: [u8; 6]) -> Result<()>;
    fn bridge(&self) -> Result<Vec<(u16, [u8; 6], BridgeEntry)>>;

    fn put_label(&self, label: u32, value: &Label) -> Result<()>;
    fn delete_label(&self, label: u32) -> Result<()>;
    /// The labels that are allotted.
    fn labels(&self) -> Result<Vec<(u32, Label)>>;

    fn put_vni(&self, vni: u32, value: &Vni) -> Result<()>;
    fn delete_vni(&self, vni: u32) -> Result<()>;
    fn vnis(&self) -> Result<Vec<(u32, Vni)>>;

    fn put_verdict(&self, key: &VerdictKey, verdict: &Verdict) -> Result<()>;
    fn delete_verdict(&self, key: &VerdictKey) -> Result<()>;
    fn verdicts(&self) -> Result<Vec<VerdictEntry>>;

    /// Writes a rule list at an index (1..).
    fn put_rule_list(&self, index: u32, list: &RuleList) -> Result<()>;
    fn delete_rule_list(&self, index: u32) -> Result<()>;
    /// The rule lists with at least one entry.
    fn rule_lists(&self) -> Result<Vec<(u32, RuleList)>>;

    /// Makes every flow of a VRF be judged again at its next packet.
    fn bump_vrf(&self, vrf: u16) -> Result<()>;

    /// Every flow entry (both directions of each session).
    fn flows(&self) -> Result<Vec<FlowRecord>>;
    /// Removes sessions that a filter matches; returns the entries removed.
    fn flush_flows(&self, filter: FlowFilter) -> Result<usize>;
    /// One step of ageing.
    fn age(&self, options: &AgeOptions) -> Result<AgeReport>;

    /// Counters of the slots that have counted anything.
    fn counters(&self) -> Result<Vec<SlotCounters>>;
    /// Drop counters that are not zero.
    fn drops(&self) -> Result<Vec<DropCount>>;
    /// Sets a slot's counters and drops to zero, before it is given to another interface.
    fn reset_slot(&self, slot: u32) -> Result<()>;
    /// At most `max` events that have arrived since the last call; never waits.
    fn poll_events(&self, max: usize) -> Result<Vec<Event>>;

    /// Puts the workload program on an interface (ingress). Idempotent: an attached program is replaced in one step.
    fn attach_workload(&self, ifindex: u32) -> Result<()>;
    /// Takes the workload program off an interface; fine if the interface is gone.
    fn detach_workload(&self, ifindex: u32) -> Result<()>;
    /// Puts the fabric program on the underlay interface.
    fn attach_fabric(&self, ifindex: u32) -> Result<()>;
    /// Puts the program for injected packets on the agent's TAP.
    fn attach_pkt0(&self, ifindex: u32) -> Result<()>;
    /// The interfaces that have the workload program.
    fn attached_workloads(&self) -> Result<Vec<u32>>;
}
