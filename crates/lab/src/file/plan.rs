//! What a lab file means: every name resolved, every short form expanded.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use weft_client::documents::Document;
use weft_model::ObjectType;

pub use super::format::{Allowed, Expect, Family, Lost, ProbeSpec, Proto, RoleKind, StoreKind, Underlay};

/// A checked lab.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Name of the lab: letters, digits and dashes.
    pub name: String,
    /// What it shows.
    pub description: Option<String>,
    /// The network that joins hosts and controller.
    pub underlay: Underlay,
    /// Where the controller keeps the configuration.
    pub store: StoreKind,
    /// Hosts in order.
    pub hosts: Vec<HostPlan>,
    /// Objects to create, in the order of the file.
    pub objects: Vec<Document>,
    /// Workloads in order.
    pub workloads: Vec<WorkloadPlan>,
    /// Steps in order.
    pub steps: Vec<StepPlan>,
}

impl Plan {
    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&WorkloadPlan> {
        self.workloads.iter().find(|w| w.name == name)
    }

    /// The controller's address on the underlay: the first of the subnet.
    pub fn controller_address(&self) -> Ipv4Addr {
        nth_address(&self.underlay, 1)
    }
}

/// The n-th address of the underlay.
pub(crate) fn nth_address(underlay: &Underlay, n: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(underlay.subnet.network()).saturating_add(n))
}

/// A host.
#[derive(Debug, Clone)]
pub struct HostPlan {
    /// Name of the host and of its virtual-router.
    pub name: String,
    /// Its address on the underlay.
    pub address: Ipv4Addr,
}

/// A workload.
#[derive(Debug, Clone)]
pub struct WorkloadPlan {
    /// Name, unique in the lab.
    pub name: String,
    /// Host it runs on.
    pub host: String,
    /// Full name of its project.
    pub project: Vec<String>,
    /// Full name of its network.
    pub network: Vec<String>,
    /// Families its network has subnets of.
    pub families: BTreeSet<Family>,
    /// IPv4 address to ask for.
    pub address: Option<Ipv4Addr>,
    /// IPv6 address to ask for.
    pub address6: Option<Ipv6Addr>,
    /// Full names of its security groups.
    pub security_groups: Vec<Vec<String>>,
}

/// A step.
#[derive(Debug, Clone)]
pub struct StepPlan {
    /// Name in the report.
    pub name: String,
    /// Line in the file.
    pub line: u64,
    /// What to do.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// One pair tries.
    Check(CheckPlan),
    /// A running stream is looked at.
    CheckStream {
        /// The stream.
        stream: String,
        /// Whether packets must come through.
        expect: Expect,
        /// Within which it must become so.
        within: Duration,
    },
    /// All pairs try.
    Matrix(MatrixPlan),
    /// Create or update.
    Apply(Box<Document>),
    /// Delete.
    Delete {
        /// Type of the object.
        kind: ObjectType,
        /// Its full name.
        fq_name: Vec<String>,
    },
    /// Start, stop or kill.
    Role(RoleAction, RoleName),
    /// Run a command.
    Run(RunPlan),
    /// Start a stream.
    Traffic(TrafficPlan),
    /// Wait for a time.
    Sleep(Duration),
    /// Wait for a condition.
    Until(Condition, Duration),
}

impl Action {
    /// The word of the file format for it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Check(_) | Self::CheckStream { .. } => "check",
            Self::Matrix(_) => "matrix",
            Self::Apply(_) => "apply",
            Self::Delete { .. } => "delete",
            Self::Role(RoleAction::Start, _) => "start",
            Self::Role(RoleAction::Stop, _) => "stop",
            Self::Role(RoleAction::Kill, _) => "kill",
            Self::Run(_) => "run",
            Self::Traffic(_) => "traffic",
            Self::Sleep(_) | Self::Until(..) => "wait",
        }
    }
}

/// The asked end of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A workload.
    Workload(String),
    /// An address, e.g. a gateway's.
    Address(IpAddr),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Workload(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A check of one pair.
#[derive(Debug, Clone)]
pub struct CheckPlan {
    /// Workload that asks.
    pub from: String,
    /// Who is asked.
    pub to: Target,
    /// With what.
    pub probe: ProbeSpec,
    /// Over which families; never empty.
    pub families: Vec<Family>,
    /// Bytes of payload.
    pub size: usize,
    /// What should be found.
    pub expect: Expect,
    /// Within which it must become so.
    pub within: Duration,
}

/// A check of all pairs.
#[derive(Debug, Clone)]
pub struct MatrixPlan {
    /// With what.
    pub probes: Vec<ProbeSpec>,
    /// Over which families.
    pub families: Vec<Family>,
    /// Who takes part.
    pub workloads: Vec<String>,
    /// Who may reach whom; computed when none.
    pub allow: Option<Vec<Allowed>>,
    /// Within which allowed pairs must come through.
    pub within: Duration,
}

/// What to do with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleAction {
    /// Start it.
    Start,
    /// End it in good order.
    Stop,
    /// Kill it.
    Kill,
}

/// A role of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleName {
    /// The agent of a host.
    Agent(String),
    /// The controller.
    Controller,
    /// A workload.
    Workload(String),
    /// A member of the store.
    Store(String),
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Agent(host) => write!(f, "agent of {host}"),
            Self::Controller => f.write_str("controller"),
            Self::Workload(name) => write!(f, "workload {name}"),
            Self::Store(member) => write!(f, "store {member}"),
        }
    }
}

/// A command to run.
#[derive(Debug, Clone)]
pub struct RunPlan {
    /// Host, workload or `controller`.
    pub place: String,
    /// For `sh -c`.
    pub command: String,
    /// Exit status it must have.
    pub expect_exit: i32,
    /// Text its output must contain.
    pub expect_output: Option<String>,
    /// Limit.
    pub within: Duration,
}

/// A stream of counted packets.
#[derive(Debug, Clone)]
pub struct TrafficPlan {
    /// Its name.
    pub stream: String,
    /// Workload that sends.
    pub from: String,
    /// Workload that answers.
    pub to: String,
    /// With what.
    pub probe: ProbeSpec,
    /// Over which family.
    pub family: Family,
    /// Bytes of payload.
    pub size: usize,
    /// Packets per second, 1 to 20000.
    pub rate: u32,
    /// Index of the step after which it ends; the last one when none.
    pub until: Option<usize>,
    /// How many may be lost.
    pub lost: Lost,
}

/// Something to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Controller, all agents and all workloads that were not stopped.
    Ready,
    /// The controller answers.
    Controller,
    /// An agent answers and has its session with the controller.
    Agent(String),
    /// A workload has its addresses.
    Workload(String),
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("everything ready"),
            Self::Controller => f.write_str("controller ready"),
            Self::Agent(host) => write!(f, "agent of {host} ready"),
            Self::Workload(name) => write!(f, "workload {name} ready"),
        }
    }
}
