//! The steps of a lab file as written.

use serde::Deserialize;

use super::Verbatim;

/// One step; exactly one of the actions is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// Name in the report, and for `until`.
    pub name: Option<String>,
    /// One workload tries to reach another, or a running stream is looked at.
    pub check: Option<Check>,
    /// All pairs of workloads try.
    pub matrix: Option<Matrix>,
    /// Creates or updates a REST object.
    pub apply: Option<Verbatim>,
    /// Deletes an object.
    pub delete: Option<Delete>,
    /// Starts a role again.
    pub start: Option<Role>,
    /// Ends a role in good order.
    pub stop: Option<Role>,
    /// Kills a role at once.
    pub kill: Option<Role>,
    /// Runs a command.
    pub run: Option<RunCommand>,
    /// Starts a stream of counted packets.
    pub traffic: Option<Traffic>,
    /// Waits for seconds or for a condition.
    pub wait: Option<Wait>,
}

/// Protocol of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proto {
    /// ICMP echo.
    Icmp,
    /// TCP connection with an echo over it.
    Tcp,
    /// UDP echo.
    Udp,
}

/// Which address families a probe uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Family {
    /// IPv4.
    #[serde(rename = "v4")]
    V4,
    /// IPv6.
    #[serde(rename = "v6")]
    V6,
}

/// What a probe should find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// The request arrives and is answered.
    Pass,
    /// Nothing arrives.
    Drop,
}

/// `check: {from, to, proto, port?, expect}` or `check: {traffic: NAME, expect}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Workload that asks.
    #[serde(default)]
    pub from: Option<String>,
    /// Workload or address that is asked.
    #[serde(default)]
    pub to: Option<String>,
    /// Protocol; ICMP by default.
    #[serde(default)]
    pub proto: Option<Proto>,
    /// Destination port for TCP and UDP.
    #[serde(default)]
    pub port: Option<u16>,
    /// Address family; every family both ends have by default.
    #[serde(default)]
    pub family: Option<Family>,
    /// Bytes of payload (ICMP, UDP).
    #[serde(default)]
    pub size: Option<usize>,
    /// A running stream to look at instead.
    #[serde(default)]
    pub traffic: Option<String>,
    /// What should be found.
    pub expect: Expect,
    /// Seconds within which it must become so; by default 5 for `pass`, and `drop` must hold at once.
    #[serde(default)]
    pub within: Option<f64>,
}

/// `matrix: {probes: [icmp, tcp/5432], families?, workloads?, allow?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// Probes: `icmp`, `tcp/PORT`, `udp/PORT`.
    #[serde(default)]
    pub probes: Vec<ProbeSpec>,
    /// One probe, as in `check`.
    #[serde(default)]
    pub proto: Option<Proto>,
    /// Its port.
    #[serde(default)]
    pub port: Option<u16>,
    /// Address families; both by default.
    #[serde(default)]
    pub families: Vec<Family>,
    /// Workloads taking part; all by default.
    #[serde(default)]
    pub workloads: Vec<String>,
    /// Who may reach whom: `a -> b`, `a <-> b`, optionally followed by a probe. Computed from the configuration when absent.
    #[serde(default)]
    pub allow: Option<Vec<Allowed>>,
    /// Seconds within which every allowed pair must come through; 5 by default.
    #[serde(default)]
    pub within: Option<f64>,
}

/// A probe: protocol and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ProbeSpec {
    /// Protocol.
    pub proto: Proto,
    /// Destination port; 0 for ICMP.
    pub port: u16,
}

impl TryFrom<String> for ProbeSpec {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text}: a probe is icmp, tcp/PORT or udp/PORT");
        let (proto, port) = text.split_once('/').unwrap_or((&text, "0"));
        let port = port.parse::<u16>().map_err(|_| wrong())?;
        match (proto, port) {
            ("icmp", 0) => Ok(Self { proto: Proto::Icmp, port }),
            ("tcp", 1..) => Ok(Self { proto: Proto::Tcp, port }),
            ("udp", 1..) => Ok(Self { proto: Proto::Udp, port }),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for ProbeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.proto {
            Proto::Icmp => f.write_str("icmp"),
            Proto::Tcp => write!(f, "tcp/{}", self.port),
            Proto::Udp => write!(f, "udp/{}", self.port),
        }
    }
}

/// An allowed pair of a matrix.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Allowed {
    /// Workload that asks.
    pub from: String,
    /// Workload that is asked.
    pub to: String,
    /// Also the other way round.
    pub both: bool,
    /// Only for this probe; for all when none.
    pub probe: Option<ProbeSpec>,
}

