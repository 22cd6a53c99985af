//! Settings of a control node.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use weft_model::defaults;

/// Settings of a control node.
#[derive(Debug, Clone)]
pub struct ControlConfig {
    /// Where agents connect.
    pub listen_xmpp: SocketAddr,
    /// Directory with `ca.pem`, `cert.pem` and `key.pem`. None: sessions in the clear, any peer is who it says it is.
    pub certs: Option<PathBuf>,
    /// Times.
    pub timers: Timers,
}

impl Default for ControlConfig {
    fn default() -> Self {
        ControlConfig {
            listen_xmpp: SocketAddr::from((Ipv4Addr::UNSPECIFIED, defaults::XMPP_PORT)),
            certs: None,
            timers: Timers::default(),
        }
    }
}

/// Times. The defaults are for production; tests and labs shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Silence after which a session is given up, unless the configuration's `fast_convergence_parameters` say otherwise.
    pub hold: Duration,
    /// How long after the last route or configuration in either direction a session counts as settled, if its agent does not say so by an
    /// end-of-RIB of its own.
    ///
    /// An agent deletes what it still holds from before when end-of-RIB comes. If this is shorter than an agent needs between
    /// two announcements (its start on a busy host, say), routes of workloads that exist are deleted elsewhere, and traffic to
    /// them is lost until they are announced.
    pub quiet: Duration,
    /// Longest time end-of-RIB is held back: after the start of the control node while configured agents are missing, and
    /// after the start of a session while it does not become quiet.
    ///
    /// If this is shorter than agents need to find a restarted control node (they try every 30 s in the end), the first to
    /// arrive lose their routes towards the last. A host that is down for good delays end-of-RIB by this much after a restart
    /// of the control node; nothing but the removal of old routes waits for it.
    pub end_of_rib: Duration,
    /// How long paths of a lost session stay in use, unless the configuration's `graceful_restart_parameters` say otherwise.
    /// Zero: not at all; then a restart of an agent takes its workloads off the network until it is back.
    pub stale: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Timers {
            hold: Duration::from_secs(90),
            quiet: Duration::from_secs(6),
            end_of_rib: Duration::from_secs(300),
            stale: Duration::from_secs(60),
        }
    }
}