impl TryFrom<String> for Allowed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (from, arrow, to, probe) = match words.as_slice() {
            [from, arrow, to] => (from, arrow, to, None),
            [from, arrow, to, probe] => (from, arrow, to, Some(ProbeSpec::try_from((*probe).to_owned())?)),
            _ => return Err(format!("{text}: an allowed pair is `a -> b`, `a <-> b` or `a -> b tcp/80`")),
        };
        let both = match *arrow {
            "->" => false,
            "<->" => true,
            other => return Err(format!("{other}: the arrow is -> or <->")),
        };
        Ok(Self { from: (*from).into(), to: (*to).into(), both, probe })
    }
}

/// `delete: {type, fq_name}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// Object type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Full name, as a list or `a:b:c`.
    pub fq_name: Name,
}

/// A full name, written as a list or as one word.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a full name: [a, b, c] or a:b:c")]
pub enum Name {
    /// `[a, b, c]`
    Parts(Vec<String>),
    /// `a:b:c`
    Word(String),
}

impl Name {
    /// The parts.
    pub fn parts(&self) -> Vec<String> {
        match self {
            Self::Parts(parts) => parts.clone(),
            Self::Word(word) => word.split(':').map(str::to_owned).collect(),
        }
    }
}

/// Which role `start`, `stop` and `kill` mean.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Agent, controller, workload or store.
    pub role: RoleKind,
    /// The agent's host.
    #[serde(default)]
    pub host: Option<String>,
    /// The name of the workload, or of the store's member.
    #[serde(default)]
    pub name: Option<String>,
}

/// Kinds of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleKind {
    /// The agent of a host.
    Agent,
    /// The controller.
    Controller,
    /// A workload.
    Workload,
    /// A member of the controller's etcd cluster.
    Store,
}

/// `run: {host|workload, command, expect_exit?, expect_output?}`; without a place it runs beside the controller.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCommand {
    /// Run in that host's namespace.
    #[serde(default)]
    pub host: Option<String>,
    /// Run in that workload's namespace.
    #[serde(default)]
    pub workload: Option<String>,
    /// Command line for `sh -c`.
    pub command: String,
    /// Exit status it must have; 0 by default.
    #[serde(default)]
    pub expect_exit: Option<i32>,
    /// Text its output must contain.
    #[serde(default)]
    pub expect_output: Option<String>,
    /// Seconds after which it is killed and the step fails; 60 by default.
    #[serde(default)]
    pub within: Option<f64>,
}

/// `traffic: {name, from, to, proto, rate, until, lost}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Name of the stream.
    pub name: String,
    /// Workload that sends.
    pub from: String,
    /// Workload that answers.
    pub to: String,
    /// Protocol; UDP by default.
    #[serde(default)]
    pub proto: Option<Proto>,
    /// Destination port for TCP and UDP; 7000 by default.
    #[serde(default)]
    pub port: Option<u16>,
    /// Address family; IPv4 by default, else IPv6.
    #[serde(default)]
    pub family: Option<Family>,
    /// Packets per second.
    pub rate: u32,
    /// Bytes of payload (ICMP, UDP).
    #[serde(default)]
    pub size: Option<usize>,
    /// Step after which the stream ends; the last one by default.
    #[serde(default)]
    pub until: Option<String>,
    /// Packets that may and must be lost: a number, or `{min, max}`.
    pub lost: Lost,
}

/// How many packets a stream loses.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "a number of packets, or {min: N, max: N}")]
pub enum Lost {
    /// Exactly so many.
    Exactly(u64),
    /// Within limits.
    Between(LostRange),
}

/// Limits of a loss.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostRange {
    /// At least; 0 by default.
    #[serde(default)]
    pub min: u64,
    /// At most; without limit by default.
    #[serde(default)]
    pub max: Option<u64>,
}

impl Lost {
    /// Whether that many fit.
    pub fn fits(self, lost: u64) -> bool {
        match self {
            Self::Exactly(n) => lost == n,
            Self::Between(range) => lost >= range.min && range.max.is_none_or(|max| lost <= max),
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "{n} lost"),
            Self::Between(LostRange { min, max: Some(max) }) => write!(f, "{min} to {max} lost"),
            Self::Between(LostRange { min, max: None }) => write!(f, "at least {min} lost"),
        }
    }
}

/// `wait: 2`, `wait: ready` or `wait: {for: ready, within: 10}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "seconds, a condition, or {for: CONDITION, within: SECONDS}")]
pub enum Wait {
    /// So many seconds.
    Seconds(f64),
    /// Until a condition holds.
    Condition(String),
    /// The same with a limit.
    Within(WaitWithin),
}

/// A condition with a limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitWithin {
    /// The condition.
    #[serde(rename = "for")]
    pub condition: String,
    /// Seconds.
    pub within: f64,
}
